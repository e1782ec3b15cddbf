/**
 * A kernel under construction: nested frames of statements, what axes stand for in them, which values have been computed,
 * and the storage buffers met on the way. A value is placed in the outermost frame that binds everything it needs, so what
 * does not change in a loop is computed before it.
 */
import type { DType } from "../../../ir/dtype.ts";
import {
  divExtent,
  type Extent,
  maxExtent,
  ONE,
  productExtent,
  proveNonNegative,
  size,
  subExtent,
} from "../../../ir/extent.ts";
import {
  type Buffer,
  type Kernel,
  type KernelExpr,
  kvar,
  type Lanes,
  letVar,
  type Matrices,
  privateBuffer,
  type Statement,
  storageBuffer,
  variable,
  workgroupBuffer,
} from "../../../ir/kernel.ts";
import { type Axis, axis, type Definition, shapeOf, type TensorExpr, type TensorRef } from "../../../ir/tensor.ts";
import type { AppliedKernel, BufferSource, Temporary } from "../applied.ts";
import type { Region } from "../region.ts";
import { ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";

/** An expression and the frame (by depth) in which it stays valid. */
export interface Value {
  readonly expr: KernelExpr;
  readonly level: number;
}

export interface Frame {
  readonly out: Statement[];
  /** Its code may not run at all: a guard, or a loop that may be empty. Loads that are only known to be safe there stay in it. */
  readonly conditional: boolean;
  /** Of most frames there is neither. */
  alias: Map<Axis, TensorExpr> | undefined;
  bound: Map<Axis, Value> | undefined;
  readonly memo: Map<TensorExpr, Value>;
}

/** What a definition of the region is computed from when it is read inside the kernel. */
export interface Inlined {
  readonly axes: readonly Axis[];
  readonly results: readonly TensorExpr[];
}

export interface Builder {
  readonly name: string;
  readonly target: Target;
  readonly frames: Frame[];
  /** Lanes of a vector: values depend on it where they differ between lanes. Never bound. */
  readonly lane: Axis;
  readonly lanes: Lanes;
  readonly storage: { readonly buffer: Buffer; readonly source: BufferSource }[];
  readonly byKey: Map<string, Buffer>;
  readonly locals: Buffer[];
  readonly matrices: Matrices[];
  readonly names: Set<string>;
  /** Definitions that the kernel computes: never loaded. */
  readonly inlined: Map<Definition, Inlined>;
  readonly onChip: Set<Definition>;
  /** Inputs that stand for temporaries of the schedule. */
  readonly temporaries: Map<Definition, readonly Temporary[]>;
  /** Runs of axes that were flattened together, by their coordinates: row-major positions of just these use the flat index. */
  readonly flats: {
    readonly parts: readonly TensorExpr[];
    readonly extents: readonly Extent[];
    readonly flat: TensorExpr;
  }[];
  readonly uses: Map<TensorExpr, number>;
  readonly counted: Set<TensorExpr>;
  readonly fills: { readonly target: BufferSource; readonly pattern: number }[];
  readonly copies: { readonly from: BufferSource; readonly to: BufferSource }[];
  readonly origin: { readonly name: string; readonly span: Definition["span"] }[];
  readonly resolved: Map<TensorExpr, TensorExpr>;
  /** Vectors that one load takes where they follow one another; 1: each by itself. */
  wide: 1 | 2 | 4;
  subgroupSize: number | undefined;
}

export function newBuilder(name: string, target: Target, lanes: number): Builder {
  if (lanes !== 1 && lanes !== 2 && lanes !== 4)
    throw new ScheduleError("vector", `${lanes} lanes; 1, 2 or 4 are possible`);
  return {
    name,
    target,
    frames: [newFrame([], false)],
    lane: axis("lane", size(lanes)),
    lanes,
    storage: [],
    byKey: new Map(),
    locals: [],
    matrices: [],
    names: new Set(),
    inlined: new Map(),
    onChip: new Set(),
    temporaries: new Map(),
    flats: [],
    uses: new Map(),
    counted: new Set(),
    fills: [],
    copies: [],
    origin: [],
    resolved: new Map(),
    wide: 1,
    subgroupSize: undefined,
  };
}

/** After a change of what axes stand for. */
function forget(b: Builder): void {
  if (b.resolved.size > 0) b.resolved.clear();
}

function newFrame(out: Statement[], conditional: boolean): Frame {
  return { out, conditional, alias: undefined, bound: undefined, memo: new Map() };
}

export function top(b: Builder): Frame {
  const f = b.frames[b.frames.length - 1];
  if (!f) throw new Error("no frame is open");
  return f;
}
export function level(b: Builder): number {
  return b.frames.length - 1;
}

/** Runs `body` in a new frame and gives its statements. */
export function inFrame(b: Builder, conditional: boolean, body: () => void): readonly Statement[] {
  const f = newFrame([], conditional);
  b.frames.push(f);
  body();
  b.frames.pop();
  forget(b);
  return f.out;
}

/** Runs `body` in a frame whose statements join the enclosing block: bindings and values end with it, code does not. */
export function inCopy<T>(b: Builder, body: () => T): T {
  b.frames.push(newFrame(top(b).out, false));
  const made = body();
  b.frames.pop();
  forget(b);
  return made;
}

export function emit(b: Builder, ...statements: readonly Statement[]): void {
  top(b).out.push(...statements);
}

/** Names a value in the frame at `at`, unless it is a constant or a variable already. */
export function name(b: Builder, hint: string, expr: KernelExpr, at: number = level(b)): KernelExpr {
  if (expr.kind === "const" || expr.kind === "var" || expr.kind === "size") return expr;
  if (expr.kind === "splat" && (expr.value.kind === "const" || expr.value.kind === "var")) return expr;
  const v = variable(hint, expr.dtype, expr.lanes);
  const frame = b.frames[at];
  if (!frame) throw new Error(`no frame ${at}`);
  frame.out.push(letVar(v, expr));
  return kvar(v);
}

/** In the current frame the axis stands for a kernel expression. */
export function bindAxis(b: Builder, a: Axis, expr: KernelExpr): void {
  const frame = top(b);
  frame.bound ??= new Map();
  frame.bound.set(a, { expr, level: level(b) });
}

/** In the current frame the axis stands for another index expression, itself of bound axes. */
export function aliasAxis(b: Builder, a: Axis, e: TensorExpr): void {
  const frame = top(b);
  frame.alias ??= new Map();
  frame.alias.set(a, e);
  forget(b);
}

export function aliasAxes(b: Builder, axes: readonly Axis[], point: readonly TensorExpr[]): void {
  axes.forEach((a, i) => {
    const p = point[i];
    if (!p) throw new Error(`axis ${a.name} has no position`);
    if (p.kind !== "axis" || p.axis !== a) aliasAxis(b, a, p);
  });
}

export function boundValue(b: Builder, a: Axis): Value | undefined {
  for (let i = b.frames.length - 1; i >= 0; i--) {
    const v = b.frames[i]?.bound?.get(a);
    if (v) return v;
  }
  return undefined;
}

export function freshName(b: Builder, wanted: string): string {
  const base = wanted.replace(/[^A-Za-z0-9_]/g, "_").replace(/^[^A-Za-z]/, "t$&") || "t";
  let n = base;
  for (let i = 1; b.names.has(n); i++) n = `${base}_${i}`;
  b.names.add(n);
  return n;
}

// ---- Buffers ------------------------------------------------------------------------------------------------------

export function sourceOf(b: Builder, ref: TensorRef): BufferSource {
  const t = b.temporaries.get(ref.tensor)?.[ref.slot];
  return t ?? { kind: "tensor", ref };
}

/** Elements of a definition's result in memory; an empty one still has room for a masked load. */
function roomOf(d: Definition, lanes: number): Extent {
  const total = productExtent(shapeOf(d));
  const units = divExtent(total, size(lanes));
  return proveNonNegative(subExtent(units, ONE)) === "proved" ? units : maxExtent(units, ONE);
}

/** The storage buffer of a tensor's result, by elements or in vectors, of which a load may take several. */
export function tensorBuffer(
  b: Builder,
  ref: TensorRef,
  access: "read" | "write" | "readwrite",
  lanes: Lanes,
  atomic = false,
  wide: 1 | 2 | 4 = 1,
): Buffer {
  const key = `${ref.tensor.id}.${ref.slot}.${lanes}.${wide}`;
  const old = b.byKey.get(key);
  if (old) return old;
  const dtype = ref.tensor.types[ref.slot];
  if (!dtype) throw new Error(`definition ${ref.tensor.name} has no result ${ref.slot}`);
  const hint = ref.tensor.types.length > 1 ? `${ref.tensor.name}_${ref.slot}` : ref.tensor.name;
  const plain = storageBuffer(freshName(b, hint), access, dtype, roomOf(ref.tensor, lanes), lanes, atomic);
  const made: Buffer = wide > 1 ? { ...plain, wide: wide === 2 ? 2 : 4 } : plain;
  if (access !== "read" && b.storage.some((s) => sameSource(s.source, sourceOf(b, ref))))
    throw new ScheduleError("vector", `${ref.tensor.name} would be written both by elements and in vectors`);
  b.byKey.set(key, made);
  b.storage.push({ buffer: made, source: sourceOf(b, ref) });
  return made;
}

export function sameSource(a: BufferSource, b: BufferSource): boolean {
  if (a.kind === "temporary" || b.kind === "temporary") return a === b;
  return a.ref.tensor === b.ref.tensor && a.ref.slot === b.ref.slot;
}

export function newPrivate(b: Builder, hint: string, dtype: DType, elements: number, lanes: Lanes): Buffer {
  const made = privateBuffer(freshName(b, hint), dtype, elements, lanes);
  b.locals.push(made);
  return made;
}

export function newShared(b: Builder, hint: string, dtype: DType, elements: number, lanes: Lanes = 1): Buffer {
  const made = workgroupBuffer(freshName(b, hint), dtype, elements, lanes);
  b.locals.push(made);
  const bytes = b.locals
    .filter((l) => l.space === "workgroup")
    .reduce((sum, l) => sum + (l.size.value ?? 0) * l.lanes * (l.dtype === "f16" ? 2 : 4), 0);
  if (bytes > b.target.limits.maxComputeWorkgroupStorageSize)
    throw new ScheduleError(
      "threads",
      `${bytes} bytes of workgroup memory; the limit is ${b.target.limits.maxComputeWorkgroupStorageSize}`,
    );
  return made;
}

// ---- The finished kernel ------------------------------------------------------------------------------------------

export function finish(b: Builder, body: readonly Statement[]): AppliedKernel {
  const limit = b.target.limits.maxStorageBuffersPerShaderStage;
  if (b.storage.length > limit) {
    const twice = b.storage.some((s, i) => b.storage.some((t, j) => j < i && sameSource(s.source, t.source)));
    if (twice) throw new ScheduleError("vector", `${b.storage.length} storage buffers; the limit is ${limit}`);
    throw new ScheduleError("kind", `${b.storage.length} storage buffers; the limit is ${limit}`);
  }
  const order = [...b.storage].sort(
    (x, y) => (x.buffer.access === "read" ? 0 : 1) - (y.buffer.access === "read" ? 0 : 1),
  );
  const kernel: Kernel = {
    name: b.name,
    buffers: [...order.map((s) => s.buffer), ...b.locals],
    ...(b.matrices.length > 0 ? { matrices: b.matrices } : {}),
    // What depends on no invocation is named before the grid.
    body: [...(b.frames[0]?.out ?? []), ...body],
    facts: [],
    origin: b.origin,
    subgroupSize: b.subgroupSize,
  };
  return { kernel, bindings: order.map((s) => s.source), fills: b.fills, copies: b.copies };
}

export function originOf(b: Builder, region: Region): void {
  b.origin.push(...originsOf(region));
}

/** What a region's kernels compute. */
export function originsOf(region: Region): Kernel["origin"] {
  const stored = new Set(region.stores.map((s) => s.tensor));
  return [...stored].map(({ name, span }) => ({ name, span }));
}

/** Checks a workgroup's shape against the target. */
export function checkGroup(target: Target, x: number, y = 1, z = 1): void {
  const l = target.limits;
  if (x * y * z > l.maxComputeInvocationsPerWorkgroup)
    throw new ScheduleError(
      "threads",
      `${x * y * z} invocations a workgroup; the limit is ${l.maxComputeInvocationsPerWorkgroup}`,
    );
  if (x > l.maxComputeWorkgroupSizeX || y > l.maxComputeWorkgroupSizeY || z > l.maxComputeWorkgroupSizeZ)
    throw new ScheduleError("threads", `a workgroup of ${x}×${y}×${z} exceeds a dimension's limit`);
}
