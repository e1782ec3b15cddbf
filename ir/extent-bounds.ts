/** What can be said of an extent for every size its symbols can have: bounds, signs, order. */
import {
  addExtent,
  type Extent,
  extentOf,
  mulExtent,
  negExtent,
  ONE,
  type SizeAtom,
  subExtent,
  type Term,
  ZERO,
} from "./polynomial.ts";

export type Order = "lt" | "le" | "eq" | "ge" | "gt" | "unknown";

/** What can be said of a and b for every non-negative value of the symbols. */
export function compareExtent(a: Extent, b: Extent): Order {
  if (a === b) return "eq";
  const d = subExtent(b, a);
  if (d.value !== undefined) return d.value > 0 ? "lt" : d.value < 0 ? "gt" : "eq";
  const low = lowerBound(d);
  if (low !== undefined && low >= 0) return low > 0 ? "lt" : "le";
  const high = upperBound(d);
  if (high !== undefined && high <= 0) return high < 0 ? "gt" : "ge";
  return "unknown";
}

export type Proof = "proved" | "refuted" | "unknown";

/** Is e >= 0 for every value of the symbols that satisfies `atLeast` (symbol → smallest value, default 0)? */
export function proveNonNegative(e: Extent, atLeast: ReadonlyMap<string, number> = ANY_SIZE): Proof {
  const low = lowerBound(e, atLeast);
  if (low !== undefined && low >= 0) return "proved";
  const high = upperBound(e, atLeast);
  if (high !== undefined && high < 0) return "refuted";
  return "unknown";
}

/** How many relaxations one question may take: each is a substitution, and they nest. What is not proved by then is unknown. */
const EFFORT = 64;
let effort = 0;

const ANY_SIZE: ReadonlyMap<string, number> = new Map();
/** Of whole questions without assumptions, which are asked again and again. */
const lowerBounds = new Map<Extent, number | undefined>();

/** A number that e never falls below, or undefined. */
export function lowerBound(e: Extent, atLeast: ReadonlyMap<string, number> = ANY_SIZE): number | undefined {
  if (e.value !== undefined) return e.value;
  if (effort > 0) return boundWithin(e, atLeast);
  const plain = atLeast.size === 0;
  if (plain && lowerBounds.has(e)) return lowerBounds.get(e);
  effort = EFFORT;
  try {
    const found = boundWithin(e, atLeast);
    if (plain) lowerBounds.set(e, found);
    return found;
  } finally {
    effort = 0;
  }
}

function boundWithin(e: Extent, atLeast: ReadonlyMap<string, number>): number | undefined {
  let simple = 0;
  let known = true;
  for (const t of e.terms) {
    const r = termRange(t, atLeast);
    if (r[0] === -Infinity) {
      known = false;
      break;
    }
    simple += r[0];
  }
  if (known && (simple >= 0 || e.terms.every((t) => t.atoms.every((a) => a.kind === "symbol")))) return simple;
  // Multiply out one floor division by a positive constant: c·(p div k) lies between c·(p-k+1)/k and c·p/k.
  const better = bounded(() => relaxed(e, atLeast, "low"));
  return known ? Math.max(simple, better ?? simple) : better;
}

/** Relaxing multiplies terms, so a proof gets so many steps; what needs more is unknown. */
const PROOF_STEPS = 12;
const PROOF_TERMS = 16;
const PROOF_TEXT = 400;
let stepsLeft = 0;
let proving = false;

function bounded(search: () => number | undefined): number | undefined {
  if (proving) return stepsLeft-- > 0 ? search() : undefined;
  proving = true;
  stepsLeft = PROOF_STEPS;
  try {
    return search();
  } finally {
    proving = false;
  }
}

export function upperBound(e: Extent, atLeast: ReadonlyMap<string, number> = ANY_SIZE): number | undefined {
  const low = lowerBound(negExtent(e), atLeast);
  return low === undefined ? undefined : low === 0 ? 0 : -low;
}

