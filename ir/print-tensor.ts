/** The text form of tensor programs (ir/tensor-text.ts describes it). Total and deterministic; ir/parse-tensor.ts reads it back. */
import { isFloat } from "./dtype.ts";
import { type Extent, sizeSymbol, substituteExtent, symbolsOf } from "./extent.ts";
import type { Prim } from "./prim.ts";
import {
  type Axis,
  type Const,
  childrenOf,
  type Definition,
  expressionsOf,
  freeAxes,
  type Monoid,
  type Program,
  type Reduce,
  type Step,
  type TensorExpr,
  type TensorRef,
} from "./tensor.ts";
import { monoidsIn, symbolsIn } from "./tensor-collect.ts";
import { isStandard, STANDARD_NAMES, WORDS } from "./tensor-text.ts";

export interface PrintOptions {
  /** Names by number instead of hints, also of inputs, so that programs equal up to names print equal (but for size symbols). */
  readonly canonical?: boolean;
  /** How extents are written; as they are if left out. */
  readonly extent?: (e: Extent) => string;
}

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A bare name, or in backticks. A backtick inside becomes a quote. */
export function quoted(name: string): string {
  return PLAIN.test(name) && !WORDS.has(name) ? name : `\`${name.replace(/[`\n\r]/g, "'")}\``;
}

/** Hands out names, each once: the hint if it is free, else with a number. */
class NameTable {
  private readonly used = new Set<string>();
  private readonly counters = new Map<string, number>();
  constructor(reserved: Iterable<string> = []) {
    for (const r of reserved) this.used.add(r);
  }
  take(hint: string): string {
    let name = hint.replace(/[^A-Za-z0-9_]/g, "_");
    if (!/^[A-Za-z_]/.test(name)) name = `_${name}`;
    if (!this.used.has(name) && !WORDS.has(name)) {
      this.used.add(name);
      return name;
    }
    const base = name.replace(/_\d+$/, "");
    let n = this.counters.get(base) ?? 1;
    while (this.used.has(`${base}_${n}`)) n++;
    this.counters.set(base, n + 1);
    this.used.add(`${base}_${n}`);
    return `${base}_${n}`;
  }
  /** An input's name means something: it stays as it is. */
  keep(name: string): string {
    this.used.add(name);
    return name;
  }
}

interface Names {
  readonly options: PrintOptions;
  readonly definitions: Map<Definition, readonly string[]>;
  readonly table: NameTable;
  readonly monoids: Map<Monoid, string>;
  readonly symbols: ReadonlySet<string>;
}

// ---- Programs -------------------------------------------------------------------------------------------------------

/** The whole program, one statement a line. */
export function printProgram(p: Program, options: PrintOptions = {}): string {
  const names: Names = {
    options,
    definitions: new Map(),
    table: new NameTable(),
    monoids: new Map(),
    symbols: symbolsIn(p),
  };
  const lines: string[] = [`program ${quoted(options.canonical ? "p" : p.name)}`];
  const monoidNames = new NameTable(STANDARD_NAMES);
  for (const m of monoidsIn(p)) {
    if (isStandard(m)) continue;
    names.monoids.set(m, monoidNames.take(options.canonical ? "m" : m.name));
    lines.push(printMonoid(m, names));
  }
  for (const f of p.facts)
    lines.push(
      `fact ${extentText(f.left)} ${f.relation} ${extentText(f.right)} ${JSON.stringify(options.canonical ? "" : f.message)}`,
    );
  for (const d of p.inputs) {
    const name = options.canonical ? names.table.take("x") : names.table.keep(d.name);
    names.definitions.set(d, [name]);
    lines.push(`input ${quoted(name)}: ${d.types.join(", ")}${scopeOf(d, names).header}`);
  }
  for (const s of p.steps) lines.push(...stepLines(s, names));
  for (const r of p.results) lines.push(`result ${quoted(options.canonical ? "y" : r.name)} = ${refText(r, names)}`);
  return `${lines.join("\n")}\n`;
}

