import { expect, test } from "vitest";
import { fuseProgram, optimise } from "../../src/compile.ts";
import { explain } from "../../src/explain.ts";
import { compile } from "../../src/index.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import { sample } from "./numeric.ts";

const SOURCE = `
fn layer(x: f32[N, D], w: f32[D, E], v: f32[E, D]) { tanh(tanh(x @ w) @ v) }

fn kept(x: f32[N, D], w: f32[D, E], v: f32[E, D], w2: f32[D, E], v2: f32[E, D]) -> f32 {
  sum(layer(layer(x, w, v), w2, v2) ** 2)
}

fn again(x: f32[N, D], w: f32[D, E], v: f32[E, D], w2: f32[D, E], v2: f32[E, D]) -> f32 {
  sum(checkpoint(layer)(checkpoint(layer)(x, w, v), w2, v2) ** 2)
}

fn both(x: f32[N, D], w: f32[D, E], v: f32[E, D], w2: f32[D, E], v2: f32[E, D]) {
  checkpoint(layer)(checkpoint(layer)(x, w, v), w2, v2)
}

fn outer(x: f32[N, D], w: f32[D, E], v: f32[E, D], w2: f32[D, E], v2: f32[E, D]) -> f32 {
  sum(checkpoint(both)(x, w, v, w2, v2) ** 2)
}

export fn forward_kept(x: f32[N, D], w: f32[D, E], v: f32[E, D]) { layer(x, w, v) }

export fn forward_again(x: f32[N, D], w: f32[D, E], v: f32[E, D]) { checkpoint(layer)(x, w, v) }

export let grad_kept = grad(kept, wrt: [w, v, w2, v2])

export let grad_again = grad(again, wrt: [w, v, w2, v2])

export let grad_outer = grad(outer, wrt: [w, v, w2, v2])

export fn pushed(x: f32[N, D], w: f32[D, E], v: f32[E, D], t: f32[N, D]) { jvp(checkpoint(layer))(x, w, v, tangent: t) }

fn curve(x: f32[N]) -> f32 { sum(tanh(exp(x) * x)) }

export let hessian_kept = hessian(curve)

export let hessian_again = hessian(checkpoint(curve))

export fn rows_kept(x: f32[M, N]) { for[i] grad(curve)(x[i, :]) }

export fn rows_again(x: f32[M, N]) { for[i] grad(checkpoint(curve))(x[i, :]) }
`;

const program = compile(SOURCE);

function run(name: string, shapes: Readonly<Record<string, readonly number[]>>): Record<string, readonly number[]> {
  const inputs = Object.fromEntries(
    Object.entries(shapes).map(([k, shape], i) => [k, { dtype: "f32" as const, ...sample(shape, i) }]),
  );
  return Object.fromEntries(
    Object.entries(program.interpret(name, inputs)).map(([k, a]) => [k, [...a.data].map((v) => Number(v))]),
  );
}

const LAYERS = { x: [3, 2], w: [2, 4], v: [4, 2], w2: [2, 4], v2: [4, 2] };

test("the gradient is the same", () => {
  const expected = run("grad_kept", LAYERS);
  expect(run("grad_again", LAYERS)).toEqual(expected);
  expect(run("grad_outer", LAYERS)).toEqual(expected);
  expect(run("hessian_again", { x: [3] })).toEqual(run("hessian_kept", { x: [3] }));
  expect(run("rows_again", { x: [2, 3] })).toEqual(run("rows_kept", { x: [2, 3] }));
});

test("fewer bytes are alive at once, and explain says so", () => {
  const target = DEFAULT_TARGET;
  const extents = { N: 4096, D: 64, E: 512 };
  const at = (name: string): ReturnType<typeof explain> =>
    explain(fuseProgram(optimise(program.tensorProgram(name), { target }), { target }), extents);
  const [kept, again, outer] = [at("grad_kept"), at("grad_again"), at("grad_outer")];
  expect(again.peakBytes).toBeLessThan(0.8 * kept.peakBytes);
  expect(again.flops).toBeGreaterThan(kept.flops);
  expect(again.peakBytesWithoutCheckpoint).toBe(kept.peakBytes);
  expect(kept.peakBytesWithoutCheckpoint).toBeUndefined();
  // All of it in one region: the copies of both layers are alive together.
  expect(outer.peakBytes).toBeGreaterThan(again.peakBytes);
});

test("a forward pass does not notice", () => {
  const kernels = (name: string): readonly string[] => program.compiled(name).kernels.map((k) => k.planned.kernel.wgsl);
  expect(kernels("forward_again")).toEqual(kernels("forward_kept"));
  const inputs = { x: [3, 2], w: [2, 4], v: [4, 2] };
  expect(run("pushed", { ...inputs, t: [3, 2] })["value"]).toEqual(Object.values(run("forward_kept", inputs))[0]);
});

test("what is not a function is refused", () => {
  expect(() => compile("export fn f(x: f32[N]) { checkpoint(x)(x) }")).toThrow(/EIN1501|takes a function/);
});
