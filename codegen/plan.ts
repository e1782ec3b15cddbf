/**
 * The dispatch plan: printed kernels in order, device buffers with lifetimes, and what the host must check. Temporaries whose
 * lifetimes do not overlap share a slot, so that the peak memory is that of the busiest moment.
 */
import type { DType } from "../ir/dtype.ts";
import type { Extent, SizeAtom } from "../ir/extent.ts";
import { productExtent } from "../ir/extent.ts";
import type { Fact } from "../ir/tensor.ts";
import type {
  Plan,
  PlanArray,
  PlanBuffer,
  PlanFact,
  PlanKernel,
  PlanLoop,
  PlanSize,
  PlanStep,
  PlanSymbol,
} from "../runtime/plan.ts";

/** A value in memory: whatever identity the caller gives it (a definition's slot, a schedule's temporary). */
export interface PlanValue {
  readonly key: string;
  readonly dtype: DType;
  /** Elements. */
  readonly size: Extent;
}

export interface PlannedKernel {
  readonly kernel: PlanKernel;
  /** The value behind each storage binding, in binding order. */
  readonly values: readonly PlanValue[];
  readonly groups: readonly [PlanSize, PlanSize, PlanSize];
  /** Written with a pattern before the kernel runs. */
  readonly fills: readonly { readonly value: PlanValue; readonly pattern: number }[];
  /** Copied whole before the kernel runs. */
  readonly copies: readonly { readonly from: PlanValue; readonly to: PlanValue }[];
}

export interface PlanParam {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Extent[];
  readonly value: PlanValue;
  /** The first axis stands for a block of leading axes (`...`). */
  readonly folded?: boolean;
}

/** Kernels `first` to `end` (not included), repeated; see PlanLoop. Each `init` is copied to its carry before. */
export interface PlannedLoop {
  readonly first: number;
  readonly end: number;
  readonly rounds: Extent;
  readonly carries: readonly { readonly carry: PlanValue; readonly init: PlanValue; readonly next: PlanValue }[];
  readonly stacks: readonly { readonly stack: PlanValue; readonly value: PlanValue }[];
}

export interface PlanRequest {
  readonly name: string;
  readonly params: readonly PlanParam[];
  readonly results: readonly PlanParam[];
  readonly facts: readonly Fact[];
  readonly kernels: readonly PlannedKernel[];
  /** By `first`, a loop before those within it. */
  readonly loops?: readonly PlannedLoop[];
}

/** An extent as the plan's JSON. */
export function planSize(e: Extent): PlanSize {
  if (e.value !== undefined) return e.value;
  let sum: PlanSize | undefined;
  for (const t of e.terms) {
    let product: PlanSize | undefined =
      Math.abs(t.coefficient) === 1 && t.atoms.length > 0 ? undefined : Math.abs(t.coefficient);
    for (const a of t.atoms) {
      const factor = planAtom(a);
      product = product === undefined ? factor : { op: "mul", left: product, right: factor };
    }
    const term: PlanSize = product ?? 1;
    if (sum === undefined) sum = t.coefficient < 0 ? { op: "sub", left: 0, right: term } : term;
    else sum = { op: t.coefficient < 0 ? "sub" : "add", left: sum, right: term };
  }
  return sum ?? 0;
}

function planAtom(a: SizeAtom): PlanSize {
  if (a.kind === "symbol") return { symbol: a.name };
  return { op: a.kind, left: planSize(a.left), right: planSize(a.right) };
}

/** The symbols that parameters' plain axes determine; each symbol at its first place. */
function symbolsFrom(params: readonly PlanParam[]): PlanSymbol[] {
  const found = new Map<string, PlanSymbol>();
  params.forEach((p, param) => {
    p.shape.forEach((e, axis) => {
      const t = e.terms[0];
      const atom = t?.atoms[0];
      if (e.terms.length !== 1 || t?.coefficient !== 1 || t.atoms.length !== 1 || atom?.kind !== "symbol") return;
      if (!found.has(atom.name)) found.set(atom.name, { name: atom.name, param, axis });
    });
  });
  return [...found.values()];
}

