/**
 * Reads the text form of kernels that ir/print-kernel.ts writes. Blocks are made by indentation, as in the printed form.
 * `ceil(a / b)` may be written for an extent that is rounded up.
 */
import { DTYPES, type DType } from "./dtype.ts";
import { sizeSymbol, ZERO } from "./extent.ts";
import {
  type AtomicStatement,
  type Bind,
  type Buffer,
  extract,
  type Kernel,
  type KernelExpr,
  type KSubgroup,
  kapply,
  kapplyTyped,
  kconst,
  ksize,
  kvar,
  kvector,
  type Lanes,
  load,
  type Statement,
  splat,
  subgroup,
  type Variable,
  variable,
} from "./kernel.ts";
import { PRIMS, type Prim } from "./prim.ts";
import { INFIX, LANE_NAMES } from "./print-kernel.ts";
import { KernelReader, KernelSyntaxError } from "./read-kernel.ts";

export { KernelSyntaxError };

const OPERATORS: ReadonlyMap<string, readonly [Prim, number]> = new Map(
  [...INFIX].map(([prim, [text, level]]) => [text, [prim, level]]),
);
const PRIM_NAMES: ReadonlySet<string> = new Set(PRIMS);
const SUBGROUP_OPS: ReadonlySet<string> = new Set<KSubgroup["op"]>([
  "add",
  "mul",
  "min",
  "max",
  "and",
  "or",
  "broadcast",
  "shuffleXor",
  "id",
  "size",
]);
const ATOMIC_OPS: ReadonlySet<string> = new Set<AtomicStatement["op"]>([
  "add",
  "min",
  "max",
  "and",
  "or",
  "xor",
  "exchange",
]);
const BINDS: ReadonlySet<string> = new Set<Bind>([
  "grid.x",
  "grid.y",
  "grid.z",
  "thread.x",
  "thread.y",
  "thread.z",
  "loop",
  "unroll",
]);

class Parser extends KernelReader {
  readonly symbols = new Set<string>();
  readonly buffers = new Map<string, Buffer>();
  /** Innermost scope last. */
  scopes: Map<string, Variable>[] = [];

  // ---- Types and declarations

  type(): { dtype: DType; lanes: Lanes } {
    const t = this.identifier();
    const m = /^(f32|f16|i32|u32|bool)(?:x([24]))?$/.exec(t);
    const dtype = DTYPES.find((d) => d === m?.[1]);
    if (!m || !dtype) return this.fail(`unknown type ${t}`);
    return { dtype, lanes: (m[2] ? Number(m[2]) : 1) as Lanes };
  }

  declaration(storage: boolean): Buffer {
    const name = this.identifier();
    this.expect(":");
    const mode = this.identifier();
    if (!(storage ? ["read", "write", "readwrite"] : ["private", "workgroup"]).includes(mode))
      this.fail(`unknown mode ${mode}`);
    const atomic = this.take("atomic");
    const { dtype, lanes } = this.type();
    this.expect("[");
    const extent = this.extent();
    this.expect("]");
    if (this.buffers.has(name)) this.fail(`${name} is declared twice`);
    const b: Buffer = {
      kind: "buffer",
      name,
      space: storage ? "storage" : (mode as "private" | "workgroup"),
      access: storage ? (mode as Buffer["access"]) : "readwrite",
      dtype,
      lanes,
      size: extent,
      atomic,
    };
    this.buffers.set(name, b);
    return b;
  }

  kernel(): Kernel {
    if (this.lines.length === 0) throw new KernelSyntaxError("no kernel", 1);
    this.expect("kernel");
    const name = this.peek().startsWith('"') ? (JSON.parse(this.next()) as string) : this.identifier();
    this.expect("(");
    while (this.peek() !== ")" && this.peek() !== ";") {
      this.declaration(true);
      if (!this.take(",")) break;
    }
    if (this.take(";")) {
      do this.symbols.add(this.identifier());
      while (this.take(","));
      this.expect(":");
      this.expect("uniform");
    }
    this.expect(")");
    const facts: Kernel["facts"][number][] = [];
    if (this.take("when"))
      do {
        const left = this.extent();
        if (this.take("divides")) {
          facts.push({ left: this.extent(), relation: "divisible", right: left });
          continue;
        }
        const relation = this.next();
        if (relation !== "==" && relation !== ">=") return this.fail(`unknown relation ${relation}`);
        const right = this.extent();
        const mod = left.terms.length === 1 && left.terms[0]?.coefficient === 1 ? left.terms[0].atoms : [];
        const [only] = mod;
        if (relation === "==" && right === ZERO && mod.length === 1 && only?.kind === "mod")
          facts.push({ left: only.left, relation: "divisible", right: only.right });
        else facts.push({ left, relation, right });
      } while (this.take(","));
    this.endLine();
    const origin: Kernel["origin"][number][] = [];
    let subgroupSize: number | undefined;
    for (;;) {
      const t = this.peek();
      if (t === "subgroup" && this.peek(1) !== ".") {
        this.next();
        subgroupSize = this.integer();
      } else if (t === "origin") {
        this.next();
        const of = JSON.parse(this.next()) as string;
        if (this.take("at")) {
          const file = JSON.parse(this.next()) as string;
          const start = this.integer();
          this.expect("..");
          origin.push({ name: of, span: { file, start, end: this.integer() } });
        } else origin.push({ name: of, span: undefined });
      } else if (this.peek(1) === ":" && (this.peek(2) === "private" || this.peek(2) === "workgroup"))
        this.declaration(false);
      else break;
      this.endLine();
    }
    const body = this.block(this.lines[0]?.indent ?? 0);
    if (this.line < this.lines.length) this.fail("unexpected indentation");
    return { name, buffers: [...this.buffers.values()], body, facts, origin, subgroupSize };
  }

