/** f16 from end to end: the library and functions of one's own in storage of f16, sums in f32, within the derived bound. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../runtime/node.ts";
import { checkResults } from "../../src/check.ts";
import { checkModule } from "../../src/elaborate/index.ts";
import { CompileError, compile } from "../../src/index.ts";
import { randomArray } from "../../src/io/random.ts";
import { loadModules } from "../../src/modules.ts";
import { resolveStd } from "../../src/std/index.ts";
import { openTestDevice } from "../device.ts";

const MODULES = ["nn", "linalg", "array", "math", "image", "signal"];

const SOURCE = `
import { softmax, layer_norm, attention, cross_entropy } from "std/nn"
import { mm } from "std/linalg"

export fn product(a: f16[M, K], b: f16[K, N]) -> f16[M, N] { a @ b }
export fn product_of_library(a: f16[M, K], b: f16[K, N]) -> f16[M, N] { mm(a, b) }
export fn rows(x: f16[B, D]) -> f16[B, D] { softmax(x) }
export fn norm(x: f16[B, D], gain: f16[D], bias: f16[D]) -> f16[B, D] { layer_norm(x, gain, bias) }
export fn attend(q: f16[H, Q, D], k: f16[H, K, D], v: f16[H, K, D], mask: f16[Q, K]) -> f16[H, Q, D] {
  attention(q, k, v, mask)
}
export fn written_out(q: f16[H, Q, D], k: f16[H, K, D], v: f16[H, K, D]) -> f16[H, Q, D] {
  softmax(einsum("hqd,hkd->hqk", q, k) * 0.25) @ v
}
fn loss(x: f16[B, I], w: f16[I, O], t: i32[B]) -> f32 { cross_entropy(x @ w, t) as f32 }
export fn slope(x: f16[B, I], w: f16[I, O], t: i32[B]) -> f16[I, O] { grad(loss, wrt: [w])(x, w, t) }
`;

const SHAPES: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  product: { a: [33, 70], b: [70, 21] },
  product_of_library: { a: [32, 64], b: [64, 32] },
  rows: { x: [9, 300] },
  norm: { x: [9, 130], gain: [130], bias: [130] },
  attend: { q: [2, 20, 16], k: [2, 37, 16], v: [2, 37, 16], mask: [20, 37] },
  written_out: { q: [2, 20, 16], k: [2, 37, 16], v: [2, 37, 16] },
  slope: { x: [12, 30], w: [30, 11], t: [12] },
};

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

describe("on the device", () => {
  const program = compile(SOURCE, { fileName: "half.ein" });
  it.each(Object.entries(SHAPES))("%s", async (name, shapes) => {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([p, shape], k) => {
        if (p === "t") return [p, { dtype: "i32" as const, shape, data: Int32Array.from(shape, () => 3) }];
        return [p, randomArray("f16", shape, 7, k)];
      }),
    );
    for (const [p, a] of Object.entries(inputs))
      if (p === "t") inputs[p] = { ...a, data: Int32Array.from({ length: a.shape[0] ?? 0 }, (_, i) => i % 11) };
    const loading = device.load(program, name, { shapes });
    if (!device.info.features.includes("shader-f16")) {
      const error = await loading.catch((e: unknown) => e);
      expect(error).toBeInstanceOf(CompileError);
      if (!(error instanceof CompileError)) return;
      expect(error.message).toContain(`EIN3003: \`${name}\` uses f16, which ${device.info.name} does not have`);
      expect(error.diagnostics[0]?.labels[0]?.span.file).toBe("half.ein");
      return;
    }
    const kernel = await loading;
    const results = await kernel.run(inputs);
    kernel.dispose();
    const checked = checkResults(program, name, inputs, results, {
      adapter: device.info,
      budget: Number.POSITIVE_INFINITY,
    });
    expect(checked.map((c) => [c.outside, c.checked > 0])).toEqual(checked.map(() => [0, true]));
  });
});

describe("float", () => {
  const resultsOf = (source: string): readonly (string | undefined)[] => {
    const t = compile(source).tensorProgram("f");
    return t.results.map((r) => r.tensor.types[r.slot]);
  };
  const TWICE = "fn twice(x: float[N], by: float = 2.0) { x * by }\n";

  it("is what the arguments are, scalars aside", () => {
    expect(resultsOf(`${TWICE}export fn f(x: f16[N]) { twice(x) }`)).toEqual(["f16"]);
    expect(resultsOf(`${TWICE}export fn f(x: f16[N], s: f32) { twice(x, s) }`)).toEqual(["f16"]);
    expect(resultsOf(`${TWICE}export fn f(x: f32[N], s: f16) { twice(x, s) }`)).toEqual(["f32"]);
    expect(resultsOf("export fn f(x: float[N]) -> float[N] { x }")).toEqual(["f32"]);
  });
  it("is f32 where f16 and f32 meet, and where the result says so", () => {
    const dot = (result: string): string => `fn dot(x: float[N], y: float[N]) -> ${result} { sum(x * y) }\n`;
    expect(resultsOf(`${dot("float")}export fn f(x: f16[N], y: f32[N]) { dot(x, y) }`)).toEqual(["f32"]);
    expect(resultsOf(`${dot("float")}export fn f(x: f16[N], y: f16[N]) { dot(x, y) }`)).toEqual(["f16"]);
    expect(resultsOf(`${dot("f32")}export fn f(x: f16[N], y: f16[N]) { dot(x, y) }`)).toEqual(["f32"]);
  });
  it("keeps the types of a record's other results", () => {
    const best = "fn best(x: float[N]) { { value: max(x), index: argmax(x), total: sum(x) } }\n";
    expect(resultsOf(`${best}export fn f(x: f16[N]) { best(x) }`)).toEqual(["f16", "i32", "f16"]);
  });
  it("takes no integers", () => {
    expect(() => compile(`${TWICE}export fn f(x: i32[N]) { twice(x) }`)).toThrow(/EIN1201/);
  });
});

describe("every function of the library that takes floats takes f16", () => {
  it.each(MODULES)("std/%s", (name) => {
    const module = loadModules(resolveStd(`std/${name}`) ?? "", `std/${name}.ein`, { std: resolveStd });
    const wrapped = checkModule(module).functions.flatMap((f) => {
      const arrays = f.parameters.filter((p) => !p.isConst && p.default === undefined);
      const needs = f.parameters.some((p) => p.isConst && p.default === undefined);
      if (!f.exported || needs || !arrays.some((p) => p.dtype === "f32")) return [];
      const typeOf = (p: (typeof arrays)[number]): string =>
        `${p.dtype === "f32" ? "f16" : p.dtype}${p.shape.length > 0 ? `[${p.shape.join(", ")}]` : ""}`;
      const params = arrays.map((p) => `${p.name}: ${typeOf(p)}`).join(", ");
      const args = arrays.map((p) => `${p.name}: ${p.name}`).join(", ");
      return [`import { ${f.name} as called } from "std/${name}"\nexport fn f(${params}) { called(${args}) }\n`];
    });
    expect(wrapped.length).toBeGreaterThan(0);
    for (const source of wrapped) expect(() => compile(source), source).not.toThrow();
  });
});
