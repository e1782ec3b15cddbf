/** Tensor Comprehensions to `.ein`: every statement makes a new version of its tensor; reductions become index reductions. */
import { parseTc, TcError, type TcExpr, type TcStatement } from "./parse.ts";
import { indexNames, inferRanges, type Range, type TensorInfo } from "./ranges.ts";

export interface Translated {
  readonly source: string;
  readonly parameters: readonly { readonly name: string; readonly tcName: string; readonly dtype: "f32" | "i32" }[];
  readonly results: readonly string[];
  /** Where each result starts. */
  readonly warnings: readonly string[];
}

const FUNCTIONS: Readonly<Record<string, string>> = { fmax: "max", fmin: "min", fabs: "abs", ceil: "ceil", pow: "pow" };
const REDUCERS: Readonly<Record<string, { readonly name: string; readonly join: (a: string, b: string) => string }>> = {
  "+=": { name: "sum", join: (a, b) => `${a} + (${b})` },
  "*=": { name: "prod", join: (a, b) => `${a} * (${b})` },
  "max=": { name: "max", join: (a, b) => `max(${a}, ${b})` },
  "min=": { name: "min", join: (a, b) => `min(${a}, ${b})` },
};

interface State {
  readonly sizes: ReadonlyMap<string, number>;
  readonly tensors: Map<string, TensorInfo>;
  /** The present version of each tensor's name. */
  readonly names: Map<string, string>;
  readonly warnings: string[];
}

/** `sizes` binds the size variables. Throws TcError for what the notation does not allow. */
export function translateTc(text: string, sizes: ReadonlyMap<string, number>): Translated {
  const f = parseTc(text);
  const s: State = { sizes, tensors: new Map(), names: new Map(), warnings: [] };
  const parameters = f.params.map((p) => {
    const dtype = /^(float|double|half)$/.test(p.type) ? ("f32" as const) : ("i32" as const);
    const axes = p.dims.map((d) => ({ from: 0, to: /^\d+$/.test(d) ? Number(d) : sizeOf(d, sizes) }));
    s.tensors.set(p.name, { axes, isFloat: dtype === "f32" });
    s.names.set(p.name, `T_${p.name}`);
    return { name: `T_${p.name}`, tcName: p.name, dtype, axes };
  });
  const lines = f.statements.map((st, i) => statement(st, i, s));
  for (const r of f.results) if (!s.names.has(r)) throw new TcError(`the result ${r} is never defined`);
  const params = parameters.map(
    (p) => `${p.name}: ${p.dtype}${p.axes.length > 0 ? `[${p.axes.map((a) => a.to).join(", ")}]` : ""}`,
  );
  const result =
    f.results.length === 1
      ? s.names.get(f.results[0]!)!
      : `{ ${f.results.map((r) => `R_${r}: ${s.names.get(r)}`).join(", ")} }`;
  return {
    source: `export fn f(${params.join(", ")}) {\n${lines.map((l) => `  ${l}\n`).join("")}  ${result}\n}\n`,
    parameters,
    results: f.results,
    warnings: s.warnings,
  };
}

function sizeOf(name: string, sizes: ReadonlyMap<string, number>): number {
  const n = sizes.get(name);
  if (n === undefined) throw new TcError(`unknown size ${name}`);
  return n;
}

function statement(raw: TcStatement, number: number, s: State): string {
  const lets = new Map(raw.clauses.flatMap((c) => (c.kind === "let" ? [[c.name, c.value] as const] : [])));
  const value = inline(raw.value, lets);
  const ranges = new Map<string, Range>();
  for (const c of raw.clauses) {
    if (c.kind !== "range") continue;
    if (lets.has(c.index)) throw new TcError(`${c.index} is a let name and cannot have a range`);
    ranges.set(c.index, { from: constant(c.from, s), to: constant(c.to, s) });
  }
  const known = (n: string): boolean => s.tensors.has(n) || s.sizes.has(n);
  const indices = new Set<string>([...raw.indices, ...ranges.keys()]);
  indexNames(value, known, indices);
  const exists = raw.clauses.flatMap((c) => (c.kind === "exists" ? [inline(c.access, lets)] : []));
  for (const e of exists) indexNames(e, known, indices);
  inferRanges(indices, [value, ...exists], s.tensors, s.sizes, ranges);

  const reduced = [...indices].filter((n) => !raw.indices.includes(n));
  const reducer = REDUCERS[raw.op];
  if (!reducer && reduced.length > 0)
    throw new TcError(`${reduced.join(", ")} is reduced, but the statement has no reduction operator`);
  const binder = (n: string): string => `${n} in ${ranges.get(n)!.from}..${ranges.get(n)!.to}`;
  let body = emit(value, s, false);
  if (reducer && reduced.length > 0) body = `(${reducer.name}[${reduced.map(binder).join(", ")}] ${body})`;
  const old = s.tensors.get(raw.target);
  if (reducer && !raw.init) {
    if (old) body = reducer.join(emit(target(raw), s, false), body);
    else s.warnings.push(`${raw.target} ${raw.op} accumulates into what was never initialised`);
  }
  const name = `T${number}_${raw.target}`;
  const isFloat = floatness(value, s) || (old?.isFloat ?? false);
  s.tensors.set(raw.target, { axes: raw.indices.map((n) => ranges.get(n)!), isFloat });
  s.names.set(raw.target, name);
  return raw.indices.length > 0
    ? `let ${name} = for[${raw.indices.map(binder).join(", ")}] ${body}`
    : `let ${name} = ${body}`;
}

