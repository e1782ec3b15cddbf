/** One line of a gradient program as `.ein`: index notation, with the factors of products in the order in which they are read. */
import { isFloat } from "../../ir/dtype.ts";
import { type Extent, mulExtent, ONE } from "../../ir/extent.ts";
import type { Prim } from "../../ir/prim.ts";
import type { Axis, Definition, Reduce, TensorExpr } from "../../ir/tensor.ts";
import { isAddition } from "../passes/hoist.ts";
import { hasRead } from "../passes/rewrite.ts";
import { negated } from "./conditions.ts";
import type { Line } from "./lines.ts";
import type { Letters } from "./names.ts";
import {
  body,
  call,
  choice,
  filled,
  infix,
  minus,
  negative,
  over,
  type Piece,
  piece,
  plus,
  power,
  TIGHT,
  type Tightness,
  times,
  typed,
} from "./pieces.ts";
import { isIndicator, isSum, termsOf } from "./product.ts";

const COMPARE: Partial<Record<Prim, string>> = { eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=" };
const INFIX: Partial<Record<Prim, readonly [sign: string, own: Tightness]>> = {
  or: ["||", TIGHT.or], and: ["&&", TIGHT.and], floordiv: ["div", TIGHT.product], mod: ["%", TIGHT.product],
  add: ["+", TIGHT.sum], sub: ["-", TIGHT.sum], mul: ["*", TIGHT.product], div: ["/", TIGHT.product],
}; // biome-ignore format: a table

export interface Printer {
  readonly nameOf: (d: Definition, slot: number) => string;
  readonly isCotangent: (d: Definition) => boolean;
  readonly letters: Letters;
  /** Its axes of extent 1 are shown: it is an argument or a result. */
  readonly isWhole: (d: Definition) => boolean;
}

interface Factor {
  readonly atom: TensorExpr;
  readonly power: number;
}
interface Fraction {
  readonly coefficient: number;
  readonly above: readonly Factor[];
  readonly below: readonly Factor[];
}

/** The scope of one line: the letters of its axes, and which of them are in use where. */
export class LineText {
  readonly #p: Printer;
  readonly #line: Line;
  readonly #letters = new Map<Axis, string>();
  readonly #taken = new Set<string>();

  constructor(p: Printer, line: Line) {
    this.#p = p;
    this.#line = line;
  }

  /** Gives the axes their letters and prints them as `indices` does. */
  bind(axes: readonly Axis[], bodies: readonly TensorExpr[]): string {
    for (const a of axes) {
      const letter = this.#p.letters(this.#line, a, this.#taken);
      this.#letters.set(a, letter);
      this.#taken.add(letter);
    }
    return this.indices(axes, bodies);
  }

  /** `n, k in 0..K`: the range stands where no plain index of the bodies gives it. */
  indices(axes: readonly Axis[], bodies: readonly TensorExpr[]): string {
    const plain = plainAxes(bodies);
    return axes.map((a) => (plain.has(a) ? this.letterOf(a) : `${this.letterOf(a)} in 0..${a.extent.text}`)).join(", ");
  }

  /** The axes of a line's definition that are shown. */
  shown(d: Definition): readonly Axis[] {
    return this.#p.isWhole(d) ? d.axes : d.axes.filter((a) => a.extent !== ONE);
  }

  letterOf(a: Axis): string {
    return this.#letters.get(a) ?? a.name;
  }

  /** The text of a whole right side. */
  value(e: TensorExpr): string {
    return (e.kind === "const" && isFloat(e.dtype) ? floatPiece(e.value) : this.print(e)).text;
  }

  /** A monoid's operands print as `names` give them. */
  print(e: TensorExpr, names?: readonly string[]): Piece {
    switch (e.kind) {
      case "const":
        return constantPiece(e.value, e.dtype === "bool");
      case "size":
        return extentPiece(e.extent);
      case "axis":
        return piece(this.letterOf(e.axis));
      case "arg":
        return piece(names?.[e.index] ?? `_${e.index}`);
      case "read": {
        const name = this.#p.nameOf(e.tensor, e.slot);
        const whole = this.#p.isWhole(e.tensor);
        const at = e.at.filter((_, i) => whole || e.tensor.axes[i]!.extent !== ONE).map((x) => this.print(x).text);
        const made = piece(at.length === 0 ? name : `${name}[${at.join(", ")}]`);
        return e.fill ? filled(made, constantPiece(e.fill.value, e.fill.dtype === "bool")) : made;
      }
      case "reduce":
        return this.#reduce(e, e.monoid.name === "add" ? "sum" : e.monoid.name);
      case "apply":
        if (!isFloat(e.dtype)) return this.#apply(e, names);
        if (isSum(e)) return this.#sum(e, names);
        return e.prim === "mul" || (e.prim === "pow" && e.args[1]?.kind === "const") || isIndicator(e)
          ? this.#product(e, names)
          : this.#apply(e, names);
      default:
        return e satisfies never;
    }
  }

  #reduce(e: Reduce, name: string): Piece {
    const head = `${REDUCERS[name] ?? name}[${this.bind(e.axes, e.values)}]`;
    const made = body(head, this.print(e.values[0]!));
    for (const a of e.axes) {
      this.#taken.delete(this.#letters.get(a)!);
      this.#letters.delete(a);
    }
    return made;
  }

  #sum(e: TensorExpr, names: readonly string[] | undefined, sign = 1): Piece {
    const terms = termsOf(e).map((term) => {
      const f = fractionOf(term);
      return { term, fraction: { ...f, coefficient: sign * f.coefficient } };
    });
    const rank = (x: (typeof terms)[number]): number =>
      (x.fraction.coefficient < 0 ? 4 : 0) +
      (x.fraction.above.some((f) => f.atom.kind === "reduce") ? 3 : hasRead(x.term) ? 0 : 2) +
      (x.fraction.above.length > 1 ? 0 : 0.5);
    terms.sort((a, b) => rank(a) - rank(b));
    let made: Piece | undefined;
    for (const { fraction } of terms) {
      const isMinus = fraction.coefficient < 0 && !fraction.above.some(canFlip);
      const size = this.#signless(isMinus ? { ...fraction, coefficient: -fraction.coefficient } : fraction, names);
      made = made ? (isMinus ? minus(made, size) : plus(made, size)) : isMinus ? negative(size) : size;
    }
    return made!;
  }

  #product(e: TensorExpr, names: readonly string[] | undefined): Piece {
    const f = fractionOf(e);
    if (f.coefficient >= 0 || f.above.some(canFlip)) return this.#signless(f, names);
    return negative(this.#signless({ ...f, coefficient: -f.coefficient }, names));
  }

  /** Conditions around what they guard, as `h > 0 ? dy / s : 0`. */
  #signless(f: Fraction, names: readonly string[] | undefined): Piece {
    const tests = f.above.filter((x) => isIndicator(x.atom) && x.power === 1);
    if (tests.length === 0) return this.#fraction(f, names);
    const rest: Fraction = { ...f, above: f.above.filter((x) => !tests.includes(x)) };
    const conditions = tests.map((t) => (t.atom.kind === "apply" ? t.atom.args[0]! : t.atom));
    const [only] = rest.above;
    if (conditions.length === 1 && only && isPositive(conditions[0]!, only) && rest.above.length === 1)
      return this.#fraction({ ...rest, above: [] }, names, [call("relu", [this.print(only.atom)])]);
    const test = conditions
      .map((c) => this.print(c, names))
      .reduce((a, b) => infix("&&", TIGHT.and, a, b, TIGHT.compare));
    const delta = choice(test, piece("1.0"), piece("0.0"));
    // What is a number or a size reads better outside: `(k == t[n] ? 1 : 0) / N`.
    if (![...rest.above, ...rest.below].some((x) => hasRead(x.atom))) return this.#fraction(rest, names, [delta]);
    return choice(test, this.#fraction(rest, names), piece("0"));
  }

  /** Numbers, sizes, reads (cotangents first), functions, sums, reductions; what divides after a slash. */
  #fraction(f: Fraction, names: readonly string[] | undefined, extra: readonly Piece[] = []): Piece {
    const mean = meanOf(f);
    const above = f.above.filter((x) => x !== mean?.sum);
    const below = f.below.filter((x) => !mean?.sizes.includes(x));
    const order = (x: Factor): number => {
      if (!hasRead(x.atom)) return 0;
      if (x.atom.kind === "read")
        return this.#p.isCotangent(x.atom.tensor) ? 1 : x.atom.tensor.kind === "input" ? 3 : 2;
      return x.atom.kind === "reduce" ? 6 : isSum(x.atom) ? 5 : 4;
    };
    if (above.length === 0 && below.length === 0 && extra.length === 0 && !mean) return floatPiece(f.coefficient);
    const inverse = Math.abs(1 / f.coefficient);
    const divides = inverse > 1 && Number.isInteger(inverse);
    // What is subtracted the other way round needs no sign: -(a - b) is b - a.
    const flipped = f.coefficient < 0 ? above.find((x) => canFlip(x)) : undefined;
    const coefficient = Math.abs(f.coefficient);
    const top = [...above]
      .sort((a, b) => order(a) - order(b))
      .map((x) => (x === flipped ? this.#sum(x.atom, names, -1) : this.#powered(x, names)));
    if (coefficient !== 1 && !divides) top.unshift(constantPiece(coefficient));
    top.push(...extra);
    if (mean?.sum.atom.kind === "reduce") top.push(this.#reduce(mean.sum.atom, "mean"));
    const bottom = below.map((x) => this.#powered({ atom: x.atom, power: -x.power }, names));
    if (divides) bottom.unshift(constantPiece(inverse));
    const [root] = below;
    if (top.length === 0 && bottom.length === 1 && root?.power === -0.5)
      return call("rsqrt", [this.print(root.atom, names)]);
    const numerator = top.length === 0 ? piece("1") : top.reduce(times);
    return bottom.length === 0 ? numerator : over(numerator, bottom.reduce(times));
  }

  #powered(f: Factor, names: readonly string[] | undefined): Piece {
    const base = this.print(f.atom, names);
    if (f.power === 1) return base;
    return f.power === 0.5 ? call("sqrt", [base]) : power(base, numberText(f.power));
  }

  #apply(e: TensorExpr & { readonly kind: "apply" }, names: readonly string[] | undefined): Piece {
    const isChoice = e.prim === "select" && isFloat(e.dtype);
    const [a, b, c] = e.args.map((x) => (isChoice && x.kind === "const" ? floatPiece(x.value) : this.print(x, names)));
    if (e.prim === "select" && a && b && c) {
      const [test, yes] = e.args;
      return yes?.kind === "const" && yes.value === 0
        ? choice(this.print(negated(test!), names), c, b)
        : choice(a, b, c);
    }
    const compare = COMPARE[e.prim];
    if (compare && a && b) return infix(compare, TIGHT.compare, a, b, TIGHT.sum);
    const sign = INFIX[e.prim];
    if (sign && a && b) return infix(sign[0], sign[1], a, b, Math.min(TIGHT.unary, sign[1] + 1) as Tightness);
    if (e.prim === "pow" && a && b) return power(a, b.tight < TIGHT.power || b.isOpen ? `(${b.text})` : b.text);
    if (e.prim === "not" && a) return piece(`!${a.tight < TIGHT.unary ? `(${a.text})` : a.text}`, TIGHT.unary);
    if (e.prim === "neg" && a) return negative(a);
    if (e.prim === "cast" && a) {
      // A size or a number takes the type of where it stands.
      const [inner] = e.args;
      return inner?.kind === "size" || (inner?.kind === "const" && inner.dtype !== "bool") ? a : typed(a, e.dtype);
    }
    return call(
      e.prim,
      e.args.map((x) => this.print(x, names)),
    );
  }
}

