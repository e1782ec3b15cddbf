/**
 * Hand-written kernels as a yardstick, where a folder of them is at hand (`--lab FOLDER`): scripts that hand lists of variants to a
 * `bench` function of their own small library. The scripts run here with that function replaced; each variant is checked against the
 * script's reference, and the fastest stands for all of them.
 */
import { registerHooks } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Wait } from "../../runtime/context.ts";
import { type ClockOptions, type Contender, median, race } from "../clock.ts";
import type { LabPeer } from "../workload.ts";

interface LabPass {
  readonly wg: readonly number[];
}
interface BuiltPass {
  readonly pl: GPUComputePipeline;
  readonly bg: GPUBindGroup;
  readonly wg: readonly number[];
}
interface Variant {
  readonly n: string;
  readonly passes: readonly LabPass[];
  readonly out?: string;
}
interface Case {
  readonly bufs: Readonly<Record<string, number | ArrayBufferView>>;
  readonly ref: ArrayLike<number> | ((v: Variant) => ArrayLike<number>);
  readonly out?: string;
  readonly tol?: number;
  readonly variants: readonly Variant[];
}
/** The part of the folder's library that this uses. */
interface Library {
  readonly device: GPUDevice;
  buf(x: number | ArrayBufferView): GPUBuffer;
  read(b: GPUBuffer): Promise<Float32Array>;
  build(pass: LabPass, buffers: Readonly<Record<string, GPUBuffer>>): Promise<BuiltPass>;
}

export interface Lab {
  /** The fastest of the variants that are right, or undefined if the folder has none. */
  prepare(peer: LabPeer): Promise<(Contender & { readonly variant: string; dispose(): void }) | undefined>;
}

/** Variants that leave out what makes the result right for every input, to show where the floor is. */
const FLOOR = /unsafe/i;

const CAPTURED = Symbol.for("fusum.bench.lab");
const DEVICE = Symbol.for("fusum.bench.device");
type Captured = Map<string, Case>;

/**
 * Loads the folder's library, which opens a device: it gets ours. On a device of its own the same kernel took up to 1.8 times as long or as
 * short, as each device's threads meet the cores in their own way.
 */
export async function openLab(folder: string, clock: ClockOptions, device: GPUDevice): Promise<Lab> {
  const libraryUrl = pathToFileURL(resolve(folder, "lib.mjs")).href;
  const ownUrl = `${libraryUrl}?own`;
  const captured: Captured = new Map();
  const shared = globalThis as unknown as Record<symbol, unknown>;
  shared[CAPTURED] = captured;
  shared[DEVICE] = device;
  const shim = `data:text/javascript,${encodeURIComponent(SHIM(libraryUrl))}`;
  const webgpu = `data:text/javascript,${encodeURIComponent(WEBGPU)}`;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "./lib.mjs"
        ? { url: shim, shortCircuit: true }
        : context.parentURL === ownUrl && /[\\/]webgpu[\\/]/.test(specifier)
          ? { url: webgpu, shortCircuit: true }
          : next(specifier, context),
  });
  // The library also puts its adapter where peers look for one.
  const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const { onuncapturederror } = device;
  const library = (await import(ownUrl)) as Library;
  if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
  device.onuncapturederror = onuncapturederror;
  const scripts = new Map<string, Promise<unknown>>();
  return {
    async prepare(peer) {
      const key = `${peer.script} ${JSON.stringify(peer.env ?? {})}`;
      let running = scripts.get(key);
      if (!running) {
        running = runScript(join(folder, peer.script), key, peer.env ?? {});
        scripts.set(key, running);
      }
      await running;
      const found = captured.get(peer.title);
      return found && (await fastest(library, found, clock));
    },
  };
}

/** What the library asks of WebGPU's package: an adapter, and its device. */
const WEBGPU = `
const device = globalThis[Symbol.for("fusum.bench.device")];
const { features, limits } = device;
const adapter = { features, limits, info: device.adapterInfo, requestDevice: async () => device };
export const create = () => ({ requestAdapter: async () => adapter });
export const globals = {};
`;