function stepLines(s: Step, names: Names): string[] {
  if (s.kind !== "loop") return [definitionLine(s, names)];
  const lines: string[] = [];
  const push = (line: string): void => {
    lines.push(`  ${line}`);
  };
  const inits = s.carries.map((c) => refText(c.init, names));
  let head = "loop";
  if (s.index) head += ` index ${nameDefinition(s.index, names).map(quoted).join(", ")}`;
  if (s.count) head += ` count ${extentText(s.count)}`;
  if (s.max) head += ` max ${extentText(s.max)}`;
  const declare = (d: Definition): string =>
    `${nameDefinition(d, names).map(quoted).join(", ")}: ${d.types.join(", ")}${scopeOf(d, names).header}`;
  s.carries.forEach((c, i) => {
    push(`carry ${declare(c.carry)} = ${inits[i]}`);
  });
  for (const k of s.stacks) push(`stack ${declare(k.stack)}`);
  for (const b of s.body) for (const line of stepLines(b, names)) push(line);
  for (const c of s.carries) push(`next ${refText({ tensor: c.carry, slot: 0 }, names)} = ${refText(c.next, names)}`);
  for (const k of s.stacks) push(`push ${refText({ tensor: k.stack, slot: 0 }, names)} = ${refText(k.value, names)}`);
  if (s.until) push(`until ${refText(s.until, names)}`);
  return [`${head} {`, ...lines, "}"];
}

function nameDefinition(d: Definition, names: Names): readonly string[] {
  const old = names.definitions.get(d);
  if (old) return old;
  const first = names.table.take(names.options.canonical ? "t" : d.name);
  const made = d.types.map((_, i) => (i === 0 ? first : names.table.take(`${first}_1`)));
  names.definitions.set(d, made);
  return made;
}

function refText(r: TensorRef, names: Names): string {
  // A reference to a definition that has no step is malformed; it prints as a name of its own all the same.
  return quoted(nameDefinition(r.tensor, names)[r.slot] ?? `${r.tensor.name}.${r.slot}`);
}

function definitionLine(d: Definition, names: Names): string {
  const scope = scopeOf(d, names);
  const body = definitionBody(d, scope);
  const left = nameDefinition(d, names).map(quoted).join(", ");
  return `${left}${scope.header}${d.epoch === 0 ? "" : ` @${d.epoch}`} = ${body}`;
}

function definitionBody(d: Definition, scope: Scope): string {
  switch (d.kind) {
    case "input":
    case "carry":
      return d.kind;
    case "map": {
      const root = rootReduction(d.results);
      if (root) return `${scope.monoid(root.monoid)}${binder(root.axes, scope)} ${scope.body(root.values)}`;
      return scope.body(d.results);
    }
    case "scan":
      return `scan ${scope.monoid(d.monoid)} along ${scope.axis(d.along)} ${scope.body(d.values)}`;
    case "scatter": {
      const head = `scatter ${d.monoid === "set" ? "set" : scope.monoid(d.monoid)}${binder(d.domain, scope)}`;
      const lets = scope.lets([...d.at, ...d.values]);
      const at = d.at.map((e) => scope.expr(e, 0)).join(", ");
      const values = d.values.map((e) => scope.expr(e, 0)).join(", ");
      const into = d.into ? ` into ${d.into.map((r) => refText(r, scope.names)).join(", ")}` : "";
      const usual = d.monoid === "set" ? [] : d.monoid.identity;
      const same = d.initial.length === usual.length && d.initial.every((c, i) => c === usual[i]);
      const initial = same ? "" : ` initial ${d.initial.length === 0 ? "()" : d.initial.map(constText).join(", ")}`;
      return `${head} ${lets}at [${at}] ${values}${into}${initial}`;
    }
  }
}

/** The reduce whose slots 0…n-1 the results are, if they are. */
function rootReduction(results: readonly TensorExpr[]): Reduce | undefined {
  const r = results[0];
  if (r?.kind !== "reduce" || results.length !== r.monoid.slots.length) return undefined;
  const fits = results.every(
    (e, i) =>
      e.kind === "reduce" &&
      e.slot === i &&
      e.monoid === r.monoid &&
      e.axes.length === r.axes.length &&
      e.axes.every((a, j) => a === r.axes[j]) &&
      e.values.every((v, j) => v === r.values[j]),
  );
  return fits ? r : undefined;
}

