/** `fusum check`: every function on the device against the interpreter, within the derived bound. */
import { type CheckedResult, checkResults } from "../check.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { type Program, shapesOf } from "../index.ts";
import { argumentsOf, sourcesOf } from "./check-inputs.ts";
import { type BindingOptions, bindingsFor, CliError, EXIT, shownPath, usageError } from "./context.ts";

interface CheckCommandOptions extends BindingOptions {
  readonly function: readonly string[];
  readonly seed: string;
  readonly budget: string;
  readonly adapter: "auto" | "gpu" | "software";
}

type Row =
  | {
      readonly file: string;
      readonly function: string;
      readonly status: "checked";
      readonly kernels: number;
      readonly extents: Readonly<Record<string, number>>;
      readonly results: readonly CheckedResult[];
    }
  | { readonly file: string; readonly function: string; readonly status: "skipped"; readonly reason: string };

export async function check(files: readonly string[], o: CheckCommandOptions): Promise<void> {
  const seed = Number(o.seed);
  const budget = Number(o.budget);
  if (!Number.isSafeInteger(seed)) throw usageError(`--seed must be an integer, not ${JSON.stringify(o.seed)}`);
  if (!(budget > 0)) throw usageError(`--budget must be a positive number, not ${JSON.stringify(o.budget)}`);
  const programs = await sourcesOf(files, o);
  const { openDevice } = await import("../../runtime/node.ts");
  const device = await openDevice({ adapter: o.adapter });
  const rows: Row[] = [];
  try {
    for (const { file, program } of programs)
      for (const f of program.functions) {
        if (o.function.length > 0 && !o.function.includes(f.name)) continue;
        const { consts, extents } = bindingsFor(f, o);
        const row = await checkOne(file, program, f, consts, extents, seed, budget, device, o);
        rows.push(row);
        if (!o.json) process.stdout.write(`${line(row)}\n`);
      }
  } finally {
    device.close();
  }
  if (o.json) process.stdout.write(`${JSON.stringify({ adapter: device.info.name, functions: rows }, null, 2)}\n`);
  if (rows.length === 0) throw usageError("no function to check");
  if (rows.some((r) => r.status === "checked" && r.results.some((x) => x.outside > 0)))
    throw new CliError(EXIT.diagnostics, "", true);
}

async function checkOne(
  file: string,
  program: Program,
  f: FunctionSignature,
  consts: Record<string, number | boolean | string | readonly number[]>,
  given: Readonly<Record<string, number>>,
  seed: number,
  budget: number,
  device: import("../../runtime/device.ts").Device,
  { strict, fastMath }: CheckCommandOptions,
): Promise<Row> {
  const chosen = argumentsOf(program, f, consts, given, seed);
  if ("reason" in chosen) return { file, function: f.name, status: "skipped", reason: chosen.reason };
  const { extents, inputs } = chosen;
  const kernel = await device.load(program, f.name, {
    consts,
    shapes: shapesOf(inputs),
    provided: Object.keys(inputs),
    strict,
    fastMath,
  });
  try {
    const results = await kernel.run(inputs);
    const how = { consts, budget, adapter: device.info, strict, fastMath };
    const checked = checkResults(program, f.name, inputs, results, how);
    return {
      file,
      function: f.name,
      status: "checked",
      kernels: kernel.plan.kernels.length,
      extents,
      results: checked,
    };
  } finally {
    kernel.dispose();
  }
}

function line(r: Row): string {
  const head = `${shownPath(r.file)} ${r.function}`;
  if (r.status === "skipped") return `${head}: skipped, ${r.reason}`;
  const worst = Math.max(0, ...r.results.map((x) => x.share));
  const bad = r.results.filter((x) => x.outside > 0);
  const sampled = r.results.some((x) => x.checked < x.elements)
    ? `, ${r.results.reduce((a, x) => a + x.checked, 0)} elements sampled`
    : "";
  const sizes = Object.entries(r.extents)
    .map(([k, v]) => `${k}=${v}`)
    .join(" ");
  if (bad.length === 0)
    return `${head}: ok, ${r.kernels} ${r.kernels === 1 ? "kernel" : "kernels"}, ${(100 * worst).toFixed(1)}% of the bound used${sampled}${sizes ? ` (${sizes})` : ""}`;
  const first = bad[0]!;
  const f = first.first;
  return `${head}: FAILED, ${first.outside} of ${first.checked} elements of ${first.name} are outside their bound${f ? `; element ${f.index} is ${f.got}, expected ${f.exact} within [${f.low}, ${f.high}]` : ""} (${sizes})`;
}