const REDUCERS: Readonly<Record<string, string>> = { mul: "prod", and: "all", or: "any" };

function factorsOf(e: TensorExpr): readonly Factor[] {
  if (e.kind !== "apply") return [{ atom: e, power: 1 }];
  const [a, b] = e.args;
  if (e.prim === "mul" && a && b) return [...factorsOf(a), ...factorsOf(b)];
  if (e.prim === "pow" && a && b?.kind === "const") return [{ atom: a, power: b.value }];
  return [{ atom: e, power: 1 }];
}

function fractionOf(e: TensorExpr): Fraction {
  const factors = factorsOf(e);
  const isNumber = (f: Factor): boolean => f.atom.kind === "const" && Number.isFinite(f.atom.value);
  return {
    coefficient: factors.reduce((n, f) => (f.atom.kind === "const" && isNumber(f) ? n * f.atom.value : n), 1),
    above: factors.filter((f) => f.power > 0 && !isNumber(f)),
    below: factors.filter((f) => f.power < 0),
  };
}

/** A sum that can be subtracted the other way round. */
function canFlip(f: Factor): boolean {
  return isSum(f.atom) && f.power === 1 && termsOf(f.atom).some((t) => fractionOf(t).coefficient < 0);
}

/** `x > 0` of the factor x. */
function isPositive(test: TensorExpr, f: Factor): boolean {
  return (
    test.kind === "apply" && test.prim === "gt" && test.args[0] === f.atom && f.power === 1 &&
    test.args[1]?.kind === "const" && test.args[1].value === 0
  ); // biome-ignore format: one condition
}

