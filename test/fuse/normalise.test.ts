import { describe, expect, test } from "vitest";
import { addExtent, mulExtent, size, sizeSymbol } from "../../ir/extent.ts";
import { addMonoid, argMonoid, mulMonoid } from "../../ir/monoid.ts";
import {
  apply,
  axis,
  axisRef,
  constant,
  i32,
  mapDef,
  type Program,
  read,
  reduce,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { compile } from "../../src/api/compile.ts";
import { optimise } from "../../src/compile.ts";
import { linearOf, simplifyIndex } from "../../src/passes/affine.ts";
import { inlineExpansions } from "../../src/passes/expand.ts";
import { hoistFactors } from "../../src/passes/hoist.ts";
import { dropStopGradient, inlineIndexMaps } from "../../src/passes/inline.ts";
import { liftReductions, reductionOf } from "../../src/passes/lift.ts";
import { dropDead, mergeEqual } from "../../src/passes/merge.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { definitionsOf, hasReduce, readsIn } from "../../src/passes/rewrite.ts";
import { splitAxes } from "../../src/passes/split.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import { ADD, at, draft, expectSame, f, MAX, op, or } from "./helpers.ts";

const only = (p: Program): TensorExpr => {
  const d = definitionsOf(p);
  const last = d[d.length - 1];
  if (last?.kind !== "map" || !last.results[0]) throw new Error("no map");
  return last.results[0];
};
const reads = (p: Program): string[] => readsIn(only(p)).map((r) => r.tensor.name);

describe("index arithmetic", () => {
  const n = axis("i", sizeSymbol("N"));
  const h = axis("h", sizeSymbol("H"));
  const i = axisRef(n);
  const j = axisRef(h);
  const H = sizeOf(sizeSymbol("H"));
  test.each<[string, TensorExpr, TensorExpr]>([
    ["i + 3 - 3", apply("sub", apply("add", i, i32(3)), i32(3)), i],
    ["(i*H + j) div H", apply("floordiv", apply("add", apply("mul", i, H), j), H), i],
    ["(i*H + j) % H", apply("mod", apply("add", apply("mul", i, H), j), H), j],
    [
      "(j + H*i + H*2) div H",
      apply("floordiv", apply("add", j, apply("mul", H, apply("add", i, i32(2)))), H),
      apply("add", i, i32(2)),
    ],
    ["(i div 2) div 3", apply("floordiv", apply("floordiv", i, i32(2)), i32(3)), apply("floordiv", i, i32(6))],
    ["(i % 6) % 3", apply("mod", apply("mod", i, i32(6)), i32(3)), apply("mod", i, i32(3))],
    [
      "(i*4 + 6) div 2",
      apply("floordiv", apply("add", apply("mul", i, i32(4)), i32(6)), i32(2)),
      apply("add", apply("mul", i, i32(2)), i32(3)),
    ],
  ])("%s", (_, e, to) => {
    expect(simplifyIndex(e)).toBe(simplifyIndex(to));
  });
  test("nothing that may wrap is touched", () => {
    const k = axisRef(axis("k", size(5000)));
    const e = apply("mod", apply("mul", k, i32(1000003)), i32(1000003));
    expect(simplifyIndex(e)).toBe(e);
  });
  test("unknown parts are atoms", () => {
    expect(linearOf(apply("mul", i, j)).terms.size).toBe(1);
  });
});

describe("liftReductions", () => {
  test("a nested reduction gets its own definition over the axes it depends on", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const n = axis("n", sizeSymbol("N"));
    const d = axis("d", sizeSymbol("D"));
    const k = axis("k", sizeSymbol("D"));
    const sum = reduce(ADD, [k], [read(x, 0, [axisRef(n), axisRef(k)])]);
    const y = p.add(mapDef([n, d], [op("sub", read(x, 0, [axisRef(n), axisRef(d)]), sum)], { name: "y" }));
    const before = p.done(y);
    const after = liftReductions(before);
    expect(definitionsOf(after).map((q) => q.axes.length)).toEqual([1, 2]);
    expect(definitionsOf(after).filter((q) => reductionOf(q))).toHaveLength(1);
    expect(hasReduce(only(after))).toBe(false);
    expectSame(before, after, { N: 3, D: 4 });
  });
  test("reductions within reductions, and slots of one reduction share", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const n = axis("n", sizeSymbol("N"));
    const k = axis("k", sizeSymbol("D"));
    const inner = reduce(MAX, [k], [read(x, 0, [axisRef(n), axisRef(k)])]);
    const arg = argMonoid("max", "f32");
    const best = [0, 1].map((s) => reduce(arg, [n], [inner, axisRef(n)], s));
    const y = p.add(mapDef([], [op("add", best[0] ?? f(0), f(1)), best[1] ?? i32(0)], { name: "y" }));
    const before = p.done(y);
    const after = liftReductions(before);
    expect(definitionsOf(after).filter((q) => reductionOf(q))).toHaveLength(2);
    expectSame(before, after, { N: 3, D: 4 });
  });
  test("⊕ over no axes is one combination", () => {
    const p = draft();
    const x = p.input("x", [3]);
    const y = p.map("y", [3], (i) => reduce(mulMonoid("f32"), [], [at(x, i ?? 0)]));
    const before = p.done(y);
    const after = liftReductions(before);
    expect(definitionsOf(after).some((d) => d.kind === "map" && d.results.some(hasReduce))).toBe(false);
    expectSame(before, after);
  });
});

