/**
 * What elaboration learns about extents: which symbols are one, what the host must check, and what is proved already.
 * Symbols that must be equal are merged (the one that appeared first names both); everything undecided becomes a fact.
 */
import type { DiagnosticCode } from "../../grammar/codes.ts";
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import {
  type Extent,
  lowerBound,
  type Proof,
  proveNonNegative,
  size,
  sizeSymbol,
  subExtent,
  substituteExtent,
} from "../../ir/extent.ts";
import type { Fact } from "../../ir/tensor.ts";

export interface Constraints {
  /** The extent with merged symbols replaced: compare these with `===`. */
  resolve(e: Extent): Extent;
  /** Is e >= 0, given what is known of the symbols? */
  prove(e: Extent): Proof;
  /** Certain disagreement throws EIN1203 (or `code`) at both places; else symbols merge or a fact is kept. */
  requireEqual(left: Extent, right: Extent, leftSpan: Span, rightSpan: Span, what: string, code?: DiagnosticCode): void;
  /** left >= right; certain failure throws `code` (EIN1205 if left out). */
  requireAtLeast(left: Extent, right: Extent, span: Span, what: string, code?: DiagnosticCode): void;
  /** Symbols merge towards the one that was declared first. */
  declare(symbol: string): void;
  freshSymbol(hint: string): Extent;
  /** Gives a symbol its value without making it a literal: it still does not broadcast. */
  pin(symbol: string, value: number): void;
  /** What the signature's `where` says, in order of discovery. */
  where(): readonly string[];
  /** Smallest values of symbols that facts guarantee; 0 for the others. */
  readonly atLeast: ReadonlyMap<string, number>;
  /** The replacements to apply to the finished program. */
  readonly merged: ReadonlyMap<string, Extent>;
  facts(): readonly Fact[];
  /** Remembers the state; calling the result goes back to it. */
  snapshot(): () => void;
}