  // ---- Statements

  block(parent: number, bound?: Variable): Statement[] {
    const indent = this.lines[this.line]?.indent ?? 0;
    const out: Statement[] = [];
    if (indent <= parent) return out;
    this.scopes.push(new Map(bound ? [[bound.name, bound]] : []));
    while (this.lines[this.line]?.indent === indent) out.push(this.statement(indent));
    if ((this.lines[this.line]?.indent ?? 0) > indent) this.fail("unexpected indentation");
    this.scopes.pop();
    return out;
  }

  declare(name: string, dtype: DType, lanes: Lanes): Variable {
    const v = variable(name, dtype, lanes);
    this.scopes.at(-1)?.set(name, v);
    return v;
  }

  statement(indent: number): Statement {
    switch (this.peek()) {
      case "for":
        return this.forStatement(indent);
      case "if": {
        this.next();
        const condition = this.expr();
        this.endLine();
        const then = this.block(indent);
        let otherwise: Statement[] = [];
        if (this.lines[this.line]?.indent === indent && this.peek() === "else") {
          this.next();
          this.endLine();
          otherwise = this.block(indent);
        }
        return { kind: "if", condition, then, otherwise };
      }
      case "while": {
        this.next();
        const condition = this.expr();
        this.expect("max");
        this.expect("{");
        const max = this.extent();
        this.expect("}");
        this.endLine();
        return { kind: "while", condition, max, body: this.block(indent) };
      }
      case "barrier": {
        this.next();
        const scope = this.take("storage") ? "storage" : "workgroup";
        this.endLine();
        return { kind: "barrier", scope };
      }
      case "let": {
        this.next();
        const name = this.identifier();
        this.expect("=");
        if (this.peek() === "atomic") return this.atomic(name);
        const value = this.expr();
        this.endLine();
        return { kind: "let", variable: this.declare(name, value.dtype, value.lanes), value };
      }
      case "atomic":
        return this.atomic(undefined);
      default: {
        const { buffer, index } = this.element();
        this.expect("=");
        const value = this.expr();
        this.endLine();
        return { kind: "store", buffer, index, value };
      }
    }
  }

  forStatement(indent: number): Statement {
    this.next();
    const name = this.identifier();
    this.expect(":");
    const bound = (): KernelExpr => (this.peek() === "ceil" ? ksize(this.extentAtom()) : this.expr());
    let from: KernelExpr = kconst("i32", 0);
    let to = bound();
    if (this.take("..")) {
      from = to;
      to = bound();
    }
    const step = this.take("step") ? this.integer() : 1;
    this.expect("@");
    let bind = this.identifier();
    if (this.take(".")) bind += `.${this.identifier()}`;
    if (!BINDS.has(bind)) this.fail(`unknown binding @${bind}`);
    this.endLine();
    const v = variable(name);
    return { kind: "for", variable: v, bind: bind as Bind, from, to, step, body: this.block(indent, v) };
  }

  atomic(bind: string | undefined): Statement {
    this.expect("atomic");
    this.expect(".");
    const op = this.identifier();
    if (!ATOMIC_OPS.has(op)) this.fail(`unknown atomic operation ${op}`);
    this.expect("(");
    const { buffer, index } = this.element();
    this.expect(",");
    const value = this.expr();
    this.expect(")");
    this.endLine();
    const v = bind === undefined ? undefined : this.declare(bind, buffer.dtype, buffer.lanes);
    return { kind: "atomic", op: op as AtomicStatement["op"], buffer, index, value, bind: v };
  }

