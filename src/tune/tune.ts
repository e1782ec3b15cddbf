/**
 * Tuning a fused program on a device: its regions are run in order with the default schedules, which leaves every region's arguments in
 * memory, then searched one after the other, those that take longest for longest.
 */
import type { TensorRef } from "../../ir/tensor.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { scheduleText } from "../schedule/choose.ts";
import type { FusedProgram, Region } from "../schedule/region.ts";
import { type Schedule, ScheduleError } from "../schedule/schedule.ts";
import { allocate, type Failure, RegionBench } from "./bench.ts";
import { EMPTY_CACHE, keyOf, lookupAll, type ScheduleCache, type ScheduleEntry } from "./cache.ts";
import type { TuneArray, TuneDevice } from "./device.ts";
import { TuneError } from "./error.ts";
import { bytesOf, inputsFor, sizesFor } from "./inputs.ts";
import { type SearchResult, type Started, search, start } from "./search.ts";

export interface TuneOptions {
  /** Seconds for all of it; 60 if left out. At least the default schedules are run, whatever it is. */
  readonly budget?: number;
  /** Values of size symbols that stay symbolic in the kernels: what they are tuned for; for those left out 256, or less where arrays would be larger than 128 MiB. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Schedules of regions like these: tried first. */
  readonly seeds?: ScheduleCache;
  /** Ends the search; what was found is kept. */
  readonly signal?: AbortSignal;
  /** The most schedules that are tried of a region. */
  readonly trials?: number;
  /**
   * A clock, in nanoseconds, that is read around each run instead of the device's timestamps: the processor's time where a software adapter
   * shares a busy machine.
   */
  readonly clock?: () => number;
  /** Of the random arguments and draws; 1 if left out. */
  readonly seed?: number;
  readonly onProgress?: (p: TuneProgress) => void;
}

export interface TuneProgress {
  readonly region: string;
  /** Regions done, and how many there are to search. */
  readonly done: number;
  readonly regions: number;
  readonly tried: number;
  /** Nanoseconds of the best and the default schedule so far. */
  readonly best: number;
  readonly first: number;
  /** Share of the time that has passed, 0 to 1. */
  readonly elapsed: number;
}

export interface TunedRegion {
  readonly name: string;
  readonly kind: Region["kind"];
  readonly schedule: Schedule;
  readonly default: Schedule;
  readonly ns: number;
  readonly defaultNs: number;
  readonly source: "timestamps" | "clock";
  readonly tried: number;
  /** How many regions of the program it stands for: equal ones are searched once. */
  readonly count: number;
}

export interface Tuned {
  readonly name: string;
  /** What the size symbols were taken to be. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly regions: readonly TunedRegion[];
  /** Schedules that could not be used, whose fault is the compiler's among them. */
  readonly failures: readonly Failure[];
  readonly cache: ScheduleCache;
}

const BUDGET = 60;
/** No region gets less than this share of the time of the one that takes longest. */
const LEAST_SHARE = 0.1;

interface Ready {
  readonly region: Region;
  readonly bench: RegionBench;
  readonly started: Started;
  count: number;
}

/** Rejects with TuneError, and with DeviceError where the device is lost or has no room for the program's arrays. */
export async function tuneFused(device: TuneDevice, fused: FusedProgram, o: TuneOptions = {}): Promise<Tuned> {
  const begin = performance.now();
  const end = begin + (o.budget ?? BUDGET) * 1000;
  const sizes = sizesFor(fused.program, o.sizes ?? {});
  if (!sizes) throw new TuneError(`no sizes were found that ${fused.program.name} allows; give them`);
  const { maxBufferSize } = device.info.limits;
  for (const input of fused.program.inputs) {
    const bytes = bytesOf(input, sizes);
    if (bytes > maxBufferSize)
      throw new TuneError(
        `\`${input.name}\` of ${fused.program.name} takes ${bytes} bytes, a buffer of the device has ${maxBufferSize} at most; give smaller sizes`,
      );
  }
  const arrays = new Arrays(device);
  const failures: Failure[] = [];
  const ready = new Map<string, Ready>();
  try {
    for (const [input, host] of inputsFor(fused.program, sizes, o.seed ?? 1))
      arrays.put({ tensor: input, slot: 0 }, device.upload(host, input.name), host);
    for (const region of fused.regions) {
      const key = JSON.stringify(keyOf(region, device.info, sizes));
      const made = await prepare(device, region, sizes, arrays, o);
      if ("fault" in made) failures.push(made);
      const same = ready.get(key);
      if (same) {
        same.count++;
        if (!("fault" in made)) release(made);
      } else if (!("fault" in made)) ready.set(key, made);
    }
    const regions = await searchAll([...ready.values()], begin, end, sizes, o, failures);
    return {
      name: fused.program.name,
      sizes: Object.fromEntries(sizes),
      regions,
      failures,
      cache: { entries: regions.flatMap((r) => r.entry ?? []) },
    };
  } finally {
    for (const r of ready.values()) r.bench.dispose();
    arrays.dispose();
  }
}

