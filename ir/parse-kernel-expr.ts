/** Reading the expressions of kernel text; ir/parse-kernel.ts reads the statements around them. */
import { DTYPES } from "./dtype.ts";
import { sizeSymbol } from "./extent.ts";
import {
  type Buffer,
  extract,
  type KernelExpr,
  type KSubgroup,
  kapply,
  kapplyTyped,
  kconst,
  ksize,
  kvar,
  kvector,
  load,
  type SubgroupOp,
  shuffle,
  splat,
  subgroup,
  type Variable,
} from "./kernel.ts";
import { PRIMS, type Prim } from "./prim.ts";
import { INFIX, LANE_NAMES } from "./print-kernel.ts";
import { dot, matvec } from "./products-kernel.ts";
import { KernelReader } from "./read-kernel.ts";

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
  "shuffle",
  "shuffleXor",
  "id",
  "size",
  "index",
  "count",
]);
export class ExprParser extends KernelReader {
  readonly symbols: Set<string> = new Set();
  readonly buffers: Map<string, Buffer> = new Map();
  /** Innermost scope last. */
  scopes: Map<string, Variable>[] = [];

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
      if (t === "dot" || t === "matvec") return this.products(t, args);
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

  products(what: "dot" | "matvec", args: readonly KernelExpr[]): KernelExpr {
    const last = args.at(-1);
    const before = args.slice(0, -1);
    const [first] = before;
    if (!first || !last || (what === "dot" && before.length > 1))
      return this.fail(`${what} of ${args.length} operands`);
    try {
      return what === "dot" ? dot(first, last) : matvec(before, last);
    } catch (e) {
      return this.fail(e instanceof Error ? e.message : String(e));
    }
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
    if (op === "shuffle") {
      const value = this.expr();
      this.expect(",");
      const from = this.expr();
      this.expect(")");
      return shuffle(value, from);
    }
    const fixed = op as SubgroupOp;
    if (this.take(")")) return subgroup(fixed);
    const value = this.expr();
    const lane = this.take(",") ? this.integer() : undefined;
    this.expect(")");
    return subgroup(fixed, value, lane);
  }
}
