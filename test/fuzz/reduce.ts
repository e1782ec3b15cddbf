/**
 * Makes a failing case small: greedily drops results, steps and inputs, shrinks extents, replaces subexpressions by their parts or
 * by constants and data by zeros, as long as the case stays valid and fails in the same manner.
 */
import { evaluateExtent, size } from "../../ir/extent.ts";
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import {
  childrenOf,
  constant,
  type Definition,
  expressionsOf,
  mapDef,
  type Program,
  type TensorExpr,
} from "../../ir/tensor.ts";
import type { Case } from "./case.ts";
import { isValid } from "./check.ts";
import { binding, type Edit, rebuild } from "./rebuild.ts";

export interface ReduceOptions {
  /** Milliseconds after which the smallest case so far is returned. */
  readonly limit: number;
}

/** The smallest case found that still fails. `fails` is asked about valid cases only; an exception of its own is none. */
export async function reduceCase(c: Case, fails: (c: Case) => Promise<boolean>, o: ReduceOptions): Promise<Case> {
  const end = performance.now() + o.limit;
  let best = c;
  for (let changed = true; changed; ) {
    changed = false;
    for (const pass of PASSES) {
      // A pass starts anew after each success, at the place where it succeeded.
      for (let skip = 0; performance.now() < end; ) {
        const next = nth(pass(best), skip);
        if (!next) break;
        const made = attempt(next);
        if (made && isValid(made) && (await fails(made))) {
          best = made;
          changed = true;
        } else skip++;
      }
    }
    if (performance.now() >= end) break;
  }
  return best;
}

type Candidate = () => Case;

function nth(list: Iterable<Candidate>, n: number): Candidate | undefined {
  let i = 0;
  for (const c of list) if (i++ === n) return c;
  return undefined;
}

function attempt(make: Candidate): Case | undefined {
  try {
    return make();
  } catch {
    // An edit that leaves no program, such as one that drops what is needed.
    return undefined;
  }
}

const PASSES: readonly ((c: Case) => Iterable<Candidate>)[] = [
  dropResults,
  cutSteps,
  dropInputs,
  shrinkSizes,
  specialiseSizes,
  shrinkExtents,
  replaceExpressions,
  dropSlots,
  plainData,
];

function edited(
  c: Case,
  edit: Edit,
  sizes: ReadonlyMap<string, number> = c.sizes,
  more: ReadonlyMap<string, ArrayInput> = new Map(),
): Case {
  const program = rebuild(c.program, edit);
  return fitted({ ...c, program, sizes, inputs: new Map([...c.inputs, ...more]) });
}

/** Inputs cut to the leading block of the new shapes. */
function fitted(c: Case): Case {
  const inputs = new Map<string, ArrayInput>();
  for (const d of c.program.inputs) {
    const shape = d.axes.map((a) => evaluateExtent(a.extent, c.sizes));
    const old = c.inputs.get(d.name);
    if (!old) throw new RangeError(`no data for ${d.name}`);
    inputs.set(d.name, block(old, shape));
  }
  return { ...c, inputs };
}

function block(a: ArrayInput, shape: readonly number[]): ArrayInput {
  if (shape.join() === a.shape.join()) return a;
  const count = shape.reduce((p, n) => p * n, 1);
  const data = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let [rest, at, stride, inside] = [i, 0, 1, true];
    for (let k = shape.length - 1; k >= 0; k--) {
      const x = rest % shape[k]!;
      rest = (rest - x) / shape[k]!;
      at += x * stride;
      stride *= a.shape[k]!;
      if (x >= a.shape[k]!) inside = false;
    }
    data[i] = inside ? (a.data[at] ?? 0) : 0;
  }
  return { shape, data };
}

function* dropResults(c: Case): Iterable<Candidate> {
  const n = c.program.results.length;
  if (n < 2) return;
  for (let i = 0; i < n; i++) yield () => edited(c, { results: new Set([i]) });
  for (let i = 0; i < n; i++) yield () => edited(c, { results: new Set([...Array(n).keys()].filter((k) => k !== i)) });
}

/** A definition becomes an input that holds what it computed. */
function* cutSteps(c: Case): Iterable<Candidate> {
  for (const d of c.program.steps.toReversed()) {
    if (d.kind === "loop" || d.types.length !== 1 || c.program.results.some((r) => r.tensor === d)) continue;
    yield () => {
      const probe: Program = { ...c.program, results: [{ name: d.name, tensor: d, slot: 0 }] };
      const [value] = interpret(probe, c.inputs, { sizes: c.sizes });
      if (!value || c.inputs.has(d.name)) throw new RangeError(`no value of ${d.name}`);
      return edited(c, { cut: new Set([d]) }, c.sizes, new Map([[d.name, value]]));
    };
  }
}

