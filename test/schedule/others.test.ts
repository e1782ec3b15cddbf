import { describe, expect, test } from "vitest";
import { addMonoid, maxMonoid } from "../../ir/monoid.ts";
import { apply as applySchedule } from "../../src/schedule/apply/index.ts";
import type { PlacedMap } from "../../src/schedule/region.ts";
import {
  type Axis,
  add,
  apply,
  arg,
  axis,
  axisRef,
  type Const,
  constant,
  type Definition,
  input,
  type Monoid,
  mapDef,
  mul,
  read,
  scanDef,
  scatterDef,
  type TensorExpr,
  type TensorRef,
} from "./build.ts";
import { type Case, check, checkAll, extents, GPU, integers, programOf, refOf, TARGETS } from "./support.ts";

const clone = (axes: readonly Axis[]): readonly Axis[] => axes.map((a) => axis(a.name, a.extent));
const refs = (axes: readonly Axis[]): readonly TensorExpr[] => axes.map((a) => axisRef(a));

const affine: Monoid = {
  name: "affine",
  slots: ["i32", "i32"],
  identity: [constant("i32", 1), constant("i32", 0)],
  commutative: false,
  exact: true,
  combine: [mul(arg(0, "i32"), arg(2, "i32")), add(mul(arg(1, "i32"), arg(2, "i32")), arg(3, "i32"))],
};

function scan(axes: readonly Axis[], along: Axis, m: Monoid, epilogue: boolean): Omit<Case, "sizes"> {
  const x = input("x", m.slots[0] ?? "f32", clone(axes));
  const v = read(x, 0, refs(axes));
  const def = scanDef(
    axes,
    along,
    m,
    m.slots.map((_, s) => (s === 0 ? v : mul(v, v))),
    { name: "s" },
  );
  const stores: TensorRef[] = [refOf(def)];
  const steps: Definition[] = [def];
  const maps: PlacedMap[] = [];
  if (epilogue) {
    const e = apply("max", mul(read(def, 0, refs(axes)), v), v);
    const y = mapDef(axes, [e], { name: "y" });
    maps.push({ def: y, results: [e] });
    steps.push(y);
    stores.push(refOf(y));
  }
  return {
    program: programOf([x], steps, stores),
    regions: [{ kind: "scan", name: "r", def, epilogue: maps, stores, reads: [refOf(x)] }],
  };
}

describe("scans", () => {
  for (const sym of [false, true])
    test(`${sym ? "symbolic" : "literal"} extents`, () => {
      let count = 0;
      for (const target of TARGETS)
        for (const [r, l] of [
          [1, 1],
          [3, 0],
          [0, 3],
          [2, 7],
          [5, 33],
          [3, 64],
          [8, 100],
          [1, 500],
        ] as const) {
          const { of, sizes } = extents(sym);
          const [p, k] = [axis("p", of("P", r)), axis("k", of("K", l))];
          count += checkAll({ ...scan([p, k], k, addMonoid("f32"), true), sizes }, target, 4);
          count += checkAll({ ...scan([k, p], k, affine, false), sizes }, target, 4);
          count += checkAll({ ...scan([k], k, maxMonoid("i32"), false), sizes }, target, 2);
        }
      expect(count).toBeGreaterThan(200);
    });
  test("long rows", () => {
    for (const target of TARGETS) {
      const k = axis("k", extents(false).of("K", 5000));
      expect(checkAll({ ...scan([k], k, addMonoid("i32"), true), sizes: new Map() }, target, 3)).toBeGreaterThan(2);
    }
  });
});

interface ScatterSetup {
  readonly monoid: Monoid | "set";
  readonly dtype: "f32" | "i32" | "u32";
  readonly into: boolean;
  readonly sym: boolean;
  readonly rows: number;
  readonly count: number;
  readonly width: number;
  readonly special?: boolean;
}

