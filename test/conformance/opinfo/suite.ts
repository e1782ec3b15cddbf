/**
 * `grad-opinfo`: PyTorch operators by a table of signatures and templates. The value is one program; where the case has gradients,
 * `vjp` of it by every tensor that has one is a second.
 */
import { decode, type FileTensor, languageType, type Tolerance, type Values } from "../arrays.ts";
import { type Job, type RunJob, type Suite, unsupported } from "../job.ts";
import { importsFor } from "../std-names.ts";
import { type Arg, bindCall, type Raw, type TorchCall, UnsupportedCall } from "./call.ts";
import { RULES } from "./rules.ts";

interface OpinfoCase {
  readonly op: string;
  readonly variant?: string;
  readonly call: { readonly input: Raw; readonly args: readonly Raw[]; readonly kwargs: Readonly<Record<string, Raw>> };
  readonly tensors: readonly FileTensor[];
  readonly outputs: readonly FileTensor[];
  readonly cotangents?: readonly (FileTensor | null)[];
  readonly grads?: Readonly<Record<string, FileTensor>>;
}

const TOLERANCE: Tolerance = { exact: false, atol: 1e-5, rtol: 1e-4 };

/** `$name` in a template stands for the bound argument. */
export function fill(template: string, bound: Readonly<Record<string, Arg>>): string {
  return template.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const arg = bound[name];
    if (!arg) throw new TypeError(`the template ${template} has no argument ${name}`);
    return String(arg);
  });
}

/** The body of `fn f(t0, t1, …)` for the call. Throws UnsupportedCall. */
export function bodyOf(call: TorchCall): string {
  const rule = RULES.get(call.op);
  if (!rule) throw new UnsupportedCall("no rule");
  const bound = bindCall(call, rule.signature);
  return typeof rule.body === "string" ? fill(rule.body, bound) : rule.body(bound, call);
}

function inputsOf(tensors: readonly Values[]): { params: string; inputs: RunJob["inputs"] } {
  const inputs: Record<string, RunJob["inputs"][string]> = {};
  const params = tensors.map((v, i) => {
    const dtype = languageType(v.dtype);
    if (!dtype) throw new UnsupportedCall(`tensors of ${v.dtype}`);
    inputs[`t${i}`] = { values: v, dtype };
    return `t${i}: ${dtype}${v.shape.length > 0 ? `[${v.shape.join(", ")}]` : ""}`;
  });
  return { params: params.join(", "), inputs };
}

export const opinfoSuite: Suite = {
  name: "grad-opinfo",
  translate(raw): readonly Job[] {
    const c = raw as unknown as OpinfoCase;
    const call: TorchCall = { op: c.op, variant: c.variant ?? "", ...c.call, tensors: c.tensors.map(decode) };
    try {
      const body = bodyOf(call);
      const { params, inputs } = inputsOf(call.tensors);
      const head = `${importsFor(body)}export fn f(${params}) {\n  ${body}\n}\n`;
      const value: RunJob = {
        kind: "run",
        source: head,
        fn: "f",
        inputs,
        expected: c.outputs.map(decode),
        tolerance: TOLERANCE,
      };
      const gradient = gradientJob(c, head, params, inputs);
      return gradient ? [value, gradient] : [value];
    } catch (error) {
      if (error instanceof UnsupportedCall) return [unsupported(c.op, error.message)];
      throw error;
    }
  },
};

interface OpinfoErrorCase extends Pick<OpinfoCase, "op" | "call"> {
  /** Values only where they matter, as those of indices do; a number where the shape is []. */
  readonly tensors: readonly (Omit<FileTensor, "data"> & {
    readonly data?: readonly (number | boolean)[] | number | boolean;
  })[];
  readonly message: string;
}

/** What PyTorch alone refuses, by its messages, and why the language does not. */
const NO_LIMIT_HERE: readonly (readonly [RegExp, string])[] = [
  [
    /must be Tensor, not|invalid combination of arguments|doesn't apply to a '(int|float)'|'(int|float)' object has no attribute/,
    "a number is a scalar here, and taken wherever a tensor is",
  ],
  [/Expected (dtype|self\.dtype|out tensor to have dtype)/, "dtypes that are one type here"],
  [/tensors with up to 64 dims/, "any rank"],
  [/`shifts` required/, "as in NumPy, no shifts are allowed"],
  [/only supports a 0-dimensional value tensor/, "values broadcast"],
  [/Not allow zero-dim input tensor/, "a scalar is a tensor of rank 0"],
  [/non-batch dimensions to have positive length/, "channels may be none"],
  [/normalized_shape to be at least 1-dimensional/, "no axes are allowed"],
];

/** `opinfo-errors`: calls that PyTorch rejects, by the same table. What the table says must be rejected by the compiler. */
export const opinfoErrorsSuite: Suite = {
  name: "opinfo-errors",
  translate(raw): Job {
    const c = raw as unknown as OpinfoErrorCase;
    const alone = NO_LIMIT_HERE.find(([message]) => message.test(c.message));
    if (alone) return unsupported(c.op, alone[1]);
    const zeros = (shape: readonly number[]): number[] => new Array<number>(shape.reduce((n, d) => n * d, 1)).fill(0);
    const tensors = c.tensors.map((t) => {
      const data = t.data ?? zeros(t.shape);
      return decode({ ...t, data: typeof data === "object" ? data : [data] });
    });
    const call: TorchCall = { op: c.op, variant: "", ...c.call, tensors };
    try {
      const body = bodyOf(call);
      const { params, inputs } = inputsOf(call.tensors);
      return {
        kind: "reject",
        source: `${importsFor(body)}export fn f(${params}) {\n  ${body}\n}\n`,
        fn: "f",
        inputs,
      };
    } catch (error) {
      if (error instanceof UnsupportedCall) return unsupported(c.op, error.message);
      throw error;
    }
  },
};

/** Σ outputs · cotangents as a scalar function, so that operators of several results need nothing special. */
function gradientJob(c: OpinfoCase, head: string, params: string, inputs: RunJob["inputs"]): RunJob | undefined {
  const wrt = Object.keys(c.grads ?? {});
  const cotangents = (c.cotangents ?? []).map((t) => (t ? decode(t) : undefined));
  if (wrt.length === 0 || cotangents.length === 0) return undefined;
  const all: Record<string, RunJob["inputs"][string]> = { ...inputs };
  const extra = cotangents.flatMap((t, i) => {
    if (!t) return [];
    all[`c${i}`] = { values: t, dtype: "f32" };
    return [`c${i}: f32${t.shape.length > 0 ? `[${t.shape.join(", ")}]` : ""}`];
  });
  const names = Object.keys(inputs);
  const several = c.outputs.length > 1;
  const terms = cotangents.flatMap((t, i) => (t ? [`sum(${several ? `r.y${i}` : "r"} * c${i})`] : []));
  const signature = [params, ...extra].filter((p) => p !== "").join(", ");
  const args = [...names, ...Object.keys(all).filter((n) => !names.includes(n))].join(", ");
  const by = wrt.map((i) => `t${i}`).join(", ");
  const source = `${head}fn weighted(${signature}) -> f32 {\n  let r = f(${names.join(", ")})\n  ${terms.join(" + ")}\n}\nexport fn g(${signature}) {\n  grad(weighted, wrt: [${by}])(${args})\n}\n`;
  return {
    kind: "run",
    source,
    fn: "g",
    inputs: all,
    expected: wrt.map((i) => decode(c.grads![i]!)),
    tolerance: TOLERANCE,
  };
}