function binder(axes: readonly Axis[], scope: Scope): string {
  return `(${axes.map((a) => `${scope.axis(a)}:${extentText(a.extent, scope.names.options)}`).join(", ")})`;
}

function printMonoid(m: Monoid, names: Names): string {
  const scope = makeScope([], names);
  const laws = `${m.commutative ? " commutative" : ""}${m.exact ? " exact" : ""}`;
  return `monoid ${names.monoids.get(m) ?? m.name}: ${m.slots.join(", ")} = ${scope.body(m.combine)} identity ${m.identity.map(constText).join(", ")}${laws}`;
}

// ---- Expressions ------------------------------------------------------------------------------------------------------

/** One expression on its own, for messages and debugging. Axes show their hints. */
export function printExpr(e: TensorExpr): string {
  const names: Names = {
    options: {},
    definitions: new Map(),
    table: new NameTable(),
    monoids: new Map(),
    symbols: new Set(),
  };
  return makeScope([e], names).expr(e, 0);
}

interface Scope {
  readonly names: Names;
  /** `[n:N, d:D]`, the definition's own axes. */
  readonly header: string;
  axis(a: Axis): string;
  monoid(m: Monoid): string;
  expr(e: TensorExpr, precedence: number): string;
  /** `let` clauses for subexpressions that occur more than once and need no axis that is bound within. */
  lets(roots: readonly TensorExpr[]): string;
  body(roots: readonly TensorExpr[]): string;
}

function scopeOf(d: Definition, names: Names): Scope {
  const scope = makeScope(expressionsOf(d), names);
  const header = `[${d.axes.map((a) => `${scope.axis(a)}:${extentText(a.extent, scope.names.options)}`).join(", ")}]`;
  return { ...scope, header };
}

const INFIX: Partial<Record<Prim, readonly [sign: string, precedence: number]>> = {
  or: ["||", 2],
  and: ["&&", 3],
  eq: ["==", 4],
  ne: ["!=", 4],
  lt: ["<", 4],
  le: ["<=", 4],
  gt: [">", 4],
  ge: [">=", 4],
  add: ["+", 5],
  sub: ["-", 5],
  mul: ["*", 6],
  div: ["/", 6],
  floordiv: ["div", 6],
  mod: ["%", 6],
};
const UNARY = 7;

