/** Expressions of kernels compiled to closures over registers; ir/closures-kernel.ts builds statements of them. */
import type { DType } from "./dtype.ts";
import { compilePrim, type Mode } from "./evaluate.ts";
import { evaluateExtent } from "./extent.ts";
import { roundTo } from "./float.ts";
import {
  type BarrierStatement,
  type Buffer,
  isPlace,
  type KernelExpr,
  type KLoad,
  type KSubgroup,
  type MatrixStatement,
  type Variable,
} from "./kernel.ts";
import type { Invocation, KernelProblemKind, Memory } from "./memory-kernel.ts";
import { exprChildren, visitExpr } from "./visit-kernel.ts";

/** Where the invocations of a workgroup or subgroup meet. */
export type Meeting =
  | { readonly kind: "barrier"; readonly statement: BarrierStatement }
  /** Operand and result are registers, one for each lane of the vector. */
  | { readonly kind: "subgroup"; readonly node: KSubgroup; readonly operand: number; readonly result: number }
  /** The statement's expressions, in order, lie in registers from `operand` on. */
  | { readonly kind: "matrix"; readonly statement: MatrixStatement; readonly operand: number };

export type Scalar = (v: Invocation) => number;
export type Action = (v: Invocation) => void;
/** A vector's lanes lie in consecutive registers once `run` has run. */
export interface Vector {
  readonly run: Action | undefined;
  readonly at: number;
}
export interface Prelude {
  readonly run: Action;
  readonly meet: Meeting | undefined;
}

export interface ClosureContext {
  readonly mode: Mode;
  readonly sizes: ReadonlyMap<string, number>;
  readonly memories: ReadonlyMap<Buffer, Memory>;
  readonly subgroupSize: number;
  /** Subgroups in a workgroup. */
  readonly subgroups: number;
  readonly report: (kind: KernelProblemKind, buffer: Buffer, index: number, text: string) => void;
}

/** The same as compilePrim gives, without a call between: what index arithmetic and sums of products consist of. */
const QUICK: Readonly<Record<string, ((a: Scalar, b: Scalar) => Scalar) | undefined>> = {
  "add i32 rounded": (a, b) => (v) => (a(v) + b(v)) | 0,
  "sub i32 rounded": (a, b) => (v) => (a(v) - b(v)) | 0,
  "mul i32 rounded": (a, b) => (v) => Math.imul(a(v), b(v)),
  "add i32 exact": (a, b) => (v) => (a(v) + b(v)) | 0,
  "sub i32 exact": (a, b) => (v) => (a(v) - b(v)) | 0,
  "mul i32 exact": (a, b) => (v) => Math.imul(a(v), b(v)),
  "add f32 rounded": (a, b) => (v) => Math.fround(a(v) + b(v)),
  "mul f32 rounded": (a, b) => (v) => Math.fround(a(v) * b(v)),
};

/** Compiles expressions; the statements are its heir's. */
export class ExprCompiler {
  /** Registers in use so far; private buffers come first. */
  registers: number;
  protected readonly context: ClosureContext;
  private readonly slots = new Map<Variable, number>();
  /** Nodes of the statement at hand that have been evaluated into registers. */
  private ready = new Map<KernelExpr, number>();

  constructor(context: ClosureContext, registers: number) {
    this.context = context;
    this.registers = registers;
  }

  slot(v: Variable): number {
    const old = this.slots.get(v);
    if (old !== undefined) return old;
    const at = this.allocate(v.lanes);
    this.slots.set(v, at);
    return at;
  }
  protected allocate(n: number): number {
    const at = this.registers;
    this.registers += n;
    return at;
  }

  // ---- Expressions

