/**
 * Level 2: loops over buffers, for one dispatch. Semantics:
 * - i32 arithmetic wraps; `floordiv` and `mod` are floor-rounding here too (the legaliser turns them into WGSL's).
 * - `for` with bind `grid.*` is a workgroup id, `thread.*` a local invocation id: they nest outermost, each at most once,
 *   grid before thread. `loop` is a sequential loop; `unroll` is expanded by the legaliser (constant extent).
 * - `load`/`store` outside a buffer is an error that the kernel interpreter reports: nothing is clamped silently.
 * - A private buffer has constant indices after unrolling; it becomes named variables. It starts uninitialised.
 * - Expressions are vectors of `lanes` elements (1, 2, 4); `apply` is elementwise with all lanes equal. A buffer with
 *   lanes 4 is indexed in vec4 units.
 * - Subgroup matrices are variables of a subgroup: indices of an array of them are constants after unrolling. They start uninitialised.
 * - Variables are identified by object. A `let` is visible in the rest of its block.
 */
import type { Span } from "../grammar/span.ts";
import type { DType } from "./dtype.ts";
import { type Extent, size } from "./extent.ts";
import { type Prim, resultType } from "./prim.ts";
import type { KProduct } from "./products-kernel.ts";

export type Lanes = 1 | 2 | 4;

export interface Variable {
  readonly kind: "variable";
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  readonly lanes: Lanes;
}

export interface Buffer {
  readonly kind: "buffer";
  readonly name: string;
  readonly space: "storage" | "workgroup" | "private";
  /** How this kernel uses it; workgroup and private buffers are readwrite. */
  readonly access: "read" | "write" | "readwrite";
  readonly dtype: DType;
  readonly lanes: Lanes;
  /** Number of `lanes`-wide elements. Constant for workgroup and private buffers. */
  readonly size: Extent;
  /** Storage buffers of i32/u32 (f32 by order-preserving bits) that `atomic` statements use. */
  readonly atomic: boolean;
  /** So many vectors at a time: see wide-kernel.ts. */
  readonly wide?: 2 | 4;
}

/**
 * Subgroup matrices of one shape, told apart by their index. A subgroup's invocations hold each of them together; which has what is the
 * device's affair, so elements are only reached through memory. `left` is m×k, `right` k×n, `result` m×n.
 */
export interface Matrices {
  readonly kind: "matrices";
  readonly name: string;
  readonly use: "left" | "right" | "result";
  readonly dtype: DType;
  readonly rows: number;
  readonly columns: number;
  readonly count: number;
}

// ---- Expressions --------------------------------------------------------------------------------------------------

export interface Node {
  readonly dtype: DType;
  readonly lanes: Lanes;
}
export interface KConst extends Node {
  readonly kind: "const";
  readonly value: number;
}
/** A size in an i32 expression: a literal if constant, else a field of the uniform. */
export interface KSize extends Node {
  readonly kind: "size";
  readonly extent: Extent;
}
export interface KVar extends Node {
  readonly kind: "var";
  readonly variable: Variable;
}
export interface KApply extends Node {
  readonly kind: "apply";
  readonly prim: Prim;
  readonly args: readonly KernelExpr[];
}
export interface KLoad extends Node {
  readonly kind: "load";
  readonly buffer: Buffer;
  readonly index: KernelExpr;
}
/**
 * Over the invocations of a subgroup; all of them must be active (uniform control flow). `broadcast` takes the value of a
 * constant lane, `shuffle` that of the lane that each invocation names, and `shuffleXor` that of lane (own id xor a constant mask).
 * `id` and `size` are of the invocation in its subgroup; `index` is the subgroup's own in its workgroup, which has `count` of them.
 */
