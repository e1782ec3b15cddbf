/**
 * Second step of legalising: from the graph of values to WGSL statements. A value used more than once becomes a `let` where it is
 * first needed, in a block that dominates its uses; arithmetic that a loop does not change becomes a `let` before the loop; what
 * would nest too deep for the compiler becomes a `let` too.
 */
import type { AtomicStatement, Buffer, Matrices } from "../ir/kernel.ts";
import type { Expanded } from "./expand.ts";
import type { Flat, FlatMatrix, FlatPlace } from "./flat.ts";
import { atom, call, type LegalExpr, type LegalStatement, storedType, typeName } from "./legal.ts";
import { ExprPlacer, type PlaceContext, wordsOf } from "./place-expr.ts";
import { convert, literalText } from "./spell.ts";
import { type Scope, Uses } from "./uses.ts";
import type { NameValue } from "./value.ts";

const ATOMICS = {
  add: "atomicAdd",
  min: "atomicMin",
  max: "atomicMax",
  and: "atomicAnd",
  or: "atomicOr",
  xor: "atomicXor",
  exchange: "atomicExchange",
} as const satisfies Record<AtomicStatement["op"], string>;

const COMPOUND: Readonly<Record<string, "+" | "-" | "*" | undefined>> = { "+": "+", "-": "-", "*": "*" };

/** The statements of a function. `bound` are the variables with names already: grid and thread ids. */
export function placeStatements(
  e: Expanded,
  bound: ReadonlyMap<NameValue, string>,
  context: PlaceContext,
): LegalStatement[] {
  return new Placer(context, new Uses(e.body)).run(e, bound);
}

class Placer extends ExprPlacer {
  private readonly matrices = new Map<Matrices, Map<number, string>>();

  run(e: Expanded, bound: ReadonlyMap<NameValue, string>): LegalStatement[] {
    for (const [v, name] of bound) this.given.set(v, name);
    this.block(e.body, this.uses.root);
    return [...this.head, ...this.uses.root.out];
  }

  private block(body: readonly Flat[], scope: Scope): void {
    for (const s of body) this.statement(s, scope);
  }

  private statement(s: Flat, scope: Scope): void {
    switch (s.kind) {
      case "force":
        // What is used once is written where it is used, and what nobody uses is left out.
        if ((scope.uses.get(s.value) ?? 0) > 1 && this.nameOf(s.value, scope) === undefined) this.place(s.value, scope);
        return;
      case "bind": {
        if ((scope.uses.get(s.name) ?? 0) === 0) return;
        const known = this.nameOf(s.value, scope);
        if (known !== undefined && s.value.kind !== "cell") {
          this.given.set(s.name, known);
          return;
        }
        const value = this.build(s.value, scope);
        const name = this.context.names.fresh(s.name.hint);
        scope.out.push({ kind: "let", name, value });
        this.given.set(s.name, name);
        if (s.value.kind !== "cell") scope.named.set(s.value, name);
        return;
      }
      case "assign": {
        const cell = this.cell(s.cell);
        const value = this.expr(s.value, scope);
        const op =
          value.kind === "binary" && value.left.kind === "atom" && value.left.text === cell
            ? COMPOUND[value.op]
            : undefined;
        // acc = acc + x reads as acc += x.
        if (op !== undefined && value.kind === "binary")
          scope.out.push({ kind: "assign", target: atom(cell), op, value: value.right });
        else scope.out.push({ kind: "assign", target: atom(cell), op: "", value });
        return;
      }
      case "store": {
        const value = this.expr(s.value, scope);
        const words = this.context.halfByBits ? wordsOf(s.buffer) : undefined;
        const stored = words
          ? call(`bitcast<${words}>`, value)
          : s.buffer.dtype === "bool"
            ? convert("u32", s.buffer.lanes, value)
            : value;
        const target = this.element(s.buffer, s.index, scope);
        if (s.buffer.atomic)
          scope.out.push({
            kind: "call",
            value: call("atomicStore", { kind: "unary", op: "&", value: target }, stored),
          });
        else scope.out.push({ kind: "assign", target, op: "", value: stored });
        return;
      }
      case "atomic": {
        const value = this.expr(s.value, scope);
        const target: LegalExpr = { kind: "unary", op: "&", value: this.element(s.buffer, s.index, scope) };
        const done = call(ATOMICS[s.op], target, value);
        if (s.name && (scope.uses.get(s.name) ?? 0) > 0) {
          const name = this.context.names.fresh(s.name.hint);
          this.given.set(s.name, name);
          scope.out.push({ kind: "let", name, value: done });
        } else scope.out.push({ kind: "call", value: done });
        return;
      }
      case "if": {
        const condition = this.expr(s.condition, scope);
        const body = this.inner(s.body);
        const otherwise = this.inner(s.otherwise);
        if (body.length > 0) scope.out.push({ kind: "if", condition, body, otherwise });
        else if (otherwise.length > 0)
          scope.out.push({
            kind: "if",
            condition: { kind: "unary", op: "!", value: condition },
            body: otherwise,
            otherwise: [],
          });
        return;
      }
      case "loop": {
        const from = this.expr(s.from, scope);
        const to = this.leaf(s.to, scope);
        const name = this.context.names.fresh(s.name.hint);
        this.given.set(s.name, name);
        const body = this.inner(s.body);
        if (body.length > 0) scope.out.push({ kind: "for", name, from, to, step: s.step, body });
        return;
      }
      case "while": {
        const to = this.leaf(s.max, scope);
        const name = this.context.names.fresh(s.counter.hint);
        const inside = this.uses.of(s.body);
        const condition = this.expr(s.condition, inside);
        const stop: LegalExpr =
          condition.kind === "unary" && condition.op === "!"
            ? condition.value
            : { kind: "unary", op: "!", value: condition };
        inside.out.push({ kind: "if", condition: stop, body: [{ kind: "break" }], otherwise: [] });
        this.block(s.body, inside);
        scope.out.push({ kind: "for", name, from: atom("0"), to, step: 1, body: inside.out });
        return;
      }
      case "barrier":
        scope.out.push({ kind: "call", value: call(s.scope === "workgroup" ? "workgroupBarrier" : "storageBarrier") });
        return;
      case "matrix":
        scope.out.push(this.matrix(s, scope));
        return;
      default:
        s satisfies never;
    }
  }