describe("inlineIndexMaps", () => {
  test("transpose of a slice is read through", () => {
    const p = draft();
    const x = p.input("x", [5, 6]);
    const s = p.map("s", [3, 6], (i, j) => at(x, op("add", i as TensorExpr, i32(1)), j ?? 0));
    const t = p.map("t", [6, 3], (i, j) => at(s, j ?? 0, i ?? 0));
    const y = p.map("y", [6, 3], (i, j) => op("mul", at(t, i ?? 0, j ?? 0), f(2)));
    const before = p.done(y);
    const after = dropDead(inlineIndexMaps(before));
    expect(reads(after)).toEqual(["x"]);
    expect(definitionsOf(after)).toHaveLength(1);
    expectSame(before, after);
  });
  test("a pad of a pad with one fill is one filled read", () => {
    const p = draft();
    const x = p.input("x", ["N"]);
    const N = sizeSymbol("N");
    const pad = (n: number, e: TensorExpr): TensorExpr => op("sub", e, i32(n));
    const a = p.map("a", [addExtent(N, size(2))], (i) => or(x, 0, pad(1, i as TensorExpr)));
    const b = p.map("b", [addExtent(N, size(6))], (i) => or(a, 0, pad(2, i as TensorExpr)));
    const before = p.done(b);
    const after = dropDead(inlineIndexMaps(before));
    expect(only(after).kind).toBe("read");
    expectSame(before, after, { N: 4 });
  });
  test("pads with different fills, and slices read past their end, keep their tests", () => {
    const p = draft();
    const x = p.input("x", ["N"]);
    const N = sizeSymbol("N");
    const a = p.map("a", [addExtent(N, size(2))], (i) => or(x, 1, op("sub", i as TensorExpr, i32(1))));
    const b = p.map("b", [addExtent(N, size(6))], (i) => or(a, 2, op("sub", i as TensorExpr, i32(2))));
    const head = p.map("head", [2], (i) => or(x, 9, i as TensorExpr));
    const c = p.map("c", [6], (i) => or(head, 7, op("sub", i as TensorExpr, i32(1))));
    const before = p.done(b, c);
    const after = dropDead(inlineIndexMaps(before));
    expect(definitionsOf(after)).toHaveLength(2);
    expectSame(before, after, { N: 4 });
    expectSame(before, after, { N: 1 });
  });
  test("concatenation, flip, reshape and gather", () => {
    const p = draft();
    const x = p.input("x", [2, 6]);
    const ids = p.input("ids", [4], "i32");
    const cat = p.map("cat", [12], (i) =>
      op(
        "select",
        op("lt", i as TensorExpr, i32(6)),
        or(x, 0, 0, i as TensorExpr),
        or(x, 0, 1, op("sub", i as TensorExpr, i32(6))),
      ),
    );
    const flip = p.map("flip", [12], (i) => at(cat, op("sub", i32(11), i as TensorExpr)));
    const shape = p.map("shape", [3, 4], (i, j) =>
      at(flip, op("add", op("mul", i as TensorExpr, i32(4)), j as TensorExpr)),
    );
    const pick = p.map("pick", [4, 4], (i, j) => or(shape, -1, at(ids, i as TensorExpr), j as TensorExpr));
    const y = p.map("y", [4, 4], (i, j) => op("exp", at(pick, i as TensorExpr, j as TensorExpr)));
    const before = p.done(y);
    const after = dropDead(inlineIndexMaps(before));
    expect(definitionsOf(after)).toHaveLength(1);
    expect(new Set(reads(after))).toEqual(new Set(["x", "ids"]));
    expectSame(before, after);
  });
  test("a tensor that is another one goes by that one's name; an input stays a copy", () => {
    const p = draft();
    const x = p.input("x", [4]);
    const e = p.map("e", [4], (i) => op("exp", at(x, i as TensorExpr)));
    const same = p.map("same", [4], (i) => at(e, i as TensorExpr));
    const copy = p.map("copy", [4], (i) => at(x, i as TensorExpr));
    const before = p.done(same, copy);
    const after = dropDead(inlineIndexMaps(before));
    expect(after.results.map((r) => r.tensor.name)).toEqual(["e", "copy"]);
    expectSame(before, after);
  });
});