export interface KSubgroup extends Node {
  readonly kind: "subgroup";
  readonly op: "add" | "mul" | "min" | "max" | "and" | "or" | "broadcast" | "shuffle" | "shuffleXor" | SubgroupPlace;
  readonly value: KernelExpr | undefined;
  /** Lane of `broadcast`, mask of `shuffleXor`. */
  readonly lane: number | undefined;
  /** Lane of `shuffle`, an i32. */
  readonly from: KernelExpr | undefined;
}
/** Those that say where an invocation is: nothing is exchanged. */
export type SubgroupPlace = "id" | "size" | "index" | "count";
export function isPlace(op: KSubgroup["op"]): op is SubgroupPlace {
  return op === "id" || op === "size" || op === "index" || op === "count";
}
/** Those that need no lane which is only known when the kernel runs. */
export type SubgroupOp = Exclude<KSubgroup["op"], "shuffle">;
/** All lanes equal to a scalar. */
export interface KSplat extends Node {
  readonly kind: "splat";
  readonly value: KernelExpr;
}
/** A vector of scalars; `args.length` is `lanes`. */
export interface KVector extends Node {
  readonly kind: "vector";
  readonly args: readonly KernelExpr[];
}
/** One lane of a vector, the lane a constant. */
export interface KExtract extends Node {
  readonly kind: "extract";
  readonly value: KernelExpr;
  readonly lane: number;
}
export type KernelExpr = KConst | KSize | KVar | KApply | KLoad | KSubgroup | KSplat | KVector | KProduct | KExtract;

// ---- Statements ---------------------------------------------------------------------------------------------------

export type Bind = "grid.x" | "grid.y" | "grid.z" | "thread.x" | "thread.y" | "thread.z" | "loop" | "unroll";

/** `variable` counts 0…extent-1. For `loop`, `from`/`to` may be expressions; for the others `from` is 0 and `to` a size. */
export interface ForStatement {
  readonly kind: "for";
  readonly variable: Variable;
  readonly bind: Bind;
  readonly from: KernelExpr;
  readonly to: KernelExpr;
  /** A positive constant; 1 unless the bind is `loop`. */
  readonly step: number;
  readonly body: readonly Statement[];
}
export interface IfStatement {
  readonly kind: "if";
  readonly condition: KernelExpr;
  readonly then: readonly Statement[];
  readonly otherwise: readonly Statement[];
}
export interface LetStatement {
  readonly kind: "let";
  readonly variable: Variable;
  readonly value: KernelExpr;
}
export interface StoreStatement {
  readonly kind: "store";
  readonly buffer: Buffer;
  readonly index: KernelExpr;
  readonly value: KernelExpr;
}
/** An atomic read-modify-write on a storage or workgroup buffer; `bind` receives the old value. */
export interface AtomicStatement {
  readonly kind: "atomic";
  readonly op: "add" | "min" | "max" | "and" | "or" | "xor" | "exchange";
  readonly buffer: Buffer;
  readonly index: KernelExpr;
  readonly value: KernelExpr;
  readonly bind: Variable | undefined;
}
/** Loops while the condition holds, at most `max` times. */
export interface WhileStatement {
  readonly kind: "while";
  readonly condition: KernelExpr;
  readonly max: Extent;
  readonly body: readonly Statement[];
}
export interface BarrierStatement {
  readonly kind: "barrier";
  readonly scope: "workgroup" | "storage";
}
export interface MatrixPlace {
  readonly matrices: Matrices;
  readonly index: KernelExpr;
}
/**
 * What the invocations of a subgroup do together, in control flow that is uniform for the subgroup: `fill` with a constant; `load` and
 * `store` whole matrices, element (r, c) at offset + r · stride + c, or with order `column` at offset + c · stride + r, in a buffer of
 * scalars of the matrix's type, on multiples of 16 bytes; `multiply` adds left · right to a result, in any order, in the result's type.
 */
export type MatrixStatement = { readonly kind: "matrix" } & (
  | { readonly op: "fill"; readonly place: MatrixPlace; readonly value: number }
  | {
      readonly op: "load" | "store";
      readonly place: MatrixPlace;
      readonly buffer: Buffer;
      readonly offset: KernelExpr;
      readonly stride: KernelExpr;
      readonly order: "row" | "column";
    }
  | { readonly op: "multiply"; readonly place: MatrixPlace; readonly left: MatrixPlace; readonly right: MatrixPlace }
);
export type Statement =
  | ForStatement
  | IfStatement
  | LetStatement
  | StoreStatement
  | AtomicStatement
  | WhileStatement
  | BarrierStatement
  | MatrixStatement;

