/**
 * Kernels compiled to closures over registers, for ir/interpret-kernel.ts. Statements without a barrier or subgroup operation
 * become plain functions; the others become generators that yield where invocations must meet.
 */
import { type Action, ExprCompiler, type Meeting, type Prelude } from "./closures-expr-kernel.ts";
import { compilePrim } from "./evaluate.ts";
import { evaluateExtent } from "./extent.ts";
import type { AtomicStatement, Buffer, KernelExpr, Statement } from "./kernel.ts";
import type { Invocation } from "./memory-kernel.ts";
import { statementExprs } from "./visit-kernel.ts";

export type { Meeting } from "./closures-expr-kernel.ts";

type Steps = (v: Invocation) => Generator<Meeting, void>;
/** One of the two is there. */
export type Code =
  | { readonly run: Action; readonly steps: undefined }
  | { readonly run: undefined; readonly steps: Steps };

export class ClosureCompiler extends ExprCompiler {
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
      case "matrix": {
        const operands = statementExprs(s);
        const at = this.allocate(operands.length);
        const runs = operands.map((e, i) => this.into(e, at + i));
        const meeting: Meeting = { kind: "matrix", statement: s, operand: at };
        return {
          run: undefined,
          *steps(v) {
            yield* evaluate(prelude, v);
            for (const run of runs) run(v);
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
