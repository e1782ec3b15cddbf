/** Reductions as software adapters with four lanes take them: several vectors by one load, and windows over each other together. */
import { expect, test } from "vitest";
import { size } from "../../ir/extent.ts";
import { addMonoid, maxMonoid } from "../../ir/monoid.ts";
import type { ReductionSchedule, RowSchedule } from "../../src/schedule/schedule.ts";
import { type Axis, add, axis, axisRef, constant, input, mapDef, mul, read, reduce, type TensorExpr } from "./build.ts";
import { type Case, check, programOf, refOf, SOFT4 } from "./support.ts";

function sums(
  P: readonly Axis[],
  K: readonly Axis[],
  value: TensorExpr,
  inputs: Case["program"]["inputs"],
  m = addMonoid("f32"),
): Case {
  const made = reduce(m, K, [value], 0);
  const def = mapDef(P, [made], { name: "s" });
  return {
    program: programOf(inputs, [def], [refOf(def)]),
    regions: [
      {
        kind: "row",
        name: "r",
        axes: P,
        phases: [{ kind: "reduce", def, reduce: made }],
        stores: [refOf(def)],
        reads: inputs.map((d) => refOf(d)),
      },
    ],
    sizes: new Map(),
  };
}
const of = (name: string, n: number): Axis => axis(name, size(n));
const row = (s: Partial<RowSchedule>): RowSchedule => ({
  kind: "row",
  vector: 4,
  swizzle: 0,
  variants: "guarded",
  rows: 4,
  threads: 1,
  hold: 0,
  pass: "reread",
  block: 4,
  ...s,
});
const columns = (s: Partial<ReductionSchedule>): ReductionSchedule => ({
  kind: "reduction",
  vector: 4,
  swizzle: 0,
  variants: "guarded",
  threads: 1,
  each: 1,
  columns: 4,
  parts: 1,
  combine: "workgroup",
  ...s,
});

test("rows whose neighbouring vectors are loaded as one", () => {
  // 48 is three groups of 16 elements, 44 is not whole groups, 96 is shared out.
  for (const [r, l] of [
    [5, 48],
    [8, 16],
    [3, 44],
    [6, 96],
  ] as const)
    for (const m of [addMonoid("f32"), maxMonoid("f32")]) {
      const [p, k] = [of("p", r), of("k", l)];
      const x = input("x", "f32", [of("p", r), of("k", l)]);
      const c = sums([p], [k], read(x, 0, [axisRef(p), axisRef(k)]), [x], m);
      for (const s of [
        row({ wide: 4 }),
        row({ wide: 2, block: 2 }),
        row({ wide: 4, threads: 4, combine: "subgroup" }),
        columns({ columns: 1, threads: 4, each: 4, combine: "subgroup", parts: 3, wide: 4 }),
      ])
        check(c, SOFT4, () => s);
    }
});

test("columns of which an invocation has several vectors", () => {
  for (const [r, l] of [
    [7, 32],
    [16, 48],
    [5, 96],
  ] as const) {
    const [p, k] = [of("p", l), of("k", r)];
    const x = input("x", "f32", [of("k", r), of("p", l)]);
    const c = sums([p], [k], read(x, 0, [axisRef(k), axisRef(p)]), [x]);
    for (const s of [columns({ wide: 4 }), columns({ wide: 2, each: 2 }), columns({ wide: 4, parts: 3 })])
      check(c, SOFT4, () => s);
  }
});

test("windows over each other are taken together", () => {
  for (const [h, w, down] of [
    [8, 8, 2],
    [8, 12, 4],
    [6, 4, 3],
  ] as const) {
    const [c, i, j] = [of("c", 3), of("i", h), of("j", w)];
    const [a, b] = [of("a", 3), of("b", 3)];
    const x = input("x", "f32", [of("c", 3), of("i", h), of("j", w)]);
    const f = input("f", "f32", [of("c", 3), of("a", 3), of("b", 3)]);
    const at = (p: Axis, q: Axis): TensorExpr => add(add(axisRef(p), axisRef(q)), constant("i32", -1));
    const value = mul(
      read(x, 0, [axisRef(c), at(i, a), at(j, b)], constant("f32", 0)),
      read(f, 0, [axisRef(c), axisRef(a), axisRef(b)]),
    );
    const region = sums([c, i, j], [a, b], value, [x, f]);
    for (const each of [9, 4]) check(region, SOFT4, () => columns({ down, each }));
  }
});

test("what does not divide is refused", () => {
  const [p, q, k] = [of("p", 5), of("q", 8), of("k", 4)];
  const x = input("x", "f32", [of("k", 4), of("p", 5), of("q", 8)]);
  const c = sums([p, q], [k], read(x, 0, [axisRef(k), axisRef(p), axisRef(q)]), [x]);
  expect(() => check(c, SOFT4, () => columns({ down: 2 }))).toThrow(/^down/);
  expect(() => check(c, SOFT4, () => columns({ wide: 4 }))).toThrow(/^wide/);
  expect(() => check(c, SOFT4, () => row({ wide: 2 }))).toThrow(/^wide/);
});
