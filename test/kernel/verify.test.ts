/** What the verifier and the parser of kernels refuse, and with which words. */
import { describe, expect, test } from "vitest";
import { size } from "../../ir/extent.ts";
import {
  type Kernel,
  type KernelExpr,
  kapply,
  kconst,
  kint,
  kvar,
  letVar,
  load,
  loop,
  privateBuffer,
  type Statement,
  storageBuffer,
  store,
  variable,
  when,
  workgroupBuffer,
} from "../../ir/kernel.ts";
import { KernelSyntaxError, parseKernel } from "../../ir/parse-kernel.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { kernelProblems } from "../../ir/verify-kernel.ts";

const x = storageBuffer("x", "read", "f32", size(8));
const y = storageBuffer("y", "readwrite", "f32", size(8));
const o = storageBuffer("o", "write", "f32", size(8));
const p = privateBuffer("p", "f32", 2);
const w = workgroupBuffer("w", "f32", 8);
const t = variable("t");

function kernel(body: readonly Statement[], buffers: Kernel["buffers"] = [x, y, o, w, p]): Kernel {
  return {
    name: "k",
    buffers,
    body: [loop(t, kint(8), body, "thread.x")],
    facts: [],
    origin: [],
    subgroupSize: undefined,
  };
}
const one = kconst("f32", 1);
const at = kvar(t);

describe("the verifier refuses", () => {
  const v = variable("v", "f32");
  const g = variable("g");
  const i = variable("i");
  const raw = (e: object): KernelExpr => e as KernelExpr;
  test.each<readonly [string, Kernel, RegExp]>([
    ["a store to what is only read", kernel([store(x, at, one)]), /store to x, which is only read/],
    ["a load from what is only written", kernel([store(y, at, load(o, at))]), /load from o, which is only written/],
    ["a buffer that is not declared", kernel([store(y, at, one)], [x]), /buffer y is not declared/],
    ["a variable out of scope", kernel([store(y, at, kvar(v))]), /variable v is not in scope/],
    [
      "a variable of an inner block",
      kernel([...when(kapply("lt", at, kint(3)), [letVar(v, one)]), store(y, at, kvar(v))]),
      /variable v is not in scope/,
    ],
    ["a variable bound twice", kernel([letVar(v, one), letVar(v, one)]), /bound twice/],
    ["a value of another type", kernel([store(y, at, kint(1))]), /a store to y is i32x1, not f32x1/],
    [
      "an apply of another type",
      kernel([store(y, at, raw({ kind: "apply", prim: "add", dtype: "f32", lanes: 1, args: [kint(1), kint(2)] }))]),
      /add\(i32, i32\) is not f32/,
    ],
    [
      "operands of different lanes",
      kernel([
        store(
          y,
          at,
          raw({
            kind: "extract",
            dtype: "f32",
            lanes: 1,
            lane: 0,
            value: { kind: "apply", prim: "add", dtype: "f32", lanes: 4, args: [one, one] },
          }),
        ),
      ]),
      /different lanes/,
    ],
    [
      "a constant that is no value of its type",
      kernel([store(y, raw({ kind: "const", dtype: "i32", lanes: 1, value: 1.5 }), one)]),
      /1.5 is no i32/,
    ],
    ["an index that is a float", kernel([store(y, one, one)]), /index of y is f32/],
    ["a condition that is no bool", kernel([...when(kapply("add", at, kint(1)), [])]), /condition of an if is i32/],
    ["a private index that is not constant", kernel([store(p, at, one)]), /not constant after unrolling/],
    ["a private index outside", kernel([store(p, kint(2), one)]), /index 2 is outside p/],
    [
      "an unrolled loop without constant bounds",
      kernel([loop(i, at, [store(y, at, one)], "unroll")]),
      /bounds that are not constant/,
    ],
    ["too many copies", kernel([loop(i, kint(100000), [store(y, at, one)], "unroll")]), /copies/],
    [
      "a grid loop inside",
      kernel([loop(g, kint(2), [store(y, at, one)], "grid.x")]),
      /grid loop g stands inside a thread loop/,
    ],
    [
      "a thread loop after a statement",
      kernel([store(y, at, one), loop(g, kint(2), [store(y, at, one)], "thread.y")]),
      /store stands before/,
    ],
    [
      "an atomic on what is not",
      kernel([{ kind: "atomic", op: "add", buffer: y, index: at, value: one, bind: undefined }]),
      /not atomic/,
    ],
    ["workgroup memory of unknown size", kernel([], [{ ...w, size: size(0) }]), /no positive constant size/],
    ["storage after workgroup memory", kernel([], [w, x]), /stands after/],
    ["a step of zero", kernel([{ ...loop(i, kint(4), [store(y, at, one)]), step: 0 }]), /step 0/],
    [
      "a lane that is not there",
      kernel([
        store(
          y,
          at,
          raw({
            kind: "extract",
            dtype: "f32",
            lanes: 1,
            lane: 5,
            value: { kind: "splat", dtype: "f32", lanes: 4, value: one },
          }),
        ),
      ]),
      /lane 5 of 4/,
    ],
  ])("%s", (_, k, words) => {
    expect(kernelProblems(k).join("; ")).toMatch(words);
  });
});

