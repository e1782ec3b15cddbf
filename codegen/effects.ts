/** What expressions read and what blocks write, found once for each: so that expanding reuses values until what they read changes. */
import {
  type BarrierStatement,
  type Buffer,
  isPlace,
  type KernelExpr,
  type Statement,
  type Variable,
} from "../ir/kernel.ts";
import { allStatements, exprChildren } from "../ir/visit-kernel.ts";

/** What other invocations do: every change may alter it. */
export const OTHERS: { readonly kind: "others" } = { kind: "others" };

/** Variables that an expression mentions, buffers that it loads from, and other invocations if it exchanges values with them. */
export type Dependency = Variable | Buffer | typeof OTHERS;

export interface Writes {
  /** Buffers stored to or changed atomically, each once. */
  readonly buffers: readonly Buffer[];
  readonly barriers: readonly BarrierStatement["scope"][];
}

const NONE: readonly Dependency[] = [];

/** Facts about the expressions and blocks of one kernel. */
export class Effects {
  private readonly dependencies = new Map<KernelExpr, readonly Dependency[]>();
  private readonly writes = new Map<readonly Statement[], Writes>();

  /** Takes a list of its own for a stack: expressions may be deep. */
  readBy(e: KernelExpr): readonly Dependency[] {
    const old = this.dependencies.get(e);
    if (old) return old;
    const open = [e];
    for (let x = open.at(-1); x; x = open.at(-1)) {
      const before = open.length;
      for (const c of exprChildren(x)) if (!this.dependencies.has(c)) open.push(c);
      if (open.length > before) continue;
      open.pop();
      if (!this.dependencies.has(x)) this.dependencies.set(x, this.own(x));
    }
    return this.dependencies.get(e) ?? NONE;
  }

  /** Of an expression whose parts are known. A part's list is shared where it says all. */
  private own(e: KernelExpr): readonly Dependency[] {
    let all = ownDependency(e);
    for (const c of exprChildren(e)) {
      const more = this.dependencies.get(c) ?? NONE;
      const base = all;
      const missing = more.filter((d) => !base.includes(d));
      if (missing.length === more.length && base.length === 0) all = more;
      else if (missing.length > 0) all = [...base, ...missing];
    }
    return all;
  }

  writtenBy(body: readonly Statement[]): Writes {
    const old = this.writes.get(body);
    if (old) return old;
    const buffers = new Set<Buffer>();
    const barriers = new Set<BarrierStatement["scope"]>();
    for (const s of allStatements(body)) {
      if (s.kind === "store" || s.kind === "atomic" || (s.kind === "matrix" && s.op === "store")) buffers.add(s.buffer);
      else if (s.kind === "barrier") barriers.add(s.scope);
    }
    const made = { buffers: [...buffers], barriers: [...barriers] };
    this.writes.set(body, made);
    return made;
  }
}

function ownDependency(e: KernelExpr): readonly Dependency[] {
  if (e.kind === "var") return [e.variable];
  if (e.kind === "load") return [e.buffer];
  return e.kind === "subgroup" && !isPlace(e.op) ? [OTHERS] : NONE;
}
