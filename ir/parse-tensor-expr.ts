/** Scalar expressions of the text form. */
import { DTYPES, type DType } from "./dtype.ts";
import { sizeSymbol } from "./extent.ts";
import { PRIM_TYPES, type Prim } from "./prim.ts";
import {
  type Axis,
  apply,
  applyTyped,
  arg,
  axis,
  axisRef,
  type Const,
  constant,
  type Monoid,
  read,
  reduce,
  sizeOf,
  type TensorExpr,
  type TensorRef,
} from "./tensor.ts";
import { standardMonoid } from "./tensor-text.ts";
import { type Token, TokenReader } from "./tensor-tokens.ts";

const INFIX: ReadonlyMap<string, readonly [Prim, number]> = new Map<string, readonly [Prim, number]>([
  ["||", ["or", 2]],
  ["&&", ["and", 3]],
  ["==", ["eq", 4]],
  ["!=", ["ne", 4]],
  ["<", ["lt", 4]],
  ["<=", ["le", 4]],
  [">", ["gt", 4]],
  [">=", ["ge", 4]],
  ["+", ["add", 5]],
  ["-", ["sub", 5]],
  ["*", ["mul", 6]],
  ["/", ["div", 6]],
  ["div", ["floordiv", 6]],
  ["%", ["mod", 6]],
]);

/** Knows what names mean: axes and `let`s of the scope, definitions, monoids. */
export class ExpressionReader extends TokenReader {
  protected readonly definitions: Map<string, TensorRef> = new Map();
  protected readonly monoids: Map<string, Monoid> = new Map();
  protected axes: Map<string, Axis> = new Map();
  protected lets: Map<string, TensorExpr> = new Map();
  /** The slots' types while a monoid's body is read. */
  protected args: readonly DType[] = [];

  protected scoped<T>(body: () => T): T {
    const [axes, lets] = [this.axes, this.lets];
    this.axes = new Map(axes);
    this.lets = new Map(lets);
    const made = body();
    this.axes = axes;
    this.lets = lets;
    return made;
  }
  protected reference(): TensorRef {
    const token = this.peek();
    const name = this.name();
    const found = this.definitions.get(name);
    if (!found) throw this.fail(`\`${name}\` is not defined`, token);
    return found;
  }
  /** `[n:N, d:D]`, and the axes come into scope. */
  protected binders(open = "[", close = "]"): Axis[] {
    this.expect(open);
    return this.listUntil(close, () => {
      const name = this.name();
      this.expect(":");
      const made = axis(name, this.extent());
      this.axes.set(name, made);
      return made;
    });
  }
  protected monoidFor(name: string, values: readonly TensorExpr[], token: Token): Monoid {
    const found = this.monoids.get(name) ?? standardMonoid(name, values[0]?.dtype ?? "f32");
    if (!found) throw this.fail(`\`${name}\` is no monoid on ${values[0]?.dtype ?? "nothing"}`, token);
    if (found.slots.length !== values.length || found.slots.some((d, i) => d !== values[i]?.dtype))
      throw this.fail(
        `\`${name}\` combines ${found.slots.join(", ")}, not ${values.map((v) => v.dtype).join(", ")}`,
        token,
      );
    return found;
  }
  // ---- Expressions ----

  protected letClauses(): void {
    while (this.skip("let")) {
      const name = this.name();
      this.expect("=");
      this.lets.set(name, this.expr());
      this.expect(";");
    }
  }
  protected body(): TensorExpr[] {
    return this.scoped(() => {
      this.letClauses();
      return this.list(() => this.expr());
    });
  }

  protected expr(): TensorExpr {
    const token = this.peek();
    const condition = this.binary(2);
    if (!this.skip("?")) return condition;
    const yes = this.expr();
    this.expect(":");
    const no = this.expr();
    return this.built(token, () => apply("select", condition, yes, no));
  }

  protected binary(least: number): TensorExpr {
    let left = this.unary();
    for (;;) {
      const token = this.peek();
      const infix = token.kind === "sign" || token.kind === "name" ? INFIX.get(token.text) : undefined;
      if (!infix || infix[1] < least) return left;
      this.next();
      const right = this.binary(infix[1] + 1);
      const before = left;
      left = this.built(token, () => apply(infix[0], before, right));
    }
  }

