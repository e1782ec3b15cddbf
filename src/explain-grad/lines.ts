/** The gradient program as lines to read: values in normal form, small ones inlined into their readers, the rest in order. */
import { isFloat } from "../../ir/dtype.ts";
import { ONE } from "../../ir/extent.ts";
import {
  type Axis,
  apply,
  axisRef,
  constant,
  type Definition,
  expressionsOf,
  type MapDef,
  mapDef,
  type Program,
  read,
  type ScatterDef,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { isAddition } from "../passes/hoist.ts";
import { readThrough, substitute } from "../passes/inline.ts";
import {
  axesIn,
  countNodes,
  definitionsOf,
  freshAxes,
  hasReduce,
  mapReads,
  readsIn,
  renameAxes,
} from "../passes/rewrite.ts";
import { Algebra } from "./algebra.ts";
import { named, type Pattern } from "./match.ts";
import { isIndicator, isSum, type Product } from "./product.ts";

export interface Line {
  readonly definition: Definition;
  /** A map of one result, which `values[0]` gives. */
  readonly isSimple: boolean;
  /** Its expressions in normal form over its axes, in the order of `expressionsOf`. */
  values: readonly TensorExpr[];
  readonly isForward: boolean;
  /** It has a name in the source, or it is a result. */
  readonly isNamed: boolean;
}

export interface LineOptions {
  /** The definitions of the forward pass. */
  readonly forward: ReadonlySet<Definition>;
  /** It has a name that a reader knows: it keeps its line. */
  readonly isNamed: (d: Definition) => boolean;
}

/** How many nodes a line may grow to when others are inlined into it. */
const MOST_NODES = 80;

const MOST_ROUNDS = 50;

export function linesOf(p: Program, o: LineOptions): Line[] {
  const algebra = new Algebra(p);
  const results = new Set(p.results.map((r) => r.tensor));
  const lines = definitionsOf(p).map((d): Line => {
    const made = d.kind === "scatter" ? asGather(d) : d;
    const isSimple = made.kind === "map" && made.results.length === 1;
    return {
      definition: d,
      isSimple,
      values: (isSimple ? [onAxes(made, d.axes)] : expressionsOf(d)).map((e) => algebra.tidy(e)),
      isForward: o.forward.has(d),
      isNamed: results.has(d) || o.isNamed(d),
    };
  });
  const state = new Tidying(lines, algebra, results);
  for (let round = 0; round < MOST_ROUNDS && state.step(); round++);
  state.nameBackward();
  return state.live();
}

function onAxes(d: MapDef, axes: readonly Axis[]): TensorExpr {
  return substitute(d.results[0]!, new Map(d.axes.map((a, i) => [a, axisRef(axes[i]!)])));
}

/** Contributions whose place is known but for an index from data: `z[n, t[n]] += g` is `k == t[n] ? g : 0`. */
function asGather(d: ScatterDef): Definition {
  if (d.monoid === "set" || d.into || d.values.length !== 1 || !isFloat(d.types[0]!) || d.initial[0]?.value !== 0)
    return d;
  if (d.monoid.combine.length !== 1 || !isAddition({ monoid: d.monoid })) return d;
  const solved = new Map<Axis, TensorExpr>();
  const axes = freshAxes(d.axes, new Map());
  const tests: TensorExpr[] = [];
  d.at.forEach((e, i) => {
    if (e.kind === "axis" && !solved.has(e.axis) && e.axis.extent === axes[i]!.extent)
      solved.set(e.axis, axisRef(axes[i]!));
    else tests.push(apply("eq", axisRef(axes[i]!), e));
  });
  if (!d.domain.every((a) => solved.has(a))) return d;
  const test = tests.reduce<TensorExpr | undefined>((a, b) => (a ? apply("and", a, b) : b), undefined);
  const value = test ? apply("select", test, d.values[0]!, constant(d.types[0]!, 0)) : d.values[0]!;
  return mapDef(axes, [substitute(value, solved)], { name: d.name, span: d.span });
}

class Tidying {
  readonly #lines: Line[];
  readonly #algebra: Algebra;
  readonly #results: ReadonlySet<Definition>;

  constructor(lines: Line[], algebra: Algebra, results: ReadonlySet<Definition>) {
    this.#lines = lines;
    this.#algebra = algebra;
    this.#results = results;
  }

  /** Lines that a result needs. */
  live(): Line[] {
    const needed = new Set<Definition>(this.#results);
    const kept: Line[] = [];
    for (const l of [...this.#lines].reverse()) {
      if (!needed.has(l.definition)) continue;
      for (const r of readsOfLine(l)) needed.add(r);
      kept.push(l);
    }
    return kept.reverse();
  }

  /** One round of naming and inlining; false if nothing changed. What the forward pass names is looked for before it goes. */
  step(): boolean {
    let changed = this.#merge();
    changed = this.#name() || changed;
    changed = this.#inlineAll((l) => !l.isForward || isTrivial(this.#algebra.product(l.values[0]!))) || changed;
    return changed || this.#inlineAll(() => true);
  }

  #inlineAll(eligible: (l: Line) => boolean): boolean {
    let changed = false;
    const live = this.live();
    for (const l of live) {
      const readers = live.filter((r) => readsOfLine(r).has(l.definition));
      if (!this.#canInline(l, readers) || !eligible(l)) continue;
      for (const r of readers) this.#replace(r, l, l.values[0]!);
      changed = true;
    }
    return changed;
  }

  /** Equal lines become one. */
  #merge(): boolean {
    const seen = new Map<string, Line>();
    let changed = false;
    for (const l of this.live()) {
      if (!l.isSimple) continue;
      const position = new Map(l.definition.axes.map((a, i) => [a, this.#position(i, a)]));
      const key = `${l.definition.axes.map((a) => a.extent.text)}|${this.#algebra.tidy(renameAxes(l.values[0]!, position)).id}`;
      const old = seen.get(key);
      if (!old) seen.set(key, l);
      else if (!this.#results.has(l.definition) && isBetter(old, l)) {
        for (const r of this.#lines)
          if (readsOfLine(r).has(l.definition)) {
            this.#replace(r, l, read(old.definition, 0, l.definition.axes.map(axisRef)));
            changed = true;
          }
      }
    }
    return changed;
  }

  /** Puts a value in place of a line's in one of its readers. */
  #replace(reader: Line, l: Line, value: TensorExpr): void {
    reader.values = reader.values.map((e) => this.#algebra.tidy(inlined(e, l.definition, value)));
  }

  readonly #positions = new Map<string, Axis>();
  #position(i: number, a: Axis): Axis {
    const key = `${i}:${a.extent.text}`;
    const made = this.#positions.get(key) ?? freshAxes([a], new Map())[0]!;
    this.#positions.set(key, made);
    return made;
  }

  /** Values that an earlier line of the forward pass computes are read from it. */
  #name(backward = false): boolean {
    let changed = false;
    const patterns: Pattern[] = [];
    for (const l of this.live()) {
      if (!l.isSimple) continue;
      const [value] = l.values as [TensorExpr];
      const made = this.#algebra.tidy(named(value, patterns, this.#algebra));
      if (made !== value && countNodes([made]) <= countNodes([value])) {
        l.values = [made];
        changed = true;
      }
      if (!isFloat(value.dtype)) continue;
      const product = this.#algebra.product(l.values[0]!);
      if ((l.isForward || backward) && isPattern(product, l.definition))
        patterns.unshift({ definition: l.definition, product });
    }
    return changed;
  }

  /** At the end cotangents too may stand for what repeats them. */
  nameBackward(): void {
    this.#name(true);
  }

  #canInline(l: Line, readers: readonly Line[]): boolean {
    const [value] = l.values;
    if (!value || !l.isSimple || !isFloat(value.dtype) || this.#results.has(l.definition)) return false;
    if (
      readers.some((r) => r.definition.kind === "scatter" && r.definition.into?.some((t) => t.tensor === l.definition))
    )
      return false;
    const product = this.#algebra.product(value);
    if (isTrivial(product)) return !l.isNamed || product.factors.size === 0;
    const [reader] = readers;
    const [into] = reader?.values ?? [];
    if (!reader?.isSimple || !into || readers.length !== 1) return false;
    if (isWholeRead(into, l.definition)) return !l.isNamed || this.#results.has(reader.definition);
    const places = placesOf(into, l.definition);
    if (l.isNamed || countNodes([value]) + countNodes([into]) > MOST_NODES) return false;
    if (!hasReduce(value)) return places.inSum === 0 || isMonomial(product);
    if (places.inSum > 0 || places.count > 1) return false;
    return l.definition.axes.length < reader.definition.axes.length || (l.isForward ? !places.inSelect : places.isTerm);
  }
}

/** Of two equal lines, can the first stand for the second? */
function isBetter(first: Line, second: Line): boolean {
  return first.isForward || !second.isForward;
}

function readsOfLine(l: Line): Set<Definition> {
  const found = new Set<Definition>();
  for (const e of l.values) for (const r of readsIn(e)) found.add(r.tensor);
  const d = l.definition;
  if (d.kind === "scatter") for (const r of d.into ?? []) found.add(r.tensor);
  return found;
}

/** An expression with a definition's value in place of its reads. Bound axes are made anew, so that none is captured. */
function inlined(reader: TensorExpr, d: Definition, value: TensorExpr): TensorExpr {
  return mapReads(reader, (r) =>
    r.tensor === d ? readThrough(renameAxes(value, boundAnew(value)), d.axes, r.at, r.fill) : r,
  );
}

function boundAnew(e: TensorExpr): Map<Axis, Axis> {
  const to = new Map<Axis, Axis>();
  const go = (x: TensorExpr): void => {
    if (x.kind === "reduce") freshAxes(x.axes, to);
    const children = x.kind === "apply" ? x.args : x.kind === "read" ? x.at : x.kind === "reduce" ? x.values : [];
    children.forEach(go);
  };
  go(e);
  return to;
}

/** A constant, or a coefficient times one read or one size: nothing that is worth a name. */
function isTrivial(p: Product): boolean {
  const factors = [...p.factors];
  const reads = factors.filter(([e]) => e.kind === "read");
  return reads.length <= 1 && factors.every(([e, n]) => (e.kind === "read" ? n === 1 : isSize(e)));
}
function isSize(e: TensorExpr): boolean {
  return e.kind === "apply" && e.prim === "cast" && e.args[0]?.kind === "size";
}

function isMonomial(p: Product): boolean {
  return [...p.factors.keys()].every((e) => e.kind === "read" || isSize(e));
}

/** Worth looking for: more than a read, and found by what it reads along all of its axes. */
function isPattern(p: Product, d: Definition): boolean {
  const atoms = [...p.factors.keys()];
  if (isTrivial(p)) return false;
  const seen = new Set(atoms.flatMap((e) => [...axesIn(e)]));
  return d.axes.every((a) => seen.has(a) || a.extent === ONE) && !atoms.every((e) => isIndicator(e));
}

function isWholeRead(e: TensorExpr, d: Definition): boolean {
  return (
    e.kind === "read" && e.tensor === d && new Set(e.at).size === e.at.length && e.at.every((x) => x.kind === "axis")
  );
}

interface Places {
  count: number;
  /** Inside reductions. */
  inSum: number;
  inSelect: boolean;
  /** A term or a factor of the outermost sum of products. */
  isTerm: boolean;
}

function placesOf(e: TensorExpr, d: Definition): Places {
  const places: Places = { count: 0, inSum: 0, inSelect: false, isTerm: true };
  const go = (x: TensorExpr, inSum: boolean, inSelect: boolean, isTerm: boolean): void => {
    if (x.kind === "read" && x.tensor === d) {
      places.count++;
      if (inSum) places.inSum++;
      places.inSelect ||= inSelect;
      places.isTerm &&= isTerm;
    }
    if (x.kind === "apply") {
      const linear = isSum(x) || (x.prim === "mul" && !isGuarded(x));
      for (const c of x.args) go(c, inSum, inSelect || x.prim === "select", isTerm && linear);
    } else if (x.kind === "read") for (const c of x.at) go(c, inSum, inSelect, false);
    else if (x.kind === "reduce") for (const c of x.values) go(c, true, inSelect, false);
  };
  go(e, false, false, true);
  return places;
}

/** A product with a condition among its factors. */
function isGuarded(e: TensorExpr): boolean {
  return e.kind === "apply" && (isIndicator(e) || (e.prim === "mul" && e.args.some(isGuarded)));
}