describe("uniform control flow", () => {
  const problems = (body: string): readonly string[] =>
    kernelProblems(
      parseKernel(`
kernel k(n: read i32[4], r: readwrite i32[4], y: write i32[64]; N: uniform)
  w: workgroup i32[8]
  q: private i32[1]
  for g:4 @grid.x
    for t:8 @thread.x
${body.replace(/^/gm, "      ")}
`),
    );
  test.each([
    ["a loop bounded by a size", "for i:N @loop\n  barrier"],
    ["a loop bounded by read-only memory", "for i:n[g] @loop\n  barrier"],
    ["a branch on the workgroup", "if g < 2\n  barrier"],
    ["a private value that is uniform", "q[0] = 0\nfor i:3 @loop\n  q[0] = q[0] + i\nif q[0] < N\n  barrier"],
    ["a barrier after a branch", "if t < 2\n  y[t] = 1\nbarrier"],
    ["a subgroup's operation in a uniform loop", "for i:N @loop\n  y[t] = subgroup.add(t)"],
  ])("is found in %s", (_, body) => {
    expect(problems(body)).toEqual([]);
  });
  test.each([
    ["a branch on the invocation", "if t < 2\n  barrier"],
    ["a loop bounded by memory that is written", "for i:r[g] @loop\n  barrier"],
    ["a loop that begins elsewhere in each invocation", "for i:t..8 @loop\n  barrier"],
    ["workgroup memory", "w[t] = t\nbarrier\nif w[0] < 3\n  barrier"],
    ["a private value stored in a branch", "q[0] = 0\nif t < 2\n  q[0] = 1\nif q[0] == 0\n  barrier"],
    [
      "a private value that becomes so later in the loop",
      "q[0] = 0\nfor i:N @loop\n  if q[0] == 0\n    barrier\n  q[0] = t",
    ],
    ["a while that ends at different times", "q[0] = t\nwhile q[0] > 0 max {9}\n  q[0] = q[0] - 1\n  barrier"],
    ["a subgroup's result", "if subgroup.add(t) > 3\n  barrier"],
    ["a shuffle from a lane that differs, in a branch", "if t < 2\n  y[t] = subgroup.shuffle(t, 1 - t)"],
    ["a subgroup's operation in a branch", "if t < 2\n  y[t] = subgroup.add(t)"],
  ])("is missed in %s", (_, body) => {
    expect(problems(body).join()).toMatch(/uniform/);
  });
});

