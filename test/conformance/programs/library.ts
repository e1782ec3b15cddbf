/** The programs of a folder: which functions there are, what they take and which cases their comments claim. */
import { readdirSync, readFileSync } from "node:fs";
import { parseModule } from "../../../grammar/parser.ts";
import type { PlanDType } from "../../../runtime/plan.ts";
import type { Values } from "../arrays.ts";
import { languageType } from "../arrays.ts";
import type { ConstValue, RunJob } from "../job.ts";

export interface ProgramFunction {
  readonly name: string;
  /** The whole text of its file. */
  readonly source: string;
  readonly doc: string;
  readonly params: readonly ProgramParameter[];
  /** The names of its results where its header states several. */
  readonly results: readonly string[];
}

interface ProgramParameter {
  readonly name: string;
  readonly isConst: boolean;
  readonly optional: boolean;
  /** The element type of a tensor. */
  readonly dtype: string | undefined;
}

/** Every exported function of the `.ein` files of `programs/FOLDER`. Throws if two have the same name or a file does not parse. */
export function programsIn(folder: string): ReadonlyMap<string, ProgramFunction> {
  const directory = new URL(`./${folder}/`, import.meta.url);
  const found = new Map<string, ProgramFunction>();
  for (const file of readdirSync(directory)
    .filter((f) => f.endsWith(".ein"))
    .sort()) {
    const source = readFileSync(new URL(file, directory), "utf8");
    const { module, diagnostics } = parseModule(source, file);
    if (diagnostics.length > 0) throw new Error(`${folder}/${file}: ${diagnostics[0]!.message}`);
    for (const item of module.items) {
      if (item.kind !== "fn" || !item.exported) continue;
      if (found.has(item.name.text)) throw new Error(`${folder}/${file}: a second ${item.name.text}`);
      const params = item.params.map((p) => ({
        name: p.name.text,
        isConst: p.isConst,
        optional: p.default !== undefined,
        dtype: p.type?.kind === "tensorType" ? p.type.dtype.text : undefined,
      }));
      const results = item.result?.kind === "tupleType" ? item.result.fields.map((field) => field.name.text) : [];
      found.set(item.name.text, { name: item.name.text, source, doc: item.doc ?? "", params, results });
    }
  }
  return found;
}

/** `act-mish`, `einsum-ij,ji,`, `2mm` as names of functions: `act_mish`, `einsum_ij_ji`, `_2mm`. */
export function functionName(caseName: string): string {
  const words = caseName.replaceAll(/[^A-Za-z0-9]+/g, "_").replace(/_+$/, "");
  return /^[0-9]/.test(words) ? `_${words}` : words;
}

export interface Arguments {
  readonly inputs: RunJob["inputs"];
  readonly consts: Readonly<Record<string, ConstValue>>;
}

/** What the parameter declares, where the tensor's numbers are of that type: files write integers and masks as floats, and the reverse. */
function elementType(f: ProgramFunction, p: ProgramParameter, tensor: Values): PlanDType {
  const written = languageType(tensor.dtype);
  if (!written) throw new TypeError(`${f.name}: ${p.name} is a tensor of ${tensor.dtype}`);
  if (p.dtype === "f32") return "f32";
  if (p.dtype === "i32" && tensor.data.every(Number.isInteger)) return "i32";
  if (p.dtype === "bool" && tensor.data.every((x) => x === 0 || x === 1)) return "bool";
  return written;
}

/**
 * What a function takes: tensors by name, and constants by name as constants or, where the parameter is a tensor, as scalars.
 * Constants that the function does not take are left out. Throws TypeError if a parameter is left over or a tensor of `required`
 * has none.
 */
export function argumentsFor(
  f: ProgramFunction,
  tensors: Readonly<Record<string, Values>>,
  constants: Readonly<Record<string, ConstValue>>,
  required: readonly string[],
): Arguments {
  const inputs: Record<string, RunJob["inputs"][string]> = {};
  const consts: Record<string, ConstValue> = {};
  for (const p of f.params) {
    const tensor = tensors[p.name];
    const constant = constants[p.name];
    if (tensor && !p.isConst) {
      inputs[p.name] = { values: tensor, dtype: elementType(f, p, tensor) };
    } else if (constant !== undefined && p.isConst) consts[p.name] = constant;
    else if (typeof constant === "number")
      inputs[p.name] = {
        values: { dtype: "float64", shape: [], data: Float64Array.of(constant) },
        dtype: p.dtype === "i32" ? "i32" : "f32",
      };
    else if (!p.optional) throw new TypeError(`${f.name}: nothing for the parameter ${p.name}`);
  }
  const unused = required.filter((name) => !inputs[name]);
  if (unused.length > 0) throw new TypeError(`${f.name} does not take ${unused.join(", ")}`);
  return { inputs, consts };
}

/**
 * The gradients of the sum of outputs times cotangents by `wrt`: the program with a function that weighs its results after it.
 * A case without cotangents has one scalar output.
 */
export function gradientJob(
  f: ProgramFunction,
  args: Arguments,
  cotangents: readonly (Values | undefined)[],
  wrt: readonly string[],
  expected: readonly Values[],
  tolerance: RunJob["tolerance"],
): RunJob {
  const inputs = { ...args.inputs };
  for (const [i, values] of cotangents.entries()) if (values) inputs[`cotangent_${i}`] = { values, dtype: "f32" };
  const signature = Object.entries(inputs)
    .map(([name, a]) => `${name}: ${a.dtype}${a.values.shape.length > 0 ? `[${a.values.shape.join(", ")}]` : ""}`)
    .join(", ");
  const call = [
    ...Object.keys(args.inputs).map((name) => `${name}: ${name}`),
    ...Object.entries(args.consts).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
  ].join(", ");
  const terms = cotangents.flatMap((t, i) => (t ? [`sum(the_result * cotangent_${i})`] : []));
  const source = `${f.source}
fn the_weighted(${signature}) -> f32 {
  let the_result = ${f.name}(${call})
  ${terms.length > 0 ? terms.join(" + ") : "the_result"}
}
export fn the_gradients(${signature}) {
  grad(the_weighted, wrt: [${wrt.join(", ")}])(${Object.keys(inputs).join(", ")})
}
`;
  return { kind: "run", source, fn: "the_gradients", inputs, expected, tolerance };
}
