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

export function extentOf(terms: readonly Term[]): Extent {
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
  const made = extentOf(n === 0 ? [] : [{ coefficient: n, atoms: [] }]);
  if (constants.size < 4096) constants.set(n, made);
  return made;
}

/** The constant extent `n`, an integer. */
export function size(n: number): Extent {
  if (!Number.isSafeInteger(n)) throw new RangeError(`extent ${n} is not a safe integer`);
  return constantExtent(n);
}

export function sizeSymbol(name: string): Extent {
  return extentOf([{ coefficient: 1, atoms: [{ kind: "symbol", name }] }]);
}

export const ZERO: Extent = size(0);
export const ONE: Extent = size(1);

/**
 * Results by operands, for good as extents are: the same sums and products are asked for again and again while a kernel's indices are made.
 */
function memoised(f: (a: Extent, b: Extent) => Extent): (a: Extent, b: Extent) => Extent {
  const memo = new Map<Extent, Map<Extent, Extent>>();
  return (a, b) => {
    let row = memo.get(a);
    if (!row) {
      row = new Map();
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

const addTerms = memoised((a, b) => extentOf([...a.terms, ...b.terms]));

export function addExtent(a: Extent, b: Extent): Extent {
  if (a === ZERO) return b;
  if (b === ZERO) return a;
  if (a.value !== undefined && b.value !== undefined) return constantExtent(a.value + b.value);
  return addTerms(a, b);
}
const opposites = new Map<Extent, Extent>();

export function negExtent(a: Extent): Extent {
  if (a.value !== undefined) return constantExtent(a.value === 0 ? 0 : -a.value);
  let made = opposites.get(a);
  if (!made) {
    made = extentOf(a.terms.map((t) => ({ coefficient: -t.coefficient, atoms: t.atoms })));
    opposites.set(a, made);
  }
  return made;
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
  return extentOf(terms);
});

export function opAtom(kind: SizeAtomOp["kind"], left: Extent, right: Extent): Extent {
  return extentOf([{ coefficient: 1, atoms: [{ kind, left, right }] }]);
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
  return extentOf(out);
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
  for (const t of a.terms) (exactQuotient(extentOf([t]), b) ? whole : rest).push(t);
  if (whole.length > 0) {
    const q = exactQuotient(extentOf(whole), b);
    if (q) return addExtent(q, divExtent(extentOf(rest), b));
  }
  if (b.value !== undefined && a.terms.length > 0) {
    // Common factor of all coefficients and the divisor.
    const g = a.terms.reduce((acc, t) => gcd(acc, Math.abs(t.coefficient)), Math.abs(b.value));
    if (g > 1)
      return divExtent(
        extentOf(a.terms.map((t) => ({ coefficient: t.coefficient / g, atoms: t.atoms }))),
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
  const rest = a.terms.filter((t) => !exactQuotient(extentOf([t]), b));
  if (rest.length < a.terms.length) return modExtent(extentOf(rest), b);
  return a === ZERO ? ZERO : opAtom("mod", a, b);
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
