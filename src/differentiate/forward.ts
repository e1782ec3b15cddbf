/**
 * Forward mode: Program → Program. Every definition that a tangent reaches gets a tangent definition beside it. Reductions and
 * scans by any monoid run on dual tuples (values, then tangents); sums, extrema and picks have shorter forms.
 */
import { isFloat } from "../../ir/dtype.ts";
import { addMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  apply,
  arg,
  axisRef,
  cast,
  constant,
  type Definition,
  type Input,
  input,
  type LoopStep,
  type MapDef,
  type Monoid,
  mapChildren,
  mapDef,
  type Program,
  type Reduce,
  read,
  reduce,
  type ScanDef,
  type ScatterDef,
  type Step,
  scanDef,
  scatterDef,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { dropDead } from "../passes/merge.ts";
import { normalise } from "../passes/normalise.ts";
import { freshAxes, renameAxes } from "../passes/rewrite.ts";
import { pushForward } from "./local.ts";
import { forwardLoop } from "./loops.ts";
import { picksByPosition, primitiveOf } from "./monoids.ts";
import { NotDifferentiable, reverse } from "./reverse.ts";

/**
 * A program with the same inputs, `tangent_NAME` inputs for each of `wrt` after them, the same results and after them
 * `tangent_RESULT` for every float result (zeros where nothing reaches it). Throws NotDifferentiable.
 */
export function forward(program: Program, wrt: readonly string[]): Program {
  const p = normalise(program, { keepStopGradient: true });
  const state = new Forward();
  const tangents = p.inputs.flatMap((d): Input[] => {
    if (!wrt.includes(d.name) || !isFloat(d.types[0] ?? "i32")) return [];
    const made = input(`tangent_${d.name}`, d.types[0]!, freshAxes(d.axes, new Map()));
    state.set(d, 0, { tensor: made, slot: 0 });
    return [made];
  });
  for (const s of p.steps) {
    if (s.kind === "loop") state.visitLoop(s);
    else state.visit(s);
  }
  const results = p.results.flatMap((r) => {
    if (!isFloat(r.tensor.types[r.slot] ?? "i32")) return [];
    return [{ name: `tangent_${r.name}`, ...state.tangentOrZero(r) }];
  });
  return dropDead({
    name: program.name,
    inputs: [...p.inputs, ...tangents],
    steps: state.steps,
    results: [...p.results, ...results],
    facts: p.facts,
  });
}

const refs = (axes: readonly Axis[]): TensorExpr[] => axes.map(axisRef);

class Forward {
  readonly steps: Step[] = [];
  readonly #tangents = new Map<Definition, (TensorRef | undefined)[]>();

  set(d: Definition, slot: number, t: TensorRef): void {
    const slots = this.#tangents.get(d) ?? [];
    slots[slot] = t;
    this.#tangents.set(d, slots);
  }

  tangentOrZero(r: TensorRef): TensorRef {
    const found = this.#tangents.get(r.tensor)?.[r.slot];
    if (found) return found;
    const axes = freshAxes(r.tensor.axes, new Map());
    return {
      tensor: this.#emit(mapDef(axes, [constant(r.tensor.types[r.slot]!, 0)], { name: `${r.tensor.name}_t` })),
      slot: 0,
    };
  }

  #emit<D extends Definition>(d: D): D {
    this.steps.push(d);
    return d;
  }

  /** The tangent of a leaf: outside the tensor it is 0, as the fill is a constant. */
  readonly #leaf = (leaf: TensorExpr): TensorExpr | undefined => {
    if (leaf.kind !== "read") return undefined;
    const t = this.#tangents.get(leaf.tensor)?.[leaf.slot];
    return t && read(t.tensor, t.slot, leaf.at, leaf.fill && constant(leaf.dtype, 0));
  };

  visitLoop(s: LoopStep): void {
    forwardLoop(s, {
      tangent: (r) => this.#tangents.get(r.tensor)?.[r.slot],
      set: (d, t) => this.set(d, 0, t),
      push: (x) => this.steps.push(x),
      forward,
      reverse: (p, wrt, seeded) => reverse(p, { wrt, seed: (r) => (seeded(r) ? "input" : "none") }),
    });
  }

  visit(d: Definition): void {
    this.steps.push(d);
    switch (d.kind) {
      case "input":
      case "carry":
        return;
      case "map": {
        const root = d.results[0];
        if (root?.kind === "reduce") this.#reduction(d, root);
        else for (const [slot, e] of d.results.entries()) this.#define(d, slot, pushForward(e, this.#leaf));
        return;
      }
      case "scan":
        this.#scan(d);
        return;
      case "scatter":
        this.#scatter(d);
    }
  }

  /** A map over fresh axes like d's. */
  #define(d: Definition, slot: number, value: TensorExpr | undefined): void {
    if (!value) return;
    const rename = new Map<Axis, Axis>();
    const axes = freshAxes(d.axes, rename);
    const made = mapDef(axes, [renameAxes(value, rename)], { name: `${d.name}_t`, span: d.span, epoch: d.epoch });
    this.set(d, slot, { tensor: this.#emit(made), slot: 0 });
  }

  #reduction(d: MapDef, r: Reduce): void {
    const tangents = r.values.map((v) => pushForward(v, this.#leaf));
    if (tangents.every((t) => t === undefined)) return;
    const own = (slot: number): TensorExpr => read(d, slot, refs(d.axes));
    const total = (value: TensorExpr): TensorExpr => {
      const dtype = value.dtype === "f16" ? "f32" : value.dtype;
      return cast(reduce(addMonoid(dtype), r.axes, [cast(value, dtype)]), value.dtype);
    };
    const where = (test: TensorExpr, t: TensorExpr): TensorExpr => apply("select", test, t, constant(t.dtype, 0));
    const prim = primitiveOf(r.monoid);
    if (prim === "add") this.#define(d, 0, reduce(r.monoid, r.axes, [tangents[0]!]));
    else if (prim === "max" || prim === "min") {
      const equal = apply("eq", r.values[0]!, own(0));
      const one = constant(d.types[0]!, 1);
      const count = this.#emit(mapDef(d.axes, [total(where(equal, one))], { name: `${d.name}_ties`, span: d.span }));
      const sum = this.#emit(
        mapDef(d.axes, [total(where(equal, tangents[0]!))], { name: `${d.name}_t`, span: d.span }),
      );
      this.#define(d, 0, apply("div", read(sum, 0, refs(d.axes)), read(count, 0, refs(d.axes))));
    } else if (picksByPosition(r)) {
      const same = r.monoid.slots
        .flatMap((t, s) => (isFloat(t) ? [] : [apply("eq", r.values[s]!, own(s)) as TensorExpr]))
        .reduce((a, b) => apply("and", a, b));
      for (const [slot, t] of tangents.entries()) this.#define(d, slot, t && total(where(same, t)));
    } else {
      const dual = dualMonoid(r.monoid);
      const values = [...r.values, ...floatSlots(r.monoid).map((s) => tangents[s] ?? constant(r.monoid.slots[s]!, 0))];
      const made = this.#emit(
        mapDef(
          d.axes,
          dual.slots.map((_, s) => reduce(dual, r.axes, values, s)),
          { name: `${d.name}_t`, span: d.span },
        ),
      );
      for (const [i, s] of floatSlots(r.monoid).entries())
        this.set(d, s, { tensor: made, slot: r.monoid.slots.length + i });
    }
  }

  #scan(d: ScanDef): void {
    const tangents = d.values.map((v) => pushForward(v, this.#leaf));
    if (tangents.every((t) => t === undefined)) return;
    const rename = new Map<Axis, Axis>();
    const axes = freshAxes(d.axes, rename);
    const along = rename.get(d.along)!;
    const values = d.values.map((v) => renameAxes(v, rename));
    const zero = (s: number): TensorExpr => constant(d.types[s]!, 0);
    const moved = tangents.map((t, s) => (t ? renameAxes(t, rename) : zero(s)));
    const o = { name: `${d.name}_t`, span: d.span, epoch: d.epoch };
    if (primitiveOf(d.monoid) === "add") {
      this.set(d, 0, { tensor: this.#emit(scanDef(axes, along, d.monoid, [moved[0]!], o)), slot: 0 });
      return;
    }
    const floats = floatSlots(d.monoid);
    const made = this.#emit(
      scanDef(axes, along, dualMonoid(d.monoid), [...values, ...floats.map((s) => moved[s]!)], o),
    );
    for (const [i, s] of floats.entries()) this.set(d, s, { tensor: made, slot: d.monoid.slots.length + i });
  }

  #scatter(d: ScatterDef): void {
    const prim = d.monoid === "set" ? "set" : primitiveOf(d.monoid);
    d.values.forEach((v, slot) => {
      const t = pushForward(v, this.#leaf);
      const start = d.into?.[slot];
      const into = start && this.#tangents.get(start.tensor)?.[start.slot];
      if (!t && !into) return;
      const dtype = d.types[slot]!;
      const zero = constant(dtype, 0);
      if (prim === "add" || prim === "set") {
        const base = d.into ? [into ?? this.tangentOrZero(start!)] : undefined;
        const rename = new Map<Axis, Axis>();
        const [axes, domain] = [freshAxes(d.axes, rename), freshAxes(d.domain, rename)];
        const monoid = d.monoid === "set" ? "set" : addMonoid(dtype);
        const made = scatterDef(
          axes,
          monoid,
          domain,
          d.at.map((e) => renameAxes(e, rename)),
          [renameAxes(t ?? zero, rename)],
          [zero],
          base,
          { name: `${d.name}_t`, span: d.span, epoch: d.epoch },
        );
        this.set(d, slot, { tensor: this.#emit(made), slot: 0 });
      } else if (prim === "max" || prim === "min") {
        const equal = apply("eq", v, read(d, slot, d.at, constant(dtype, Number.NaN)));
        const where = (x: TensorExpr): TensorExpr => apply("select", equal, x, zero);
        const o = { name: `${d.name}_t`, span: d.span };
        const hits = this.#emit(
          scatterDef(d.axes, addMonoid(dtype), d.domain, d.at, [where(constant(dtype, 1))], [zero], undefined, o),
        );
        const sum = this.#emit(
          scatterDef(d.axes, addMonoid(dtype), d.domain, d.at, [where(t ?? zero)], [zero], undefined, o),
        );
        const whole = refs(d.axes);
        let [n, total]: [TensorExpr, TensorExpr] = [read(hits, 0, whole), read(sum, 0, whole)];
        if (start) {
          const stays = apply("eq", read(start.tensor, start.slot, whole), read(d, slot, whole));
          n = apply("add", n, apply("select", stays, constant(dtype, 1), zero));
          if (into) total = apply("add", total, apply("select", stays, read(into.tensor, into.slot, whole), zero));
        }
        this.#define(d, slot, apply("div", total, apply("max", n, constant(dtype, 1))));
      } else throw new NotDifferentiable(d, "a scatter by this operation");
    });
  }
}

function floatSlots(m: Monoid): number[] {
  return m.slots.flatMap((t, s) => (isFloat(t) ? [s] : []));
}

const duals = new WeakMap<Monoid, Monoid>();

/** (values…, tangents of the float slots…): combining differentiates the combination. */
function dualMonoid(m: Monoid): Monoid {
  const old = duals.get(m);
  if (old) return old;
  const n = m.slots.length;
  const floats = floatSlots(m);
  const width = n + floats.length;
  const slots = [...m.slots, ...floats.map((s) => m.slots[s]!)];
  // A body's arg(0…n-1) and arg(n…2n-1) move to the wider tuples.
  const place = (index: number): number => (index < n ? index : index - n + width);
  const moved = new Map<TensorExpr, TensorExpr>();
  const widen = (e: TensorExpr): TensorExpr => {
    const found = moved.get(e);
    if (found) return found;
    const made = e.kind === "arg" ? arg(place(e.index), e.dtype) : mapChildren(e, widen);
    moved.set(e, made);
    return made;
  };
  const tangent = (leaf: TensorExpr): TensorExpr | undefined => {
    if (leaf.kind !== "arg") return undefined;
    const right = leaf.index >= width;
    const slot = right ? leaf.index - width : leaf.index;
    const at = floats.indexOf(slot);
    return at < 0 ? undefined : arg((right ? width : 0) + n + at, leaf.dtype);
  };
  const values = m.combine.map(widen);
  const made: Monoid = {
    name: `dual_${m.name}`,
    slots,
    identity: [...m.identity, ...floats.map((s) => constant(m.slots[s]!, 0))],
    combine: [...values, ...floats.map((s) => pushForward(values[s]!, tangent) ?? constant(m.slots[s]!, 0))],
    commutative: m.commutative,
    exact: false,
  };
  duals.set(m, made);
  return made;
}