function makeScope(roots: readonly TensorExpr[], names: Names): Scope {
  const table = new NameTable(names.symbols);
  const axes = new Map<Axis, string>();
  const lets = new Map<TensorExpr, string>();
  const shared = findShared(roots);
  const axis = (a: Axis): string => {
    const old = axes.get(a);
    if (old) return old;
    const made = table.take(names.options.canonical ? "i" : a.name);
    axes.set(a, made);
    return made;
  };
  const monoid = (m: Monoid): string => names.monoids.get(m) ?? m.name;
  const list = (es: readonly TensorExpr[]): string => es.map((x) => expr(x, 0)).join(", ");

  const expr = (e: TensorExpr, precedence: number): string => {
    const name = lets.get(e);
    if (name !== undefined) return name;
    switch (e.kind) {
      case "const":
        return constText(e);
      case "size": {
        const text = extentText(e.extent, names.options);
        return e.extent.terms.length === 1 &&
          e.extent.terms[0]?.coefficient === 1 &&
          e.extent.terms[0].atoms.length === 1 &&
          e.extent.terms[0].atoms[0]?.kind === "symbol"
          ? text
          : `size(${text})`;
      }
      case "axis":
        return axis(e.axis);
      case "arg":
        return `$${e.index}`;
      case "read": {
        const text = `${refText(e, names)}[${list(e.at)}]`;
        if (!e.fill) return text;
        const filled = `${text} ?? ${constText(e.fill)}`;
        return precedence > 0 ? `(${filled})` : filled;
      }
      case "reduce": {
        const head = `${monoid(e.monoid)}(${e.axes.map((a) => `${axis(a)}:${extentText(a.extent, names.options)}`).join(", ")})`;
        return `${head}{${body(e.values)}}${e.monoid.slots.length > 1 ? `.${e.slot}` : ""}`;
      }
      case "apply": {
        const wrap = (text: string, own: number): string => (own < precedence ? `(${text})` : text);
        const [a, b, c] = e.args;
        if (e.prim === "select" && a && b && c) return wrap(`${expr(a, 2)} ? ${expr(b, 1)} : ${expr(c, 1)}`, 1);
        const infix = INFIX[e.prim];
        if (infix && a && b) {
          const [sign, own] = infix;
          // Comparisons do not associate: both sides need parentheses.
          return wrap(`${expr(a, own === 4 ? 5 : own)} ${sign} ${expr(b, own + 1)}`, own);
        }
        if (e.prim === "not" && a) return wrap(`!${expr(a, UNARY)}`, UNARY);
        if (e.prim === "neg" && a && a.kind !== "const") return wrap(`-${expr(a, UNARY)}`, UNARY);
        if (e.prim === "cast") return `${e.dtype}(${list(e.args)})`;
        if (e.prim === "bitcast") return `bitcast ${e.dtype}(${list(e.args)})`;
        return `${e.prim}(${list(e.args)})`;
      }
      default:
        return e satisfies never;
    }
  };

  const letsFor = (es: readonly TensorExpr[]): string => {
    if (shared.size === 0) return "";
    let text = "";
    const seen = new Set<TensorExpr>();
    const go = (e: TensorExpr, inside: ReadonlySet<Axis>): void => {
      if (seen.has(e) || lets.has(e)) return;
      seen.add(e);
      const under = e.kind === "reduce" ? new Set([...inside, ...e.axes]) : inside;
      for (const x of childrenOf(e)) go(x, under);
      if (!shared.has(e)) return;
      for (const a of freeAxes(e)) if (inside.has(a)) return;
      const definition = expr(e, 1);
      const name = table.take("v");
      lets.set(e, name);
      text += `let ${name} = ${definition}; `;
    };
    for (const e of es) go(e, new Set());
    return text;
  };
  const body = (es: readonly TensorExpr[]): string => {
    const before = new Set(lets.keys());
    const text = `${letsFor(es)}${list(es)}`;
    // What was named inside is visible only inside.
    for (const e of [...lets.keys()]) if (!before.has(e)) lets.delete(e);
    return text;
  };
  return { names, header: "", axis, monoid, expr, lets: letsFor, body };
}

/** Nodes with several parents that are worth a name: without names a graph may print exponentially long. */
function findShared(roots: readonly TensorExpr[]): ReadonlySet<TensorExpr> {
  const parents = new Map<TensorExpr, number>();
  const order: TensorExpr[] = [];
  const visit = (e: TensorExpr): void => {
    const n = parents.get(e) ?? 0;
    parents.set(e, n + 1);
    if (n > 0) return;
    for (const c of childrenOf(e)) visit(c);
    order.push(e);
  };
  for (const r of roots) visit(r);
  const shared = new Set<TensorExpr>();
  const length = new Map<TensorExpr, number>();
  for (const e of order) {
    let n = 1;
    for (const c of childrenOf(e)) n += shared.has(c) ? 1 : (length.get(c) ?? 1);
    length.set(e, n);
    if ((parents.get(e) ?? 0) > 1 && n > 5) shared.add(e);
  }
  return shared;
}

export function constText(c: Const): string {
  const v = c.value;
  if (c.dtype === "bool") return v !== 0 ? "true" : "false";
  if (c.dtype === "i32") return String(v);
  if (c.dtype === "u32") return `${v}u`;
  const suffix = c.dtype === "f16" ? "h" : "";
  if (Number.isNaN(v)) return `nan${suffix}`;
  const a = Math.abs(v);
  const sign = v < 0 || Object.is(v, -0) ? "-" : "";
  if (a === Number.POSITIVE_INFINITY) return `${sign}inf${suffix}`;
  const digits = String(a);
  return `${sign}${/[.e]/.test(digits) || !isFloat(c.dtype) ? digits : `${digits}.0`}${suffix}`;
}

function extentText(e: Extent, options: PrintOptions = {}): string {
  if (options.extent) return options.extent(e);
  const odd = [...symbolsOf(e)].filter((s) => quoted(s) !== s);
  if (odd.length === 0) return e.text;
  return substituteExtent(e, new Map(odd.map((s) => [s, sizeSymbol(quoted(s))]))).text;
}