/** u[ids[i], d] ⊕= x[i, d], some ids outside. */
function scatter(o: ScatterSetup): Case {
  const { of, sizes } = extents(o.sym);
  const [r, d] = [axis("r", of("R", o.rows)), axis("d", of("D", o.width))];
  const [i, j] = [axis("i", of("I", o.count)), axis("j", of("D", o.width))];
  const ids = input("ids", "i32", [axis("i", i.extent)]);
  const x = input("x", o.dtype, [axis("i", i.extent), axis("j", j.extent)]);
  const old = input("old", o.dtype, [axis("r", r.extent), axis("d", d.extent)]);
  const initial: Const = o.monoid === "set" ? constant(o.dtype, 9) : (o.monoid.identity[0] ?? constant(o.dtype, 0));
  const def = scatterDef(
    [r, d],
    o.monoid,
    [i, j],
    [read(ids, 0, [axisRef(i)]), axisRef(j)],
    [read(x, 0, [axisRef(i), axisRef(j)])],
    [initial],
    o.into ? [refOf(old)] : undefined,
  );
  const stores = [refOf(def)];
  return {
    program: programOf([ids, x, old], [def], stores),
    regions: [{ kind: "scatter", name: "r", def, stores, reads: [ids, x, old].map((t) => refOf(t)) }],
    sizes,
    data: (t, n) => {
      const next = t.name === "ids" ? integers(3, -1, o.rows) : integers(t.id);
      return Float64Array.from({ length: n }, (_, e) => {
        const v = next();
        if (o.special && t.name !== "ids")
          return [Number.NaN, -0, 0, Infinity, -Infinity, v, v, v][(e * 7 + v + 8) % 8] ?? v;
        return t.types[0] === "u32" ? Math.abs(v) : v;
      });
    },
  };
}

describe("scatters", () => {
  const monoids: readonly (readonly [string, (d: "f32" | "i32" | "u32") => Monoid | "set"])[] = [
    ["add", addMonoid],
    ["max", maxMonoid],
    ["set", () => "set"],
  ];
  for (const [name, m] of monoids)
    test(name, () => {
      let count = 0;
      for (const target of TARGETS)
        for (const dtype of ["f32", "i32", "u32"] as const)
          for (const into of [false, true])
            for (const sym of [false, true])
              for (const [rows, n, width] of [
                [5, 12, 3],
                [4, 40, 4],
                [3, 0, 2],
                [1, 7, 1],
              ] as const)
                count += checkAll(scatter({ monoid: m(dtype), dtype, into, sym, rows, count: n, width }), target, 3);
      expect(count).toBeGreaterThan(200);
    });
  test("by sorting: several digits, several blocks, runs of one key, ids outside", () => {
    let count = 0;
    for (const monoid of [addMonoid("f32"), "set"] as const)
      for (const sym of [false, true])
        for (const [rows, n, width] of [
          [700, 600, 2],
          [3, 530, 4],
          [1, 0, 1],
        ] as const) {
          const c = scatter({ monoid, dtype: "f32", into: true, sym, rows, count: n, width });
          for (const vector of [1, 2] as const) {
            if (width % vector > 0 || (vector > 1 && sym)) continue;
            const sort = {
              kind: "scatter",
              method: "sort",
              threads: 64,
              vector,
              swizzle: 0,
              variants: "guarded",
            } as const;
            check(c, GPU, () => sort);
            count++;
            if (monoid === "set") {
              expect(() => applySchedule(c.regions[0]!, { ...sort, parts: 4 }, GPU)).toThrow(/parts/);
              continue;
            }
            check(c, GPU, () => ({ ...sort, parts: 4 }));
            count++;
          }
        }
    expect(count).toBe(24);
  });
  test("not a number, infinities and zeros by order-preserving bits", () => {
    for (const target of TARGETS)
      for (const into of [false, true])
        expect(
          checkAll(
            scatter({
              monoid: maxMonoid("f32"),
              dtype: "f32",
              into,
              sym: false,
              rows: 3,
              count: 40,
              width: 4,
              special: true,
            }),
            target,
          ),
        ).toBeGreaterThan(3);
  });
});
