/** Every einsum and einops case of the shared suites, through the builtins and the interpreter. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DiagnosticError } from "../../grammar/diagnostic.ts";
import type { DType } from "../../ir/dtype.ts";
import { type Array_, type Given, Session, shaped, tensorsIn } from "./harness.ts";

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Case {
  readonly name: string;
  readonly equation: string;
  readonly op: string;
  readonly pattern: string;
  readonly reduction?: string;
  readonly axes: Readonly<Record<string, number>>;
  readonly inputs: readonly Tensor[];
  readonly expected: Tensor | readonly Tensor[];
  readonly list_input?: boolean;
  readonly packed_shapes?: readonly (readonly number[])[];
  readonly shapes: readonly (readonly number[])[];
  readonly accepted_results?: Readonly<Record<string, Tensor>>;
  readonly exact?: boolean;
}
const FOLDER = process.env["FUSUM_CONFORMANCE"] ?? new URL("../../../shared/conformance", import.meta.url).pathname;
const load = (name: string): readonly Case[] =>
  (JSON.parse(readFileSync(`${FOLDER}/${name}.json`, "utf8")) as { cases: Case[] }).cases;

const toArray = (t: Tensor): Array_ =>
  shaped(t.shape, t.data.map(Number), t.dtype === "bool" ? ("bool" satisfies DType) : "f32");
const zeros = (shape: readonly number[]): Array_ =>
  shaped(shape, new Array<number>(shape.reduce((p, q) => p * q, 1)).fill(0));
/** The code of what the call refuses, or what went wrong else. */
function codeOf(f: () => unknown): string {
  try {
    f();
    return "accepted";
  } catch (e) {
    return e instanceof DiagnosticError ? e.diagnostic.code : String(e);
  }
}
const text = (shape: readonly number[], data: readonly number[]): string => `[${shape}] ${data.map((x) => x + 0)}`;

function einops(s: Session, c: Case, inputs: readonly Given[]): ReturnType<Session["call"]> {
  const x: Given = c.list_input || c.op === "pack" ? inputs : (inputs[0] as Given);
  switch (c.op) {
    case "einsum":
      return s.call("einsum", [...inputs, c.pattern]);
    case "reduce":
      return s.call("reduce", [x, c.pattern, c.reduction as string], c.axes);
    case "pack": {
      const r = s.call("pack", [x, c.pattern]);
      return r.kind === "record" ? (r.fields.get("packed") as typeof r) : r;
    }
    case "unpack":
      return s.call("unpack", [x, c.packed_shapes as readonly Given[], c.pattern]);
    default:
      return s.call(c.op, [x, c.pattern], c.axes);
  }
}

describe.runIf(existsSync(`${FOLDER}/einsum.json`))("the suites of other projects", () => {
  it("einsum", () => {
    for (const c of load("einsum")) {
      const s = new Session();
      const [r] = s.results(tensorsIn(s.call("einsum", [c.equation, ...c.inputs.map(toArray)])));
      const want = c.expected as Tensor;
      expect(text(r?.shape ?? [], r?.data ?? []), c.name).toBe(text(want.shape, want.data));
    }
  });
  it("einsum errors", () => {
    for (const c of load("einsum-errors"))
      expect(
        codeOf(() => new Session().call("einsum", [c.equation, ...c.shapes.map(zeros)])),
        c.name,
      ).toMatch(/^EIN140[12]$/);
  });
  it("einsums on which engines differ", () => {
    for (const c of load("einsum-divergent")) {
      const s = new Session();
      if (/\d|\.\.\..*->.*\.\.\..*\.\.\./.test(c.equation)) {
        expect(
          codeOf(() => s.call("einsum", [c.equation, ...c.inputs.map(toArray)])),
          c.name,
        ).toBe("EIN1401");
        continue;
      }
      const [r] = s.results(tensorsIn(s.call("einsum", [c.equation, ...c.inputs.map(toArray)], { diagonal: true })));
      const want = Object.values(c.accepted_results ?? {})[0] as Tensor;
      expect(text(r?.shape ?? [], r?.data ?? []), c.name).toBe(text(want.shape, want.data));
    }
  });
  it("einops", () => {
    for (const c of load("einops")) {
      const s = new Session();
      const got = s.results(tensorsIn(einops(s, c, c.inputs.map(toArray))));
      const want = (Array.isArray(c.expected) ? c.expected : [c.expected]) as readonly Tensor[];
      expect(
        got.map((r) =>
          text(
            r.shape,
            r.data.map((x) => Math.round(x * 1e9) / 1e9),
          ),
        ),
        c.name,
      ).toEqual(
        want.map((t) =>
          text(
            t.shape,
            t.data.map((x) => Math.round(Number(x) * 1e9) / 1e9),
          ),
        ),
      );
    }
  });
  it("einops errors", () => {
    for (const c of load("einops-errors"))
      expect(
        codeOf(() => {
          const s = new Session();
          return einops(
            s,
            { ...c, packed_shapes: (c as unknown as { packed_shapes: number[][] }).packed_shapes },
            c.shapes.map(zeros),
          );
        }),
        c.name,
      ).toMatch(/^EIN1(40[12]|41[12]|501|503|203)$/);
  });
});
