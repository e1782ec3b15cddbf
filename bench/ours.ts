/** Ours: compiled, loaded, and encoded on buffers that stay, one submit a run. */
import type { Device, DeviceArray } from "../runtime/node.ts";
import type { HostArray } from "../runtime/plan.ts";
import { compile, type Program, type ScheduleCache, shapesOf } from "../src/index.ts";
import type { Contender } from "./clock.ts";
import type { Workload } from "./workload.ts";

export interface Ours extends Contender {
  readonly program: Program;
  /** Milliseconds of compiling, of loading, and of the first run. */
  readonly first: { readonly compile: number; readonly load: number; readonly run: number };
  /** Bytes of arguments and results: what must move at least. */
  readonly bytes: number;
  readonly results: Record<string, HostArray>;
  dispose(): void;
}

/** With `schedules` the tuner's choice, under that name. */
export async function prepareOurs(
  w: Workload,
  inputs: Record<string, HostArray>,
  device: Device,
  schedules?: ScheduleCache,
): Promise<Ours> {
  const began = performance.now();
  const program = compile(w.source, { fileName: `${w.name}.ein` });
  const options = { shapes: shapesOf(inputs), provided: Object.keys(inputs), ...(schedules ? { schedules } : {}) };
  const plan = program.plan(w.fn, { ...options, adapter: device.info });
  const compiled = performance.now();
  const kernel = await device.loadPlan(plan);
  const loaded = performance.now();
  const held: DeviceArray[] = [];
  const buffers: Record<string, DeviceArray> = {};
  for (const [name, array] of Object.entries(inputs)) {
    const uploaded = device.upload(array, name);
    buffers[name] = uploaded;
    held.push(uploaded);
  }
  const ready = performance.now();
  const results = await kernel.runOnDevice(buffers);
  const run = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const encoder = device.gpu.createCommandEncoder();
      kernel.encode(encoder, all);
      device.gpu.queue.submit([encoder.finish()]);
    }
    await device.gpu.queue.onSubmittedWorkDone();
  };
  // A result named as an argument, as gradients are, has a name of its own among the buffers.
  const named = Object.entries(results).map(([n, a]) => [n in buffers ? `out_${n}` : n, a] as const);
  const all = { ...buffers, ...Object.fromEntries(named) };
  await device.gpu.queue.onSubmittedWorkDone();
  const done = performance.now();
  held.push(...Object.values(results));
  const host = Object.fromEntries(
    await Promise.all(
      Object.entries(results).map(async ([n, a]): Promise<[string, HostArray]> => [n, await device.download(a)]),
    ),
  );
  return {
    name: schedules ? "tuned" : "fusum",
    program,
    first: { compile: compiled - began, load: loaded - compiled, run: done - ready },
    bytes: [...Object.values(inputs), ...Object.values(host)].reduce((sum, a) => sum + a.data.byteLength, 0),
    results: host,
    run,
    dispose: () => {
      kernel.dispose();
      for (const a of held) a.buffer.destroy();
    },
  };
}
