import { describe, expect, test } from "vitest";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { fuseProgram, optimise } from "../../src/compile.ts";
import { explain, renderExplain } from "../../src/explain.ts";
import { compile } from "../../src/index.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import { checkGradients } from "../fuzz/gradients.ts";
import { sample } from "./numeric.ts";

/** Reverse and forward mode against each other and against central differences. */
function check(source: string, shapes: Readonly<Record<string, readonly number[]>>): void {
  const program = source.includes("export fn")
    ? compile(source).tensorProgram("f", { shapes, provided: Object.keys(shapes) })
    : parseProgram(source);
  const inputs = new Map(Object.entries(shapes).map(([name, shape], i) => [name, sample(shape, i)]));
  expect(checkGradients({ program, inputs, sizes: new Map(), strict: false })).toEqual({ counted: true });
}

describe("gradients of loops agree with central differences and forward mode", () => {
  test("a captured matrix", () =>
    check("export fn f(w: f32[N, N], v: f32[N]) { iterate 4 from v as u { tanh(w @ u) } }", { w: [3, 3], v: [3] }));
  test("rows of a captured tensor", () =>
    check("export fn f(x: f32[T, N], w: f32[N, N]) { iterate t in 0..T from zeros([N]) as h { tanh(w @ h + x[t]) } }", {
      x: [4, 3],
      w: [3, 3],
    }));
  test("fewer rounds than rows, and rows that are read twice", () =>
    check(
      "export fn f(x: f32[T, N], v: f32[N]) { iterate t in 0..T - 1 from v as h { sin(h) * x[t] + x[t] ** 2 + x[t + 1] } }",
      { x: [4, 3], v: [3] },
    ));
  test("several carries, one of them counting, one unused", () =>
    check(
      `export fn f(v: f32[N]) {
         let r = iterate t in 0..5 from v as a, v * 2 as b, 0 as n, zeros([N]) as c {
           { a: b * 0.5, b: sin(a) + b * (n as f32) * 0.1, n: n + t, c: a }
         }
         r.a + r.b * r.c
       }`,
      { v: [3] },
    ));
  test("a condition", () =>
    check(
      "export fn f(a: f32[N]) { for[i] iterate until abs(x * x - a[i] - 2) < 1e-2 from 1.0 as x { (x + (a[i] + 2) / x) / 2 } max 20 }",
      { a: [4] },
    ));
  test("a condition of all elements together, long before the last round", () =>
    check(
      `export fn f(a: f32[N]) {
         iterate until max(abs(x * x - a * a - 2)) < 1e-6 from ones([N]) as x { (x + (a * a + 2) / x) / 2 } max 20
       }`,
      { a: [3] },
    ));
  test("loops within loops", () =>
    check(
      `export fn f(w: f32[N, N], v: f32[N]) {
         iterate i in 0..3 from v as u { iterate j in 0..2 from u * ((i + 1) as f32) as t { tanh(w @ t + w[i] * ((j + i) as f32)) } }
       }`,
      { w: [3, 3], v: [3] },
    ));
  test("no rounds, and one", () => {
    check("export fn f(v: f32[N]) { iterate 0 from v * v as u { u * 2 } }", { v: [3] });
    check("export fn f(v: f32[N]) { iterate 1 from v * v as u { sin(u) } }", { v: [3] });
  });
  test("what a loop keeps", () =>
    check(
      `input x: f32[i:3]
start[i:3] = sin(x[i])
loop index t count 4 {
  carry v: f32[i:3] = start
  stack all: f32[t:4, i:3]
  w[i:3] = sin(v[i]) * 0.5 + x[i]
  next v = w
  push all = w
}
sum[i:3] = add(t:4) all[t, i] * all[3 - t, i]
result last = v
result sum = sum`,
      { x: [3] },
    ));
});

const SECOND = `
fn cell(w: f32[N], v: f32[N]) -> f32 { sum(iterate t in 0..3 from v as u { sin(u * w) + w[t] }) }

fn unrolled(w: f32[N], v: f32[N]) -> f32 {
  let a = sin(v * w) + w[0]
  let b = sin(a * w) + w[1]
  sum(sin(b * w) + w[2])
}

export let looped = hessian(cell, wrt: [w])

export let plain = hessian(unrolled, wrt: [w])

export fn pushed(w: f32[N], v: f32[N], t: f32[N]) { jvp(grad(cell, wrt: [v]), wrt: [w])(w, v, tangent: t).tangent }

export fn pushed_plain(w: f32[N], v: f32[N], t: f32[N]) {
  jvp(grad(unrolled, wrt: [v]), wrt: [w])(w, v, tangent: t).tangent
}

export fn rows(w: f32[M, N], v: f32[N]) { for[i] grad(cell, wrt: [v])(w[i, :], v) }

export fn rows_plain(w: f32[M, N], v: f32[N]) { for[i] grad(unrolled, wrt: [v])(w[i, :], v) }

fn kept(w: f32[N], v: f32[N]) -> f32 { cell(w, sin(v)) * sum(v) }

export let again = grad(checkpoint(kept), wrt: [w, v])

export let once = grad(kept, wrt: [w, v])
`;

test("second derivatives, inside index notation, and with checkpoints", () => {
  const program = compile(SECOND);
  const run = (name: string, shapes: Record<string, readonly number[]>): number[] => {
    const inputs = Object.entries(shapes).map(([k, s], i) => [k, { dtype: "f32" as const, ...sample(s, i) }]);
    return Object.values(program.interpret(name, Object.fromEntries(inputs))).flatMap((a) => [...a.data].map(Number));
  };
  const close = (a: readonly number[], b: readonly number[]): void => {
    expect(a.length).toBe(b.length);
    // Some hundred roundings of numbers of this size, in float64.
    const room = 2 ** -52 * 256 * Math.max(1, ...b.map(Math.abs));
    for (const [i, x] of a.entries()) expect(Math.abs(x - b[i]!)).toBeLessThan(room);
  };
  close(run("looped", { w: [3], v: [3] }), run("plain", { w: [3], v: [3] }));
  close(run("pushed", { w: [3], v: [3], t: [3] }), run("pushed_plain", { w: [3], v: [3], t: [3] }));
  close(run("rows", { w: [2, 3], v: [3] }), run("rows_plain", { w: [2, 3], v: [3] }));
  close(run("again", { w: [3], v: [3] }), run("once", { w: [3], v: [3] }));
});

test("explain counts rounds, and says what is carried and kept", () => {
  const source = `fn loss(x: f32[T, N], w: f32[N, N], h: f32[N]) -> f32 {
    sum(iterate t in 0..T from h as v { tanh(w @ v + x[t]) } ** 2)
  }
  export let f = value_and_grad(loss, wrt: [w])`;
  const program = compile(source).tensorProgram("f");
  const target = DEFAULT_TARGET;
  const fused = fuseProgram(optimise(program, { target }), { target });
  const [short, long] = [explain(fused, { T: 10, N: 64 }), explain(fused, { T: 100, N: 64 })];
  expect(long.loops.map((l) => l.rounds)).toEqual([100, 100]);
  expect(long.loops[0]?.stacks).toMatchObject([{ shape: ["T", "N"], bytes: 100 * 64 * 4 }]);
  expect(long.flops).toBeGreaterThan(9 * short.flops);
  // The input x and what is kept of v.
  expect(long.peakBytes - short.peakBytes).toBe(2 * 90 * 64 * 4);
  expect(renderExplain(long)).toContain("  100 rounds of tanh");
});
