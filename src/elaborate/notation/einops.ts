/**
 * einops patterns: `rearrange`, `reduce`, `repeat`, `einsum` with long names, `pack` and `unpack`. A side is a list of axes: a
 * name, `1` or `()` (extent 1), another number (an anonymous axis of that extent), `...`, or several of these in parentheses.
 */

import type { EinsumLabel, EinsumPlan } from "./einsum.ts";
import { NotationError } from "./error.ts";

/** An elementary axis of a pattern. Names are unique; anonymous axes and those of `...` get names no identifier can have. */
export interface PatternAxis {
  readonly name: string;
  /** Of a number in the pattern. */
  readonly size: number | undefined;
  readonly offset: number;
  readonly length: number;
}
/** One axis of a tensor, made of elementary axes in row-major order; of none if its extent is 1. */
export interface Group {
  readonly axes: readonly PatternAxis[];
  readonly offset: number;
  readonly length: number;
}
export interface EinopsPlan {
  readonly input: readonly Group[];
  readonly output: readonly Group[];
  /** Axes of the input that the output lacks, for `reduce`. */
  readonly reduced: readonly PatternAxis[];
  /** Axes of the output that the input lacks, for `repeat`. */
  readonly added: readonly PatternAxis[];
}

interface Side {
  readonly groups: readonly Group[];
  readonly axes: readonly PatternAxis[];
  /** Index of the group that is or holds the ellipsis. */
  readonly ellipsis: { readonly group: number; readonly inside: boolean; readonly offset: number } | undefined;
}

const DOTS = "...";
const NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;

export function failPattern(
  message: string,
  offset: number,
  length: number,
  text: string,
  notes: readonly string[] = [],
): never {
  throw new NotationError("EIN1411", message, [{ offset, length, text }], notes);
}

function checkName(word: string, offset: number): void {
  if (!NAME.test(word))
    failPattern(`\`${word}\` is no name for an axis`, offset, word.length, "expected a name, a number or `...`");
  if (word.startsWith("_") || word.endsWith("_"))
    failPattern(`the axis name \`${word}\` begins or ends with \`_\``, offset, word.length, "choose another name");
}

interface Token {
  readonly text: string;
  readonly offset: number;
}
function tokens(text: string, base: number): readonly Token[] {
  const out: Token[] = [];
  const word = /\.+|[()]|[\p{L}\p{N}_]+|\s+|./gsu;
  for (const m of text.matchAll(word)) if (!/^\s/.test(m[0])) out.push({ text: m[0], offset: base + m.index });
  return out;
}

/** One side of the arrow; `base` is where it begins in the pattern. Names may repeat in the terms of an einsum (diagonals). */
function parseSide(text: string, base: number, repeats = false): Side {
  const groups: Group[] = [];
  const axes: PatternAxis[] = [];
  const seen = new Map<string, PatternAxis>();
  let ellipsis: Side["ellipsis"];
  let open: { readonly axes: PatternAxis[]; readonly offset: number } | undefined;
  let previous: Token | undefined;
  for (const t of tokens(text, base)) {
    const touching =
      previous && previous.offset + previous.text.length === t.offset && !/[()]/.test(previous.text + t.text);
    if (touching)
      failPattern(
        `\`${previous?.text}${t.text}\` is no axis`,
        previous?.offset ?? t.offset,
        (previous?.text.length ?? 0) + t.text.length,
        "separate axes by spaces",
      );
    previous = t;
    const length = t.text.length;
    if (t.text === "(") {
      if (open) failPattern("parentheses may not nest", t.offset, 1, "the inner one");
      open = { axes: [], offset: t.offset };
    } else if (t.text === ")") {
      if (!open) failPattern("a parenthesis is closed that was not opened", t.offset, 1, "here");
      const from = open as { readonly axes: PatternAxis[]; readonly offset: number };
      groups.push({ axes: from.axes, offset: from.offset, length: t.offset + 1 - from.offset });
      open = undefined;
    } else {
      const made = axisOf(t);
      if (made) {
        const old = seen.get(made.name);
        if (old && !(repeats && made.name !== DOTS))
          throw new NotationError("EIN1411", `axis \`${t.text}\` occurs twice on one side`, [
            { offset: t.offset, length, text: "the second time" },
            { offset: old.offset, length: old.length, text: "the first" },
          ]);
        seen.set(made.name, made);
        axes.push(made);
        if (made.name === DOTS) ellipsis = { group: groups.length, inside: open !== undefined, offset: t.offset };
      }
      if (!open) groups.push({ axes: made ? [made] : [], offset: t.offset, length });
      else if (made) open.axes.push(made);
    }
  }
  if (open) failPattern("a parenthesis is not closed", open.offset, 1, "opened here");
  return { groups, axes, ellipsis };
}