  protected unary(): TensorExpr {
    const token = this.peek();
    if (this.is("-")) {
      const after = this.peek(1);
      if (after.kind === "number" || (after.kind === "name" && /^infh?$/.test(after.text))) return this.constant();
      this.next();
      const value = this.unary();
      return this.built(token, () => apply("neg", value));
    }
    if (this.skip("!")) {
      const value = this.unary();
      return this.built(token, () => apply("not", value));
    }
    return this.primary();
  }

  protected primary(): TensorExpr {
    const token = this.peek();
    if (this.skip("(")) {
      const inner = this.expr();
      this.expect(")");
      return inner;
    }
    if (this.skip("$")) {
      const i = Number(this.next().text);
      const dtype = this.args[i % this.args.length];
      if (!dtype) throw this.fail("`$` stands only in a monoid", token);
      return arg(i, dtype);
    }
    if (token.kind === "number" || (token.kind === "name" && /^(infh?|nanh?|true|false)$/.test(token.text)))
      return this.constant();
    if (token.kind === "name" && this.peek(1).text === "(") return this.call(token);
    if (this.skip("bitcast")) {
      const dtype = this.dtype();
      this.expect("(");
      const args = this.listUntil(")", () => this.expr());
      return applyTyped("bitcast", args, dtype);
    }
    if (this.peek(1).text === "[" && this.peek(1).kind === "sign") return this.readExpr(token);
    const name = this.name();
    const bound = this.lets.get(name);
    if (bound) return bound;
    const found = this.axes.get(name);
    return found ? axisRef(found) : sizeOf(sizeSymbol(name));
  }

  protected readExpr(token: Token): TensorExpr {
    const ref = this.reference();
    this.expect("[");
    const at = this.listUntil("]", () => this.expr());
    const fill = this.skip("??") ? this.constant() : undefined;
    return this.built(token, () => read(ref.tensor, ref.slot, at, fill));
  }

  protected call(token: Token): TensorExpr {
    const start = this.at;
    const reduction = this.reductionHead();
    if (reduction) {
      if (!this.is("{")) throw this.fail("a reduction inside an expression needs braces");
      return this.scoped(() => {
        for (const a of reduction.axes) this.axes.set(a.name, a);
        this.expect("{");
        const values = this.body();
        this.expect("}");
        const monoid = this.monoidFor(reduction.monoid, values, token);
        const slot = monoid.slots.length > 1 && this.skip(".") ? Number(this.next().text) : 0;
        return this.built(token, () => reduce(monoid, reduction.axes, values, slot));
      });
    }
    this.at = start + 2;
    if (token.text === "size") {
      const e = this.extent();
      this.expect(")");
      return sizeOf(e);
    }
    const args = this.listUntil(")", () => this.expr());
    const dtype = DTYPES.find((d) => d === token.text);
    if (dtype) return applyTyped("cast", args, dtype);
    if (!Object.hasOwn(PRIM_TYPES, token.text)) throw this.fail(`\`${token.text}\` is no primitive`, token);
    return this.built(token, () => apply(token.text as Prim, ...args));
  }

  /** `add(k:K)`: a name, then parentheses that are empty or bind axes. The axes are in scope only if the caller sees to it. */
  protected reductionHead(): { monoid: string; axes: readonly Axis[] } | undefined {
    const binds = this.peek(2).text === ")" || this.peek(3).text === ":";
    if (this.peek().kind !== "name" || this.peek(1).text !== "(" || !binds) return undefined;
    if (this.peek(2).text !== ")" && this.peek(2).kind !== "name" && this.peek(2).kind !== "quoted") return undefined;
    const monoid = this.name();
    return { monoid, axes: this.binders("(", ")") };
  }

  protected axis(): Axis {
    const token = this.peek();
    const found = this.axes.get(this.name());
    if (!found) throw this.fail("no such axis", token);
    return found;
  }

  protected constant(): Const {
    const sign = this.skip("-") ? -1 : 1;
    const token = this.next();
    const t = token.text;
    if (t === "true" || t === "false") return constant("bool", t === "true" ? 1 : 0);
    const dtype = t.endsWith("h") ? "f16" : t.endsWith("u") ? "u32" : /^\d+$/.test(t) ? "i32" : "f32";
    if (/^nanh?$/.test(t)) return constant(dtype, Number.NaN);
    if (/^infh?$/.test(t)) return constant(dtype, sign * Number.POSITIVE_INFINITY);
    if (token.kind !== "number") throw this.fail(`expected a constant, found \`${t}\``, token);
    return constant(dtype, sign * Number(t.replace(/[uh]$/, "")));
  }
}
