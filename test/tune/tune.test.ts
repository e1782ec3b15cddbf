/** The tuner on a device. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Device, DeviceArray } from "../../runtime/index.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { compile, type ScheduleCache, TuneError } from "../../src/index.ts";
import { scheduleText } from "../../src/schedule/choose.ts";
import { writeCache } from "../../src/tune/cache.ts";
import type { TuneDevice } from "../../src/tune/device.ts";
import { reportOf } from "../../src/tune/report.ts";
import type { Tuned, TuneProgress } from "../../src/tune/tune.ts";
import { openTestDevice } from "../device.ts";

vi.setConfig({ testTimeout: 120_000 });

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

const program = compile(`
  import { softmax } from "std/nn"
  export fn dense(x: f32[N, I], w: f32[I, O], b: f32[O]) { softmax(relu(x @ w + b), axis: 1) }
  export fn chain(x: f32[N]) { tanh(x * 2 + 1) }
  export fn gather(x: f32[N, D], t: i32[M]) { x[t] ?? 0 }
  export fn blocks(x: f32[4 * N + 3], y: f32[N]) { sum(x) + sum(y) }
  export fn twice(x: f32[N, N]) { relu(x @ x) @ x }
  export fn top(x: f32[N]) -> f32 { max(x) }
  export fn total(x: f32[N, I]) -> f32 { sum(x) }
`);
const EXTENTS = { N: 24, I: 32, O: 16 };
const FEW = { budget: 20, trials: 10 };

/** The device with what one download of each region's result is changed to. */
function broken(change: (array: HostArray, call: number) => void): TuneDevice {
  let call = 0;
  return {
    info: device.info,
    gpu: device.gpu,
    loadPlan: (plan) => device.loadPlan(plan),
    upload: (array, label) => device.upload(array, label),
    createBuffer: (bytes, label) => device.createBuffer(bytes, label),
    download: async (array) => {
      const made = await device.download(array as DeviceArray);
      change(made, call++);
      return made;
    },
    race: (entrants, rounds) => device.race(entrants as Parameters<Device["race"]>[0], rounds),
  };
}

