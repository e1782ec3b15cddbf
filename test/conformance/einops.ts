/** `einops` and `einops-errors`: each pattern becomes one call of the operation of the same name. */
import { decode, type FileTensor, languageType, type Values } from "./arrays.ts";
import { DEFAULT_TOLERANCE, EXACT, type Job, type RunJob, type Suite } from "./job.ts";

interface EinopsCase {
  readonly op: "rearrange" | "reduce" | "repeat" | "einsum" | "pack" | "unpack";
  readonly pattern: string;
  readonly axes: Readonly<Record<string, number>>;
  readonly reduction?: string | null;
  readonly list_input?: boolean;
  readonly inputs?: readonly FileTensor[];
  readonly shapes?: readonly (readonly number[])[];
  readonly expected?: FileTensor | readonly FileTensor[];
  readonly packed_shapes?: readonly (readonly number[])[] | null;
  readonly exact?: boolean;
}

function program(c: EinopsCase, inputs: readonly Values[]): { source: string; inputs: RunJob["inputs"] } {
  const named: Record<string, RunJob["inputs"][string]> = {};
  const params = inputs.map((v, i) => {
    const dtype = languageType(v.dtype) ?? "f32";
    named[`x${i}`] = { values: v, dtype };
    return `x${i}: ${dtype}[${v.shape.join(", ")}]`;
  });
  const names = inputs.map((_, i) => `x${i}`);
  const tensor = c.list_input || c.op === "pack" ? `[${names.join(", ")}]` : names[0];
  const pattern = JSON.stringify(c.pattern);
  const sizes = Object.entries(c.axes)
    .map(([k, v]) => `, ${k}: ${v}`)
    .join("");
  const body = ((): string => {
    switch (c.op) {
      case "einsum":
        return `einsum(${[...names, pattern].join(", ")})`;
      case "reduce":
        return `reduce(${pattern}, ${tensor}, ${JSON.stringify(c.reduction)}${sizes})`;
      case "pack":
        return `pack(${tensor}, ${pattern}).packed`;
      case "unpack": {
        const parts = (c.packed_shapes ?? []).map((_, i) => `y${i}: parts[${i}]`);
        return `let parts = unpack(${tensor}, ${JSON.stringify(c.packed_shapes)}, ${pattern})\n  { ${parts.join(", ")} }`;
      }
      default:
        return `${c.op}(${pattern}, ${tensor}${sizes})`;
    }
  })();
  return { source: `export fn f(${params.join(", ")}) {\n  ${body}\n}\n`, inputs: named };
}

export const einopsSuite: Suite = {
  name: "einops",
  translate(raw): Job {
    const c = raw as unknown as EinopsCase;
    const { source, inputs } = program(c, (c.inputs ?? []).map(decode));
    const expected = (
      Array.isArray(c.expected) ? (c.expected as readonly FileTensor[]) : [c.expected as FileTensor]
    ).map(decode);
    return { kind: "run", source, fn: "f", inputs, expected, tolerance: c.exact ? EXACT : DEFAULT_TOLERANCE };
  },
};

export const einopsErrorsSuite: Suite = {
  name: "einops-errors",
  translate(raw): Job {
    const c = raw as unknown as EinopsCase;
    const zeros = (c.shapes ?? []).map(
      (shape): Values => ({ dtype: "float64", shape, data: new Float64Array(shape.reduce((a, b) => a * b, 1)) }),
    );
    const { source, inputs } = program(c, zeros);
    return { kind: "reject", source, fn: "f", inputs };
  },
};