function release({ bench, started }: Ready): void {
  started.first.kernel.dispose();
  bench.dispose();
}

/** Runs the region's default schedule and keeps its results for those that come after it. */
async function prepare(
  device: TuneDevice,
  region: Region,
  sizes: ReadonlyMap<string, number>,
  arrays: Arrays,
  o: TuneOptions,
): Promise<Ready | Failure> {
  const stores = region.stores.map((s) => allocate(device, s, sizes));
  const bench = new RegionBench(
    device,
    region,
    sizes,
    region.reads.map((r) => arrays.get(r)),
    stores,
    o.clock,
  );
  let started: Started | Failure;
  try {
    started = await start(bench, o.seed);
  } catch (error) {
    if (error instanceof ScheduleError) throw new TuneError(`no schedule fits ${region.name}: ${error.message}`);
    throw error;
  }
  const results = await bench.results();
  region.stores.forEach((s, i) => {
    arrays.put(s, stores[i]!, results[i]!);
  });
  if ("fault" in started) {
    bench.dispose();
    return started;
  }
  return { region, bench, started, count: 1 };
}

interface Found extends TunedRegion {
  readonly entry: ScheduleEntry | undefined;
}

/** Each region in turn, the one that takes longest first; what one leaves of its time is for the others. */
async function searchAll(
  ready: readonly Ready[],
  begin: number,
  end: number,
  sizes: ReadonlyMap<string, number>,
  o: TuneOptions,
  failures: Failure[],
): Promise<Found[]> {
  const cost = (r: Ready): number => r.started.first.least * r.count;
  const order = [...ready].sort((x, y) => cost(y) - cost(x));
  const most = order[0] ? cost(order[0]) : 0;
  const weight = (r: Ready): number => Math.max(cost(r), LEAST_SHARE * most);
  const found = new Map<Ready, Found>();
  for (const [i, r] of order.entries()) {
    const now = performance.now();
    const rest = order.slice(i).reduce((sum, x) => sum + weight(x), 0);
    const key = keyOf(r.region, r.bench.target, sizes);
    const result = await search(r.bench, r.started, {
      until: now + Math.max(0, end - now) * (weight(r) / rest),
      signal: o.signal,
      seeds: lookupAll(o.seeds ?? EMPTY_CACHE, { ...key, adapter: undefined }).map((e) => e.schedule),
      ...(o.trials === undefined ? {} : { trials: o.trials }),
      onTrial: (best, first, tried) =>
        o.onProgress?.({
          region: r.region.name,
          done: i,
          regions: order.length,
          tried,
          best,
          first,
          elapsed: Math.min(1, (performance.now() - begin) / Math.max(1, end - begin)),
        }),
    });
    failures.push(...result.failures);
    // Where nothing was tried beside the default there is nothing to remember.
    const entry = result.tried > 1 && result.right ? entryOf(r, result, sizes) : undefined;
    found.set(r, { ...describe(r, result), entry });
  }
  return ready.flatMap((r) => found.get(r) ?? []);
}

function describe(r: Ready, result: SearchResult): TunedRegion {
  const { schedule, ns, defaultNs, source, tried } = result;
  const { name, kind } = r.region;
  return { name, kind, schedule, default: r.started.first.schedule, ns, defaultNs, source, tried, count: r.count };
}

function entryOf(
  r: Ready,
  { schedule, ns, defaultNs }: SearchResult,
  sizes: ReadonlyMap<string, number>,
): ScheduleEntry {
  const key = keyOf(r.region, r.bench.target, sizes);
  return { ...key, adapter: key.adapter ?? "", schedule, name: r.region.name, ns, defaultNs };
}

/** Whether a tuned region keeps the default schedule. */
export function keepsDefault(r: TunedRegion): boolean {
  return scheduleText(r.schedule) === scheduleText(r.default);
}

/** Tensors on the device and on the host. */
class Arrays {
  readonly #all = new Map<string, { readonly device: TuneArray; readonly host: HostArray }>();
  readonly #device: TuneDevice;
  constructor(device: TuneDevice) {
    this.#device = device;
  }
  put(ref: TensorRef, device: TuneArray, host: HostArray): void {
    this.#all.set(nameOf(ref), { device, host });
  }
  get(ref: TensorRef): { readonly device: TuneArray; readonly host: HostArray } {
    const found = this.#all.get(nameOf(ref));
    if (!found) throw new Error(`nothing has computed ${ref.tensor.name} on ${this.#device.info.name}`);
    return found;
  }
  dispose(): void {
    for (const { device } of this.#all.values()) device.buffer.destroy();
  }
}

function nameOf(r: TensorRef): string {
  return `${r.tensor.id}.${r.slot}`;
}