  /** Evaluates shared nodes once, and subgroup operations where all can meet, before the statement itself. */
  protected prelude(roots: readonly KernelExpr[]): Prelude[] {
    const uses = new Map<KernelExpr, number>();
    const order: KernelExpr[] = [];
    const seen = new Set<KernelExpr>();
    for (const r of roots) {
      uses.set(r, (uses.get(r) ?? 0) + 1);
      visitExpr(
        r,
        (e) => {
          order.push(e);
          for (const c of exprChildren(e)) uses.set(c, (uses.get(c) ?? 0) + 1);
        },
        seen,
      );
    }
    this.ready = new Map();
    const out: Prelude[] = [];
    for (const e of order) {
      const meets = e.kind === "subgroup" && !isPlace(e.op);
      const leaf = e.kind === "const" || e.kind === "size" || e.kind === "var";
      if (!meets && (leaf || (uses.get(e) ?? 0) < 2)) continue;
      const at = this.allocate(e.lanes);
      if (meets && e.value) {
        // The lane that `shuffle` names lies behind the value.
        const operand = this.allocate(e.lanes + 1);
        const run = this.into(e.value, operand);
        const lane = e.from && this.into(e.from, operand + e.lanes);
        const both: Action = (v) => {
          run(v);
          lane?.(v);
        };
        out.push({ run: lane ? both : run, meet: { kind: "subgroup", node: e, operand, result: at } });
      } else out.push({ run: this.into(e, at), meet: undefined });
      this.ready.set(e, at);
    }
    return out;
  }

  /** Evaluates into registers at…at+lanes-1. */
  protected into(e: KernelExpr, at: number): Action {
    if (e.lanes === 1) {
      const f = this.scalar(e);
      return (v) => {
        v.registers[at] = f(v);
      };
    }
    const { run, at: from } = this.vector(e);
    const n = e.lanes;
    return (v) => {
      run?.(v);
      v.registers.copyWithin(at, from, from + n);
    };
  }

  protected scalar(e: KernelExpr): Scalar {
    const at = this.ready.get(e);
    if (at !== undefined) return (v) => v.registers[at]!;
    switch (e.kind) {
      case "const": {
        const value = this.context.mode === "rounded" ? roundTo(e.dtype, e.value) : e.value;
        return () => value;
      }
      case "size": {
        const value = evaluateExtent(e.extent, this.context.sizes);
        return () => value;
      }
      case "var": {
        const slot = this.slot(e.variable);
        return (v) => v.registers[slot]!;
      }
      case "apply": {
        const f = compilePrim(
          e.prim,
          e.args.map((a) => a.dtype),
          e.dtype,
          this.context.mode,
        );
        const [a, b, c, d] = e.args.map((x) => this.scalar(x));
        if (!a) throw new TypeError(`${e.prim} of nothing`);
        if (!b) return (v) => f(a(v), 0, 0, 0);
        const quick = QUICK[`${e.prim} ${e.dtype} ${this.context.mode}`];
        if (quick) return quick(a, b);
        if (!c) return (v) => f(a(v), b(v), 0, 0);
        if (!d) return (v) => f(a(v), b(v), c(v), 0);
        return (v) => f(a(v), b(v), c(v), d(v));
      }
      case "extract": {
        const { run, at: from } = this.vector(e.value);
        const lane = from + e.lane;
        if (!run) return (v) => v.registers[lane]!;
        return (v) => {
          run(v);
          return v.registers[lane]!;
        };
      }
      case "dot": {
        const { times, plus } = this.arithmetic(e.dtype);
        const [left, right] = [this.vector(e.left), this.vector(e.right)];
        const n = e.left.lanes;
        return (v) => {
          left.run?.(v);
          right.run?.(v);
          const reg = v.registers;
          let sum = times(reg[left.at]!, reg[right.at]!, 0, 0);
          for (let l = 1; l < n; l++) sum = plus(sum, times(reg[left.at + l]!, reg[right.at + l]!, 0, 0), 0, 0);
          return sum;
        };
      }
      case "load": {
        const find = this.locate(e);
        const { cells } = this.memory(e.buffer);
        if (e.buffer.space === "private")
          return (v) => {
            const i = find(v);
            return i < 0 ? 0 : v.registers[i]!;
          };
        return (v) => {
          const i = find(v);
          return i < 0 ? 0 : cells[i]!;
        };
      }
      case "subgroup":
        if (e.op === "size" || e.op === "count") {
          const value = e.op === "size" ? this.context.subgroupSize : this.context.subgroups;
          return () => value;
        }
        if (e.op === "id") return (v) => v.lane;
        if (e.op === "index") return (v) => v.subgroup;
        throw new TypeError(`subgroup.${e.op} was not evaluated before its statement`);
      case "splat":
      case "vector":
      case "matvec":
        throw new TypeError(`a ${e.kind} of one lane`);
      default:
        return e satisfies never;
    }
  }