/** Everything of the library, except what would start peers, time, or end the process. */
const SHIM = (library: string): string => `
export * from ${JSON.stringify(`${library}?own`)};
const nothing = new Proxy(function () {}, {
  get: (_, key) => (key === "then" || typeof key === "symbol" ? undefined : nothing), apply: () => nothing,
});
export const jax = async () => nothing;
export const tfjs = async () => nothing;
export const jaxRun = () => nothing;
export const tfRun = () => nothing;
export const bench = async (title, c) => { globalThis[Symbol.for("fusum.bench.lab")].set(title, c); };
`;

/** The scripts end with process.exit, which must not happen here. */
async function runScript(file: string, key: string, env: Readonly<Record<string, string>>): Promise<void> {
  const exit = process.exit;
  const before = { ...process.env };
  Object.assign(process.env, env);
  process.exit = (() => undefined) as unknown as typeof process.exit;
  try {
    await import(`${pathToFileURL(file).href}?${encodeURIComponent(key)}`);
  } finally {
    process.exit = exit;
    for (const name of Object.keys(env)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

async function fastest(library: Library, c: Case, clock: ClockOptions): ReturnType<Lab["prepare"]> {
  const buffers: Record<string, GPUBuffer> = Object.fromEntries(
    Object.entries(c.bufs).map(([name, x]) => [name, library.buf(x)]),
  );
  const { device } = library;
  const { wait } = clock;
  const right: { readonly variant: Variant; readonly contender: Contender }[] = [];
  for (const variant of c.variants) {
    if (FLOOR.test(variant.n)) continue;
    device.pushErrorScope("validation");
    const run = await runner(library, variant, buffers).catch(() => undefined);
    if (run && !(await wait(device.popErrorScope())) && (await isRight(library, c, variant, buffers, run, wait)))
      right.push({ variant, contender: { name: variant.n, run } });
  }
  const times = await race(
    right.map((r) => r.contender),
    { ...clock, rounds: 3 },
  );
  const best = times.map((t) => Math.min(...t.ms)).reduce((b, t, i, all) => (t < all[b]! ? i : b), 0);
  const winner = right[best];
  const dispose = (): void => {
    for (const b of Object.values(buffers)) b.destroy();
  };
  if (!winner || Number.isNaN(median(times[best]!.ms))) {
    dispose();
    return undefined;
  }
  return { name: "hand-written", variant: winner.variant.n, run: winner.contender.run, dispose };
}

async function runner(
  library: Library,
  variant: Variant,
  buffers: Readonly<Record<string, GPUBuffer>>,
): Promise<(times: number) => Promise<void>> {
  const passes: BuiltPass[] = [];
  for (const p of variant.passes) passes.push(await library.build(p, buffers));
  const { queue } = library.device;
  return async (times) => {
    for (let i = 0; i < times; i++) {
      const encoder = library.device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const p of passes) {
        pass.setPipeline(p.pl);
        pass.setBindGroup(0, p.bg);
        pass.dispatchWorkgroups(p.wg[0] ?? 1, p.wg[1] ?? 1, p.wg[2] ?? 1);
      }
      pass.end();
      queue.submit([encoder.finish()]);
    }
    await queue.onSubmittedWorkDone();
  };
}

/** By the script's own reference and tolerance (1e-4 where it names none). */
async function isRight(
  library: Library,
  c: Case,
  variant: Variant,
  buffers: Readonly<Record<string, GPUBuffer>>,
  run: (times: number) => Promise<void>,
  wait: Wait,
): Promise<boolean> {
  const out = buffers[variant.out ?? c.out ?? "C"];
  if (!out) return false;
  library.device.queue.writeBuffer(out, 0, new Float32Array(out.size / 4).fill(Number.NaN));
  await wait(run(1));
  const got = await wait(library.read(out));
  const want = typeof c.ref === "function" ? c.ref(variant) : c.ref;
  const tolerance = c.tol ?? 1e-4;
  for (let i = 0; i < want.length; i++)
    if (!(Math.abs(got[i]! - want[i]!) / (1 + Math.abs(want[i]!)) < tolerance)) return false;
  return true;
}
