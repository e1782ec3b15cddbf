/** Pieces of expressions with the parentheses that the language's precedences ask for. */

/** How tightly the outermost operator binds. */
export const TIGHT = {
  conditional: 1,
  fill: 2,
  or: 3,
  and: 4,
  compare: 5,
  sum: 6,
  product: 7,
  unary: 8,
  power: 9,
  atom: 10,
} as const;
export type Tightness = (typeof TIGHT)[keyof typeof TIGHT];

export interface Piece {
  readonly text: string;
  readonly tight: Tightness;
  /** It ends with the body of a reduction, which would swallow what follows. */
  readonly isOpen: boolean;
}

export function piece(text: string, tight: Tightness = TIGHT.atom, isOpen = false): Piece {
  return { text, tight, isOpen };
}

/** Something follows to the right. */
function closed(p: Piece, least: Tightness): string {
  return p.tight < least || p.isOpen ? `(${p.text})` : p.text;
}
/** Nothing follows within the operator. */
function last(p: Piece, least: Tightness): Piece {
  return p.tight < least ? piece(`(${p.text})`) : p;
}

export function infix(sign: string, tight: Tightness, left: Piece, right: Piece, rightLeast: Tightness): Piece {
  const r = last(right, rightLeast);
  return piece(`${closed(left, tight)} ${sign} ${r.text}`, tight, r.isOpen);
}

export function times(a: Piece, b: Piece): Piece {
  return infix("*", TIGHT.product, a, b, TIGHT.unary);
}
export function over(a: Piece, b: Piece): Piece {
  return piece(`${closed(a, TIGHT.product)} / ${closed(b, TIGHT.unary)}`, TIGHT.product);
}
export function plus(a: Piece, b: Piece): Piece {
  return infix("+", TIGHT.sum, a, b, TIGHT.product);
}
export function minus(a: Piece, b: Piece): Piece {
  return infix("-", TIGHT.sum, a, b, TIGHT.product);
}
export function negative(a: Piece): Piece {
  const r = last(a, TIGHT.product);
  return piece(`-${r.text}`, TIGHT.unary, r.isOpen);
}
export function power(a: Piece, exponent: string): Piece {
  return piece(`${closed(a, TIGHT.atom)} ** ${exponent}`, TIGHT.power);
}
export function call(name: string, args: readonly Piece[]): Piece {
  return piece(`${name}(${args.map((a) => a.text).join(", ")})`);
}
export function body(head: string, inner: Piece): Piece {
  return piece(`${head} ${inner.text}`, TIGHT.unary, true);
}
export function choice(test: Piece, yes: Piece, no: Piece): Piece {
  const n = last(no, TIGHT.conditional);
  return piece(`${closed(test, TIGHT.fill)} ? ${closed(yes, TIGHT.fill)} : ${n.text}`, TIGHT.conditional, n.isOpen);
}
export function filled(a: Piece, fill: Piece): Piece {
  return piece(`${a.text} ?? ${closed(fill, TIGHT.or)}`, TIGHT.fill);
}
export function typed(a: Piece, type: string): Piece {
  return piece(`${closed(a, TIGHT.atom)} as ${type}`);
}
