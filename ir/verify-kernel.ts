/**
 * The verifier of kernels. What it holds:
 *
 * 1. Buffers: declared in the header, storage first; sizes of workgroup and private ones are constant and within the limits;
 *    atomic ones hold scalar i32 or u32. A `read` buffer is never stored to, a `write` one never loaded from, an atomic
 *    statement names an atomic buffer that is not only read.
 * 2. The nest: only `let`s stand before and between grid and thread loops, nothing after; grid outside thread; each at most
 *    once; grid extents are sizes; thread extents are constants whose product is within the limit.
 * 3. Scope: a variable is bound once, and used only in the rest of the block that binds it.
 * 4. Types: operands and results fit the primitive table, lanes agree, indices are scalar i32 or u32, conditions scalar bool,
 *    constants are values of their types.
 * 5. Loops: `loop` bounds are scalar i32 and the step a positive integer; `unroll` bounds are constants, and all expansions
 *    together stay small. Indices of private buffers are constants once unrolled, and inside.
 * 6. Barriers and subgroup operations stand in statically uniform control flow (ir/uniform-kernel.ts).
 * 7. Matrices: declared in the header, of a float type and a shape; their indices are constants once unrolled, and inside; offsets and
 *    strides are scalar i32; a buffer that one is loaded from or stored to holds scalars of its type, in storage or workgroup memory; the
 *    shapes of a product fit. They are used in workgroups along x alone.
 */
import type { DType } from "./dtype.ts";
import {
  type Buffer,
  type ForStatement,
  isPlace,
  type Kernel,
  type KernelExpr,
  type KSubgroup,
  type Matrices,
  type Statement,
  type Variable,
} from "./kernel.ts";
import { PRIM_TYPES, resultType } from "./prim.ts";
import { productProblem } from "./products-kernel.ts";
import { uniformityProblems } from "./uniform-kernel.ts";
import { declarationProblems, matrixProblems } from "./verify-matrix.ts";
import { exprChildren, launchOf, statementExprs, workgroupSizeOf } from "./visit-kernel.ts";
import { columnOf } from "./wide-kernel.ts";

declare const verified: unique symbol;
/** A kernel that has passed the verifier; nothing else makes one. What the legaliser, and so the WGSL printer, accepts. */
export type VerifiedKernel = Kernel & { readonly [verified]: true };

/** Of one workgroup; WebGPU's most generous adapters by default. */
export interface KernelLimits {
  readonly invocations: number;
  readonly workgroupSize: readonly [number, number, number];
  readonly workgroupBytes: number;
  readonly storageBuffers: number;
}
export const GENEROUS_LIMITS: KernelLimits = {
  invocations: 1024,
  workgroupSize: [1024, 1024, 64],
  workgroupBytes: 65536,
  storageBuffers: 64,
};
/** Statements after all unrolling; what a driver still compiles in reasonable time. */
const MAX_EXPANDED = 65536;
const MAX_PRIVATE = 4096;

/** A kernel that breaks an invariant: a defect of the compiler, not of the program being compiled. */
export class KernelError extends Error {
  readonly problems: readonly string[];
  constructor(kernel: string, problems: readonly string[]) {
    super(`kernel ${kernel}: ${problems.join("; ")}`);
    this.name = "KernelError";
    this.problems = problems;
  }
}

/** Device bytes of an element: bool is stored as u32. */
export function elementBytes(dtype: DType): number {
  return dtype === "f16" ? 2 : 4;
}

class Verifier {
  readonly problems: string[] = [];
  readonly buffers: ReadonlySet<Buffer>;
  readonly matrices: ReadonlySet<Matrices>;
  /** In scope now; the flag says whether the value is known once loops are unrolled. */
  readonly scope = new Map<Variable, boolean>();
  readonly bound = new Set<Variable>();
  expanded = 0;
  /** By the number of the block in which each was checked: good as long as that block is open, for a node may mention what it binds. */
  private readonly checked = new Map<KernelExpr, number>();
  private readonly open = [true];
  private here = 0;

  constructor(kernel: Kernel) {
    this.buffers = new Set(kernel.buffers);
    this.matrices = new Set(kernel.matrices);
  }
  problem(text: string): void {
    if (this.problems.length < 50) this.problems.push(text);
  }

