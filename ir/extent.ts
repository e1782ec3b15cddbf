/**
 * Symbolic extents: canonical integer polynomials over size symbols with floor-division, modulo, min and max atoms.
 * Two extents are equal as polynomials iff they are the same object (`===`): they are interned by their canonical text.
 * Symbols are extents of arguments and so are at least 0.
 */
export interface SizeSymbol {
  readonly kind: "symbol";
  readonly name: string;
}
export interface SizeAtomOp {
  readonly kind: "div" | "mod" | "min" | "max";
  readonly left: Extent;
  readonly right: Extent;
}
export type SizeAtom = SizeSymbol | SizeAtomOp;

/** coefficient × product of atoms (with repetition for powers), atoms sorted by their text. */
export interface Term {
  readonly coefficient: number;
  readonly atoms: readonly SizeAtom[];
}

export interface Extent {
  readonly kind: "extent";
  /** Sorted by key; no zero coefficients. */
  readonly terms: readonly Term[];
  /** Canonical text, also readable: `2 * D + 1`, `(H + 2 - R) div 2 + 1`. */
  readonly text: string;
  /** The value if it is a constant. */
  readonly value: number | undefined;
}

const interned = new Map<string, Extent>();

function atomText(a: SizeAtom): string {
  if (a.kind === "symbol") return a.name;
  if (a.kind === "min" || a.kind === "max") return `${a.kind}(${a.left.text}, ${a.right.text})`;
  const operand = (e: Extent) => (isSimple(e) ? e.text : `(${e.text})`);
  return `${operand(a.left)} ${a.kind === "div" ? "div" : "%"} ${operand(a.right)}`;
}

function isSimple(e: Extent): boolean {
  const t = e.terms[0];
  if (e.terms.length === 0) return true;
  if (e.terms.length > 1 || !t) return false;
  if (t.atoms.length === 0) return t.coefficient >= 0;
  return t.coefficient === 1 && t.atoms.length === 1 && t.atoms[0]?.kind !== "div" && t.atoms[0]?.kind !== "mod";
}

function factorText(a: SizeAtom): string {
  return a.kind === "div" || a.kind === "mod" ? `(${atomText(a)})` : atomText(a);
}

function termKey(t: Term): string {
  return t.atoms.map(factorText).join(" * ");
}

function make(terms: readonly Term[]): Extent {
  const sums = new Map<string, { coefficient: number; atoms: readonly SizeAtom[] }>();
  for (const t of terms) {
    const key = termKey(t);
    const old = sums.get(key);
    if (old) old.coefficient += t.coefficient;
    else sums.set(key, { coefficient: t.coefficient, atoms: t.atoms });
  }
  const kept = [...sums.entries()].filter(([, t]) => t.coefficient !== 0);
  // Symbols first, the constant last, so that the text reads as people write it.
  kept.sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : a > b ? 1 : 0));
  // And not a minus sign in front where it can be helped: `W - S + 1`.
  const positive = kept.findIndex(([key, t]) => t.coefficient > 0 && key !== "");
  if (positive > 0) kept.unshift(...kept.splice(positive, 1));
  let text = "";
  for (const [key, t] of kept) {
    const magnitude = Math.abs(t.coefficient);
    // A lone `a div b` term stands without parentheses; beside factors factorText has put them.
    const lone = t.atoms.length === 1 && magnitude === 1 && t.atoms[0] ? atomText(t.atoms[0]) : key;
    const body = key === "" ? String(magnitude) : magnitude === 1 ? lone : `${magnitude} * ${key}`;
    if (text === "") text = t.coefficient < 0 ? `-${body}` : body;
    else text += t.coefficient < 0 ? ` - ${body}` : ` + ${body}`;
  }
  if (text === "") text = "0";
  const found = interned.get(text);
  if (found) return found;
  const only = kept[0]?.[1];
  const value =
    kept.length === 0 ? 0 : kept.length === 1 && only && only.atoms.length === 0 ? only.coefficient : undefined;
  const made: Extent = {
    kind: "extent",
    terms: kept.map(([, t]) => ({ coefficient: t.coefficient, atoms: t.atoms })),
    text,
    value,
  };
  interned.set(text, made);
  return made;
}

const constants = new Map<number, Extent>();

/** As size, with a table of the small ones; a constant past 2^53 has no meaning as a size and is kept by its text. */
function constantExtent(n: number): Extent {
  const old = constants.get(n);
  if (old) return old;
  const made = make(n === 0 ? [] : [{ coefficient: n, atoms: [] }]);
  if (constants.size < 4096) constants.set(n, made);
  return made;
}

/** The constant extent `n`, an integer. */
export function size(n: number): Extent {
  if (!Number.isSafeInteger(n)) throw new RangeError(`extent ${n} is not a safe integer`);
  return constantExtent(n);
}

export function sizeSymbol(name: string): Extent {
  return make([{ coefficient: 1, atoms: [{ kind: "symbol", name }] }]);
}