describe("hoistFactors", () => {
  const program = (type: "f32" | "i32") => {
    const p = draft();
    const x = p.input("x", ["N", "K"], type);
    const c = p.input("c", ["N"], type);
    const y = p.fold("y", addMonoid(type), ["N"], ["K"], (n, k) =>
      op("mul", at(x, n as TensorExpr, k as TensorExpr), at(c, n as TensorExpr)),
    );
    return p.done(y);
  };
  test.each(["f32", "i32"] as const)("a factor leaves the sum: %s", (type) => {
    const before = program(type);
    const after = hoistFactors(before);
    expect(definitionsOf(after)).toHaveLength(2);
    expectSame(before, after, { N: 3, K: 5 });
    // The sum over nothing is 0.
    expectSame(before, after, { N: 3, K: 0 });
  });
  test("not under strict, unless it is exact", () => {
    expect(definitionsOf(hoistFactors(program("f32"), { strict: true }))).toHaveLength(1);
    expect(definitionsOf(hoistFactors(program("i32"), { strict: true }))).toHaveLength(2);
  });
  test("1/z leaves the product that a softmax weighs", () => {
    const p = draft();
    const e = p.input("e", [3, 5]);
    const z = p.input("z", [3]);
    const v = p.input("v", [5, 4]);
    const w = p.map("w", [3, 5], (q, k) =>
      op("div", at(e, q as TensorExpr, k as TensorExpr), op("add", at(z, q as TensorExpr), f(100))),
    );
    const y = p.fold("y", ADD, [3, 4], [5], (q, d, k) =>
      op("mul", at(w, q as TensorExpr, k as TensorExpr), at(v, k as TensorExpr, d as TensorExpr)),
    );
    const before = p.done(y);
    const after = dropDead(hoistFactors(before));
    const [sum, out] = definitionsOf(after);
    expect(
      reductionOf(sum ?? y)
        ?.values.flatMap((x) => readsIn(x).map((r) => r.tensor.name))
        .sort(),
    ).toEqual(["e", "v"]);
    expect(reductionOf(out ?? y)).toBeUndefined();
    expectSame(before, after);
  });
});

test("weights over their own sum lose a rounding to f16 that only the product reads, unless under strict; others keep it", () => {
  const sums = (body: string, strict = false): string[] => {
    const made = compile(
      `import { rms_norm, softmax } from "std/nn"\nexport fn f(s: f16[Q, K], v: f16[K, E]) { ${body} }`,
    );
    const p = optimise(made.tensorProgram("f"), { target: DEFAULT_TARGET, strict, verify: true });
    const product = definitionsOf(p).find((d) =>
      reductionOf(d)?.values.some((x) => readsIn(x).some((r) => r.tensor.name === "v")),
    );
    return reductionOf(product!)!.values.flatMap((x) => readsIn(x).map((r) => r.tensor.name));
  };
  expect(sums("softmax(s) @ v")).toEqual(["exp", "v"]);
  expect(sums("softmax(s) @ v", true)).toEqual(["exp", "sum", "v"]);
  // Read as it is rounded elsewhere too, it is stored anyway.
  expect(sums("{ let w = softmax(s)\n { y: w @ v, w } }")).toEqual(["w", "v"]);
  expect(sums("rms_norm(s) @ v")).toEqual(["x", "v"]);
});