  element(): { buffer: Buffer; index: KernelExpr } {
    const name = this.identifier();
    const buffer = this.buffers.get(name);
    if (!buffer) return this.fail(`unknown buffer ${name}`);
    this.expect("[");
    const index = this.expr();
    this.expect("]");
    return { buffer, index };
  }

  // ---- Expressions

  expr(level = 1): KernelExpr {
    let left = this.unary();
    for (;;) {
      const found = OPERATORS.get(this.peek());
      if (!found || found[1] < level) return left;
      this.next();
      left = this.typed(found[0], [left, this.expr(found[1] + 1)]);
    }
  }

  typed(prim: Prim, args: readonly KernelExpr[]): KernelExpr {
    try {
      return kapply(prim, ...args);
    } catch (e) {
      return this.fail(e instanceof Error ? e.message : String(e));
    }
  }

  unary(): KernelExpr {
    if (this.take("!")) return this.typed("not", [this.unary()]);
    if (this.take("~")) return this.typed("bitnot", [this.unary()]);
    if (this.take("-")) {
      const c = this.primary();
      if (c.kind !== "const") return this.fail("write neg(…)");
      return kconst(c.dtype, -c.value);
    }
    let e = this.primary();
    while (this.peek() === "." && LANE_NAMES.includes(this.peek(1))) {
      this.next();
      const lane = LANE_NAMES.indexOf(this.next());
      if (lane >= e.lanes) this.fail(`no lane ${lane} in ${e.lanes}`);
      e =
        e.kind === "splat" || e.kind === "vector"
          ? { kind: "extract", dtype: e.dtype, lanes: 1, value: e, lane }
          : extract(e, lane);
    }
    return e;
  }

  primary(): KernelExpr {
    const t = this.next();
    if (t === "(") {
      const e = this.expr();
      this.expect(")");
      return e;
    }
    if (t === "{") {
      const e = this.extent();
      this.expect("}");
      return ksize(e);
    }
    if (/^\d/.test(t)) {
      if (t.endsWith("u")) return kconst("u32", Number(t.slice(0, -1)));
      if (t.endsWith("h")) return kconst("f16", Number(t.slice(0, -1)));
      return kconst(/[.e]/.test(t) ? "f32" : "i32", Number(t));
    }
    switch (t) {
      case "true":
      case "false":
        return kconst("bool", t === "true" ? 1 : 0);
      case "inf":
      case "infh":
        return kconst(t === "inf" ? "f32" : "f16", Number.POSITIVE_INFINITY);
      case "nan":
      case "nanh":
        return kconst(t === "nan" ? "f32" : "f16", Number.NaN);
      case "subgroup":
        return this.subgroup();
    }
    if (t === "cast" || t === "bitcast") {
      this.expect("<");
      const dtype = DTYPES.find((d) => d === this.peek());
      if (!dtype) return this.fail(`unknown type ${this.peek()}`);
      this.next();
      this.expect(">");
      return kapplyTyped(t, this.args(), dtype);
    }
    if (this.peek() === "(") {
      const args = this.args();
      const [a] = args;
      if (t === "splat" && a) return splat(a, 4);
      if (t === "splat2" && a) return splat(a, 2);
      if (t === "vec" && (args.length === 2 || args.length === 4)) return kvector(args);
      if (PRIM_NAMES.has(t)) return this.typed(t as Prim, args);
      return this.fail(`unknown function ${t}`);
    }
    const buffer = this.buffers.get(t);
    if (buffer) {
      this.expect("[");
      const index = this.expr();
      this.expect("]");
      return load(buffer, index);
    }
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const v = this.scopes[i]?.get(t);
      if (v) return kvar(v);
    }
    if (this.symbols.has(t)) return ksize(sizeSymbol(t));
    return this.fail(`unknown name ${JSON.stringify(t)}`);
  }

  args(): KernelExpr[] {
    this.expect("(");
    const out: KernelExpr[] = [];
    if (this.take(")")) return out;
    do out.push(this.expr());
    while (this.take(","));
    this.expect(")");
    return out;
  }

  subgroup(): KernelExpr {
    this.expect(".");
    const op = this.identifier();
    if (!SUBGROUP_OPS.has(op)) this.fail(`unknown subgroup operation ${op}`);
    this.expect("(");
    if (this.take(")")) return subgroup(op as KSubgroup["op"]);
    const value = this.expr();
    const lane = this.take(",") ? this.integer() : undefined;
    this.expect(")");
    return subgroup(op as KSubgroup["op"], value, lane);
  }
}

/** Throws KernelSyntaxError. The result is not verified. */
export function parseKernel(text: string): Kernel {
  return new Parser(text).kernel();
}
