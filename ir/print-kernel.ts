/**
 * Kernels as text (schedule.md, section 6); ir/parse-kernel.ts reads it back.
 *
 * Text has no sharing: an expression is printed as a tree, unless that would be long; then its shared parts become `let`s
 * before the statement, which means the same because evaluation is eager.
 */
import type { DType } from "./dtype.ts";
import type { Extent } from "./extent.ts";
import { symbolsOf } from "./extent.ts";
import type {
  Buffer,
  Kernel,
  KernelExpr,
  KSubgroup,
  Lanes,
  Matrices,
  MatrixPlace,
  MatrixStatement,
  Statement,
  Variable,
} from "./kernel.ts";
import type { Prim } from "./prim.ts";
import { allStatements, exprChildren, statementExprs, visitExpr } from "./visit-kernel.ts";

/** Infix spellings with their precedence; everything else is written as a call. */
export const INFIX: ReadonlyMap<Prim, readonly [text: string, level: number]> = new Map<
  Prim,
  readonly [string, number]
>([
  ["or", ["||", 1]],
  ["and", ["&&", 2]],
  ["bitor", ["|", 3]],
  ["bitxor", ["^", 4]],
  ["bitand", ["&", 5]],
  ["eq", ["==", 6]],
  ["ne", ["!=", 6]],
  ["lt", ["<", 6]],
  ["le", ["<=", 6]],
  ["gt", [">", 6]],
  ["ge", [">=", 6]],
  ["shl", ["<<", 7]],
  ["shr", [">>", 7]],
  ["add", ["+", 8]],
  ["sub", ["-", 8]],
  ["mul", ["*", 9]],
  ["div", ["/", 9]],
  ["floordiv", ["div", 9]],
  ["mod", ["%", 9]],
]);
const UNARY = 10;
const POSTFIX = 11;
export const LANE_NAMES: readonly string[] = ["x", "y", "z", "w"];

export function typeText(dtype: DType, lanes: Lanes): string {
  return lanes === 1 ? dtype : `${dtype}x${lanes}`;
}

const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;
/** Words that mean something where a name could stand. */
export const RESERVED: ReadonlySet<string> = new Set([
  "kernel",
  "for",
  "if",
  "else",
  "let",
  "while",
  "max",
  "min",
  "barrier",
  "atomic",
  "matrix",
  "subgroup",
  "true",
  "false",
  "inf",
  "nan",
  "infh",
  "nanh",
  "div",
  "splat",
  "splat2",
  "vec",
  "ceil",
  "origin",
  "when",
  "uniform",
  "step",
]);

/** Gives every variable and buffer a name of its own, as near to its hint as can be. */
class Names {
  readonly taken: Set<string>;
  readonly given = new Map<Variable | Buffer | Matrices, string>();
  constructor(taken: Iterable<string>) {
    this.taken = new Set(taken);
  }
  of(thing: Variable | Buffer | Matrices): string {
    const old = this.given.get(thing);
    if (old !== undefined) return old;
    const base = IDENTIFIER.test(thing.name)
      ? thing.name
      : thing.name.replace(/[^\p{L}\p{N}_$]/gu, "_").replace(/^(?=\p{N}|$)/u, "_");
    let name = base;
    for (let i = 1; this.taken.has(name) || RESERVED.has(name); i++) name = `${base}_${i}`;
    this.taken.add(name);
    this.given.set(thing, name);
    return name;
  }
}

export function constText(dtype: DType, value: number): string {
  switch (dtype) {
    case "bool":
      return value ? "true" : "false";
    case "i32":
      return String(value);
    case "u32":
      return `${value}u`;
    case "f32":
    case "f16": {
      const suffix = dtype === "f16" ? "h" : "";
      if (Number.isNaN(value)) return `nan${suffix}`;
      if (!Number.isFinite(value)) return `${value < 0 ? "-" : ""}inf${suffix}`;
      const text = Object.is(value, -0) ? "-0" : String(value);
      return (/[.e]/.test(text) ? text : `${text}.0`) + suffix;
    }
    default:
      return dtype satisfies never;
  }
}

/** A lone symbol stands bare, everything else in braces, so that it cannot be taken for arithmetic at run time. */
function sizeText(e: Extent): string {
  const t = e.terms[0];
  const atom = t?.atoms[0];
  return e.terms.length === 1 && t?.coefficient === 1 && t.atoms.length === 1 && atom?.kind === "symbol"
    ? e.text
    : `{${e.text}}`;
}