  private matrix(s: FlatMatrix, scope: Scope): LegalStatement {
    const own = atom(this.matrixName(s.place));
    const type = matrixType(s.place.matrices);
    const set = (value: LegalExpr): LegalStatement => ({ kind: "assign", target: own, op: "", value });
    switch (s.op) {
      case "fill":
        return set(call(type, atom(literalText(s.place.matrices.dtype, s.value))));
      case "load":
      case "store": {
        const memory: LegalExpr = { kind: "unary", op: "&", value: atom(this.context.bufferName(s.buffer)) };
        const offset = convert("u32", 1, this.expr(s.offset, scope));
        const stride = convert("u32", 1, this.expr(s.stride, scope));
        const order = s.order === "row" ? "row_major" : "col_major";
        return s.op === "load"
          ? set(call(`subgroupMatrixLoad<${type}, ${order}>`, memory, offset, stride))
          : { kind: "call", value: call(`subgroupMatrixStore<${order}>`, memory, offset, own, stride) };
      }
      case "multiply": {
        const [left, right] = [atom(this.matrixName(s.left)), atom(this.matrixName(s.right))];
        return set(call("subgroupMatrixMultiplyAccumulate", left, right, own));
      }
      default:
        return s satisfies never;
    }
  }

  private matrixName(p: FlatPlace): string {
    const names = this.matrices.get(p.matrices) ?? new Map<number, string>();
    this.matrices.set(p.matrices, names);
    const old = names.get(p.index);
    if (old !== undefined) return old;
    const hint = p.matrices.name;
    const name = this.context.names.fresh(p.matrices.count === 1 ? hint : `${hint}_${p.index}`);
    names.set(p.index, name);
    this.head.push({ kind: "var", name, type: matrixType(p.matrices), value: undefined });
    return name;
  }

  private inner(body: readonly Flat[]): readonly LegalStatement[] {
    const scope = this.uses.of(body);
    this.block(body, scope);
    return scope.out;
  }
}

/** Columns come before rows. */
function matrixType(m: Matrices): string {
  return `subgroup_matrix_${m.use}<${m.dtype}, ${m.columns}, ${m.rows}>`;
}

/** Storage and workgroup arrays hold bool as u32, wide buffers matrices. */
export function elementType(b: Buffer): string {
  if (b.wide) return `mat${b.wide}x${b.lanes}${b.dtype === "f16" ? "h" : "f"}`;
  const t = typeName(storedType(b.dtype), b.lanes);
  return b.atomic ? `atomic<${t}>` : t;
}