export function makeConstraints(): Constraints {
  const merged = new Map<string, Extent>();
  const order = new Map<string, number>();
  const atLeast = new Map<string, number>();
  let facts: Fact[] = [];
  let keys = new Set<string>();
  let where: string[] = [];

  const resolve = (e: Extent): Extent => (merged.size === 0 || e.value !== undefined ? e : substituteExtent(e, merged));
  const prove = (e: Extent): Proof => proveNonNegative(resolve(e), atLeast);

  const declare = (symbol: string): void => {
    if (!order.has(symbol)) order.set(symbol, order.size);
  };

  const merge = (symbol: string, into: Extent): void => {
    const bind = new Map([[symbol, into]]);
    for (const [name, e] of merged) merged.set(name, substituteExtent(e, bind));
    merged.set(symbol, into);
    const least = atLeast.get(symbol);
    const other = plainSymbol(into);
    if (least !== undefined && other !== undefined) atLeast.set(other, Math.max(least, atLeast.get(other) ?? 0));
  };

  const addFact = (fact: Fact): void => {
    const key = `${fact.left.text}${fact.relation}${fact.right.text}`;
    if (keys.has(key)) return;
    keys.add(key);
    facts.push(fact);
    where.push(`${fact.left.text} ${fact.relation} ${fact.right.text}`);
    if (fact.relation === ">=") learn(subExtent(fact.left, fact.right));
  };

  /** From c·S - d >= 0 with one symbol S: S >= ⌈d / c⌉. */
  const learn = (e: Extent): void => {
    const linear = linearInOneSymbol(e);
    if (!linear || linear.coefficient <= 0) return;
    const least = Math.ceil(-linear.constant / linear.coefficient);
    atLeast.set(linear.symbol, Math.max(least, atLeast.get(linear.symbol) ?? 0));
  };

  return {
    merged,
    atLeast,
    resolve,
    prove,
    declare,
    requireEqual(left, right, leftSpan, rightSpan, what, code = "EIN1203") {
      if (left === right) return;
      const [l, r] = [resolve(left), resolve(right)];
      if (l === r) return;
      const d = subExtent(l, r);
      const low = lowerBound(d, atLeast);
      const negative = lowerBound(subExtent(r, l), atLeast);
      if ((low !== undefined && low > 0) || (negative !== undefined && negative > 0)) {
        const labels = [{ span: leftSpan, text: `this is ${sizeText(left, l)}` }];
        if (!sameSpan(leftSpan, rightSpan)) labels.push({ span: rightSpan, text: `this is ${sizeText(right, r)}` });
        throw new DiagnosticError(
          diagnostic(
            code,
            `${what} must have the same extent, but ${sizeText(left, l)} is not ${sizeText(right, r)}`,
            labels,
            {
              notes: [`expected ${sizeText(left, l)}, found ${sizeText(right, r)}`],
            },
          ),
        );
      }
      const [a, b] = [plainSymbol(l), plainSymbol(r)];
      const isSize = (e: Extent): boolean => e.value !== undefined && e.value >= 0;
      if (a !== undefined && b !== undefined) {
        declare(a);
        declare(b);
        const [first, second] = (order.get(a) ?? 0) < (order.get(b) ?? 0) ? [l, b] : [r, a];
        if (!isFresh(second)) where.push(`${plainSymbol(first)} == ${second}`);
        merge(second, first);
      } else if (a !== undefined && (isSize(r) || isFresh(a)) && !mentions(r, a)) {
        if (!isFresh(a)) where.push(`${l.text} == ${r.text}`);
        merge(a, r);
      } else if (b !== undefined && (isSize(l) || isFresh(b)) && !mentions(l, b)) {
        if (!isFresh(b)) where.push(`${r.text} == ${l.text}`);
        merge(b, l);
      } else {
        const message = `${what} must have the same extent, but ${l.text} is not ${r.text}`;
        addFact({ left: l, relation: "==", right: r, message, span: leftSpan });
      }
    },
    requireAtLeast(left, right, span, what, code = "EIN1205") {
      const [l, r] = [resolve(left), resolve(right)];
      const proof = proveNonNegative(subExtent(l, r), atLeast);
      if (proof === "proved") return;
      const shown =
        l.value === undefined && r.value === undefined ? `${l.text} is less than ${r.text}` : `${l.text} < ${r.text}`;
      if (proof === "refuted")
        throw new DiagnosticError(
          diagnostic(code, `${what}: ${shown}`, { span, text: `expected at least ${r.text}, found ${l.text}` }),
        );
      // `N >= 1` rather than `N - 1 >= 0`.
      const linear = linearInOneSymbol(subExtent(l, r));
      const [a, b] = linear?.coefficient === 1 ? [sizeSymbol(linear.symbol), size(-linear.constant)] : [l, r];
      addFact({ left: a, relation: ">=", right: b, message: `${what}: ${shown}`, span });
    },
    freshSymbol(hint) {
      let n = 1;
      while (order.has(`_${hint}${n}`)) n++;
      const name = `_${hint}${n}`;
      declare(name);
      return sizeSymbol(name);
    },
    pin(symbol, value) {
      declare(symbol);
      merged.set(symbol, size(value));
    },
    where: () => where,
    facts: () =>
      facts
        .map((f) => ({ ...f, left: resolve(f.left), right: resolve(f.right) }))
        .filter(
          (f) =>
            f.left !== f.right && !(f.relation === ">=" && proveNonNegative(subExtent(f.left, f.right)) === "proved"),
        ),
    snapshot() {
      const saved = {
        merged: [...merged],
        order: [...order],
        atLeast: [...atLeast],
        facts: [...facts],
        keys: new Set(keys),
        where: [...where],
      };
      return () => {
        refill(merged, saved.merged);
        refill(order, saved.order);
        refill(atLeast, saved.atLeast);
        facts = saved.facts;
        keys = saved.keys;
        where = saved.where;
      };
    },
  };
}

function refill<K, V>(map: Map<K, V>, entries: readonly (readonly [K, V])[]): void {
  map.clear();
  for (const [k, v] of entries) map.set(k, v);
}

function sameSpan(a: Span, b: Span): boolean {
  return a.file === b.file && a.start === b.start && a.end === b.end;
}

/** `C`, or `C = 3` where a symbol is known by now. */
function sizeText(written: Extent, resolved: Extent): string {
  return written === resolved ? written.text : `${written.text} = ${resolved.text}`;
}

export function isFresh(symbol: string): boolean {
  return symbol.startsWith("_");
}

/** The name if the extent is one symbol. */
export function plainSymbol(e: Extent): string | undefined {
  const t = e.terms[0];
  const a = t?.atoms[0];
  return e.terms.length === 1 && t?.coefficient === 1 && t.atoms.length === 1 && a?.kind === "symbol"
    ? a.name
    : undefined;
}

function mentions(e: Extent, symbol: string): boolean {
  return e.terms.some((t) =>
    t.atoms.some((a) =>
      a.kind === "symbol" ? a.name === symbol : mentions(a.left, symbol) || mentions(a.right, symbol),
    ),
  );
}

function linearInOneSymbol(e: Extent): { symbol: string; coefficient: number; constant: number } | undefined {
  let found: { symbol: string; coefficient: number } | undefined;
  let constant = 0;
  for (const t of e.terms) {
    if (t.atoms.length === 0) constant = t.coefficient;
    else {
      const a = t.atoms[0];
      if (found || t.atoms.length > 1 || a?.kind !== "symbol") return undefined;
      found = { symbol: a.name, coefficient: t.coefficient };
    }
  }
  return found && { ...found, constant };
}
