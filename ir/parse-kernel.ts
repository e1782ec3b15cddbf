/**
 * Reads the text form of kernels that ir/print-kernel.ts writes. Blocks are made by indentation, as in the printed form.
 * `ceil(a / b)` may be written for an extent that is rounded up.
 */
import { DTYPES, type DType } from "./dtype.ts";
import { ZERO } from "./extent.ts";
import {
  type AtomicStatement,
  type Bind,
  type Buffer,
  type Kernel,
  type KernelExpr,
  kconst,
  ksize,
  type Lanes,
  type Matrices,
  type MatrixPlace,
  type Statement,
  type Variable,
  variable,
} from "./kernel.ts";
import { ExprParser } from "./parse-kernel-expr.ts";
import { KernelSyntaxError } from "./read-kernel.ts";

export { KernelSyntaxError };

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

const MATRIX_USES: ReadonlySet<string> = new Set<Matrices["use"]>(["left", "right", "result"]);

class Parser extends ExprParser {
  private readonly matrices = new Map<string, Matrices>();

  // ---- Types and declarations

  type(): { dtype: DType; lanes: Lanes; wide?: 2 | 4 } {
    const t = this.identifier();
    const m = /^(f32|f16|i32|u32|bool)(?:x([24]))?(?:x([24]))?$/.exec(t);
    const dtype = DTYPES.find((d) => d === m?.[1]);
    if (!m || !dtype) return this.fail(`unknown type ${t}`);
    return { dtype, lanes: (m[2] ? Number(m[2]) : 1) as Lanes, ...(m[3] ? { wide: Number(m[3]) as 2 | 4 } : {}) };
  }

  declaration(storage: boolean): Buffer {
    const name = this.identifier();
    this.expect(":");
    const mode = this.identifier();
    if (!(storage ? ["read", "write", "readwrite"] : ["private", "workgroup"]).includes(mode))
      this.fail(`unknown mode ${mode}`);
    const atomic = this.take("atomic");
    const { dtype, lanes, wide } = this.type();
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
      ...(wide ? { wide } : {}),
    };
    this.buffers.set(name, b);
    return b;
  }

  /** `name: result f32[4] of 16, 16`. */
  declareMatrices(): Matrices {
    const name = this.identifier();
    this.expect(":");
    const use = this.identifier() as Matrices["use"];
    const { dtype } = this.type();
    this.expect("[");
    const count = this.integer();
    this.expect("]");
    this.expect("of");
    const rows = this.integer();
    this.expect(",");
    const columns = this.integer();
    if (this.buffers.has(name) || this.matrices.has(name)) this.fail(`${name} is declared twice`);
    const made: Matrices = { kind: "matrices", name, use, dtype, rows, columns, count };
    this.matrices.set(name, made);
    return made;
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
      else if (this.peek(1) === ":" && MATRIX_USES.has(this.peek(2))) this.declareMatrices();
      else break;
      this.endLine();
    }
    const body = this.block(this.lines[0]?.indent ?? 0);
    if (this.line < this.lines.length) this.fail("unexpected indentation");
    const matrices = this.matrices.size > 0 ? { matrices: [...this.matrices.values()] } : {};
    return { name, buffers: [...this.buffers.values()], ...matrices, body, facts, origin, subgroupSize };
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
      case "matrix":
        return this.matrix();
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

  matrix(): Statement {
    this.expect("matrix");
    this.expect(".");
    const op = this.identifier();
    this.expect("(");
    const place = this.matrixPlace();
    this.expect(",");
    const end = (): void => {
      this.expect(")");
      this.endLine();
    };
    switch (op) {
      case "fill": {
        const value = this.expr();
        if (value.kind !== "const") return this.fail("matrix.fill with what is no constant");
        end();
        return { kind: "matrix", op, place, value: value.value };
      }
      case "load":
      case "store": {
        const { buffer, index: offset } = this.element();
        this.expect(",");
        const stride = this.expr();
        this.expect(",");
        const order = this.identifier();
        if (order !== "row" && order !== "column") return this.fail(`unknown order ${order}`);
        end();
        return { kind: "matrix", op, place, buffer, offset, stride, order };
      }
      case "multiply": {
        const left = this.matrixPlace();
        this.expect(",");
        const right = this.matrixPlace();
        end();
        return { kind: "matrix", op, place, left, right };
      }
      default:
        return this.fail(`unknown operation matrix.${op}`);
    }
  }

  matrixPlace(): MatrixPlace {
    const name = this.identifier();
    const matrices = this.matrices.get(name);
    if (!matrices) return this.fail(`unknown matrices ${name}`);
    this.expect("[");
    const index = this.expr();
    this.expect("]");
    return { matrices, index };
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
}

/** Throws KernelSyntaxError. The result is not verified. */
export function parseKernel(text: string): Kernel {
  return new Parser(text).kernel();
}