function relaxed(e: Extent, atLeast: ReadonlyMap<string, number>, _side: "low"): number | undefined {
  if (e.terms.length > PROOF_TERMS || e.text.length > PROOF_TEXT) return undefined;
  for (const t of e.terms) {
    for (let i = 0; i < t.atoms.length; i++) {
      const a = t.atoms[i];
      if (!a || a.kind === "symbol") continue;
      if (effort <= 1) return undefined;
      effort--;
      const others = extentOf([{ coefficient: t.coefficient, atoms: t.atoms.filter((_, j) => j !== i) }]);
      const rest = subExtent(e, extentOf([t]));
      const sign = othersSign(others, atLeast);
      if (sign === 0) continue;
      if (a.kind === "div" && proveNonNegative(subExtent(a.right, ONE), atLeast) === "proved") {
        // k·(p div k): from p - k + 1 to p. Scale the whole by k, which is positive.
        const scaledRest = mulExtent(rest, a.right);
        const bound = sign > 0 ? addExtent(subExtent(a.left, a.right), ONE) : a.left;
        const whole = addExtent(scaledRest, mulExtent(others, bound));
        const low = lowerBound(whole, atLeast);
        if (low === undefined) continue;
        // e ≥ low / k; for k symbolic only the sign is known.
        if (a.right.value !== undefined) return Math.ceil(low / a.right.value);
        // k·e > -k implies e > -1, so e ≥ 0.
        const shifted = lowerBound(addExtent(whole, subExtent(a.right, ONE)), atLeast);
        if (low >= 0 || (shifted !== undefined && shifted >= 0)) return 0;
        continue;
      }
      if ((a.kind === "min" && sign < 0) || (a.kind === "max" && sign > 0)) {
        // Either side bounds it.
        const lows = [a.left, a.right].map((side) => lowerBound(addExtent(rest, mulExtent(others, side)), atLeast));
        const best = Math.max(...lows.map((low) => low ?? Number.NEGATIVE_INFINITY));
        if (best !== Number.NEGATIVE_INFINITY) return best;
      } else if (a.kind === "min" || a.kind === "max") {
        const l = lowerBound(addExtent(rest, mulExtent(others, a.left)), atLeast);
        const r = lowerBound(addExtent(rest, mulExtent(others, a.right)), atLeast);
        if (l !== undefined && r !== undefined) return Math.min(l, r);
      } else if (a.kind === "mod" && proveNonNegative(subExtent(a.right, ONE), atLeast) === "proved") {
        const bound = sign > 0 ? ZERO : subExtent(a.right, ONE);
        const low = lowerBound(addExtent(rest, mulExtent(others, bound)), atLeast);
        if (low !== undefined) return low;
      }
    }
  }
  return undefined;
}

function othersSign(e: Extent, atLeast: ReadonlyMap<string, number>): -1 | 0 | 1 {
  let sign = 1;
  for (const t of e.terms) {
    sign = t.coefficient < 0 ? -1 : 1;
    for (const a of t.atoms) if (atomRange(a, atLeast)[0] < 0) return 0;
  }
  return sign as -1 | 1;
}

function termRange(t: Term, atLeast: ReadonlyMap<string, number>): readonly [number, number] {
  let low = 1;
  let high = 1;
  for (const a of t.atoms) {
    const r = atomRange(a, atLeast);
    const products = [mul(low, r[0]), mul(low, r[1]), mul(high, r[0]), mul(high, r[1])];
    low = Math.min(...products);
    high = Math.max(...products);
  }
  const c = t.coefficient;
  return c >= 0 ? [mul(c, low), mul(c, high)] : [mul(c, high), mul(c, low)];
}

function mul(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b;
}

function atomRange(a: SizeAtom, atLeast: ReadonlyMap<string, number>): readonly [number, number] {
  if (a.kind === "symbol") return [atLeast.get(a.name) ?? 0, Infinity];
  const l: readonly [number, number] = [lowerBound(a.left, atLeast) ?? -Infinity, upperBoundOf(a.left, atLeast)];
  const r: readonly [number, number] = [lowerBound(a.right, atLeast) ?? -Infinity, upperBoundOf(a.right, atLeast)];
  switch (a.kind) {
    case "div":
      if (r[0] < 1) return [-Infinity, Infinity];
      return [
        l[0] >= 0 ? (r[1] === Infinity ? 0 : Math.floor(l[0] / r[1])) : Math.floor(l[0] / r[0]),
        l[1] === Infinity ? Infinity : Math.floor(l[1] / (l[1] >= 0 ? r[0] : r[1])),
      ];
    case "mod":
      return r[0] < 1 ? [-Infinity, Infinity] : [0, r[1] - 1];
    case "min":
      return [Math.min(l[0], r[0]), Math.min(l[1], r[1])];
    case "max":
      return [Math.max(l[0], r[0]), Math.max(l[1], r[1])];
  }
}
function upperBoundOf(e: Extent, atLeast: ReadonlyMap<string, number>): number {
  if (e.value !== undefined) return e.value;
  let sum = 0;
  for (const t of e.terms) {
    sum += termRange(t, atLeast)[1];
  }
  return sum;
}