  buffersOf(kernel: Kernel, limits: KernelLimits): void {
    let bytes = 0;
    let outside = false;
    if (this.buffers.size !== kernel.buffers.length) this.problem("a buffer is declared twice");
    for (const b of kernel.buffers) {
      if (b.space === "storage" && outside)
        this.problem(`storage buffer ${b.name} stands after a workgroup or private one`);
      if (b.space !== "storage") {
        outside = true;
        if (b.access !== "readwrite") this.problem(`${b.space} buffer ${b.name} is not readwrite`);
        if (b.size.value === undefined || b.size.value < 1)
          this.problem(`${b.space} buffer ${b.name} has no positive constant size`);
        if (b.space === "workgroup") bytes += (b.size.value ?? 0) * b.lanes * elementBytes(b.dtype);
        else if ((b.size.value ?? 0) > MAX_PRIVATE)
          this.problem(`private buffer ${b.name} is larger than ${MAX_PRIVATE}`);
      }
      if (b.atomic && b.access === "read") this.problem(`${b.name} is atomic and only read`);
      if (b.atomic && (b.lanes !== 1 || (b.dtype !== "i32" && b.dtype !== "u32") || b.space === "private"))
        this.problem(`${b.name} is ${b.space} of ${b.dtype}x${b.lanes} and cannot be atomic`);
    }
    if (bytes > limits.workgroupBytes)
      this.problem(`${bytes} bytes of workgroup memory; the limit is ${limits.workgroupBytes}`);
    const storage = kernel.buffers.filter((b) => b.space === "storage").length;
    if (storage > limits.storageBuffers)
      this.problem(`${storage} storage buffers; the limit is ${limits.storageBuffers}`);
  }

  nest(kernel: Kernel, limits: KernelLimits): readonly Statement[] {
    const launch = launchOf(kernel);
    if (launch.problem !== undefined) this.problem(launch.problem);
    for (const s of [...launch.grid, ...launch.thread]) {
      if (!s) continue;
      const name = `loop ${s.variable.name} @${s.bind}`;
      if (s.from.kind !== "const" || s.from.value !== 0 || s.step !== 1)
        this.problem(`${name} does not count 0, 1, 2…`);
      const grid = s.bind.startsWith("grid.");
      if (s.to.kind !== "const" && !(grid && s.to.kind === "size"))
        this.problem(`${name} has an extent that is no ${grid ? "size" : "constant"}`);
      if (s.to.kind === "const" && (s.to.value < (grid ? 0 : 1) || !Number.isSafeInteger(s.to.value)))
        this.problem(`${name} has extent ${s.to.value}`);
      this.bind(s.variable, false);
      if (s.variable.dtype !== "i32" || s.variable.lanes !== 1) this.problem(`the variable of ${name} is not i32`);
    }
    const sizes = workgroupSizeOf(launch);
    const invocations = sizes[0] * sizes[1] * sizes[2];
    if (invocations > limits.invocations)
      this.problem(`${invocations} invocations a workgroup; the limit is ${limits.invocations}`);
    sizes.forEach((n, i) => {
      if (n > (limits.workgroupSize[i] ?? 1))
        this.problem(`${n} invocations along ${"xyz"[i]}; the limit is ${limits.workgroupSize[i]}`);
    });
    return launch.body;
  }

  bind(v: Variable, known: boolean): void {
    if (this.bound.has(v)) this.problem(`variable ${v.name} is bound twice`);
    this.bound.add(v);
    this.scope.set(v, known);
  }

  block(body: readonly Statement[], copies: number): void {
    const own: Variable[] = [];
    const outside = this.here;
    this.here = this.open.push(true) - 1;
    for (const s of body) {
      this.expanded += copies;
      this.statement(s, copies, own);
    }
    for (const v of own) this.scope.delete(v);
    this.open[this.here] = false;
    this.here = outside;
  }

  statement(s: Statement, copies: number, own: Variable[]): void {
    switch (s.kind) {
      case "for":
        this.forStatement(s, copies);
        return;
      case "if":
        this.typed(s.condition, "bool", 1, "the condition of an if");
        this.block(s.then, copies);
        this.block(s.otherwise, copies);
        return;
      case "while":
        this.typed(s.condition, "bool", 1, "the condition of a while");
        this.block(s.body, copies);
        return;
      case "let":
        this.typed(s.value, s.variable.dtype, s.variable.lanes, `let ${s.variable.name}`);
        this.bind(s.variable, this.known(s.value));
        own.push(s.variable);
        return;
      case "store":
        this.access(s.buffer, s.index, "store");
        this.typed(s.value, s.buffer.dtype, s.buffer.lanes, `a store to ${s.buffer.name}`);
        return;
      case "atomic":
        this.access(s.buffer, s.index, "atomic");
        this.typed(s.value, s.buffer.dtype, 1, `an atomic on ${s.buffer.name}`);
        if (s.bind) {
          if (s.bind.dtype !== s.buffer.dtype || s.bind.lanes !== 1)
            this.problem(`${s.bind.name} cannot hold an old value of ${s.buffer.name}`);
          this.bind(s.bind, false);
          own.push(s.bind);
        }
        return;
      case "barrier":
        return;
      case "matrix":
        for (const e of statementExprs(s)) this.typed(e, "i32", 1, `an operand of matrix.${s.op}`);
        if ((s.op === "load" || s.op === "store") && !this.buffers.has(s.buffer))
          this.problem(`buffer ${s.buffer.name} is not declared`);
        for (const p of matrixProblems(s, this.matrices, (e) => this.known(e))) this.problem(p);
        return;
      default:
        s satisfies never;
    }
  }

