/** Programs written with the constructors, and the comparison of two programs on the oracle. */
import { expect } from "vitest";
import type { DType } from "../../ir/dtype.ts";
import { isFloat } from "../../ir/dtype.ts";
import { type Extent, size, sizeSymbol } from "../../ir/extent.ts";
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import { addMonoid, maxMonoid } from "../../ir/monoid.ts";
import { stepsOf } from "../../ir/steps.ts";
import {
  type Axis,
  apply,
  axis,
  axisRef,
  constant,
  type Definition,
  type Fact,
  type Input,
  input,
  type MapDef,
  type Monoid,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import type { FusedProgram } from "../../src/schedule/region.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";

export function extent(e: number | string | Extent): Extent {
  return typeof e === "number" ? size(e) : typeof e === "string" ? sizeSymbol(e) : e;
}
type Size = number | string | Extent;

/** A program under construction: `p.input`, `p.map`, `p.fold`, then `p.done`. */
export interface Draft {
  input(name: string, shape: readonly Size[], dtype?: DType): Input;
  map(name: string, shape: readonly Size[], body: (...i: TensorExpr[]) => TensorExpr | readonly TensorExpr[]): MapDef;
  /** out[shape] = ⊕ over `reduced` of body(outer…, inner…). */
  fold(
    name: string,
    m: Monoid,
    shape: readonly Size[],
    reduced: readonly Size[],
    body: (...i: TensorExpr[]) => TensorExpr | readonly TensorExpr[],
  ): MapDef;
  add<T extends Definition>(d: T): T;
  done(...results: readonly Definition[]): Program;
}

export function draft(name = "f", facts: readonly Fact[] = []): Draft {
  const inputs: Input[] = [];
  const steps: Step[] = [];
  const axesOf = (shape: readonly Size[], names: string): Axis[] =>
    shape.map((e, i) => axis(names[i] ?? `x${i}`, extent(e)));
  const list = (e: TensorExpr | readonly TensorExpr[]): readonly TensorExpr[] =>
    Array.isArray(e) ? (e as readonly TensorExpr[]) : [e as TensorExpr];
  const p: Draft = {
    input(n, shape, dtype = "f32") {
      const d = input(n, dtype, axesOf(shape, "ijkl"));
      inputs.push(d);
      return d;
    },
    map(n, shape, body) {
      const axes = axesOf(shape, "nmpq");
      return p.add(mapDef(axes, list(body(...axes.map(axisRef))), { name: n }));
    },
    fold(n, m, shape, reduced, body) {
      const axes = axesOf(shape, "nmpq");
      const inner = axesOf(reduced, "krst");
      const values = list(body(...axes.map(axisRef), ...inner.map(axisRef)));
      return p.add(
        mapDef(
          axes,
          m.slots.map((_, s) => reduce(m, inner, values, s)),
          { name: n },
        ),
      );
    },
    add(d) {
      steps.push(d as Step);
      return d;
    },
    done(...results) {
      return {
        name,
        inputs,
        steps,
        results: results.flatMap((tensor, i) =>
          tensor.types.map((_, slot) => ({ name: `r${i}_${slot}`, tensor, slot })),
        ),
        facts,
      };
    },
  };
  return p;
}

export const at = (d: Definition, ...i: readonly (TensorExpr | number)[]): TensorExpr =>
  read(
    d,
    0,
    i.map((x) => (typeof x === "number" ? constant("i32", x) : x)),
  );
export const or = (d: Definition, fill: number, ...i: readonly (TensorExpr | number)[]): TensorExpr =>
  read(
    d,
    0,
    i.map((x) => (typeof x === "number" ? constant("i32", x) : x)),
    constant(d.types[0] ?? "f32", fill),
  );
export const f = (x: number): TensorExpr => constant("f32", x);
export const ADD: Monoid = addMonoid("f32");
export const MAX: Monoid = maxMonoid("f32");
export { apply as op };

/** Small deterministic values: integers for integer inputs, multiples of 1/8 for floats. */
export function valuesFor(p: Program, sizes: ReadonlyMap<string, number>, seed = 1): ReadonlyMap<string, ArrayInput> {
  let state = seed * 2654435761;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
  const found = new Map<string, ArrayInput>();
  for (const d of p.inputs) {
    const shape = d.axes.map((a) => a.extent.value ?? sizes.get(a.extent.text) ?? 3);
    const count = shape.reduce((a, b) => a * b, 1);
    const type = d.types[0] ?? "f32";
    const data = Array.from({ length: count }, () =>
      isFloat(type) ? ((next() % 65) - 32) / 8 : type === "bool" ? next() % 2 : next() % 5,
    );
    found.set(d.name, { shape, data });
  }
  return found;
}

/**
 * Both programs give the same results on the oracle. Values that depend on the order of float operations may differ by
 * what their steps can lose in float64: one rounding a step, of the largest value that occurs.
 */
export function expectSame(a: Program, b: Program, sizes: Record<string, number> = {}): void {
  const bind = new Map(Object.entries(sizes));
  const inputs = valuesFor(a, bind);
  const [x, y] = [interpret(a, inputs, { sizes: bind }), interpret(b, inputs, { sizes: bind })];
  expect(y.map((r) => [r.name, r.dtype, r.shape])).toEqual(x.map((r) => [r.name, r.dtype, r.shape]));
  const all = new Map(bind);
  for (const d of a.inputs)
    d.axes.forEach((ax, i) => {
      if (ax.extent.value === undefined) all.set(ax.extent.text, inputs.get(d.name)?.shape[i] ?? 0);
    });
  const steps = a.steps.reduce((sum, s) => sum + stepsOf(s, all), 1);
  x.forEach((r, n) => {
    const other = y[n];
    const top = r.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1);
    const slack = isFloat(r.dtype) ? steps * 2 ** -52 * top : 0;
    r.data.forEach((v, i) => {
      const w = other?.data[i];
      if (w === undefined) throw new Error(`result ${r.name} is shorter`);
      if (Number.isNaN(v) || !Number.isFinite(v)) expect(w, `${r.name}[${i}]`).toBe(v);
      else if (!(Math.abs(v - w) <= slack)) throw new Error(`${r.name}[${i}]: ${v} became ${w}`);
    });
  });
}

/** Fuses, verifies, compares with the oracle, and gives the regions. */
export function check(p: Program, sizes: Record<string, number>, limit = 8): FusedProgram {
  const n = normalise(p);
  const fused = fuse(n, { limits: { maxStorageBuffers: limit } });
  expect(verifyRegions(fused, limit)).toEqual([]);
  expectSame(p, n, sizes);
  expectSame(p, defuse(fused), sizes);
  return fused;
}
