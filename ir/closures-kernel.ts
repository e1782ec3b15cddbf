/**
 * Kernels compiled to closures over registers, for ir/interpret-kernel.ts. Statements without a barrier or subgroup operation
 * become plain functions; the others become generators that yield where invocations must meet.
 */
import { compilePrim, type Mode } from "./evaluate.ts";
import { evaluateExtent } from "./extent.ts";
import { roundTo } from "./float.ts";
import type {
  AtomicStatement,
  BarrierStatement,
  Buffer,
  KernelExpr,
  KLoad,
  KSubgroup,
  Statement,
  Variable,
} from "./kernel.ts";
import type { Invocation, KernelProblemKind, Memory } from "./memory-kernel.ts";
import { exprChildren, statementExprs, visitExpr } from "./visit-kernel.ts";

/** Where the invocations of a workgroup or subgroup meet. */
export type Meeting =
  | { readonly kind: "barrier"; readonly statement: BarrierStatement }
  /** Operand and result are registers, one for each lane of the vector. */
  | { readonly kind: "subgroup"; readonly node: KSubgroup; readonly operand: number; readonly result: number };

type Scalar = (v: Invocation) => number;
type Action = (v: Invocation) => void;
type Steps = (v: Invocation) => Generator<Meeting, void>;
/** A vector's lanes lie in consecutive registers once `run` has run. */
interface Vector {
  readonly run: Action | undefined;
  readonly at: number;
}
/** One of the two is there. */
export type Code =
  | { readonly run: Action; readonly steps: undefined }
  | { readonly run: undefined; readonly steps: Steps };
interface Prelude {
  readonly run: Action;
  readonly meet: Meeting | undefined;
}

export interface ClosureContext {
  readonly mode: Mode;
  readonly sizes: ReadonlyMap<string, number>;
  readonly memories: ReadonlyMap<Buffer, Memory>;
  readonly subgroupSize: number;
  readonly report: (kind: KernelProblemKind, buffer: Buffer, index: number, text: string) => void;
}

export class ClosureCompiler {
  /** Registers in use so far; private buffers come first. */
  registers: number;
  private readonly context: ClosureContext;
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
  private allocate(n: number): number {
    const at = this.registers;
    this.registers += n;
    return at;
  }

  // ---- Expressions

