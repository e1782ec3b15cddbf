/**
 * The backward pass of what `checkpoint` computed: where it reads a value of its own region, it gets a copy, computed again just
 * before its first use from what entered the region. The copies and the region's cotangents share an odd epoch, so that no pass
 * merges a copy with its original, which then need not be kept.
 */
import { type Definition, type Program, read, type Step, type TensorExpr, type TensorRef } from "../../ir/tensor.ts";
import { isRecomputed } from "../passes/epochs.ts";
import { definitionsOf, mapExpressions, mapReads, redefined } from "../passes/rewrite.ts";

/** Epochs of copies of copies are this far apart. */
const STRIDE = 2 ** 20;

/**
 * `steps` are the backward pass of `p`, in order; `epochOf` says in which epoch is that which a step is the adjoint of (0 or
 * nothing: outside of all checkpoints). The second result says what stands for a definition of `steps` now.
 */
export function recompute(
  p: Program,
  steps: readonly Step[],
  epochOf: ReadonlyMap<Step, number>,
): { readonly steps: readonly Step[]; readonly onRef: (r: TensorRef) => TensorRef } {
  const originals = new Set<Definition>();
  const used = new Set<number>();
  for (const d of definitionsOf(p)) {
    used.add(d.epoch);
    if (d.epoch > 0) originals.add(d);
  }
  if (originals.size === 0) return { steps, onRef: (r) => r };
  const out: Step[] = [];
  const copyEpochs = new Map<number, number>();
  const copyEpoch = (epoch: number): number => {
    let to = copyEpochs.get(epoch);
    if (to === undefined) {
      to = isRecomputed(epoch) ? epoch + STRIDE : epoch + 1;
      while (used.has(to)) to += STRIDE;
      used.add(to);
      copyEpochs.set(epoch, to);
    }
    return to;
  };
  /** What stands for steps, and for originals where their own region's backward pass reads them. */
  const stands = new Map<Definition, Definition>();
  const copies = new Map<Definition, Definition>();
  const of = (t: Definition, epoch: number): Definition => {
    if (t.epoch !== epoch || !originals.has(t)) return stands.get(t) ?? t;
    const old = copies.get(t);
    if (old) return old;
    const made = redefined(inRegion(t, epoch), { epoch: copyEpoch(epoch) });
    copies.set(t, made);
    out.push(made);
    return made;
  };
  const inRegion = (d: Definition, epoch: number): Definition => {
    const memo = new Map<TensorExpr, TensorExpr>();
    const onExpr = (e: TensorExpr): TensorExpr =>
      mapReads(
        e,
        (r) => {
          const to = of(r.tensor, epoch);
          return to === r.tensor ? r : read(to, r.slot, r.at, r.fill);
        },
        memo,
      );
    return mapExpressions(d, onExpr, (r) => ({ tensor: of(r.tensor, epoch), slot: r.slot }));
  };
  const onStep = (s: Step, epoch: number): Step => {
    const region = epoch > 0 ? epoch : Number.NaN;
    if (s.kind !== "loop") {
      const made = redefined(inRegion(s, region), { epoch: epoch > 0 ? copyEpoch(epoch) : 0 });
      stands.set(s, made);
      return made;
    }
    const onRef = (r: TensorRef): TensorRef => ({ tensor: of(r.tensor, region), slot: r.slot });
    const inits = s.carries.map((c) => onRef(c.init));
    const body = s.body.map((b) => onStep(b, epoch));
    return {
      ...s,
      body,
      carries: s.carries.map((c, i) => ({ carry: c.carry, init: inits[i]!, next: onRef(c.next) })),
      stacks: s.stacks.map((k) => ({ stack: k.stack, value: onRef(k.value) })),
      until: s.until && onRef(s.until),
    };
  };
  for (const s of steps) out.push(onStep(s, epochOf.get(s) ?? 0));
  return { steps: out, onRef: (r) => ({ tensor: stands.get(r.tensor) ?? r.tensor, slot: r.slot }) };
}