export const ZERO: Extent = size(0);
export const ONE: Extent = size(1);

/** Results by operands: the same sums and products are asked for again and again while a kernel's indices are made. */
function memoised(f: (a: Extent, b: Extent) => Extent): (a: Extent, b: Extent) => Extent {
  const memo = new WeakMap<Extent, WeakMap<Extent, Extent>>();
  return (a, b) => {
    let row = memo.get(a);
    if (!row) {
      row = new WeakMap();
      memo.set(a, row);
    }
    let made = row.get(b);
    if (!made) {
      made = f(a, b);
      row.set(b, made);
    }
    return made;
  };
}

const addTerms = memoised((a, b) => make([...a.terms, ...b.terms]));

export function addExtent(a: Extent, b: Extent): Extent {
  if (a === ZERO) return b;
  if (b === ZERO) return a;
  if (a.value !== undefined && b.value !== undefined) return constantExtent(a.value + b.value);
  return addTerms(a, b);
}
export function negExtent(a: Extent): Extent {
  if (a.value !== undefined) return constantExtent(a.value === 0 ? 0 : -a.value);
  return make(a.terms.map((t) => ({ coefficient: -t.coefficient, atoms: t.atoms })));
}
export function subExtent(a: Extent, b: Extent): Extent {
  return a === b ? ZERO : addExtent(a, negExtent(b));
}
export function mulExtent(a: Extent, b: Extent): Extent {
  if (a === ONE) return b;
  if (b === ONE) return a;
  if (a === ZERO || b === ZERO) return ZERO;
  if (a.value !== undefined && b.value !== undefined) return constantExtent(a.value * b.value);
  return mulTerms(a, b);
}

const mulTerms = memoised((a, b) => {
  const terms: Term[] = [];
  for (const s of a.terms)
    for (const t of b.terms) {
      const atoms = [...s.atoms, ...t.atoms].sort((x, y) => (atomText(x) < atomText(y) ? -1 : 1));
      terms.push({ coefficient: s.coefficient * t.coefficient, atoms });
    }
  return make(terms);
});

function opAtom(kind: SizeAtomOp["kind"], left: Extent, right: Extent): Extent {
  return make([{ coefficient: 1, atoms: [{ kind, left, right }] }]);
}

/** a = b·q with a polynomial q, if there is one (b a single term). */
function exactQuotient(a: Extent, b: Extent): Extent | undefined {
  if (b.terms.length === 0) return undefined;
  if (a === b) return ONE;
  if (b.terms.length !== 1) return undefined;
  const d = b.terms[0];
  if (!d) return undefined;
  const out: Term[] = [];
  for (const t of a.terms) {
    if (t.coefficient % d.coefficient !== 0) return undefined;
    const rest = [...t.atoms];
    for (const atom of d.atoms) {
      const at = rest.findIndex((x) => atomText(x) === atomText(atom));
      if (at < 0) return undefined;
      rest.splice(at, 1);
    }
    out.push({ coefficient: t.coefficient / d.coefficient, atoms: rest });
  }
  return make(out);
}

/** Floor division. The divisor is positive wherever the program is meaningful; a zero constant divisor throws RangeError. */
export function divExtent(a: Extent, b: Extent): Extent {
  if (b === ZERO) throw new RangeError("division of an extent by zero");
  if (b === ONE) return a;
  if (a.value !== undefined && b.value !== undefined) return size(Math.floor(a.value / b.value));
  if (a.value === -1) return a;
  const exact = exactQuotient(a, b);
  if (exact) return exact;
  // (b·q + r) div b = q + r div b, term by term.
  const whole: Term[] = [];
  const rest: Term[] = [];
  for (const t of a.terms) (exactQuotient(make([t]), b) ? whole : rest).push(t);
  if (whole.length > 0) {
    const q = exactQuotient(make(whole), b);
    if (q) return addExtent(q, divExtent(make(rest), b));
  }
  if (b.value !== undefined && a.terms.length > 0) {
    // Common factor of all coefficients and the divisor.
    const g = a.terms.reduce((acc, t) => gcd(acc, Math.abs(t.coefficient)), Math.abs(b.value));
    if (g > 1)
      return divExtent(
        make(a.terms.map((t) => ({ coefficient: t.coefficient / g, atoms: t.atoms }))),
        size(b.value / g),
      );
    // Nested floor divisions by positive constants: (x div m) div n = x div (m·n).
    const t = a.terms[0];
    const inner = t?.atoms[0];
    if (
      a.terms.length === 1 &&
      t?.coefficient === 1 &&
      t.atoms.length === 1 &&
      inner?.kind === "div" &&
      b.value > 0 &&
      (inner.right.value ?? 0) > 0
    )
      return divExtent(inner.left, mulExtent(inner.right, b));
  }
  return opAtom("div", a, b);
}

