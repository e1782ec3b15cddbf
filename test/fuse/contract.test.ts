import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../ir/dtype.ts";
import { addMonoid } from "../../ir/monoid.ts";
import { type Axis, axis, axisRef, mapDef, type Program, read, reduce, type TensorExpr } from "../../ir/tensor.ts";
import { contract } from "../../src/passes/contract.ts";
import { type Contraction, orderContraction } from "../../src/passes/contract-order.ts";
import { reductionOf } from "../../src/passes/lift.ts";
import { definitionsOf } from "../../src/passes/rewrite.ts";
import { at, draft, expectSame, extent, f, op } from "./helpers.ts";

/** An einsum as the language writes it: one sum over a product. Extents by letter, capitals symbolic. */
function einsum(
  text: string,
  sizes: Record<string, number | string>,
  type: DType = "f32",
  wrap: (e: TensorExpr, i: number) => TensorExpr = (e) => e,
): Program {
  const [left, right = ""] = text.split("->");
  const axes = new Map<string, Axis>();
  const of = (c: string): Axis => {
    const a = axes.get(c) ?? axis(c, extent(sizes[c] ?? 3));
    axes.set(c, a);
    return a;
  };
  const p = draft();
  const factors = (left ?? "").split(",").map((word, i) => {
    const x = p.input(
      `x${i}`,
      [...word].map((c) => sizes[c] ?? 3),
      type,
    );
    return wrap(
      read(
        x,
        0,
        [...word].map((c) => axisRef(of(c))),
      ),
      i,
    );
  });
  const out = [...right].map(of);
  const reduced = [...axes.values()].filter((a) => !out.includes(a));
  const value = factors.reduce((a, b) => op("mul", a, b));
  return p.done(p.add(mapDef(out, [reduce(addMonoid(type), reduced, [value])], { name: "y" })));
}
const shapes = (p: Program): string[] =>
  definitionsOf(p).map(
    (d) => `${d.axes.map((a) => a.name).join("")}/${(reductionOf(d)?.axes ?? []).map((a) => a.name).join("")}`,
  );
const big = { i: 30, j: 20, k: 40, l: 10, m: 50 };

describe("contract", () => {
  test.each<[string, Record<string, number>, string[]]>([
    ["ij,jk,kl->il", { i: 30, j: 20, k: 40, l: 10 }, ["jl/k", "il/j"]],
    ["ij,jk,kl->il", { i: 10, j: 40, k: 20, l: 30 }, ["ik/j", "il/k"]],
    // Ties as written.
    ["ij,jk,kl->il", { i: 8, j: 8, k: 8, l: 8 }, ["ik/j", "il/k"]],
    // An axis of one operand alone is summed first.
    ["ij,kl->ik", { i: 9, j: 9, k: 9, l: 9 }, ["i/j", "k/l", "ik/"]],
  ])("%s %o", (text, sizes, to) => {
    const before = einsum(text, sizes, "i32");
    const after = contract(before);
    expect(shapes(after)).toEqual(to);
  });
  test("values stay, for integers that wrap and for floats", () => {
    for (const type of ["i32", "f32"] as const) {
      const before = einsum("ij,jk,kl,lm->im", { i: 4, j: 5, k: 6, l: 5, m: 7 }, type);
      const after = contract(before);
      expect(definitionsOf(after)).toHaveLength(3);
      expectSame(before, after);
    }
  });
  test("nothing is stored where nothing is gained", () => {
    for (const [text, sizes] of [
      ["ij,jk->ik", big],
      ["ij,j->i", big],
      ["ij,j,jk->ik", big],
      ["ir,jr,kr->ijk", { i: 9, j: 9, k: 9, r: 9 }],
      ["i,j,k->ijk", big],
      ["ij,jk,kl->il", { i: 1, j: 1, k: 2, l: 1 }],
    ] as const)
      expect(definitionsOf(contract(einsum(text, sizes))), text).toHaveLength(1);
  });
  test("symbols count as 256", () => {
    const before = einsum("ij,jk,kl->il", { i: "I", j: "J", k: 2, l: "L" } as never);
    expect(shapes(contract(before))[0]).toBe("ik/j");
  });
  test("elementwise factors stay whole, quotients with them", () => {
    const before = einsum("ij,jk,kl->il", { i: 6, j: 6, k: 6, l: 2 }, "f32", (e, i) =>
      i === 1 ? op("div", op("exp", e), op("add", op("mul", e, e), f(1))) : e,
    );
    const after = contract(before);
    expect(definitionsOf(after)).toHaveLength(2);
    expectSame(before, after);
  });
  test("strict leaves floats as written, not integers", () => {
    expect(definitionsOf(contract(einsum("ij,jk,kl->il", big), { strict: true }))).toHaveLength(1);
    expect(definitionsOf(contract(einsum("ij,jk,kl->il", big, "i32"), { strict: true }))).toHaveLength(2);
  });
  test("within an expression, and an axis of extent 0", () => {
    const p = draft();
    const [a, b, c] = [p.input("a", ["N", 9]), p.input("b", [9, 9]), p.input("c", [9, 2])];
    const [n, d] = [axis("n", extent("N")), axis("d", extent(2))];
    const [j, k] = [axis("j", extent(9)), axis("k", extent(9))];
    const r = (x: Axis): TensorExpr => axisRef(x);
    const sum = reduce(
      addMonoid("f32"),
      [j, k],
      [op("mul", op("mul", at(a, r(n), r(j)), at(b, r(j), r(k))), at(c, r(k), r(d)))],
    );
    const before = p.done(p.add(mapDef([n, d], [op("exp", op("neg", op("abs", sum)))], { name: "y" })));
    const after = contract(before);
    expect(definitionsOf(after)).toHaveLength(2);
    expectSame(before, after, { N: 3 });
    expectSame(before, after, { N: 0 });
  });
});

