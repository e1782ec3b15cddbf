/** Running values of a monoid: private accumulators, and their combination over lanes, invocations and subgroups. */

import {
  type Buffer,
  barrier,
  extract,
  iadd,
  ilt,
  imod,
  imul,
  type KernelExpr,
  kapply,
  kconst,
  kint,
  type Lanes,
  load,
  type SubgroupOp,
  splat,
  store,
  subgroup,
  when,
} from "../../../ir/kernel.ts";
import type { Prim } from "../../../ir/prim.ts";
import type { Monoid } from "../../../ir/tensor.ts";
import { lowerBody } from "../lower-body.ts";
import { ScheduleError } from "../schedule.ts";
import { type Builder, emit, inFrame, name, newPrivate, newShared } from "./builder.ts";

/** `count` tuples of a monoid's slots in private memory. */
export interface Accumulator {
  readonly monoid: Monoid;
  readonly slots: readonly Buffer[];
  readonly count: number;
  readonly lanes: Lanes;
}

/** New accumulators; each starts at the identity. */
export function newAccumulator(b: Builder, monoid: Monoid, count: number, lanes: Lanes): Accumulator {
  const slots = monoid.slots.map((d, s) => newPrivate(b, monoid.slots.length > 1 ? `acc${s}` : "acc", d, count, lanes));
  const acc: Accumulator = { monoid, slots, count, lanes };
  for (let i = 0; i < count; i++) reset(b, acc, i);
  return acc;
}

export function reset(b: Builder, acc: Accumulator, i: number): void {
  acc.slots.forEach((buffer, s) => {
    const identity = acc.monoid.identity[s];
    if (!identity) throw new Error(`monoid ${acc.monoid.name} has no identity for slot ${s}`);
    emit(b, store(buffer, kint(i), splat(kconst(identity.dtype, identity.value), acc.lanes)));
  });
}

export function current(acc: Accumulator, i: number): readonly KernelExpr[] {
  return acc.slots.map((s) => load(s, kint(i)));
}

/** The monoid's operation on two tuples. */
export function combine(
  b: Builder,
  m: Monoid,
  left: readonly KernelExpr[],
  right: readonly KernelExpr[],
): readonly KernelExpr[] {
  const bodies = lowerBody(b, m.combine, [...left, ...right]);
  return bodies.map((e, s) => {
    const lanes = Math.max(left[s]?.lanes ?? 1, right[s]?.lanes ?? 1) as Lanes;
    return splat(e, lanes);
  });
}

/** acc[i] = acc[i] ⊕ values, or unchanged where `valid` is false: what is outside never meets a NaN or an infinity. */
export function accumulate(
  b: Builder,
  acc: Accumulator,
  i: number,
  values: readonly KernelExpr[],
  valid?: KernelExpr,
): void {
  const old = current(acc, i);
  let made = combine(b, acc.monoid, old, values);
  if (valid) made = made.map((v, s) => kapply("select", valid, v, old[s] ?? v));
  // All slots are computed before the first is written.
  const named = made.length > 1 ? made.map((v) => name(b, "n", v)) : made;
  acc.slots.forEach((buffer, s) => {
    const v = named[s];
    if (v) emit(b, store(buffer, kint(i), splat(v, acc.lanes)));
  });
}

/** The combination of accumulators 0…count-1 in order, lanes included, as scalars (or vectors if `keepLanes`). */
export function gather(
  b: Builder,
  acc: Accumulator,
  keepLanes: boolean,
  indices: readonly number[],
): readonly KernelExpr[] {
  let list: readonly (readonly KernelExpr[])[] = indices.map((i) => current(acc, i).map((e) => name(b, "r", e)));
  list = foldPairs(b, acc.monoid, list);
  const whole = list[0] ?? [];
  if (keepLanes || acc.lanes === 1) return whole;
  return folded(b, acc.monoid, [whole], 1, acc.lanes).map((v) => name(b, "r", v));
}

/** Tuples of one value each, of `from` lanes, as one tuple of `to` lanes, `from` or one. The monoid commutes. */
export function folded(
  b: Builder,
  m: Monoid,
  list: readonly (readonly KernelExpr[])[],
  to: Lanes,
  from: Lanes,
): readonly KernelExpr[] {
  // A slot's values may be the same in all lanes where another's differ.
  const spread = list.map((values) => values.map((v) => splat(v, from)));
  const whole = foldPairs(b, m, spread)[0] ?? [];
  if (to === from) return whole;
  const lanes = Array.from({ length: from }, (_, l) => whole.map((v) => extract(v, l)));
  return foldPairs(b, m, lanes)[0] ?? [];
}

