/** Proofs that an extent is at least 0, from facts and from axes that are not empty. */
import {
  addExtent,
  type Extent,
  extentOf,
  lowerBound,
  mulExtent,
  negExtent,
  ONE,
  type Proof,
  proveNonNegative,
  type SizeAtom,
  type SizeAtomOp,
  subExtent,
  type Term,
  ZERO,
} from "./extent.ts";

/** What proofs may use. */
export interface Knowledge {
  /** Extents that are at least 0. */
  readonly known: readonly Extent[];
  /** Symbols with more than 0 as their least value. */
  readonly atLeast: ReadonlyMap<string, number>;
  /** Something is both empty and not: this place is never evaluated, so anything holds. */
  readonly vacuous: boolean;
  readonly proofs: Map<Extent, Proof>;
}

/** From extents that are at least 0 (facts), and extents of axes that are not empty. */
export function knowledge(nonNegative: readonly Extent[], nonEmpty: readonly Extent[]): Knowledge {
  const known = new Set<Extent>(nonNegative);
  const atLeast = new Map<string, number>();
  let vacuous = false;
  const positive = (e: Extent): void => {
    if (e.value !== undefined) {
      vacuous ||= e.value < 1;
      return;
    }
    known.add(subExtent(e, ONE));
    const [t] = e.terms;
    if (!t || e.terms.length > 1 || t.coefficient < 1) return;
    const [atom] = t.atoms;
    if (t.atoms.every((a) => a.kind === "symbol")) for (const a of t.atoms) raise(atLeast, a, 1);
    if (!atom || t.atoms.length > 1 || t.coefficient !== 1 || atom.kind === "symbol") return;
    if (atom.kind === "min") {
      positive(atom.left);
      positive(atom.right);
    } else if (atom.kind === "max") {
      // max(0, n) is not 0, so it is n.
      const rest = atMostZero(atom.left) ? atom.right : atMostZero(atom.right) ? atom.left : undefined;
      if (!rest) return;
      known.add(subExtent(rest, e));
      known.add(subExtent(e, rest));
      positive(rest);
    } else if (atom.kind === "div" && (atom.right.value ?? 0) > 0)
      positive(addExtent(subExtent(atom.left, atom.right), ONE));
  };
  for (const e of nonEmpty) positive(e);
  for (const k of known) {
    const [t, c] = k.terms;
    const [atom] = t?.atoms ?? [];
    const lone =
      t?.coefficient === 1 && t.atoms.length === 1 && k.terms.length <= 2 && (c === undefined || c.atoms.length === 0);
    if (lone && atom) raise(atLeast, atom, -(c?.coefficient ?? 0));
  }
  return { known: [...known], atLeast, vacuous, proofs: new Map() };
}

function raise(atLeast: Map<string, number>, atom: SizeAtom, value: number): void {
  if (atom.kind === "symbol") atLeast.set(atom.name, Math.max(atLeast.get(atom.name) ?? 0, value));
}
function atMostZero(e: Extent): boolean {
  return proveNonNegative(negExtent(e)) === "proved";
}

/** Is e at least 0? "refuted": it is surely negative. */
export function prove(e: Extent, k: Knowledge): Proof {
  if (k.vacuous) return "proved";
  const old = k.proofs.get(e);
  if (old) return old;
  const plain = proveNonNegative(e, k.atLeast);
  const made = plain !== "unknown" ? plain : provable(e, k, 3) ? "proved" : "unknown";
  k.proofs.set(e, made);
  return made;
}

/** How deep a proof may go: each step opens one atom or uses one fact. */
function provable(e: Extent, k: Knowledge, depth: number): boolean {
  const low = lowerBound(e, k.atLeast);
  if (low !== undefined && low >= 0) return true;
  if (depth === 0) return false;
  for (const t of e.terms)
    for (let i = 0; i < t.atoms.length; i++) {
      const atom = t.atoms[i];
      if (atom && atom.kind !== "symbol" && opened(e, t, atom, i, k, depth)) return true;
    }
  for (const fact of k.known)
    for (const m of multipliers(e, fact)) {
      if (proveNonNegative(m, k.atLeast) !== "proved") continue;
      const rest = subExtent(e, mulExtent(m, fact));
      if (rest.terms.length <= e.terms.length + 1 && provable(rest, k, depth - 1)) return true;
    }
  return false;
}

/** Replaces one operation by what it is at least (at most): e = others · atom + rest. */
function opened(e: Extent, t: Term, atom: SizeAtomOp, at: number, k: Knowledge, depth: number): boolean {
  const others = termExtent(
    t.coefficient,
    t.atoms.filter((_, j) => j !== at),
  );
  const rest = subExtent(e, termExtent(t.coefficient, t.atoms));
  const sign =
    proveNonNegative(others, k.atLeast) === "proved"
      ? 1
      : proveNonNegative(negExtent(others), k.atLeast) === "proved"
        ? -1
        : 0;
  if (sign === 0) return false;
  const withValue = (v: Extent): boolean => provable(addExtent(rest, mulExtent(others, v)), k, depth - 1);
  const { left, right } = atom;
  switch (atom.kind) {
    case "min":
    case "max": {
      // The smaller of two, taken positively, may be either; the larger is at least each.
      const both = (atom.kind === "min") === sign > 0;
      return both ? withValue(left) && withValue(right) : withValue(left) || withValue(right);
    }
    case "mod":
      return (
        proveNonNegative(subExtent(right, ONE), k.atLeast) === "proved" &&
        withValue(sign > 0 ? ZERO : subExtent(right, ONE))
      );
    case "div": {
      if (proveNonNegative(subExtent(right, ONE), k.atLeast) !== "proved") return false;
      // right · e > -right is enough, for e is an integer.
      const value = sign > 0 ? addExtent(subExtent(left, right), ONE) : left;
      const whole = addExtent(mulExtent(rest, right), mulExtent(others, value));
      return provable(addExtent(whole, subExtent(right, ONE)), k, depth - 1);
    }
    default:
      return atom.kind satisfies never;
  }
}

/** Factors that make a term of the fact cancel one of e. */
function multipliers(e: Extent, fact: Extent): ReadonlySet<Extent> {
  const found = new Set<Extent>();
  for (const f of fact.terms) {
    if (f.atoms.length === 0) continue;
    for (const t of e.terms) {
      if (t.coefficient * f.coefficient < 0 || t.coefficient % f.coefficient !== 0) continue;
      const q = termQuotient(t, f);
      if (q) found.add(q);
    }
  }
  return found;
}
function termQuotient(t: Term, by: Term): Extent | undefined {
  const rest = [...t.atoms];
  for (const a of by.atoms) {
    const at = rest.findIndex((b) => sameAtom(a, b));
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  return termExtent(t.coefficient / by.coefficient, rest);
}
function sameAtom(a: SizeAtom, b: SizeAtom): boolean {
  if (a.kind === "symbol" || b.kind === "symbol")
    return a.kind === b.kind && (a as { name?: string }).name === (b as { name?: string }).name;
  return a.kind === b.kind && a.left === b.left && a.right === b.right;
}

function termExtent(coefficient: number, atoms: readonly SizeAtom[]): Extent {
  return extentOf([{ coefficient, atoms }]);
}