describe("tuning a program", () => {
  test("every region gets a schedule that was not slower than the default, and the cache has it", async () => {
    const steps: TuneProgress[] = [];
    const tuned = await program.tune(device, "dense", { extents: EXTENTS, ...FEW, onProgress: (p) => steps.push(p) });
    expect(tuned.regions.map((r) => r.kind)).toEqual(["contraction", "row"]);
    expect(tuned.failures).toEqual([]);
    for (const r of tuned.regions) {
      expect(r.ns).toBeGreaterThan(0);
      expect(r.ns).toBeLessThanOrEqual(r.defaultNs);
      expect(r.tried).toBeGreaterThan(1);
      expect(r.tried).toBeLessThanOrEqual(FEW.trials);
    }
    expect(tuned.cache.entries.map((e) => scheduleText(e.schedule))).toEqual(
      tuned.regions.map((r) => scheduleText(r.schedule)),
    );
    expect(steps.length).toBeGreaterThan(0);
    const report = reportOf(tuned);
    expect(report.reached).toBeGreaterThan(0);
    expect(report.reached).toBeLessThanOrEqual(1);

    const compiled = program.compiled("dense", { extents: EXTENTS, adapter: device.info, schedules: tuned.cache });
    expect([...compiled.schedules.values()].map(scheduleText)).toEqual(
      tuned.regions.map((r) => scheduleText(r.schedule)),
    );
  });

  test("free extents stay free: the kernels are tuned for the sizes that are given", async () => {
    const tuned = await program.tune(device, "gather", { sizes: { N: 50, M: 7 }, ...FEW, trials: 4 });
    expect(tuned.sizes).toEqual({ N: 50, M: 7, D: 256 });
    expect(tuned.cache.entries[0]?.extents.toSorted()).toEqual(["256", "64", "7"]);
  });

  test("sizes that shapes depend on are found where none are given; facts are kept or an error", async () => {
    const tuned = await program.tune(device, "blocks", { ...FEW, trials: 2 });
    expect(tuned.sizes).toEqual({ N: 256 });
    await expect(program.tune(device, "top", { ...FEW, sizes: { N: 0 } })).rejects.toThrow(TuneError);
  });

  test("equal regions are searched once", async () => {
    const three = compile("export fn f(x: f32[N, N]) {\n  let a = x @ x\n  let b = a @ x\n  let c = b @ x\n  c @ x\n}");
    const tuned = await three.tune(device, "f", { extents: { N: 16 }, ...FEW, trials: 3 });
    expect(tuned.regions.reduce((n, r) => n + r.count, 0)).toBe(4);
    expect(tuned.regions.length).toBeLessThan(4);
  });

  test("a signal ends it and keeps what was found", async () => {
    const stop = new AbortController();
    const tuned = await program.tune(device, "dense", {
      extents: EXTENTS,
      budget: 600,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    expect(tuned.regions).toHaveLength(2);
    expect(tuned.cache.entries).toHaveLength(1);
  });
});

describe("wrong candidates", () => {
  const isWrong = (t: Tuned): readonly string[] => t.failures.map((f) => `${f.fault} ${f.region}`);

  test("a candidate whose result is outside the bound is told and never used, however fast", async () => {
    // The default's result is downloaded twice: to be checked, and for the regions that read it.
    const liar = broken((a, call) => {
      if (call >= 2) a.data[a.data.length - 1] = 123;
    });
    const tuned = await program.tune(liar, "chain", { extents: { N: 3000 }, ...FEW });
    expect(tuned.failures.length).toBeGreaterThan(3);
    expect(new Set(isWrong(tuned))).toEqual(new Set(["compiler tanh"]));
    expect(tuned.failures[0]?.message).toMatch(/element 2999 of \w+ is 123, outside/);
    expect(scheduleText(tuned.regions[0]!.schedule)).toBe(scheduleText(tuned.regions[0]!.default));
  });

  test("one element anywhere is enough, also where the interpreter only samples", async () => {
    const liar = broken((a, call) => {
      if (call >= 2) a.data[77_777] = a.data[77_777]! * (1 + 1e-3);
    });
    const tuned = await program.tune(liar, "chain", { extents: { N: 400_000 }, ...FEW, trials: 3 });
    expect(tuned.failures.length).toBeGreaterThan(0);
    expect(tuned.failures[0]?.message).toMatch(/element 77777 /);
  });

  test("a default that is wrong is told, and another schedule is taken", async () => {
    const liar = broken((a, call) => {
      if (call === 0) a.data[0] = Number.NaN;
    });
    const tuned = await program.tune(liar, "chain", { extents: { N: 3000 }, ...FEW });
    expect(isWrong(tuned)).toEqual(["compiler tanh"]);
    expect(scheduleText(tuned.regions[0]!.schedule)).not.toBe(scheduleText(tuned.regions[0]!.default));
  });
});

describe("loading", () => {
  const x: HostArray = {
    dtype: "f32",
    shape: [24, 32],
    data: Float32Array.from({ length: 768 }, (_, i) => (i % 7) - 3),
  };
  test("load with tune searches once and remembers", async () => {
    const found: Tuned[] = [];
    const tune = { ...FEW, trials: 4, onTuned: (t: Tuned) => found.push(t) };
    const kernel = await device.load(program, "total", { extents: { N: 24, I: 32 }, tune });
    expect((await kernel.runSingle({ x })).data[0]).toBe((x.data as Float32Array).reduce((a, b) => a + b, 0));
    await device.load(program, "total", { extents: { N: 24, I: 32 }, tune });
    expect(found).toHaveLength(1);
    // Told apart by their extents.
    await device.load(program, "total", { extents: { N: 3, I: 4 }, tune });
    expect(found).toHaveLength(2);
  });
  test("load with schedules uses them where they are legal", async () => {
    const tuned = await program.tune(device, "total", { extents: { N: 24, I: 32 }, ...FEW });
    const cache: ScheduleCache = tuned.cache;
    const kernel = await device.load(program, "total", { extents: { N: 24, I: 32 }, schedules: cache });
    expect((await kernel.runSingle({ x })).data[0]).toBe((x.data as Float32Array).reduce((a, b) => a + b, 0));
    expect(writeCache(cache)).toContain('"compiler"');
  });
});

test("a clock of one's own measures instead of the device's", async () => {
  let now = 0;
  const tuned = await program.tune(device, "chain", {
    extents: { N: 300 },
    ...FEW,
    trials: 3,
    clock: () => (now += 500),
  });
  for (const r of tuned.regions) {
    expect(r.source).toBe("clock");
    // Several runs in one reading.
    expect(r.defaultNs).toBeLessThanOrEqual(500);
    expect(scheduleText(r.schedule)).toBe(scheduleText(r.default));
  }
});