/** Undefined for `1`. */
function axisOf(t: Token): PatternAxis | undefined {
  const length = t.text.length;
  if (t.text.startsWith(".")) {
    if (t.text !== DOTS) failPattern("an ellipsis has three dots", t.offset, length, "here");
    return { name: DOTS, size: undefined, offset: t.offset, length };
  }
  if (/^\d+$/.test(t.text)) {
    const size = Number(t.text);
    if (size === 1) return undefined;
    if (size === 0 || size >= 2 ** 31)
      failPattern("an anonymous axis has a positive extent below 2^31", t.offset, length, "here");
    return { name: `${size}@${t.offset}`, size, offset: t.offset, length };
  }
  if (!/^[\p{L}\p{N}_]+$/u.test(t.text))
    failPattern(`\`${t.text}\` has no meaning in a pattern`, t.offset, length, "here");
  checkName(t.text, t.offset);
  return { name: t.text, size: undefined, offset: t.offset, length };
}

function splitArrow(pattern: string): readonly [string, string, number] {
  const at = pattern.indexOf("->");
  if (at < 0) failPattern("the pattern has no `->`", 0, pattern.length, "expected `input axes -> result axes`");
  const second = pattern.indexOf("->", at + 2);
  if (second >= 0) failPattern("`->` occurs twice", second, 2, "the second");
  return [pattern.slice(0, at), pattern.slice(at + 2), at + 2];
}

export type EinopsOperation = "rearrange" | "reduce" | "repeat";

/**
 * `sizes` are the names of the axes whose extents the call gives. Throws NotationError: EIN1411 for the pattern, EIN1412 where
 * it does not fit the rank.
 */
export function parseEinops(
  operation: EinopsOperation,
  pattern: string,
  sizes: readonly string[],
  rank: number,
): EinopsPlan {
  const [leftText, rightText, base] = splitArrow(pattern);
  const [left, right] = [parseSide(leftText, 0), parseSide(rightText, base)];
  if (left.ellipsis?.inside)
    failPattern(
      "`...` may not stand in parentheses on the left",
      left.ellipsis.offset,
      3,
      "its extents could not be told apart",
    );
  if (right.ellipsis && !left.ellipsis)
    failPattern("`...` stands on the right but not on the left", right.ellipsis.offset, 3, "here");
  const [onLeft, onRight] = [new Set(left.axes.map((x) => x.name)), new Set(right.axes.map((x) => x.name))];
  for (const name of sizes)
    if (!onLeft.has(name) && !onRight.has(name))
      failPattern(`the pattern has no axis \`${name}\``, 0, pattern.length, `\`${name}:\` is given for it`);
  const [lost, gained] = [left.axes.filter((x) => !onRight.has(x.name)), right.axes.filter((x) => !onLeft.has(x.name))];
  const surprise = (x: PatternAxis | undefined, side: string): void => {
    if (x)
      failPattern(
        `axis \`${x.size ?? x.name}\` stands only on the ${side} side of \`${operation}\``,
        x.offset,
        x.length,
        "here",
      );
  };
  if (operation !== "reduce") surprise(lost[0], "left");
  if (operation !== "repeat") surprise(gained[0], "right");
  for (const x of gained)
    if (x.size === undefined && !sizes.includes(x.name))
      failPattern(`the new axis \`${x.name}\` has no extent`, x.offset, x.length, `give it: \`${x.name}: 2\``);
  return {
    ...resolve(left, right, rank, pattern),
    reduced: lost.flatMap((x) => (x.name === DOTS ? dots(left, rank) : [x])),
    added: gained,
  };
}

/** The axes that the left side's ellipsis stands for. */
function dots(left: Side, rank: number): readonly PatternAxis[] {
  const width = rank - (left.groups.length - 1);
  return Array.from({ length: width }, (_, k) => ({
    name: `${DOTS}${k}`,
    size: undefined,
    offset: left.ellipsis?.offset ?? 0,
    length: 3,
  }));
}