function foldPairs(b: Builder, m: Monoid, list: readonly (readonly KernelExpr[])[]): (readonly KernelExpr[])[] {
  let now = [...list];
  while (now.length > 1) {
    const next: (readonly KernelExpr[])[] = [];
    for (let i = 0; i < now.length; i += 2) {
      const [x, y] = [now[i], now[i + 1]];
      if (x) next.push(y ? combine(b, m, x, y).map((v) => name(b, "r", v)) : x);
    }
    now = next;
  }
  return now;
}

/** Workgroup memory for `lists` tuples of `threads` invocations in each of `rows` rows. */
export interface Tree {
  readonly slots: readonly Buffer[];
  readonly threads: number;
}

export function newTree(b: Builder, m: Monoid, rows: number, threads: number, lanes: Lanes): Tree {
  return { slots: m.slots.map((d, s) => newShared(b, `tree${s}`, d, rows * threads, lanes)), threads };
}

/**
 * Combines the values of a row's invocations through workgroup memory; every invocation gets the result. Entered by all
 * invocations of the workgroup. `ordered` keeps the order of the invocations, for monoids that do not commute.
 */
export function treeCombine(
  b: Builder,
  m: Monoid,
  tree: Tree,
  row: KernelExpr,
  thread: KernelExpr,
  values: readonly KernelExpr[],
  ordered: boolean,
  stride: { readonly row: number; readonly thread: number },
): readonly KernelExpr[] {
  const place = name(b, "place", iadd(imul(row, kint(stride.row)), imul(thread, kint(stride.thread))));
  tree.slots.forEach((s, i) => {
    const v = values[i];
    if (v) emit(b, store(s, place, splat(v, s.lanes)));
  });
  const halves: number[] = [];
  for (let s = tree.threads >> 1; s >= 1; s >>= 1) halves.push(s);
  if (ordered) halves.reverse();
  for (const s of halves) {
    emit(b, barrier());
    const active = ordered ? kapply("eq", imod(thread, kint(2 * s)), kint(0)) : ilt(thread, kint(s));
    const body = inFrame(b, true, () => {
      const left = tree.slots.map((x) => name(b, "l", load(x, place)));
      const right = tree.slots.map((x) => name(b, "r", load(x, iadd(place, kint(s * stride.thread)))));
      combine(b, m, left, right)
        .map((v) => name(b, "c", v))
        .forEach((v, i) => {
          const buffer = tree.slots[i];
          if (buffer) emit(b, store(buffer, place, v));
        });
    });
    emit(b, ...when(active, body));
  }
  emit(b, barrier());
  const first = imul(row, kint(stride.row));
  const result = tree.slots.map((s) => name(b, "all", load(s, first)));
  // The memory may be used again for the next reduction.
  emit(b, barrier());
  return result;
}

/** The subgroup operation that is the monoid's combination, exactly as the monoid defines it. */
function subgroupOp(m: Monoid): SubgroupOp | undefined {
  const body = m.combine[0];
  if (m.slots.length !== 1 || body?.kind !== "apply") return undefined;
  const integer = m.slots[0] === "i32" || m.slots[0] === "u32";
  // Minimum and maximum of floats are left out: the hardware's need not keep NaN.
  const table: Partial<Record<Prim, SubgroupOp>> = integer
    ? { add: "add", mul: "mul", min: "min", max: "max" }
    : { add: "add", mul: "mul" };
  const plain = body.args.length === 2 && body.args.every((a, i) => a.kind === "arg" && a.index === i);
  return plain && m.slots[0] !== "bool" ? table[body.prim] : undefined;
}

/** Combines over a subgroup of `size` invocations, all active; every invocation gets the result. The monoid commutes. */
export function subgroupCombine(
  b: Builder,
  m: Monoid,
  values: readonly KernelExpr[],
  size: number,
): readonly KernelExpr[] {
  if (!m.commutative) throw new ScheduleError("combine", `${m.name} does not commute`);
  b.subgroupSize = size;
  const op = subgroupOp(m);
  if (op) return values.map((v) => name(b, "all", subgroup(op, name(b, "own", v))));
  let now = values.map((v) => name(b, "own", v));
  for (let mask = 1; mask < size; mask <<= 1) {
    // bool does not travel between lanes.
    const other = now.map((v) => {
      if (v.dtype !== "bool") return name(b, "other", subgroup("shuffleXor", v, mask));
      const word = subgroup(
        "shuffleXor",
        name(b, "word", kapply("select", v, kconst("u32", 1), kconst("u32", 0))),
        mask,
      );
      return name(b, "other", kapply("ne", word, kconst("u32", 0)));
    });
    now = combine(b, m, now, other).map((v) => name(b, "all", v));
  }
  return now;
}