/** The least cost over all orders, by trying them. */
function cheapest(c: Contraction): number {
  const go = (sets: readonly (readonly number[])[]): number => {
    if (sets.length < 2) return 0;
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < sets.length; i++)
      for (let j = i + 1; j < sets.length; j++) {
        const whole = [...new Set([...(sets[i] ?? []), ...(sets[j] ?? [])])];
        const rest = sets.filter((_, x) => x !== i && x !== j);
        const kept = whole.filter((a) => c.output.includes(a) || rest.some((s) => s.includes(a)));
        const cost = whole.reduce((p, a) => p * (c.sizes[a] ?? 1), 1);
        best = Math.min(best, cost + go([...rest, kept]));
      }
    return best;
  };
  return go(c.operands);
}
const contraction = (most: number): fc.Arbitrary<Contraction> =>
  fc.record({
    operands: fc.array(fc.uniqueArray(fc.nat(5), { maxLength: 3 }), { minLength: 2, maxLength: most }),
    output: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
    sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 6, maxLength: 6 }),
  });

describe("orderContraction", () => {
  test("is the cheapest of all orders", () => {
    fc.assert(
      fc.property(contraction(5), (c) => {
        expect(orderContraction(c).flops).toBe(cheapest(c));
      }),
      { numRuns: 200 },
    );
  });
  test("uses every operand once, exactly and greedily", () => {
    fc.assert(
      fc.property(contraction(20), (c) => {
        const { pairs } = orderContraction(c);
        const n = c.operands.length;
        expect(pairs).toHaveLength(n - 1);
        const used = pairs.flat();
        expect(new Set(used).size).toBe(used.length);
        pairs.forEach(([i, j], at) => {
          expect(Math.max(i, j)).toBeLessThan(n + at);
        });
      }),
      { numRuns: 100 },
    );
  });
  test("a hundred thousand operands within seconds, a chain costs what a chain must", () => {
    const n = 100_000;
    const c: Contraction = {
      operands: Array.from({ length: n }, (_, i) => [i, i + 1]),
      output: [0, n],
      sizes: Array.from({ length: n + 1 }, () => 2),
    };
    const start = process.cpuUsage();
    const order = orderContraction(c);
    // A second on the machine it was measured on; one that others use is slower, and counts their cache misses.
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(6000);
    expect(order.flops).toBe(8 * (n - 1));
  });
  test("an axis that all of many operands share is not tried pair by pair", () => {
    const n = 20_000;
    const start = process.cpuUsage();
    const order = orderContraction({ operands: Array.from({ length: n }, () => [0]), output: [0], sizes: [4] });
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(6000);
    expect(order.pairs).toHaveLength(n - 1);
  });
});