  private arithmetic(dtype: DType): Record<"times" | "plus", ReturnType<typeof compilePrim>> {
    const of = (prim: "mul" | "add"): ReturnType<typeof compilePrim> =>
      compilePrim(prim, [dtype, dtype], dtype, this.context.mode);
    return { times: of("mul"), plus: of("add") };
  }

  protected vector(e: KernelExpr): Vector {
    const ready = this.ready.get(e);
    if (ready !== undefined) return { run: undefined, at: ready };
    if (e.kind === "var") return { run: undefined, at: this.slot(e.variable) };
    const n = e.lanes;
    const at = this.allocate(n);
    switch (e.kind) {
      case "splat": {
        const f = this.scalar(e.value);
        return { at, run: (v) => v.registers.fill(f(v), at, at + n) };
      }
      case "vector": {
        const parts = e.args.map((a) => this.scalar(a));
        return {
          at,
          run: (v) => {
            // All before any is written: a part may read another vector, never this one.
            for (let l = 0; l < n; l++) v.registers[at + l] = parts[l]!(v);
          },
        };
      }
      case "load": {
        const find = this.locate(e);
        const { cells } = this.memory(e.buffer);
        const own = e.buffer.space === "private";
        return {
          at,
          run: (v) => {
            const i = find(v);
            if (i < 0) v.registers.fill(0, at, at + n);
            else if (own) v.registers.copyWithin(at, i, i + n);
            else for (let l = 0; l < n; l++) v.registers[at + l] = cells[i + l]!;
          },
        };
      }
      case "apply": {
        const f = compilePrim(
          e.prim,
          e.args.map((a) => a.dtype),
          e.dtype,
          this.context.mode,
        );
        const args = e.args.map((a) => this.vector(a));
        const runs = args.flatMap((a) => (a.run ? [a.run] : []));
        const [a = at, b = at, c = at, d = at] = args.map((x) => x.at);
        return {
          at,
          run: (v) => {
            for (const r of runs) r(v);
            const reg = v.registers;
            for (let l = 0; l < n; l++) reg[at + l] = f(reg[a + l]!, reg[b + l]!, reg[c + l]!, reg[d + l]!);
          },
        };
      }
      case "matvec": {
        const { times, plus } = this.arithmetic(e.dtype);
        const vector = this.vector(e.vector);
        const columns = e.columns.map((c) => this.vector(c));
        return {
          at,
          run: (v) => {
            vector.run?.(v);
            for (const c of columns) c.run?.(v);
            const reg = v.registers;
            columns.forEach((c, k) => {
              const x = reg[vector.at + k]!;
              for (let l = 0; l < n; l++) {
                const p = times(reg[c.at + l]!, x, 0, 0);
                reg[at + l] = k === 0 ? p : plus(reg[at + l]!, p, 0, 0);
              }
            });
          },
        };
      }
      default:
        throw new TypeError(`a ${e.kind} of ${n} lanes`);
    }
  }

  protected memory(b: Buffer): Memory {
    const m = this.context.memories.get(b);
    if (!m) throw new RangeError(`buffer ${b.name} is not bound`);
    return m;
  }

  /** The cell (for private buffers the register) where a load begins, checked and recorded; -1 outside. */
  private locate(e: KLoad): Scalar {
    const b = e.buffer;
    const m = this.memory(b);
    const index = this.scalar(e.index);
    const { size, tracker, written, register, flags } = m;
    const { report } = this.context;
    const lanes = b.lanes;
    if (b.space === "private")
      return (v) => {
        const i = index(v);
        if (i < 0 || i >= size) {
          report("out-of-bounds", b, i, "load");
          return -1;
        }
        if (v.defined[flags + i] === 0) report("uninitialised", b, i, "read before it was written");
        return register + i * lanes;
      };
    const shared = b.space === "workgroup";
    return (v) => {
      const i = index(v);
      if (i < 0 || i >= size) {
        report("out-of-bounds", b, i, "load");
        return -1;
      }
      if (shared ? !tracker!.writtenHere(i) : written?.[i] === 0)
        report("uninitialised", b, i, "read before it was written");
      tracker?.read(i, v.id);
      return i * lanes;
    };
  }
}