class Printer {
  readonly names: Names;
  readonly shared = new Map<KernelExpr, string>();
  readonly out: string[] = [];
  constructor(names: Names) {
    this.names = names;
  }

  expr(e: KernelExpr, level = 0): string {
    const name = this.shared.get(e);
    if (name !== undefined) return name;
    switch (e.kind) {
      case "const": {
        const text = constText(e.dtype, e.value);
        return text.startsWith("-") && level >= UNARY ? `(${text})` : text;
      }
      case "size":
        return sizeText(e.extent);
      case "var":
        return this.names.of(e.variable);
      case "load":
        return `${this.names.of(e.buffer)}[${this.expr(e.index)}]`;
      case "splat":
        return `splat${e.lanes === 2 ? "2" : ""}(${this.expr(e.value)})`;
      case "vector":
        return `vec(${e.args.map((a) => this.expr(a)).join(", ")})`;
      case "dot":
        return `dot(${this.expr(e.left)}, ${this.expr(e.right)})`;
      case "matvec":
        return `matvec(${[...e.columns, e.vector].map((a) => this.expr(a)).join(", ")})`;
      case "extract":
        return `${this.expr(e.value, POSTFIX)}.${LANE_NAMES[e.lane]}`;
      case "subgroup":
        return this.subgroup(e);
      case "apply": {
        const args = e.args;
        const infix = INFIX.get(e.prim);
        const [a, b] = args;
        if (infix && a && b) {
          const [op, own] = infix;
          // Comparisons do not chain.
          const left = this.expr(a, own === 6 ? 7 : own);
          const text = `${left} ${op} ${this.expr(b, own + 1)}`;
          return own < level ? `(${text})` : text;
        }
        if (e.prim === "not" && a) return `!${this.expr(a, UNARY)}`;
        if (e.prim === "bitnot" && a) return `~${this.expr(a, UNARY)}`;
        const of = e.prim === "cast" || e.prim === "bitcast" ? `<${e.dtype}>` : "";
        return `${e.prim}${of}(${args.map((x) => this.expr(x)).join(", ")})`;
      }
      default:
        return e satisfies never;
    }
  }

  subgroup(e: KSubgroup): string {
    const args = e.value ? [this.expr(e.value)] : [];
    if (e.lane !== undefined) args.push(String(e.lane));
    if (e.from) args.push(this.expr(e.from));
    return `subgroup.${e.op}(${args.join(", ")})`;
  }

  line(indent: number, text: string): void {
    this.out.push("  ".repeat(indent) + text);
  }

  block(body: readonly Statement[], indent: number): void {
    for (const s of body) {
      if (s.kind !== "while") this.share(s, indent);
      this.statement(s, indent);
      this.shared.clear();
    }
  }

  /** Puts the shared parts of an expression that is long as a tree into `let`s. */
  share(s: Statement, indent: number): void {
    const roots = statementExprs(s);
    const uses = new Map<KernelExpr, number>();
    const order: KernelExpr[] = [];
    const weight = new Map<KernelExpr, number>();
    const seen = new Set<KernelExpr>();
    for (const r of roots)
      visitExpr(
        r,
        (e) => {
          order.push(e);
          let w = 1;
          for (const c of exprChildren(e)) {
            uses.set(c, (uses.get(c) ?? 0) + 1);
            w += weight.get(c) ?? 0;
          }
          weight.set(e, w);
        },
        seen,
      );
    if (roots.reduce((n, r) => n + (weight.get(r) ?? 0), 0) <= LONG) return;
    for (const e of order) {
      if ((uses.get(e) ?? 0) < 2 || exprChildren(e).length === 0) continue;
      const text = this.expr(e);
      let name = "";
      for (let i = 1; name === "" || this.names.taken.has(name); i++) name = `s${i}`;
      this.names.taken.add(name);
      this.line(indent, `let ${name} = ${text}`);
      this.shared.set(e, name);
    }
  }