export interface Kernel {
  readonly name: string;
  /** Storage buffers in binding order, then workgroup and private ones. */
  readonly buffers: readonly Buffer[];
  /** Subgroup matrices, where it has any. */
  readonly matrices?: readonly Matrices[];
  readonly body: readonly Statement[];
  /** Conditions on sizes under which this variant is right; empty for the guarded one. `left % right == 0` and the like. */
  readonly facts: readonly {
    readonly left: Extent;
    readonly relation: "==" | ">=" | "divisible";
    readonly right: Extent;
  }[];
  /** For comments in the WGSL and for error messages: the definitions it computes and where they were written. */
  readonly origin: readonly { readonly name: string; readonly span: Span | undefined }[];
  /** Subgroup size that it was made for, if it depends on one. */
  readonly subgroupSize: number | undefined;
}

// ---- Construction -------------------------------------------------------------------------------------------------

let nextVariable = 1;
/** The one expression that reads a variable: what stands in many places is gone through once. */
const READ: unique symbol = Symbol("read");
export function variable(name: string, dtype: DType = "i32", lanes: Lanes = 1): Variable {
  return { kind: "variable", id: nextVariable++, name, dtype, lanes };
}
export function kconst(dtype: DType, value: number): KConst {
  return { kind: "const", dtype, lanes: 1, value };
}
/** Indices and extents that kernels are full of: one node each. */
const SMALL: readonly KConst[] = Array.from({ length: 1025 }, (_, value) => kconst("i32", value));
export function kint(value: number): KConst {
  return (Object.is(value, -0) ? undefined : SMALL[value]) ?? kconst("i32", value);
}
export function ksize(extent: Extent): KConst | KSize {
  return extent.value !== undefined ? kint(extent.value) : { kind: "size", dtype: "i32", lanes: 1, extent };
}
export function kvar(v: Variable & { [READ]?: KVar }): KVar {
  v[READ] ??= { kind: "var", dtype: v.dtype, lanes: v.lanes, variable: v };
  return v[READ];
}
/** Scalars among vector operands are splatted. Throws TypeError if dtypes or lanes do not fit. */
export function kapply(prim: Prim, ...args: readonly KernelExpr[]): KApply {
  const dtype = resultType(
    prim,
    args.map((a) => a.dtype),
  );
  if (!dtype) throw new TypeError(`${prim}(${args.map((a) => a.dtype).join(", ")})`);
  return kapplyTyped(prim, args, dtype);
}
export function kapplyTyped(prim: Prim, args: readonly KernelExpr[], dtype: DType): KApply {
  let lanes: Lanes = 1;
  for (const a of args) if (a.lanes > lanes) lanes = a.lanes;
  const whole = args.every((a) => a.lanes === lanes);
  return { kind: "apply", prim, dtype, lanes, args: whole ? args : args.map((a) => splat(a, lanes)) };
}
export function splat(value: KernelExpr, lanes: Lanes): KernelExpr {
  if (value.lanes === lanes) return value;
  if (value.lanes !== 1) throw new TypeError(`cannot widen ${value.lanes} lanes to ${lanes}`);
  return { kind: "splat", dtype: value.dtype, lanes, value };
}
export function kvector(args: readonly KernelExpr[]): KernelExpr {
  const first = args[0];
  if (!first) throw new TypeError("empty vector");
  return args.length === 1 ? first : { kind: "vector", dtype: first.dtype, lanes: args.length as Lanes, args };
}
export function extract(value: KernelExpr, lane: number): KernelExpr {
  if (value.lanes === 1) return value;
  if (value.kind === "splat") return value.value;
  if (value.kind === "vector") return value.args[lane]!;
  return { kind: "extract", dtype: value.dtype, lanes: 1, value, lane };
}
export function load(buffer: Buffer, index: KernelExpr): KLoad {
  return { kind: "load", dtype: buffer.dtype, lanes: buffer.lanes, buffer, index };
}
export function subgroup(op: SubgroupOp, value?: KernelExpr, lane?: number): KSubgroup {
  return {
    kind: "subgroup",
    dtype: value?.dtype ?? "i32",
    lanes: value?.lanes ?? 1,
    op,
    value,
    lane,
    from: undefined,
  };
}
/** The value that lane `from` of the subgroup has; every invocation may name another lane. */
export function shuffle(value: KernelExpr, from: KernelExpr): KSubgroup {
  return { kind: "subgroup", dtype: value.dtype, lanes: value.lanes, op: "shuffle", value, lane: undefined, from };
}