function target(raw: TcStatement): TcExpr {
  return { kind: "access", name: raw.target, args: raw.indices.map((name) => ({ kind: "name", name })) };
}

/** A range's end: sizes and numbers only. */
function constant(e: TcExpr, s: State): number {
  if (e.kind === "number" && /^\d+$/.test(e.text)) return Number(e.text);
  if (e.kind === "name" && s.sizes.has(e.name)) return sizeOf(e.name, s.sizes);
  if (e.kind === "binary") {
    const [a, b] = [constant(e.left, s), constant(e.right, s)];
    if (e.op === "+") return a + b;
    if (e.op === "-") return a - b;
    if (e.op === "*") return a * b;
    if (e.op === "/") return Math.floor(a / b);
  }
  throw new TcError("a range may depend on sizes and numbers only");
}

function inline(e: TcExpr, lets: ReadonlyMap<string, TcExpr>): TcExpr {
  if (lets.size === 0) return e;
  const go = (x: TcExpr): TcExpr => inline(x, lets);
  switch (e.kind) {
    case "number":
      return e;
    case "name":
      return lets.get(e.name) ?? e;
    case "access":
      return { ...e, args: e.args.map(go) };
    case "unary":
      return { ...e, operand: go(e.operand) };
    case "binary":
      return { ...e, left: go(e.left), right: go(e.right) };
    case "ternary":
      return { ...e, condition: go(e.condition), chosen: go(e.chosen), otherwise: go(e.otherwise) };
  }
}

function floatness(e: TcExpr, s: State): boolean {
  switch (e.kind) {
    case "number":
      return /[.eE]/.test(e.text);
    case "name":
      return s.tensors.get(e.name)?.isFloat ?? false;
    case "access":
      return (
        s.tensors.get(e.name)?.isFloat ??
        (e.name.startsWith("int") ? false : e.name === "float" || e.args.some((a) => floatness(a, s)))
      );
    case "unary":
      return floatness(e.operand, s);
    case "binary":
      return ["==", "!=", "<", "<=", ">", ">=", "&&", "||"].includes(e.op)
        ? false
        : floatness(e.left, s) || floatness(e.right, s);
    case "ternary":
      return floatness(e.chosen, s) || floatness(e.otherwise, s);
  }
}

/** Data-dependent indices, and reads that a condition guards, find 0 outside; all others must be proved by the compiler. */
function emit(e: TcExpr, s: State, guarded: boolean): string {
  switch (e.kind) {
    case "number":
      return e.text.startsWith(".") ? `0${e.text}` : e.text;
    case "name": {
      const size = s.sizes.get(e.name);
      return size !== undefined ? String(size) : (s.names.get(e.name) ?? e.name);
    }
    case "unary":
      return `${e.op}(${emit(e.operand, s, guarded)})`;
    case "binary": {
      // C's division: exact on floats, truncating on integers, which the language writes differently.
      const op = e.op === "/" && !floatness(e, s) && !isSizes(e, s) ? "div" : e.op;
      return `(${emit(e.left, s, guarded)} ${op} ${emit(e.right, s, guarded)})`;
    }
    case "ternary":
      return `(${emit(e.condition, s, guarded)} ? ${emit(e.chosen, s, true)} : ${emit(e.otherwise, s, true)})`;
    case "access": {
      const info = s.tensors.get(e.name);
      if (!info) {
        const args = e.args.map((a) => emit(a, s, guarded));
        if (/^(int32|int64|int8|uint8|int16)$/.test(e.name)) return `((${args[0]}) as i32)`;
        if (e.name === "float" || e.name === "double") return `((${args[0]}) as f32)`;
        return `${FUNCTIONS[e.name] ?? e.name}(${args.join(", ")})`;
      }
      if (e.args.length === 0) return s.names.get(e.name)!;
      const at = e.args.map((a, i) => {
        const from = info.axes[i]?.from ?? 0;
        const text = emit(a, s, guarded);
        return from === 0 ? text : `(${text}) - (${from})`;
      });
      const dataDependent = e.args.some((a) => readsTensor(a, s));
      const text = `${s.names.get(e.name)}[${at.join(", ")}]`;
      return guarded || dataDependent ? `(${text} ?? 0)` : text;
    }
  }
}

/** Arithmetic of sizes and numbers alone: the context makes it a float where it is one. */
function isSizes(e: TcExpr, s: State): boolean {
  return (
    e.kind === "number" ||
    (e.kind === "name" && s.sizes.has(e.name)) ||
    (e.kind === "binary" && isSizes(e.left, s) && isSizes(e.right, s))
  );
}

function readsTensor(e: TcExpr, s: State): boolean {
  switch (e.kind) {
    case "access":
      return s.tensors.has(e.name) || e.args.some((a) => readsTensor(a, s));
    case "name":
      return s.tensors.has(e.name);
    case "unary":
      return readsTensor(e.operand, s);
    case "binary":
      return readsTensor(e.left, s) || readsTensor(e.right, s);
    default:
      return false;
  }
}