  forStatement(s: ForStatement, copies: number): void {
    const name = `loop ${s.variable.name}`;
    this.typed(s.from, "i32", 1, `the start of ${name}`);
    this.typed(s.to, "i32", 1, `the end of ${name}`);
    if (!Number.isInteger(s.step) || s.step < 1 || s.step > 2 ** 30) this.problem(`${name} has step ${s.step}`);
    if (s.variable.dtype !== "i32" || s.variable.lanes !== 1) this.problem(`the variable of ${name} is not i32`);
    let inside = copies;
    if (s.bind === "unroll") {
      if (s.from.kind !== "const" || s.to.kind !== "const")
        this.problem(`${name} @unroll has bounds that are not constant`);
      else inside *= Math.max(0, Math.ceil((s.to.value - s.from.value) / s.step));
    } else if (s.bind !== "loop") this.problem(`${name} @${s.bind} is not outermost`);
    if (inside > MAX_EXPANDED) {
      this.problem(`unrolling ${name} makes more than ${MAX_EXPANDED} copies`);
      inside = copies;
    }
    this.bind(s.variable, s.bind === "unroll");
    this.block(s.body, inside);
    this.scope.delete(s.variable);
  }

  access(b: Buffer, index: KernelExpr, how: "load" | "store" | "atomic"): void {
    if (!this.buffers.has(b)) this.problem(`buffer ${b.name} is not declared`);
    if (how === "load" && b.access === "write") this.problem(`a load from ${b.name}, which is only written`);
    if (how !== "load" && b.access === "read") this.problem(`a ${how} to ${b.name}, which is only read`);
    if (how === "atomic" && !b.atomic) this.problem(`an atomic on ${b.name}, which is not atomic`);
    if ((index.dtype !== "i32" && index.dtype !== "u32") || index.lanes !== 1)
      this.problem(`an index of ${b.name} is ${index.dtype}x${index.lanes}`);
    if (b.wide && (b.access !== "read" || b.lanes === 1 || !columnOf(b, index)))
      this.problem(`${b.name} is wide, and an access to it is not the load of a column`);
    if (how !== "load") this.expr(index);
    if (b.space === "private" && !this.known(index))
      this.problem(`an index of private buffer ${b.name} is not constant after unrolling`);
    if (
      b.space !== "storage" &&
      index.kind === "const" &&
      (index.value < 0 || index.value >= (b.size.value ?? Infinity))
    )
      this.problem(`index ${index.value} is outside ${b.name}`);
  }

  /** Is the value a constant once loops are unrolled? */
  known(e: KernelExpr): boolean {
    if (e.kind === "const") return true;
    if (e.kind === "var") return this.scope.get(e.variable) ?? false;
    return (
      (e.kind === "apply" || e.kind === "splat" || e.kind === "vector" || e.kind === "extract") &&
      exprChildren(e).every((c) => this.known(c))
    );
  }

  typed(e: KernelExpr, dtype: DType, lanes: number, what: string): void {
    this.expr(e);
    if (e.dtype !== dtype || e.lanes !== lanes) this.problem(`${what} is ${e.dtype}x${e.lanes}, not ${dtype}x${lanes}`);
  }