  /** Evaluates shared nodes once, and subgroup operations where all can meet, before the statement itself. */
  private prelude(roots: readonly KernelExpr[]): Prelude[] {
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
      const meets = e.kind === "subgroup" && e.op !== "id" && e.op !== "size";
      const leaf = e.kind === "const" || e.kind === "size" || e.kind === "var";
      if (!meets && (leaf || (uses.get(e) ?? 0) < 2)) continue;
      const at = this.allocate(e.lanes);
      if (meets && e.value) {
        const operand = this.allocate(e.lanes);
        out.push({ run: this.into(e.value, operand), meet: { kind: "subgroup", node: e, operand, result: at } });
      } else out.push({ run: this.into(e, at), meet: undefined });
      this.ready.set(e, at);
    }
    return out;
  }

  /** Evaluates into registers at…at+lanes-1. */
  private into(e: KernelExpr, at: number): Action {
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

  private scalar(e: KernelExpr): Scalar {
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
        if (e.op === "size") {
          const size = this.context.subgroupSize;
          return () => size;
        }
        if (e.op === "id") return (v) => v.lane;
        throw new TypeError(`subgroup.${e.op} was not evaluated before its statement`);
      case "splat":
      case "vector":
        throw new TypeError(`a ${e.kind} of one lane`);
      default:
        return e satisfies never;
    }
  }

  private vector(e: KernelExpr): Vector {
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
      default:
        throw new TypeError(`a ${e.kind} of ${n} lanes`);
    }
  }

  private memory(b: Buffer): Memory {
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

  // ---- Statements

  block(body: readonly Statement[]): Code {
    const codes = body.map((s) => this.statement(s));
    if (codes.every((c) => c.run)) {
      const actions = codes.flatMap((c) => (c.run ? [c.run] : []));
      const [only, second] = actions;
      if (only && !second) return { run: only, steps: undefined };
      return {
        steps: undefined,
        run: (v) => {
          for (const a of actions) a(v);
        },
      };
    }
    return {
      run: undefined,
      *steps(v) {
        for (const c of codes)
          if (c.run) c.run(v);
          else yield* c.steps(v);
      },
    };
  }

  /** The prelude, then the action. */
  private after(prelude: readonly Prelude[], action: Action): Code {
    if (prelude.length === 0) return { run: action, steps: undefined };
    if (prelude.some((p) => p.meet))
      return {
        run: undefined,
        *steps(v) {
          yield* evaluate(prelude, v);
          action(v);
        },
      };
    return {
      steps: undefined,
      run: (v) => {
        for (const p of prelude) p.run(v);
        action(v);
      },
    };
  }

  private statement(s: Statement): Code {
    const prelude = this.prelude(statementExprs(s));
    switch (s.kind) {
      case "let":
        return this.after(prelude, this.into(s.value, this.slot(s.variable)));
      case "store":
        return this.after(prelude, this.store(s.buffer, s.index, s.value));
      case "atomic":
        return this.after(prelude, this.atomic(s));
      case "barrier": {
        const meeting: Meeting = { kind: "barrier", statement: s };
        return {
          run: undefined,
          *steps() {
            yield meeting;
          },
        };
      }
      case "if": {
        const condition = this.scalar(s.condition);
        const then = this.block(s.then);
        const otherwise = this.block(s.otherwise);
        if (then.run && otherwise.run) {
          const [a, b] = [then.run, otherwise.run];
          return this.after(prelude, (v) => (condition(v) !== 0 ? a(v) : b(v)));
        }
        return {
          run: undefined,
          *steps(v) {
            yield* evaluate(prelude, v);
            const side = condition(v) !== 0 ? then : otherwise;
            if (side.run) side.run(v);
            else yield* side.steps(v);
          },
        };
      }
      case "for": {
        const from = this.scalar(s.from);
        const to = this.scalar(s.to);
        const slot = this.slot(s.variable);
        const { step } = s;
        const body = this.block(s.body);
        if (body.run) {
          const run = body.run;
          return this.after(prelude, (v) => {
            const end = to(v);
            for (let i = from(v); i < end; i += step) {
              v.registers[slot] = i;
              run(v);
            }
          });
        }
        const steps = body.steps;
        return {
          run: undefined,
          *steps(v) {
            yield* evaluate(prelude, v);
            const end = to(v);
            for (let i = from(v); i < end; i += step) {
              v.registers[slot] = i;
              yield* steps(v);
            }
          },
        };
      }
      case "while": {
        const condition = this.scalar(s.condition);
        const max = evaluateExtent(s.max, this.context.sizes);
        const body = this.block(s.body);
        if (body.run && !prelude.some((p) => p.meet)) {
          const run = body.run;
          return {
            steps: undefined,
            run: (v) => {
              for (let n = 0; n < max; n++) {
                for (const p of prelude) p.run(v);
                if (condition(v) === 0) return;
                run(v);
              }
            },
          };
        }
        return {
          run: undefined,
          *steps(v) {
            for (let n = 0; n < max; n++) {
              yield* evaluate(prelude, v);
              if (condition(v) === 0) return;
              if (body.run) body.run(v);
              else yield* body.steps(v);
            }
          },
        };
      }
      default:
        return s satisfies never;
    }
  }

  private store(b: Buffer, indexOf: KernelExpr, value: KernelExpr): Action {
    const { cells, size, tracker, written, register, flags } = this.memory(b);
    const { report } = this.context;
    const lanes = b.lanes;
    const index = this.scalar(indexOf);
    const own = b.space === "private";
    const single = lanes === 1 ? this.scalar(value) : undefined;
    const several = lanes === 1 ? undefined : this.vector(value);
    return (v) => {
      const i = index(v);
      const scalar = single ? single(v) : 0;
      several?.run?.(v);
      if (i < 0 || i >= size) {
        report("out-of-bounds", b, i, "store");
        return;
      }
      const into = own ? v.registers : cells;
      const at = own ? register + i * lanes : i * lanes;
      if (own) v.defined[flags + i] = 1;
      else {
        tracker?.write(i, v.id);
        if (written) written[i] = 1;
      }
      if (several) for (let l = 0; l < lanes; l++) into[at + l] = v.registers[several.at + l]!;
      else into[at] = scalar;
    };
  }

  private atomic(s: AtomicStatement): Action {
    const b = s.buffer;
    const { cells, size, tracker, written } = this.memory(b);
    const { report } = this.context;
    const index = this.scalar(s.index);
    const value = this.scalar(s.value);
    const bind = s.bind ? this.slot(s.bind) : undefined;
    const types = [b.dtype, b.dtype] as const;
    const prims = { add: "add", min: "min", max: "max", and: "bitand", or: "bitor", xor: "bitxor" } as const;
    const f =
      s.op === "exchange" ? (_: number, x: number) => x : compilePrim(prims[s.op], types, b.dtype, this.context.mode);
    return (v) => {
      const i = index(v);
      const x = value(v);
      if (i < 0 || i >= size) {
        report("out-of-bounds", b, i, "atomic");
        return;
      }
      if (b.space === "workgroup" ? !tracker!.writtenHere(i) : written?.[i] === 0) {
        report("uninitialised", b, i, "updated before it was written");
        if (written) written[i] = 1;
      }
      tracker?.atomic(i, v.id);
      const old = cells[i]!;
      cells[i] = f(old, x, 0, 0);
      if (bind !== undefined) v.registers[bind] = old;
    };
  }
}

function* evaluate(prelude: readonly Prelude[], v: Invocation): Generator<Meeting, void> {
  for (const p of prelude) {
    p.run(v);
    if (p.meet) yield p.meet;
  }
}