describe("splitAxes", () => {
  test("grouped sums: a free axis under div, and reshaped reduced axes", () => {
    const p = draft();
    const x = p.input("x", [6, 4]);
    const w = p.input("w", [12, 4]);
    const y = p.fold("y", ADD, [12], [4], (o, k) =>
      op(
        "mul",
        at(x, op("floordiv", o as TensorExpr, i32(2)), k as TensorExpr),
        at(w, o as TensorExpr, k as TensorExpr),
      ),
    );
    const z = p.fold("z", ADD, [6], [4], (o, k) =>
      op(
        "mul",
        at(x, o as TensorExpr, op("mod", k as TensorExpr, i32(2))),
        at(x, o as TensorExpr, op("floordiv", k as TensorExpr, i32(2))),
      ),
    );
    const before = p.done(y, z);
    const after = splitAxes(before);
    const [a, , b] = definitionsOf(after);
    expect(a?.axes.map((q) => q.extent.value)).toEqual([6, 2]);
    expect(reductionOf(b ?? y)?.axes.map((q) => q.extent.value)).toEqual([2, 2]);
    expectSame(before, after);
  });
  test("symbolic digits of three levels", () => {
    const [C, H] = [sizeSymbol("C"), sizeSymbol("H")];
    const p = draft();
    const x = p.input("x", ["C", "H", 4]);
    const all = mulExtent(mulExtent(C, H), size(4));
    const y = p.fold("y", ADD, [], [all], (k) =>
      at(
        x,
        op("floordiv", k as TensorExpr, sizeOf(mulExtent(H, size(4)))),
        op("mod", op("floordiv", k as TensorExpr, i32(4)), sizeOf(H)),
        op("mod", k as TensorExpr, i32(4)),
      ),
    );
    const before = p.done(y);
    const after = splitAxes(before);
    const root = reductionOf(definitionsOf(after)[0] ?? y);
    expect(root?.axes.map((a) => a.extent.text)).toEqual(["C", "H", "4"]);
    expect(readsIn(root?.values[0] ?? f(0))[0]?.at.every((i) => i.kind === "axis")).toBe(true);
    expectSame(before, after, { C: 2, H: 3 });
  });
});

test("mergeEqual: equal up to the names of axes, but not across epochs", () => {
  const p = draft();
  const x = p.input("x", ["N", "K"]);
  const make = (name: string, epoch: number) => {
    const [n, k] = [axis("n", sizeSymbol("N")), axis("k", sizeSymbol("K"))];
    return p.add(mapDef([n], [reduce(ADD, [k], [read(x, 0, [axisRef(n), axisRef(k)])])], { name, epoch }));
  };
  const [a, b, c] = [make("a", 0), make("b", 0), make("c", 1)];
  const y = p.map("y", ["N"], (n) =>
    op("mul", op("mul", at(a, n as TensorExpr), at(b, n as TensorExpr)), at(c, n as TensorExpr)),
  );
  const before = p.done(y);
  const after = mergeEqual(before);
  expect(definitionsOf(after).map((d) => d.name)).toEqual(["a", "c", "y"]);
  expectSame(before, after, { N: 2, K: 3 });
});

test("inlineExpansions: a broadcast difference goes into its sum", () => {
  const p = draft();
  const [a, b] = [p.input("a", ["N", "K"]), p.input("b", ["M", "K"])];
  const d = p.map("d", ["N", "M", "K"], (n, m, k) =>
    op("sub", at(a, n as TensorExpr, k as TensorExpr), at(b, m as TensorExpr, k as TensorExpr)),
  );
  const y = p.fold("y", ADD, ["N", "M"], ["K"], (n, m, k) =>
    op("pow", at(d, n as TensorExpr, m as TensorExpr, k as TensorExpr), f(2)),
  );
  const before = p.done(y);
  const after = dropDead(inlineExpansions(before));
  expect(definitionsOf(after)).toHaveLength(1);
  expectSame(before, after, { N: 2, M: 3, K: 4 });
});

test("stopGradient goes, and so do dead definitions", () => {
  const p = draft();
  const x = p.input("x", [3]);
  p.map("dead", [3], (i) => op("exp", at(x, i as TensorExpr)));
  const y = p.map("y", [3], (i) => op("add", op("stopGradient", at(x, i as TensorExpr)), constant("f32", 1)));
  const before = p.done(y);
  const after = dropDead(dropStopGradient(before));
  expect(definitionsOf(after).map((d) => d.name)).toEqual(["y"]);
  expectSame(before, after);
});

test("normalise twice is normalise once", () => {
  const p = draft();
  const x = p.input("x", ["N", "D"]);
  const m = p.fold("m", MAX, ["N"], ["D"], (n, k) => at(x, n as TensorExpr, k as TensorExpr));
  const e = p.map("e", ["N", "D"], (n, d) =>
    op("exp", op("sub", at(x, n as TensorExpr, d as TensorExpr), at(m, n as TensorExpr))),
  );
  const z = p.fold("z", ADD, ["N"], ["D"], (n, k) => at(e, n as TensorExpr, k as TensorExpr));
  const y = p.map("y", ["N", "D"], (n, d) =>
    op("div", at(e, n as TensorExpr, d as TensorExpr), at(z, n as TensorExpr)),
  );
  const before = p.done(y);
  const once = normalise(before);
  const twice = normalise(once);
  expect(definitionsOf(twice)).toEqual(definitionsOf(once));
  expectSame(before, once, { N: 3, D: 5 });
});
