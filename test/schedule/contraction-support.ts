/** Contractions of every layout as regions by themselves: what the tests of their schedules share. */
import { addMonoid, maxMonoid } from "../../ir/monoid.ts";
import type { ContractionRegion, PlacedMap } from "../../src/schedule/region.ts";
import type { ContractionSchedule } from "../../src/schedule/schedule.ts";
import {
  type Axis,
  add,
  apply,
  arg,
  axis,
  axisRef,
  constant,
  type Definition,
  input,
  mapDef,
  mul,
  read,
  reduce,
  type TensorExpr,
  type TensorRef,
} from "./build.ts";
import { type Case, extents, programOf, refOf } from "./support.ts";

export const clone = (axes: readonly Axis[]): readonly Axis[] => axes.map((a) => axis(a.name, a.extent));
export const refs = (axes: readonly Axis[]): readonly TensorExpr[] => axes.map((a) => axisRef(a));

export interface Shape {
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  /** Orders of the axes in memory. */
  readonly a: readonly Axis[];
  readonly b: readonly Axis[];
  readonly out: readonly Axis[];
}

export type Body = "product" | "difference" | "max";

export function contraction(s: Shape, body: Body, epilogue: boolean): Omit<Case, "sizes"> {
  const [x, w] = [input("x", "f32", clone(s.a)), input("w", "f32", clone(s.b))];
  const bias = input("bias", "f32", clone(s.out.slice(-1)));
  const a = read(x, 0, refs(s.a));
  const b = read(w, 0, refs(s.b));
  const [l, r] = [arg(0, "f32"), arg(1, "f32")];
  const difference = (p: TensorExpr, q: TensorExpr): TensorExpr => mul(apply("sub", p, q), apply("sub", p, q));
  const value = body === "difference" ? difference(a, b) : mul(a, b);
  const shared = body === "difference" ? difference(l, r) : mul(l, r);
  const monoid = body === "max" ? maxMonoid("f32") : addMonoid("f32");
  const red = reduce(monoid, s.k, [value]);
  const def = mapDef(s.out, [red], { name: "c" });
  const steps: Definition[] = [def];
  const stores: TensorRef[] = [];
  const maps: PlacedMap[] = [];
  if (epilogue) {
    const e = apply("max", add(read(def, 0, refs(s.out)), read(bias, 0, refs(s.out.slice(-1)))), constant("f32", 0));
    const y = mapDef(s.out, [e], { name: "y" });
    // Another that is stored across.
    const turned = [...s.out].reverse();
    const t = mul(read(def, 0, refs(s.out)), constant("f32", 2));
    const z = mapDef(turned, [t], { name: "z" });
    maps.push({ def: y, results: [e] });
    steps.push(y);
    maps.push({ def: z, results: [t], point: refs(turned) });
    steps.push(z);
    stores.push(refOf(y), refOf(z));
  } else stores.push(refOf(def));
  const region: ContractionRegion = {
    kind: "contraction",
    name: "mm",
    def,
    reduce: red,
    batch: s.batch,
    m: s.m,
    n: s.n,
    k: s.k,
    a,
    b,
    body: shared,
    epilogue: maps,
    stores,
    reads: [x, w, bias].map((d) => refOf(d)),
  };
  return { program: programOf([x, w, bias], steps, stores), regions: [region] };
}

export type Form = "nn" | "nt" | "tn" | "out-nm";

export function matmul(sym: boolean, m: number, n: number, k: number, form: Form, body: Body, epilogue: boolean): Case {
  const { of, sizes } = extents(sym);
  const [i, j, l] = [axis("m", of("M", m)), axis("n", of("N", n)), axis("k", of("K", k))];
  const s: Shape = {
    batch: [],
    m: [i],
    n: [j],
    k: [l],
    a: form === "tn" ? [l, i] : [i, l],
    b: form === "nt" ? [j, l] : [l, j],
    out: form === "out-nm" ? [j, i] : [i, j],
  };
  return { ...contraction(s, body, epilogue), sizes };
}

/** The plainest legal one, to be varied. */
export const PLAIN: ContractionSchedule = {
  kind: "contraction",
  vector: 1,
  swizzle: 0,
  variants: "guarded",
  reg: [2, 2],
  threads: [4, 4, 1],
  rowFrom: "thread",
  stage: "none",
  tileK: 4,
  buffers: 1,
  pad: 0,
  splitK: 1,
  subgroup: "none",
  batches: 1,
};