/** Builds the plan. Values are identified by `key`; whatever is neither a parameter nor a result is a temporary. */
export function buildPlan(request: PlanRequest): Plan {
  const buffers: PlanBuffer[] = [];
  const indexOf = new Map<string, number>();
  const add = (v: PlanValue, role: PlanBuffer["role"]): number => {
    const old = indexOf.get(v.key);
    if (old !== undefined) return old;
    indexOf.set(v.key, buffers.length);
    buffers.push({ role, dtype: v.dtype, size: planSize(v.size), slot: undefined });
    return buffers.length - 1;
  };
  const array = (p: PlanParam, role: "param" | "result"): PlanArray => ({
    name: p.name,
    dtype: p.dtype,
    shape: p.shape.map(planSize),
    buffer: add(p.value, role),
    ...(p.folded ? { folded: true } : {}),
  });
  const params = request.params.map((p) => array(p, "param"));
  const results = request.results.map((p) => array(p, "result"));

  const kernels: PlanKernel[] = [];
  const kernelIndex = new Map<string, number>();
  const steps: PlanStep[] = [];
  const loops: PlanLoop[] = [];
  const ends: { readonly at: number; readonly loop: number }[] = [];
  const closeLoops = (at: number): void => {
    for (const e of ends) if (e.at === at) loops[e.loop] = { ...loops[e.loop]!, end: steps.length };
  };
  for (const [at, k] of request.kernels.entries()) {
    closeLoops(at);
    for (const l of request.loops ?? []) {
      if (l.first !== at) continue;
      for (const c of l.carries) steps.push({ copyFrom: add(c.init, "temporary"), copyTo: add(c.carry, "temporary") });
      ends.push({ at: l.end, loop: loops.length });
      loops.push({
        first: steps.length,
        end: steps.length,
        rounds: planSize(l.rounds),
        swaps: l.carries.map((c) => [add(c.carry, "temporary"), add(c.next, "temporary")] as const),
        stacks: l.stacks.map((s) => ({ stack: add(s.stack, "temporary"), value: add(s.value, "temporary") })),
      });
    }
    for (const c of k.copies) steps.push({ copyFrom: add(c.from, "temporary"), copyTo: add(c.to, "temporary") });
    for (const f of k.fills) steps.push({ fill: add(f.value, "temporary"), pattern: f.pattern });
    let index = kernelIndex.get(k.kernel.wgsl);
    if (index === undefined) {
      index = kernels.length;
      kernels.push(k.kernel);
      kernelIndex.set(k.kernel.wgsl, index);
    }
    // Equal text with other uniforms (the same code at other sizes) is a kernel of its own.
    const same = kernels[index];
    if (same && JSON.stringify(same.uniforms) !== JSON.stringify(k.kernel.uniforms)) {
      index = kernels.length;
      kernels.push(k.kernel);
    }
    steps.push({ kernel: index, buffers: k.values.map((v) => add(v, "temporary")), groups: k.groups });
  }
  closeLoops(request.kernels.length);

  return {
    version: 1,
    name: request.name,
    params,
    results,
    symbols: symbolsFrom(request.params),
    facts: request.facts.map(
      (f): PlanFact => ({ left: planSize(f.left), relation: f.relation, right: planSize(f.right), message: f.message }),
    ),
    buffers: withSlots(buffers, steps, loops),
    kernels,
    steps,
    ...(loops.length > 0 ? { loops } : {}),
  };
}

/** Buffers that a step touches. */
function touched(s: PlanStep): readonly number[] {
  if ("kernel" in s) return s.buffers;
  if ("fill" in s) return [s.fill];
  return [s.copyFrom, s.copyTo];
}

/** The first and the last step that needs each buffer. */
function lifetimes(
  steps: readonly PlanStep[],
  loops: readonly PlanLoop[],
): { readonly first: ReadonlyMap<number, number>; readonly last: ReadonlyMap<number, number> } {
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  const touch = (b: number, i: number): void => {
    first.set(b, Math.min(first.get(b) ?? i, i));
    last.set(b, Math.max(last.get(b) ?? i, i));
  };
  steps.forEach((s, i) => {
    for (const b of touched(s)) touch(b, i);
  });
  for (const l of loops) {
    for (const { stack, value } of l.stacks) for (const b of [stack, value]) touch(b, l.end - 1);
    // Stacks grow from the first round on, and carries live from one to the next.
    for (const b of [...l.stacks.map((k) => k.stack), ...l.swaps.flat()]) touch(b, l.first);
    for (const b of l.swaps.flat()) touch(b, l.end - 1);
  }
  // What a loop shares with what is around it lives throughout, and of a pair either may be in the other's place: that one lives
  // longer may make another live longer.
  for (let before = -1, now = 0; before !== now; ) {
    before = now;
    for (const l of loops) {
      for (const b of [...first.keys()]) {
        const [from, to] = [first.get(b)!, last.get(b)!];
        const isInside = from >= l.first && to < l.end;
        if (isInside || from >= l.end || to < l.first) continue;
        touch(b, Math.min(from, l.first));
        touch(b, Math.max(to, l.end - 1));
      }
      for (const [a, b] of l.swaps)
        for (const [x, y] of [
          [a, b],
          [b, a],
        ] as const) {
          touch(x, first.get(y)!);
          touch(x, last.get(y)!);
        }
    }
    now = [...first].reduce((n, [b, from]) => n + last.get(b)! - from, 0);
  }
  return { first, last };
}

/**
 * First fit by order of first use. A slot is free for a buffer whose first use comes after the last use of everyone in it;
 * among free slots one of equal size text is preferred, else the one last freed.
 */
function withSlots(
  buffers: readonly PlanBuffer[],
  steps: readonly PlanStep[],
  loops: readonly PlanLoop[],
): PlanBuffer[] {
  const { first, last } = lifetimes(steps, loops);
  const slots: { until: number; size: string; bytes: number }[] = [];
  const out = [...buffers];
  const order = [...first.entries()]
    .filter(([b]) => buffers[b]?.role === "temporary")
    .sort((a, b) => a[1] - b[1] || a[0] - b[0]);
  for (const [index, begin] of order) {
    const b = buffers[index]!;
    const size = JSON.stringify(b.size);
    const bytes = b.dtype === "f16" ? 2 : 4;
    const free = slots.map((s, i) => ({ s, i })).filter(({ s }) => s.until < begin);
    const chosen =
      free.find(({ s }) => s.size === size && s.bytes === bytes) ?? free.sort((x, y) => y.s.until - x.s.until)[0];
    const slot = chosen?.i ?? slots.length;
    slots[slot] = { until: last.get(index) ?? begin, size, bytes };
    out[index] = { ...b, slot };
  }
  return out;
}

/** Elements of a shape. */
export function elementsOf(shape: readonly Extent[]): Extent {
  return productExtent(shape);
}
