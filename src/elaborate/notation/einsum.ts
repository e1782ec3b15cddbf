/**
 * Einsum strings: the union of what NumPy, PyTorch and opt_einsum accept. `ij,jk->ik` and, with an implicit result, `ij,jk`
 * (the letters that occur once, in code order, after the `...`). Letters are Unicode letters; white space means nothing.
 *
 * Where the engines disagree:
 * - a `...` that the result leaves out is summed (PyTorch, opt_einsum; NumPy refuses it);
 * - a term may hold one `...` only, the result too (opt_einsum lets an empty one repeat);
 * - digits are no letters (opt_einsum takes any character);
 * - a letter twice in the result is an error, as in NumPy, PyTorch and opt_einsum, unless `diagonal` is asked for: then the
 *   result is written on the diagonal of those axes and is 0 elsewhere, the adjoint of reading a diagonal (TensorFlow).
 */
import { NotationError, type Place } from "./error.ts";

/** What every axis of every operand and of the result is called; `...0` is the last axis of the ellipsis, `...1` the one before. */
export interface EinsumPlan {
  readonly inputs: readonly (readonly EinsumLabel[])[];
  readonly output: readonly EinsumLabel[];
}
export interface EinsumLabel {
  readonly name: string;
  /** Where it stands in the string; for an implicit result, where it stands in an operand. */
  readonly offset: number;
  readonly length: number;
}
export interface EinsumOptions {
  /** A letter may occur several times in the result, which is then written on a diagonal. */
  readonly diagonal?: boolean;
}

function isSpace(c: string): boolean {
  return c === " " || ((c < "a" || c > "z") && /\s/.test(c));
}

interface Term {
  readonly letters: EinsumLabel[];
  /** Number of letters before the ellipsis. */
  ellipsis: { readonly at: number; readonly offset: number } | undefined;
  readonly start: number;
  end: number;
}

const ELLIPSIS = "...";
const LETTER = /^\p{L}$/u;

/** ASCII letters without the regular expression: strings may be long. */
function isLetter(c: string): boolean {
  const lower = c.charCodeAt(0) | 32;
  return c.length === 1 && c < "\u0080" ? lower >= 97 && lower <= 122 : LETTER.test(c);
}

function fail(message: string, offset: number, length: number, text: string, notes: readonly string[] = []): never {
  throw new NotationError("EIN1401", message, [{ offset, length, text }], notes);
}

/** Ranks are those of the operands, in order. Throws NotationError (EIN1401 the string, EIN1402 string against operands). */
export function parseEinsum(equation: string, ranks: readonly number[], options: EinsumOptions = {}): EinsumPlan {
  const { inputs, output } = scan(equation);
  matchOperands(equation, inputs, ranks);
  const known = new Set<string>();
  const names = inputs.map((t, k) => {
    const labels = expand(t, (ranks[k] ?? 0) - t.letters.length);
    for (const l of labels) known.add(l.name);
    return labels;
  });
  const width = inputs.reduce((w, t, k) => (t.ellipsis ? Math.max(w, (ranks[k] ?? 0) - t.letters.length) : w), 0);
  if (!output) return { inputs: names, output: implicit(inputs, width) };
  const seen = new Map<string, EinsumLabel>();
  for (const l of output.letters) {
    if (!known.has(l.name)) {
      const hint = [...known].some((n) => !n.startsWith("."))
        ? [`the operands have ${[...known].filter((n) => !n.startsWith(".")).join(", ")}`]
        : [];
      fail(`index \`${l.name}\` of the result occurs in no operand`, l.offset, l.length, "unknown here", hint);
    }
    const old = seen.get(l.name);
    if (old && !options.diagonal)
      throw new NotationError(
        "EIN1401",
        `index \`${l.name}\` occurs twice in the result`,
        [
          { offset: l.offset, length: l.length, text: "the second time" },
          { offset: old.offset, length: old.length, text: "the first" },
        ],
        ["`diagonal: true` writes the result on the diagonal of these axes"],
      );
    seen.set(l.name, l);
  }
  return { inputs: names, output: expand(output, width) };
}

