import { describe, expect, test } from "vitest";
import type { Extent } from "../../ir/extent.ts";
import { addMonoid, argMonoid, maxMonoid } from "../../ir/monoid.ts";
import type { RowPhase, RowRegion } from "../../src/schedule/region.ts";
import {
  type Axis,
  add,
  apply,
  arg,
  axis,
  axisRef,
  cast,
  constant,
  type Definition,
  input,
  type Monoid,
  mapDef,
  mul,
  read,
  reduce,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "./build.ts";
import { type Case, checkAll, extents, programOf, refOf, TARGETS } from "./support.ts";

const clone = (axes: readonly Axis[]): readonly Axis[] => axes.map((a) => axis(a.name, a.extent));
const refs = (axes: readonly Axis[]): readonly TensorExpr[] => axes.map((a) => axisRef(a));

/** A single reduction of x, whose axes are P and K in the given order. */
function single(
  P: readonly Axis[],
  K: readonly Axis[],
  order: readonly Axis[],
  m: "add" | "max" | "argmax" | "string",
  epilogue: boolean,
): Omit<Case, "sizes"> {
  const x = input("x", m === "string" ? "i32" : "f32", clone(order));
  const v = read(x, 0, refs(order));
  const monoid =
    m === "add" ? addMonoid("f32") : m === "max" ? maxMonoid("f32") : m === "argmax" ? argMonoid("max", "f32") : affine;
  const flat = K.reduce<TensorExpr>((s, k) => add(mul(s, sizeOf(k.extent)), axisRef(k)), constant("i32", 0));
  const values = m === "argmax" ? [v, flat] : m === "string" ? [v, add(mul(v, v), constant("i32", 1))] : [v];
  const reduces = monoid.slots.map((_, s) => reduce(monoid, K, values, s));
  const def = mapDef(P, reduces, { name: "s" });
  const stores: TensorRef[] = reduces.map((_, s) => refOf(def, s));
  const first = reduces[0];
  if (!first) throw new Error("no reduction");
  const phases: RowPhase[] = [{ kind: "reduce", def, reduce: first }];
  const steps: Definition[] = [def];
  if (epilogue) {
    const e = add(cast(read(def, 0, refs(P)), "f32"), constant("f32", 0.5));
    const y = mapDef(P, [e], { name: "y" });
    phases.push({ kind: "store", def: y, axes: [], results: [e], point: refs(P) });
    steps.push(y as never);
    stores.push(refOf(y));
  }
  return {
    program: programOf([x], steps, stores),
    regions: [{ kind: "row", name: "r", axes: P, phases, stores, reads: [refOf(x)] }],
  };
}

/** Composition of x ↦ a·x + b: associative, not commutative. */
const affine: Monoid = {
  name: "affine",
  slots: ["i32", "i32"],
  identity: [constant("i32", 1), constant("i32", 0)],
  commutative: false,
  exact: true,
  combine: [mul(arg(0, "i32"), arg(2, "i32")), add(mul(arg(1, "i32"), arg(2, "i32")), arg(3, "i32"))],
};

function softmax(rows: readonly Axis[], k: Extent, across = false): Omit<Case, "sizes"> {
  const order = <T>(points: readonly T[], along: T): readonly T[] => (across ? [along, ...points] : [...points, along]);
  const K = [1, 2, 3].map((i) => axis(`k${i}`, k));
  const [k1, k2, k3] = K as [Axis, Axis, Axis];
  const x = input("x", "f32", clone(order(rows, k1)));
  const at = (a: Axis): TensorExpr => read(x, 0, order(refs(rows), axisRef(a)));
  const mx = mapDef(rows, [reduce(maxMonoid("f32"), [k1], [at(k1)])], { name: "m" });
  // Not exp: with powers of two everything stays exact.
  const p = (a: Axis): TensorExpr => apply("exp2", apply("sub", at(a), read(mx, 0, refs(rows))));
  const sum = mapDef(rows, [reduce(addMonoid("f32"), [k2], [p(k2)])], { name: "z" });
  const result = add(mul(p(k3), constant("f32", 8)), read(sum, 0, refs(rows)));
  const y = mapDef(order(rows, k3), [result], { name: "y" });
  const phase = (d: typeof mx): RowPhase => {
    const r = d.results[0];
    if (r?.kind !== "reduce") throw new Error("not a reduction");
    return { kind: "reduce", def: d, reduce: r };
  };
  const stores = [refOf(y)];
  const region: RowRegion = {
    kind: "row",
    name: "softmax",
    axes: rows,
    stores,
    reads: [refOf(x)],
    phases: [
      phase(mx),
      phase(sum),
      { kind: "store", def: y, axes: [k3], results: [result], point: refs(order(rows, k3)) },
    ],
  };
  return { program: programOf([x], [mx, sum, y], stores), regions: [region] };
}

const SIZES: readonly (readonly [number, number])[] = [
  [3, 0],
  [0, 5],
  [1, 1],
  [2, 3],
  [5, 7],
  [3, 31],
  [33, 4],
  [7, 33],
  [2, 64],
  [3, 100],
  [40, 12],
];

describe("row regions", () => {
  for (const m of ["add", "max", "argmax", "string"] as const)
    for (const symbolic of [false, true])
      test(`${m} along the last axis, ${symbolic ? "symbolic" : "literal"}`, () => {
        let count = 0;
        for (const [r, l] of SIZES)
          for (const target of TARGETS) {
            const { of, sizes } = extents(symbolic);
            const [p, k] = [axis("p", of("R", r)), axis("k", of("L", l))];
            count += checkAll({ ...single([p], [k], [p, k], m, m !== "string"), sizes }, target, 4);
          }
        expect(count).toBeGreaterThan(50);
      });
  for (const symbolic of [false, true])
    test(`along the first axis, ${symbolic ? "symbolic" : "literal"}`, () => {
      for (const [r, l] of SIZES)
        for (const target of TARGETS) {
          const { of, sizes } = extents(symbolic);
          const [p, k] = [axis("p", of("R", r)), axis("k", of("L", l))];
          expect(checkAll({ ...single([p], [k], [k, p], "add", true), sizes }, target, 4)).toBeGreaterThan(1);
        }
    });
  test("several axes, reduced and kept in turn", () => {
    TARGETS.forEach((target, t) => {
      for (const symbolic of [t % 2 === 0]) {
        const { of, sizes } = extents(symbolic);
        const [a, b, c, d] = [
          axis("a", of("A", 3)),
          axis("b", of("B", 5)),
          axis("c", of("C", 2)),
          axis("d", of("D", 4)),
        ];
        for (const m of ["add", "string", "argmax"] as const) {
          checkAll({ ...single([a, c], [b, d], [a, b, c, d], m, m !== "string"), sizes }, target, 4);
          checkAll({ ...single([a], [b, c, d], [a, b, c, d], m, false), sizes }, target, 4);
          checkAll({ ...single([], [a, b, c, d], [a, b, c, d], m, m !== "string"), sizes }, target, 4);
          checkAll({ ...single([d, a], [b, c], [a, b, c, d], m, false), sizes }, target, 4);
        }
      }
    });
  });
  test("long rows in two stages", () => {
    for (const target of TARGETS)
      for (const [r, l] of [
        [1, 8192],
        [1, 5003],
        [2, 9000],
      ] as const) {
        const [p, k] = [axis("p", extents(false).of("R", r)), axis("k", extents(false).of("L", l))];
        expect(checkAll({ ...single([p], [k], [p, k], "add", true), sizes: new Map() }, target, 5)).toBeGreaterThan(2);
        expect(checkAll({ ...single([p], [k], [p, k], "argmax", false), sizes: new Map() }, target, 5)).toBeGreaterThan(
          2,
        );
        checkAll({ ...single([p], [k], [p, k], "string", false), sizes: new Map() }, target, 3);
      }
  });
  for (const symbolic of [false, true])
    test(`softmax, ${symbolic ? "symbolic" : "literal"}`, () => {
      for (const [r, l] of SIZES)
        for (const target of TARGETS) {
          const { of, sizes } = extents(symbolic);
          expect(checkAll({ ...softmax([axis("p", of("R", r))], of("L", l)), sizes }, target, 4)).toBeGreaterThan(1);
          expect(checkAll({ ...softmax([axis("p", of("R", r))], of("L", l), true), sizes }, target, 3)).toBeGreaterThan(
            1,
          );
        }
      for (const target of TARGETS) {
        const { of, sizes } = extents(symbolic);
        checkAll({ ...softmax([axis("a", of("A", 2)), axis("b", of("B", 5))], of("L", 24)), sizes }, target, 8);
      }
    });
});