function resolve(
  left: Side,
  right: Side,
  rank: number,
  pattern: string,
): { readonly input: readonly Group[]; readonly output: readonly Group[] } {
  const need = left.groups.length - (left.ellipsis ? 1 : 0);
  if (left.ellipsis ? rank < need : rank !== need)
    throw new NotationError(
      "EIN1412",
      `the tensor has ${rank} ${rank === 1 ? "axis" : "axes"}, but the pattern ${left.ellipsis ? "needs at least" : "names"} ${need}`,
      [{ offset: 0, length: pattern.indexOf("->"), text: `${need} ${need === 1 ? "axis" : "axes"}` }],
    );
  if (!left.ellipsis) return { input: left.groups, output: right.groups };
  const wide = dots(left, rank);
  const spread = (side: Side): readonly Group[] =>
    side.groups.flatMap((g, k): readonly Group[] => {
      if (k !== side.ellipsis?.group) return [g];
      if (!side.ellipsis.inside) return wide.map((x) => ({ axes: [x], offset: g.offset, length: g.length }));
      return [{ ...g, axes: g.axes.flatMap((x) => (x.name === DOTS ? wide : [x])) }];
    });
  return { input: spread(left), output: spread(right) };
}

/** `b i j, b j k -> b i k` as an einsum. Throws NotationError (EIN1411, EIN1402). */
export function parseNamedEinsum(pattern: string, ranks: readonly number[]): EinsumPlan {
  const [leftText, rightText, base] = splitArrow(pattern);
  const terms: Side[] = [];
  let from = 0;
  for (const part of leftText.split(",")) {
    terms.push(plain(parseSide(part, from, true)));
    from += part.length + 1;
  }
  const result = plain(parseSide(rightText, base));
  if (terms.length !== ranks.length)
    throw new NotationError(
      "EIN1402",
      `the pattern has ${terms.length} ${terms.length === 1 ? "term" : "terms"} for ${ranks.length} ${ranks.length === 1 ? "operand" : "operands"}`,
      [{ offset: 0, length: leftText.length, text: "the terms" }],
    );
  let widest = 0;
  const inputs = terms.map((t, k) => {
    const [rank, need] = [ranks[k] ?? 0, t.groups.length - (t.ellipsis ? 1 : 0)];
    if (t.ellipsis ? rank < need : rank !== need) {
      const first = t.groups[0];
      throw new NotationError(
        "EIN1402",
        `operand ${k} has ${rank} ${rank === 1 ? "axis" : "axes"}, but its term names ${need}`,
        [{ offset: first?.offset ?? 0, length: first?.length ?? 1, text: `the term of operand ${k}` }],
        [],
        k,
      );
    }
    if (t.ellipsis) widest = Math.max(widest, rank - need);
    return labels(t, rank - need);
  });
  const known = new Set(inputs.flat().map((l) => l.name));
  for (const x of result.axes)
    if (x.name !== DOTS && !known.has(x.name))
      failPattern(`axis \`${x.name}\` of the result occurs in no operand`, x.offset, x.length, "unknown here");
  return { inputs, output: labels(result, widest) };
}

function labels(side: Side, width: number): readonly EinsumLabel[] {
  return side.axes.flatMap((x): readonly EinsumLabel[] =>
    x.name === DOTS
      ? Array.from({ length: width }, (_, k) => ({ name: `${DOTS}${width - 1 - k}`, offset: x.offset, length: 3 }))
      : [{ name: x.name, offset: x.offset, length: x.length }],
  );
}

/** Refuses what an einsum's terms may not hold. */
function plain(side: Side): Side {
  for (const g of side.groups) {
    const only = g.axes[0];
    if (g.axes.length > 1 || (only && only.offset !== g.offset))
      failPattern("einsum cannot reshape: no parentheses here", g.offset, g.length, "name the axes one by one");
    if (!only || only.size !== undefined)
      failPattern("einsum has no anonymous axes", g.offset, g.length, "give the axis a name");
  }
  return side;
}

/** The pattern of `pack` and `unpack`: how many axes stand before and after the `*`. Throws NotationError (EIN1411). */
export function parsePack(pattern: string): { readonly before: number; readonly after: number } {
  const words = tokens(pattern, 0);
  const seen = new Set<string>();
  let star: number | undefined;
  words.forEach((t, k) => {
    if (seen.has(t.text)) failPattern(`\`${t.text}\` occurs twice`, t.offset, t.text.length, "the second time");
    seen.add(t.text);
    if (t.text === "*") star = k;
    else checkName(t.text, t.offset);
  });
  if (star === undefined)
    return failPattern("the pattern has no `*`", 0, pattern.length, "`*` stands for the axes that are packed");
  return { before: star, after: words.length - star - 1 };
}