  expr(e: KernelExpr): void {
    const at = this.checked.get(e);
    if (at !== undefined && this.open[at]) return;
    this.checked.set(e, this.here);
    for (const c of exprChildren(e)) this.expr(c);
    switch (e.kind) {
      case "const":
        if (e.lanes !== 1) this.problem("a constant has several lanes");
        if (!fits(e.dtype, e.value)) this.problem(`${e.value} is no ${e.dtype}`);
        return;
      case "size":
        if (e.dtype !== "i32" || e.lanes !== 1) this.problem(`size ${e.extent.text} is not i32`);
        return;
      case "var":
        if (!this.scope.has(e.variable)) this.problem(`variable ${e.variable.name} is not in scope`);
        if (e.dtype !== e.variable.dtype || e.lanes !== e.variable.lanes)
          this.problem(`a use of ${e.variable.name} has another type`);
        return;
      case "load":
        this.access(e.buffer, e.index, "load");
        if (e.dtype !== e.buffer.dtype || e.lanes !== e.buffer.lanes)
          this.problem(`a load from ${e.buffer.name} has another type`);
        return;
      case "splat":
        if (e.value.lanes !== 1 || e.value.dtype !== e.dtype)
          this.problem("a splat of something that is not a scalar of its type");
        return;
      case "vector":
        if (e.args.length !== e.lanes || e.args.some((a) => a.lanes !== 1 || a.dtype !== e.dtype))
          this.problem("a vector of unfit parts");
        return;
      case "dot":
      case "matvec": {
        const problem = productProblem(e);
        if (problem) this.problem(problem);
        return;
      }
      case "extract":
        if (
          e.lanes !== 1 ||
          e.dtype !== e.value.dtype ||
          e.lane < 0 ||
          e.lane >= e.value.lanes ||
          !Number.isInteger(e.lane)
        )
          this.problem(`lane ${e.lane} of ${e.value.lanes}`);
        return;
      case "subgroup":
        this.subgroup(e);
        return;
      case "apply": {
        const { prim, args } = e;
        if (args.some((a) => a.lanes !== e.lanes)) this.problem(`${prim} of operands with different lanes`);
        if (PRIM_TYPES[prim].result === "given") {
          if (args.length !== 1) this.problem(`${prim} of ${args.length} operands`);
          const from = args[0]?.dtype;
          const word = (d: DType | undefined): boolean => d === "f32" || d === "i32" || d === "u32";
          if (prim === "bitcast" && !(word(from) && word(e.dtype))) this.problem(`bitcast from ${from} to ${e.dtype}`);
          return;
        }
        const wanted = resultType(
          prim,
          args.map((a) => a.dtype),
        );
        if (wanted !== e.dtype) this.problem(`${prim}(${args.map((a) => a.dtype).join(", ")}) is not ${e.dtype}`);
        return;
      }
      default:
        e satisfies never;
    }
  }

  subgroup(e: KSubgroup): void {
    const bare = isPlace(e.op);
    const laned = e.op === "broadcast" || e.op === "shuffleXor";
    if (
      bare
        ? e.value !== undefined || e.dtype !== "i32" || e.lanes !== 1
        : !e.value || e.value.dtype !== e.dtype || e.value.lanes !== e.lanes
    )
      this.problem(`subgroup.${e.op} has another type than its operand`);
    if (
      laned !== (e.lane !== undefined) ||
      (e.lane !== undefined && !(Number.isInteger(e.lane) && e.lane >= 0 && e.lane < 128))
    )
      this.problem(`subgroup.${e.op} with lane ${e.lane}`);
    if ((e.op === "shuffle") !== (e.from !== undefined) || (e.from && (e.from.dtype !== "i32" || e.from.lanes !== 1)))
      this.problem(`subgroup.${e.op} from a lane that is no i32`);
    const logic = e.op === "and" || e.op === "or";
    if (logic && (e.dtype === "f32" || e.dtype === "f16")) this.problem(`subgroup.${e.op} of ${e.dtype}`);
    if (!logic && !laned && !bare && e.op !== "shuffle" && e.dtype === "bool") this.problem(`subgroup.${e.op} of bool`);
  }
}

/** Is the number a value of the type? Floats may still carry more digits than the type has. */
function fits(dtype: DType, value: number): boolean {
  switch (dtype) {
    case "f32":
    case "f16":
      return true;
    case "i32":
      return Number.isInteger(value) && value >= -2147483648 && value <= 2147483647;
    case "u32":
      return Number.isInteger(value) && value >= 0 && value <= 4294967295;
    case "bool":
      return value === 0 || value === 1;
    default:
      return dtype satisfies never;
  }
}

/** Every broken invariant, one sentence each; empty if the kernel is sound. */
export function kernelProblems(kernel: Kernel, limits: KernelLimits = GENEROUS_LIMITS): readonly string[] {
  const v = new Verifier(kernel);
  v.buffersOf(kernel, limits);
  for (const p of declarationProblems(kernel)) v.problem(p);
  const body = v.nest(kernel, limits);
  v.block(body, 1);
  if (v.expanded > MAX_EXPANDED) v.problem(`${v.expanded} statements after unrolling; the limit is ${MAX_EXPANDED}`);
  if (v.problems.length > 0) return v.problems;
  return uniformityProblems(kernel);
}

/** The same kernel as a proof token. Throws KernelError with every problem. */
export function verifyKernel(kernel: Kernel, limits: KernelLimits = GENEROUS_LIMITS): VerifiedKernel {
  const problems = kernelProblems(kernel, limits);
  if (problems.length > 0) throw new KernelError(kernel.name, problems);
  return kernel as VerifiedKernel;
}