describe("kernel text", () => {
  test("every construct comes back as it was", () => {
    const text = `
kernel "odd name"(a: read f16x4[N div 4], b: readwrite atomic u32[2 * N + 1], c: write boolx2[min(M, N)]; N, M: uniform) when 4 divides N, M >= 1, N == M
  subgroup 8
  origin "f" at "a b.ein" 3..17
  origin "g"
  p: private f32[2]
  w: workgroup atomic i32[4]
  let n4 = {N div 4}
  for g:{(N + 3) div 4} @grid.x
    for t:8 @thread.x
      let old = atomic.exchange(w[0], -5)
      atomic.add(b[t], 7u)
      p[0] = cast<f32>(old) * (-1.5) + pow(2.0, -0.0) - (1.0 - inf)
      p[1] = select(!(t < g) && g != 3 || false, nan, p[0])
      while p[0] < 1e+30 && t == 0 max {M + N}
        p[0] = p[0] * p[0]
      for i:t..n4 step 8 @loop
        let v = a[i].x + a[i].w * 0.5h
        let u = vec(v, neg(v), 1.0h, infh) * splat(v) + a[i]
        if u.y > 0.0h
          c[i] = splat2(true)
        else
          c[i] = vec(bitcast<u32>(p[1]) == 3u, ~t >> 2 == (t & 3 | t ^ 1))
      barrier
      barrier storage
      let s = subgroup.shuffleXor(t, 3) + subgroup.broadcast(t div 2, 1) + subgroup.shuffle(t, n4 % 8) + subgroup.id() % subgroup.size()
      p[0] = cast<f32>(s) + dot(vec(p[0], 1.0), vec(2.0, p[1])) - dot(matvec(splat(1.0), splat(p[1]), vec(p[0], 2.0)), splat(3.0))
`.trimStart();
    const k = parseKernel(text);
    expect(printKernel(k)).toBe(text);
    expect(printKernel(parseKernel(printKernel(k)))).toBe(printKernel(k));
  });
  test("names that cannot be written are altered and stay apart", () => {
    const a = variable("for");
    const b = variable("for");
    const odd = { ...y, name: "1 2" };
    const k = kernel([letVar(a, kint(1)), letVar(b, kapply("add", kvar(a), at)), store(odd, kvar(b), one)], [odd]);
    const text = printKernel(k);
    expect(text).toContain("let for_1 = 1");
    expect(text).toContain("let for_2 = for_1 + t");
    expect(text).toContain("_1_2[for_2] = 1.0");
    expect(printKernel(parseKernel(text))).toBe(text);
  });
  test("long shared expressions do not grow without end", () => {
    let e: KernelExpr = load(x, at);
    for (let n = 0; n < 60; n++) e = kapply("mul", e, e);
    const text = printKernel(kernel([store(y, at, e)]));
    expect(text.length).toBeLessThan(3000);
    expect(kernelProblems(parseKernel(text))).toEqual([]);
  });
  test.each([
    ["", /line 1: no kernel/],
    ["kernel k(x: reed f32[4])", /line 1: unknown mode reed/],
    ["kernel k(x: read f33[4])", /unknown type f33/],
    ["kernel k(x: write f32[4])\n  x[0] = z", /line 2: unknown name "z"/],
    ["kernel k(x: write f32[4])\n  x[0] = 1.0 + 1", /line 2: add\(f32, i32\)/],
    ["kernel k(x: write f32[4])\n  x[0] = 1.0\n      x[1] = 1.0", /line 3: unexpected indentation/],
    ["kernel k(x: write f32[4])\n  for i:4 @around\n    x[i] = 1.0", /unknown binding @around/],
    ["kernel k(x: write f32[4])\n  x[0] = foo(1.0)", /unknown function foo/],
    ["kernel k(x: write f32[4])\n  x[0] = 1.0 ? 2.0", /unexpected "\?"/],
  ])("a mistake in %j is told with its line", (text, words) => {
    expect(() => parseKernel(text)).toThrow(KernelSyntaxError);
    expect(() => parseKernel(text)).toThrow(words);
  });
});
