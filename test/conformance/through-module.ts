/** Runs a case through the module that is emitted for it: emitted, imported, run on the device's own GPUDevice. */
import type { Device } from "../../runtime/device.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { politeWait } from "../../runtime/polite.ts";
import type { Program } from "../../src/index.ts";
import { shapesOf } from "../../src/index.ts";
import { emitModule } from "../../src/module/index.ts";
import type { RunJob } from "./job.ts";

type Result = HostArray["data"] & { readonly shape: readonly number[] };
interface EmittedKernel {
  run(inputs: Readonly<Record<string, HostArray>>): Promise<Readonly<Record<string, Result>>>;
  dispose(): void;
}
type EmittedFunction = (device: GPUDevice, fixed: NonNullable<RunJob["consts"]>) => Promise<EmittedKernel>;

/** The module's results by name, in their order. */
export async function runThroughModule(
  job: RunJob,
  program: Program,
  inputs: Readonly<Record<string, HostArray>>,
  device: Device,
): Promise<Record<string, HostArray>> {
  const consts = job.consts ?? {};
  const form = { consts, shapes: shapesOf(inputs), provided: Object.keys(inputs) };
  const [file] = emitModule(
    { fileName: "case.ein", source: job.source, program },
    { targets: [device.info], specialise: { [job.fn]: [form] }, specialisedOnly: true },
  );
  const module = (await import(`data:text/javascript,${encodeURIComponent(file?.text ?? "")}`)) as Readonly<
    Record<string, EmittedFunction>
  >;
  const make = module[job.fn];
  if (!make) throw new Error(`the module has no ${job.fn}`);
  const kernel = await politeWait(make(device.gpu, consts));
  try {
    const results = await politeWait(kernel.run(inputs));
    const { results: types } = program.functions.find((f) => f.name === job.fn)!;
    return Object.fromEntries(
      Object.entries(results).map(([name, data], i): [string, HostArray] => [
        name,
        { dtype: types[i]!.dtype as HostArray["dtype"], shape: data.shape, data },
      ]),
    );
  } finally {
    kernel.dispose();
  }
}