function* dropInputs(c: Case): Iterable<Candidate> {
  for (const d of c.program.inputs) {
    yield () => edited(c, { without: new Set([d]) });
  }
}

function smaller(n: number): number[] {
  return [...new Set([1, 2, n >> 1, n - 1])].filter((m) => m < n && m >= 0);
}

function* shrinkSizes(c: Case): Iterable<Candidate> {
  for (const [name, n] of c.sizes)
    for (const m of smaller(n)) yield () => edited(c, {}, new Map([...c.sizes, [name, m]]));
}

function* specialiseSizes(c: Case): Iterable<Candidate> {
  const all = new Map([...c.sizes].map(([n, v]) => [n, size(v)] as const));
  if (all.size === 0) return;
  yield () => edited(c, { extent: binding(all) }, new Map());
  for (const [n, v] of all)
    yield () => edited(c, { extent: binding(new Map([[n, v]])) }, new Map([...c.sizes].filter(([k]) => k !== n)));
}

function* shrinkExtents(c: Case): Iterable<Candidate> {
  const values = new Set<number>();
  for (const d of definitions(c.program)) {
    for (const a of [...d.axes, ...(d.kind === "scatter" ? d.domain : [])])
      if (a.extent.value !== undefined) values.add(a.extent.value);
    for (const e of nodesOf(d))
      if (e.kind === "reduce") for (const a of e.axes) if (a.extent.value !== undefined) values.add(a.extent.value);
  }
  for (const v of values)
    for (const m of smaller(v)) yield () => edited(c, { extent: (e) => (e.value === v ? size(m) : e) });
}

function definitions(p: Program): Definition[] {
  return [...p.inputs, ...p.steps.filter((s) => s.kind !== "loop")];
}

/** Every expression of a definition once, larger ones before their parts. */
function nodesOf(d: Definition): TensorExpr[] {
  const seen = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    for (const x of childrenOf(e)) go(x);
  };
  for (const e of expressionsOf(d)) go(e);
  return [...seen];
}

function* replaceExpressions(c: Case): Iterable<Candidate> {
  const seen = new Set<TensorExpr>();
  for (const d of c.program.steps.toReversed()) {
    if (d.kind === "loop") continue;
    for (const e of nodesOf(d)) {
      if (seen.has(e) || e.kind === "const") continue;
      seen.add(e);
      const parts = e.kind === "apply" ? childrenOf(e).filter((x) => x.dtype === e.dtype) : [];
      const others: TensorExpr[] = [constant(e.dtype, 0), constant(e.dtype, 1), ...parts];
      if (e.kind === "size") others.pop();
      for (const other of new Set(others)) yield () => edited(c, { replace: new Map([[e, other]]) });
      if (e.kind === "read" && e.at.length > 0 && e.fill)
        for (const i of e.at)
          if (i.kind !== "const") yield () => edited(c, { replace: new Map([[i, constant("i32", 0)]]) });
    }
  }
}

/** A map of several results loses those that are not read. */
function* dropSlots(c: Case): Iterable<Candidate> {
  for (const d of c.program.steps) {
    if (d.kind !== "map" || d.results.length < 2) continue;
    for (const [slot, e] of d.results.entries())
      yield () => {
        if (c.program.steps.at(-1) !== d) throw new RangeError("only of the last step");
        const made = mapDef(d.axes, [e], { name: d.name });
        const results = c.program.results.flatMap((r) =>
          r.tensor !== d ? [r] : r.slot === slot ? [{ ...r, tensor: made, slot: 0 }] : [],
        );
        return edited({ ...c, program: { ...c.program, steps: [...c.program.steps.slice(0, -1), made], results } }, {});
      };
  }
}

function* plainData(c: Case): Iterable<Candidate> {
  for (const [name, a] of c.inputs) {
    const list = Array.from(a.data);
    for (const plain of [
      list.map(() => 0),
      list.map(() => 1),
      list.map((v) => (Number.isFinite(v) ? Math.round(v) : v)),
    ]) {
      if (plain.every((v, i) => Object.is(v, list[i]))) break;
      yield () => ({ ...c, inputs: new Map([...c.inputs, [name, { shape: a.shape, data: plain }]]) });
    }
    for (const [i, v] of list.entries())
      if (!Object.is(v, 0) && list.length <= 64)
        yield () => ({ ...c, inputs: new Map([...c.inputs, [name, { shape: a.shape, data: list.with(i, 0) }]]) });
  }
}

/** How large a case is: expressions, definitions and elements. */
export function sizeOfCase(c: Case): number {
  const nodes = c.program.steps.reduce((n, s) => n + (s.kind === "loop" ? 0 : nodesOf(s).length), 0);
  return nodes + definitions(c.program).length + [...c.inputs.values()].reduce((n, a) => n + a.data.length, 0);
}