export function modExtent(a: Extent, b: Extent): Extent {
  if (b === ZERO) throw new RangeError("modulo of an extent by zero");
  if (b === ONE) return ZERO;
  if (a.value !== undefined && b.value !== undefined) return size(a.value - b.value * Math.floor(a.value / b.value));
  const rest = a.terms.filter((t) => !exactQuotient(make([t]), b));
  if (rest.length < a.terms.length) return modExtent(make(rest), b);
  return a === ZERO ? ZERO : opAtom("mod", a, b);
}

export function minExtent(a: Extent, b: Extent): Extent {
  const order = compareExtent(a, b);
  if (order === "le" || order === "eq" || order === "lt") return a;
  if (order === "ge" || order === "gt") return b;
  return a.text < b.text ? opAtom("min", a, b) : opAtom("min", b, a);
}
export function maxExtent(a: Extent, b: Extent): Extent {
  const order = compareExtent(a, b);
  if (order === "ge" || order === "eq" || order === "gt") return a;
  if (order === "le" || order === "lt") return b;
  return a.text < b.text ? opAtom("max", a, b) : opAtom("max", b, a);
}
/** ⌈a / b⌉ for positive b. */
export function ceilDivExtent(a: Extent, b: Extent): Extent {
  return divExtent(addExtent(a, subExtent(b, ONE)), b);
}
export function productExtent(list: Iterable<Extent>): Extent {
  let p = ONE;
  for (const e of list) p = mulExtent(p, e);
  return p;
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** The names of all symbols in it, in order of first appearance. */
export function symbolsOf(e: Extent, into: Set<string> = new Set()): Set<string> {
  for (const t of e.terms)
    for (const a of t.atoms) {
      if (a.kind === "symbol") into.add(a.name);
      else {
        symbolsOf(a.left, into);
        symbolsOf(a.right, into);
      }
    }
  return into;
}

/** Replaces symbols. A symbol without a binding stays. */
export function substituteExtent(e: Extent, bind: ReadonlyMap<string, Extent>): Extent {
  if (e.value !== undefined) return e;
  let sum = ZERO;
  for (const t of e.terms) {
    let product = size(t.coefficient);
    for (const a of t.atoms) product = mulExtent(product, substituteAtom(a, bind));
    sum = addExtent(sum, product);
  }
  return sum;
}
function substituteAtom(a: SizeAtom, bind: ReadonlyMap<string, Extent>): Extent {
  if (a.kind === "symbol") return bind.get(a.name) ?? sizeSymbol(a.name);
  const left = substituteExtent(a.left, bind);
  const right = substituteExtent(a.right, bind);
  switch (a.kind) {
    case "div":
      return divExtent(left, right);
    case "mod":
      return modExtent(left, right);
    case "min":
      return minExtent(left, right);
    case "max":
      return maxExtent(left, right);
  }
}

/** The value under numeric bindings; throws RangeError for an unbound symbol or a division by zero. */
export function evaluateExtent(e: Extent, bind: ReadonlyMap<string, number>): number {
  if (e.value !== undefined) return e.value;
  let sum = 0;
  for (const t of e.terms) {
    let product = t.coefficient;
    for (const a of t.atoms) product *= evaluateAtom(a, bind);
    sum += product;
  }
  return sum;
}
function evaluateAtom(a: SizeAtom, bind: ReadonlyMap<string, number>): number {
  if (a.kind === "symbol") {
    const v = bind.get(a.name);
    if (v === undefined) throw new RangeError(`extent ${a.name} is not bound`);
    return v;
  }
  const l = evaluateExtent(a.left, bind);
  const r = evaluateExtent(a.right, bind);
  switch (a.kind) {
    case "div":
    case "mod":
      if (r === 0) throw new RangeError("division of an extent by zero");
      return a.kind === "div" ? Math.floor(l / r) : l - r * Math.floor(l / r);
    case "min":
      return Math.min(l, r);
    case "max":
      return Math.max(l, r);
  }
}

// ---- Proofs -------------------------------------------------------------------------------------------------------

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
export function proveNonNegative(e: Extent, atLeast: ReadonlyMap<string, number> = new Map()): Proof {
  const low = lowerBound(e, atLeast);
  if (low !== undefined && low >= 0) return "proved";
  const high = upperBound(e, atLeast);
  if (high !== undefined && high < 0) return "refuted";
  return "unknown";
}

/** How many relaxations one question may take: each is a substitution, and they nest. What is not proved by then is unknown. */
const EFFORT = 64;
let effort = 0;

/** A number that e never falls below, or undefined. */
export function lowerBound(e: Extent, atLeast: ReadonlyMap<string, number> = new Map()): number | undefined {
  if (e.value !== undefined) return e.value;
  if (effort > 0) return boundWithin(e, atLeast);
  effort = EFFORT;
  try {
    return boundWithin(e, atLeast);
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

export function upperBound(e: Extent, atLeast: ReadonlyMap<string, number> = new Map()): number | undefined {
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
      const others = make([{ coefficient: t.coefficient, atoms: t.atoms.filter((_, j) => j !== i) }]);
      const rest = subExtent(e, make([t]));
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