const plain = (a: KernelExpr): number | undefined => (a.kind === "const" && a.dtype === "i32" ? a.value : undefined);

/** i32 addition, multiplication and the like with constants folded: what index arithmetic is built from. */
export function iadd(a: KernelExpr, b: KernelExpr): KernelExpr {
  const x = plain(a);
  const y = plain(b);
  if (x !== undefined && y !== undefined) return kint((x + y) | 0);
  return x === 0 ? b : y === 0 ? a : kapply("add", a, b);
}
export function isub(a: KernelExpr, b: KernelExpr): KernelExpr {
  const x = plain(a);
  const y = plain(b);
  if (x !== undefined && y !== undefined) return kint((x - y) | 0);
  return y === 0 ? a : kapply("sub", a, b);
}
export function imul(a: KernelExpr, b: KernelExpr): KernelExpr {
  const x = plain(a);
  const y = plain(b);
  if (x !== undefined && y !== undefined) return kint(Math.imul(x, y));
  return x === 0 || y === 0 ? kint(0) : x === 1 ? b : y === 1 ? a : kapply("mul", a, b);
}
/** Floor division and modulo by a positive divisor. */
export function idiv(a: KernelExpr, b: KernelExpr): KernelExpr {
  const x = plain(a);
  const y = plain(b);
  if (x !== undefined && y) return kint(Math.floor(x / y));
  return y === 1 ? a : kapply("floordiv", a, b);
}
export function imod(a: KernelExpr, b: KernelExpr): KernelExpr {
  const x = plain(a);
  const y = plain(b);
  if (x !== undefined && y) return kint(x - y * Math.floor(x / y));
  return y === 1 ? kint(0) : kapply("mod", a, b);
}
export function ilt(a: KernelExpr, b: KernelExpr): KernelExpr {
  const x = plain(a);
  const y = plain(b);
  if (x !== undefined && y !== undefined) return kconst("bool", x < y ? 1 : 0);
  return kapply("lt", a, b);
}
export function kand(a: KernelExpr, b: KernelExpr): KernelExpr {
  if (a.kind === "const") return a.value ? b : a;
  if (b.kind === "const") return b.value ? a : b;
  return kapply("and", a, b);
}

export function loop(
  variable: Variable,
  to: KernelExpr,
  body: readonly Statement[],
  bind: Bind = "loop",
  from: KernelExpr = kint(0),
  step = 1,
): ForStatement {
  return { kind: "for", variable, bind, from, to, step, body };
}
export function letVar(variable: Variable, value: KernelExpr): LetStatement {
  return { kind: "let", variable, value };
}
export function store(buffer: Buffer, index: KernelExpr, value: KernelExpr): StoreStatement {
  return { kind: "store", buffer, index, value };
}
export function when(
  condition: KernelExpr,
  then: readonly Statement[],
  otherwise: readonly Statement[] = [],
): readonly Statement[] {
  if (condition.kind === "const") return condition.value ? then : otherwise;
  return [{ kind: "if", condition, then, otherwise }];
}
export function barrier(scope: BarrierStatement["scope"] = "workgroup"): BarrierStatement {
  return { kind: "barrier", scope };
}
export function storageBuffer(
  name: string,
  access: Buffer["access"],
  dtype: DType,
  extent: Extent,
  lanes: Lanes = 1,
  atomic = false,
): Buffer {
  return { kind: "buffer", name, space: "storage", access, dtype, lanes, size: extent, atomic };
}
function onChip(space: Buffer["space"], name: string, dtype: DType, elements: number, lanes: Lanes): Buffer {
  return { kind: "buffer", name, space, access: "readwrite", dtype, lanes, size: size(elements), atomic: false };
}
export function workgroupBuffer(name: string, dtype: DType, elements: number, lanes: Lanes = 1): Buffer {
  return onChip("workgroup", name, dtype, elements, lanes);
}
export function privateBuffer(name: string, dtype: DType, elements: number, lanes: Lanes = 1): Buffer {
  return onChip("private", name, dtype, elements, lanes);
}
