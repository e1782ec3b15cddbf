/**
 * Which control flow is uniform over a workgroup, by the static rules of WGSL (decision 20): a compiler refuses a barrier or a
 * subgroup operation that it cannot prove to be reached by all invocations together, whatever happens at run time.
 *
 * - Not uniform: thread variables, loads from memory that this kernel writes, results of atomics and of subgroup operations.
 * - Uniform: constants, sizes, grid variables, loads from read-only storage at a uniform index.
 * - A private buffer is uniform if every store to it stores a uniform value in uniform control flow.
 *
 * What subgroups do with matrices must be uniform only for each of them: then the subgroup's index is uniform too.
 */
import { type Buffer, isPlace, type Kernel, type KernelExpr, type Statement, type Variable } from "./kernel.ts";
import { exprChildren, launchOf, statementExprs, visitExpr } from "./visit-kernel.ts";

type Scope = "workgroup" | "subgroup";

class Analysis {
  private readonly scope: Scope;
  /** Variables that may differ between the invocations of a workgroup. */
  readonly varying = new Set<Variable>();
  readonly varyingPrivate = new Set<Buffer>();
  changed = false;
  problems: string[] = [];
  /** Of variables it is known from where they are bound; of private buffers until one more is found to vary. */
  private memo = new Map<KernelExpr, boolean>();
  /** What was met in control flow that is not uniform: one exchange there is said once. */
  private apart = new Set<KernelExpr>();

  constructor(scope: Scope) {
    this.scope = scope;
  }

  /** May the value differ between invocations? */
  varies(e: KernelExpr): boolean {
    const old = this.memo.get(e);
    if (old !== undefined) return old;
    let v = exprChildren(e).some((c) => this.varies(c));
    if (e.kind === "var") v = this.varying.has(e.variable);
    else if (e.kind === "subgroup")
      v = e.op !== "size" && e.op !== "count" && !(e.op === "index" && this.scope === "subgroup");
    else if (e.kind === "load") {
      const b = e.buffer;
      if (b.space === "private") v ||= this.varyingPrivate.has(b);
      else v ||= b.space === "workgroup" || b.access !== "read";
    }
    this.memo.set(e, v);
    return v;
  }

  /** Goes through all once; `changed` says whether once more is needed. */
  round(body: readonly Statement[]): void {
    this.changed = false;
    this.problems = [];
    this.memo = new Map();
    this.apart = new Set();
    this.block(body, true, "");
  }

  private block(body: readonly Statement[], uniform: boolean, where: string): void {
    for (const s of body) {
      if (!uniform && this.scope === "workgroup")
        for (const e of statementExprs(s))
          visitExpr(
            e,
            (x) => {
              if (x.kind === "subgroup" && !isPlace(x.op))
                this.problems.push(`subgroup.${x.op} stands in control flow that is not uniform (${where})`);
            },
            this.apart,
          );
      switch (s.kind) {
        case "for": {
          const same = !this.varies(s.from) && !this.varies(s.to);
          if (!same && s.bind === "loop") this.varying.add(s.variable);
          this.block(s.body, uniform && same, same ? where : `loop ${s.variable.name}`);
          break;
        }
        case "if": {
          const same = !this.varies(s.condition);
          const inside = same ? where : "an if whose condition differs between invocations";
          this.block(s.then, uniform && same, inside);
          this.block(s.otherwise, uniform && same, inside);
          break;
        }
        case "while": {
          const same = !this.varies(s.condition);
          // The condition is evaluated again after each turn, then in the control flow of the loop itself.
          if (uniform && !same && this.scope === "workgroup")
            visitExpr(s.condition, (x) => {
              if (x.kind === "subgroup" && !isPlace(x.op))
                this.problems.push(`subgroup.${x.op} stands in the condition of a while that is not uniform`);
            });
          this.block(s.body, uniform && same, same ? where : "a while whose condition differs between invocations");
          break;
        }
        case "let":
          if (this.varies(s.value)) this.varying.add(s.variable);
          break;
        case "atomic":
          if (s.bind) this.varying.add(s.bind);
          break;
        case "store":
          if (
            s.buffer.space === "private" &&
            !this.varyingPrivate.has(s.buffer) &&
            (!uniform || this.varies(s.value))
          ) {
            this.varyingPrivate.add(s.buffer);
            this.memo = new Map();
            this.changed = true;
          }
          break;
        case "barrier":
          if (!uniform && this.scope === "workgroup")
            this.problems.push(`a barrier stands in control flow that is not uniform (${where})`);
          break;
        case "matrix":
          if (this.scope === "workgroup") break;
          if (!uniform) this.problems.push(`matrix.${s.op} stands in control flow that is not uniform (${where})`);
          if (statementExprs(s).some((e) => this.varies(e)))
            this.problems.push(`an operand of matrix.${s.op} differs between the invocations of a subgroup`);
          break;
        default:
          s satisfies never;
      }
    }
  }
}

/** Barriers, subgroup operations and matrices outside uniform control flow, one sentence each; the nest must be a proper one. */
export function uniformityProblems(kernel: Kernel): string[] {
  const problems = problemsWithin(kernel, "workgroup");
  return kernel.matrices ? [...problems, ...problemsWithin(kernel, "subgroup")] : problems;
}

function problemsWithin(kernel: Kernel, scope: Scope): string[] {
  const launch = launchOf(kernel);
  const a = new Analysis(scope);
  for (const t of launch.thread) if (t) a.varying.add(t.variable);
  // Stores to private buffers later in a loop reach loads earlier in it: to a fixed point, which grows and so is reached.
  do {
    a.round(launch.body);
  } while (a.changed);
  return [...new Set(a.problems)];
}