/** Σ over axes divided by their number. */
function meanOf(f: Fraction): { readonly sum: Factor; readonly sizes: readonly Factor[] } | undefined {
  for (const x of f.above) {
    if (x.atom.kind !== "reduce" || x.power !== 1 || !isAddition(x.atom)) continue;
    const count = x.atom.axes.reduce((n: Extent, a) => mulExtent(n, a.extent), ONE);
    const sizes = f.below.filter((y) => y.power === -1 && sizeIn(y.atom) !== undefined);
    const whole = sizes.find((y) => sizeIn(y.atom) === count);
    if (whole) return { sum: x, sizes: [whole] };
    if (sizes.length > 1 && sizes.reduce((n: Extent, y) => mulExtent(n, sizeIn(y.atom)!), ONE) === count)
      return { sum: x, sizes };
  }
  return undefined;
}

function sizeIn(e: TensorExpr): Extent | undefined {
  const inner = e.kind === "apply" && e.prim === "cast" ? e.args[0] : undefined;
  return inner?.kind === "size" ? inner.extent : undefined;
}

/** Axes that stand alone as an index somewhere, which gives them their range. */
function plainAxes(roots: readonly TensorExpr[]): ReadonlySet<Axis> {
  const found = new Set<Axis>();
  const seen = new Set<TensorExpr>();
  const go = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "read")
      e.at.forEach((x, i) => {
        if (x.kind === "axis" && x.axis.extent === e.tensor.axes[i]?.extent) found.add(x.axis);
      });
    const children = e.kind === "apply" ? e.args : e.kind === "read" ? e.at : e.kind === "reduce" ? e.values : [];
    children.forEach(go);
  };
  roots.forEach(go);
  return found;
}

export function extentPiece(e: Extent): Piece {
  if (/^\w+$/.test(e.text)) return piece(e.text);
  const [term] = e.terms;
  if (e.terms.length > 1 || !term) return piece(e.text, TIGHT.sum);
  return piece(e.text, e.text.startsWith("-") ? TIGHT.unary : TIGHT.product);
}

export function constantPiece(value: number, isBool = false): Piece {
  if (isBool) return piece(value !== 0 ? "true" : "false");
  return piece(numberText(value), value < 0 ? TIGHT.unary : TIGHT.atom);
}

/** A number that is a float without anything that says so. */
function floatPiece(value: number): Piece {
  const made = constantPiece(value);
  return /^-?\d+$/.test(made.text) ? piece(`${made.text}.0`, made.tight) : made;
}

/** Twelve digits: what differs beyond them was made by computing with decimals. */
function numberText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  return String(Number(value.toPrecision(12)));
}