  statement(s: Statement, indent: number): void {
    switch (s.kind) {
      case "for": {
        const from = s.from.kind === "const" && s.from.value === 0 ? "" : `${this.expr(s.from)}..`;
        const step = s.step === 1 ? "" : ` step ${s.step}`;
        this.line(indent, `for ${this.names.of(s.variable)}:${from}${this.expr(s.to)}${step} @${s.bind}`);
        this.shared.clear();
        this.block(s.body, indent + 1);
        return;
      }
      case "if":
        this.line(indent, `if ${this.expr(s.condition)}`);
        this.shared.clear();
        this.block(s.then, indent + 1);
        if (s.otherwise.length > 0) {
          this.line(indent, "else");
          this.block(s.otherwise, indent + 1);
        }
        return;
      case "let": {
        const value = this.expr(s.value);
        this.line(indent, `let ${this.names.of(s.variable)} = ${value}`);
        return;
      }
      case "store":
        this.line(indent, `${this.names.of(s.buffer)}[${this.expr(s.index)}] = ${this.expr(s.value)}`);
        return;
      case "atomic": {
        const text = `atomic.${s.op}(${this.names.of(s.buffer)}[${this.expr(s.index)}], ${this.expr(s.value)})`;
        this.line(indent, s.bind ? `let ${this.names.of(s.bind)} = ${text}` : text);
        return;
      }
      case "while":
        this.line(indent, `while ${this.expr(s.condition)} max {${s.max.text}}`);
        this.block(s.body, indent + 1);
        return;
      case "barrier":
        this.line(indent, s.scope === "workgroup" ? "barrier" : "barrier storage");
        return;
      case "matrix":
        this.line(indent, `matrix.${s.op}(${this.matrixOperands(s).join(", ")})`);
        return;
      default:
        s satisfies never;
    }
  }

  matrixOperands(s: MatrixStatement): readonly string[] {
    const place = (p: MatrixPlace): string => `${this.names.of(p.matrices)}[${this.expr(p.index)}]`;
    const own = place(s.place);
    switch (s.op) {
      case "fill":
        return [own, constText(s.place.matrices.dtype, s.value)];
      case "load":
      case "store":
        return [own, `${this.names.of(s.buffer)}[${this.expr(s.offset)}]`, this.expr(s.stride), s.order];
      case "multiply":
        return [own, place(s.left), place(s.right)];
      default:
        return s satisfies never;
    }
  }
}

/** Expressions of more nodes than this, counted as a tree, are printed with their shared parts in `let`s. */
const LONG = 400;

/** The names of all size symbols a kernel mentions, in order of first appearance. */
export function kernelSymbols(kernel: Kernel): Set<string> {
  const found = new Set<string>();
  for (const b of kernel.buffers) symbolsOf(b.size, found);
  for (const f of kernel.facts) symbolsOf(f.right, symbolsOf(f.left, found));
  const seen = new Set<KernelExpr>();
  for (const s of allStatements(kernel.body)) {
    if (s.kind === "while") symbolsOf(s.max, found);
    for (const e of statementExprs(s)) visitExpr(e, (x) => x.kind === "size" && symbolsOf(x.extent, found), seen);
  }
  return found;
}

/** The kernel as text. Names that are not identifiers, or not unique, are altered. */
export function printKernel(kernel: Kernel): string {
  const symbols = kernelSymbols(kernel);
  const p = new Printer(new Names(symbols));
  const params = kernel.buffers
    .filter((b) => b.space === "storage")
    .map(
      (b) =>
        `${p.names.of(b)}: ${b.access}${b.atomic ? " atomic" : ""} ${typeText(b.dtype, b.lanes)}${b.wide ? `x${b.wide}` : ""}[${b.size.text}]`,
    );
  const sizes = symbols.size > 0 ? `; ${[...symbols].join(", ")}: uniform` : "";
  const facts = kernel.facts.map((f) =>
    f.relation === "divisible"
      ? `${f.right.text} divides ${f.left.text}`
      : `${f.left.text} ${f.relation} ${f.right.text}`,
  );
  const name = IDENTIFIER.test(kernel.name) ? kernel.name : JSON.stringify(kernel.name);
  p.line(0, `kernel ${name}(${params.join(", ")}${sizes})${facts.length > 0 ? ` when ${facts.join(", ")}` : ""}`);
  if (kernel.subgroupSize !== undefined) p.line(1, `subgroup ${kernel.subgroupSize}`);
  for (const o of kernel.origin) {
    const at = o.span ? ` at ${JSON.stringify(o.span.file)} ${o.span.start}..${o.span.end}` : "";
    p.line(1, `origin ${JSON.stringify(o.name)}${at}`);
  }
  for (const b of kernel.buffers)
    if (b.space !== "storage")
      p.line(
        1,
        `${p.names.of(b)}: ${b.space}${b.atomic ? " atomic" : ""} ${typeText(b.dtype, b.lanes)}[${b.size.text}]`,
      );
  for (const m of kernel.matrices ?? [])
    p.line(1, `${p.names.of(m)}: ${m.use} ${m.dtype}[${m.count}] of ${m.rows}, ${m.columns}`);
  p.block(kernel.body, 1);
  return `${p.out.join("\n")}\n`;
}
