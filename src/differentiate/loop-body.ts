/** One round of a loop as a program of its own, which derivatives are taken of. */
import { isFloat } from "../../ir/dtype.ts";
import {
  type Definition,
  expressionsOf,
  type Input,
  input,
  type LoopStep,
  loopIndex,
  type Program,
  type Read,
  read,
  roundsOf,
  type Step,
  type TensorRef,
} from "../../ir/tensor.ts";
import { freshAxes, readsIn, rewriteProgram, slotsOf } from "../passes/rewrite.ts";

/** A result of a definition outside the loop that its body reads. */
export interface Captured extends TensorRef {
  /** The body reads it at the loop's index only, as its first axis: an input of the round is that row. */
  readonly isRow: boolean;
}

/** The float tensors from outside that the body reads, each once, in order. */
export function capturedBy(s: LoopStep): readonly Captured[] {
  const inside = new Set<Definition>();
  const define = (x: LoopStep): void => {
    for (const d of [...x.carries.map((c) => c.carry), ...x.stacks.map((k) => k.stack)]) inside.add(d);
    if (x.index) inside.add(x.index);
    for (const b of x.body) {
      if (b.kind === "loop") define(b);
      else inside.add(b);
    }
  };
  define(s);
  const found = new Map<string, Captured>();
  const add = ({ tensor, slot }: TensorRef, isRow: boolean): void => {
    if (inside.has(tensor) || !isFloat(tensor.types[slot] ?? "i32")) return;
    const key = `${tensor.id}.${slot}`;
    found.set(key, { tensor, slot, isRow: isRow && (found.get(key)?.isRow ?? true) });
  };
  const row = (r: Read): boolean => s.index !== undefined && r.at[0] === read(s.index, 0, []) && r.fill === undefined;
  const whole = (r: TensorRef): void => add(r, false);
  const visit = (list: readonly Step[]): void => {
    for (const d of list) {
      if (d.kind === "loop") {
        for (const c of d.carries) whole(c.init);
        for (const a of d.rule?.arguments ?? []) whole(a.value);
        visit(d.body);
        for (const c of d.carries) whole(c.next);
        continue;
      }
      for (const e of expressionsOf(d)) for (const r of readsIn(e)) add(r, row(r));
      if (d.kind === "scatter") for (const r of d.into ?? []) whole(r);
    }
  };
  visit(s.body);
  for (const c of s.carries) whole(c.next);
  for (const k of s.stacks) whole(k.value);
  return [...found.values()];
}

/**
 * Inputs: `carry0` … for the carries, `captured0` … for what is captured, and `index`. Results: `next0` … of the carries, `stack0` …
 * for the stacks, and `until`.
 */
export function bodyOf(s: LoopStep, captured: readonly Captured[]): Program {
  const stands = new Map<Definition, TensorRef[]>();
  const stand = (r: TensorRef, d: Input): Input => {
    const slots = stands.get(r.tensor) ?? [...slotsOf(r.tensor)];
    slots[r.slot] = { tensor: d, slot: 0 };
    stands.set(r.tensor, slots);
    return d;
  };
  const fresh = (name: string, r: TensorRef, from = 0): Input =>
    input(name, r.tensor.types[r.slot]!, freshAxes(r.tensor.axes.slice(from), new Map()));
  const rows = new Map<string, Input>();
  const inputs = [
    ...s.carries.map(({ carry }, i) => {
      const r = { tensor: carry, slot: 0 };
      return stand(r, fresh(`carry${i}`, r));
    }),
    ...captured.map((r, i) => {
      const made = fresh(`captured${i}`, r, r.isRow ? 1 : 0);
      if (!r.isRow) return stand(r, made);
      rows.set(`${r.tensor.id}.${r.slot}`, made);
      return made;
    }),
    ...(s.index ? [stand({ tensor: s.index, slot: 0 }, loopIndex("index", roundsOf(s)))] : []),
  ];
  const results = [
    ...s.carries.map((c, i) => ({ name: `next${i}`, ...c.next })),
    ...s.stacks.map((k, i) => ({ name: `stack${i}`, ...k.value })),
    ...(s.until ? [{ name: "until", ...s.until }] : []),
  ];
  return rewriteProgram(
    { name: "round", inputs, steps: s.body, results, facts: [] },
    (d, emit) => {
      emit(d);
      return slotsOf(d);
    },
    (r) => {
      const row = rows.get(`${r.tensor.id}.${r.slot}`);
      return row ? read(row, 0, r.at.slice(1)) : r;
    },
    stands,
  );
}