/** Reads the characters into terms. */
function scan(equation: string): { readonly inputs: readonly Term[]; readonly output: Term | undefined } {
  const inputs: Term[] = [];
  let output: Term | undefined;
  let term: Term = { letters: [], ellipsis: undefined, start: 0, end: 0 };
  let i = 0;
  const skip = (): void => {
    while (i < equation.length && isSpace(equation[i] as string)) i++;
  };
  for (skip(); i < equation.length; skip()) {
    const at = i;
    const c = String.fromCodePoint(equation.codePointAt(i) as number);
    i += c.length;
    if (isLetter(c)) term.letters.push({ name: c, offset: at, length: c.length });
    else if (c === ".") {
      for (let n = 1; n < 3; n++) {
        skip();
        if (equation[i] !== ".") fail("a `.` is not part of `...`", at, i - at, "three dots stand for any axes");
        i++;
      }
      if (term.ellipsis) fail("`...` occurs twice in one term", at, i - at, "the second");
      term.ellipsis = { at: term.letters.length, offset: at };
    } else if (c === ",") {
      if (output) fail("the result is one term", at, 1, "this comma stands after `->`");
      term.end = at;
      inputs.push(term);
      term = { letters: [], ellipsis: undefined, start: i, end: i };
    } else if (c === "-") {
      skip();
      if (equation[i] !== ">") fail("`-` is not part of `->`", at, 1, "expected `->`");
      i++;
      if (output) fail("`->` occurs twice", at, i - at, "the second");
      term.end = at;
      inputs.push(term);
      term = { letters: [], ellipsis: undefined, start: i, end: i };
      output = term;
    } else fail(`\`${c}\` is not an index`, at, c.length, "indices are single letters");
  }
  term.end = equation.length;
  if (!output) inputs.push(term);
  return { inputs, output };
}

function matchOperands(equation: string, terms: readonly Term[], ranks: readonly number[]): void {
  if (terms.length !== ranks.length) {
    const extra = terms[ranks.length];
    const last = terms.at(-1);
    const place: Place = extra
      ? { offset: extra.start, length: extra.end - extra.start, text: `no operand for this term` }
      : {
          offset: last?.start ?? 0,
          length: (last?.end ?? equation.length) - (last?.start ?? 0),
          text: "the last term",
        };
    throw new NotationError(
      "EIN1402",
      `the string has ${terms.length} ${terms.length === 1 ? "term" : "terms"} for ${ranks.length} ${ranks.length === 1 ? "operand" : "operands"}`,
      [place],
    );
  }
  terms.forEach((t, k) => {
    const [need, rank] = [t.letters.length, ranks[k] ?? 0];
    if (t.ellipsis ? rank >= need : rank === need) return;
    const place = {
      offset: t.start,
      length: Math.max(1, t.end - t.start),
      text: `${need} ${need === 1 ? "index" : "indices"}${t.ellipsis ? " besides `...`" : ""}`,
    };
    const what = t.ellipsis ? `needs at least ${need}` : `names ${need}`;
    throw new NotationError(
      "EIN1402",
      `operand ${k} has ${rank} ${rank === 1 ? "axis" : "axes"}, but its term ${what}`,
      [place],
      !t.ellipsis && rank > need ? ["`...` stands for any further axes"] : [],
      k,
    );
  });
}

/** The term's labels with its ellipsis written out as `width` axes, counted from the right. */
function expand(t: Term, width: number): readonly EinsumLabel[] {
  if (!t.ellipsis) return t.letters;
  const { at, offset } = t.ellipsis;
  const axes = Array.from({ length: Math.max(0, width) }, (_, k) => ({
    name: `${ELLIPSIS}${width - 1 - k}`,
    offset,
    length: 3,
  }));
  return [...t.letters.slice(0, at), ...axes, ...t.letters.slice(at)];
}

function implicit(inputs: readonly Term[], width: number): readonly EinsumLabel[] {
  const count = new Map<string, number>();
  const first = new Map<string, EinsumLabel>();
  for (const t of inputs)
    for (const l of t.letters) {
      count.set(l.name, (count.get(l.name) ?? 0) + 1);
      if (!first.has(l.name)) first.set(l.name, l);
    }
  const once = [...first.values()].filter((l) => count.get(l.name) === 1).sort((a, b) => (a.name < b.name ? -1 : 1));
  const dots = inputs.find((t) => t.ellipsis)?.ellipsis;
  const axes = Array.from({ length: dots ? width : 0 }, (_, k) => ({
    name: `${ELLIPSIS}${width - 1 - k}`,
    offset: dots?.offset ?? 0,
    length: 3,
  }));
  return [...axes, ...once];
}
