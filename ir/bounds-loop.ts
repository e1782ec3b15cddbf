/** Loops round by round. `until` that rounding could turn leaves the carries unbounded. */
import type { BoxSource } from "./bounds-expr.ts";
import { type BoundState, BoxArrays, boxesOf } from "./bounds-state.ts";
import { newBox, setAnything, setPoint } from "./box.ts";
import { isDone, product, runStep, shapeIn, sourceOf } from "./interpret.ts";
import { evaluate } from "./sizes.ts";
import type { Definition, LoopStep, Step, TensorRef } from "./tensor.ts";

/** `boundStep` bounds one step of the body. */
export function boundLoop(loop: LoopStep, state: BoundState, boundStep: (s: Step) => void): void {
  const limit = loop.count ?? loop.max;
  if (!limit) throw new Error("a loop has neither count nor max");
  const rounds = Math.max(0, evaluate(limit, state.sizes));
  const slotOf = (r: TensorRef): { boxes: BoxSource; exact: Float64Array; slot: number } => {
    const exact = sourceOf(r.tensor, state);
    const n = product(exact.shape);
    return {
      boxes: boxesOf(r.tensor, state),
      exact: Float64Array.from({ length: n }, (_, i) => exact.element(r.slot, i)),
      slot: r.slot,
    };
  };
  const setSlot = (d: Definition, from: ReturnType<typeof slotOf>): void => {
    const { boxes, slot, exact } = from;
    state.sources.set(d, { shape: boxes.shape, arrays: [exact], element: (_, offset) => exact[offset]! });
    state.boxes.set(d, {
      shape: boxes.shape,
      uncertain: [boxes.uncertain[slot] === true],
      read: (_, offset, out) => boxes.read(slot, offset, out),
    });
  };
  for (const c of loop.carries) setSlot(c.carry, slotOf(c.init));
  const stacks = loop.stacks.map((k) => {
    const shape = shapeIn(k.stack, state);
    const exact = new Float64Array(product(shape));
    state.sources.set(k.stack, { shape, arrays: [exact], element: (_, offset) => exact[offset]! });
    const boxes = new BoxArrays(shape, [true], () => 0);
    state.boxes.set(k.stack, boxes);
    return { ...k, exact, boxes, each: product(shape.slice(1)), rounds: shape[0] ?? 0 };
  });
  const box = newBox();
  for (let round = 0, done = false; round < rounds; round++) {
    if (loop.index) {
      const index = Float64Array.of(round);
      state.sources.set(loop.index, { shape: [], arrays: [index], element: () => round });
      state.boxes.set(loop.index, { shape: [], uncertain: [false], read: (_, __, out) => setPoint(out, round) });
    }
    for (const s of loop.body) boundStep(s);
    for (const k of stacks) {
      if (round >= k.rounds) continue;
      const from = slotOf(k.value);
      for (let i = 0; i < k.each; i++) {
        from.boxes.read(from.slot, i, box);
        k.boxes.write(0, round * k.each + i, box);
        k.exact[round * k.each + i] = from.exact[i]!;
      }
    }
    if (done) continue;
    const next = loop.carries.map((c) => slotOf(c.next));
    loop.carries.forEach((c, i) => {
      setSlot(c.carry, next[i]!);
    });
    if (!loop.until) continue;
    boxesOf(loop.until.tensor, state).read(loop.until.slot, 0, box);
    if (box.low !== box.high) {
      finishUndecided(loop, stacks, state, round, rounds);
      return;
    }
    done = box.low !== 0;
    // As in the interpreter, stacks have a value of every round.
    if (done && stacks.length === 0) break;
  }
}

/** Whether this is the last round is open: the interpreter goes on alone, and what the device has may be anything. */
function finishUndecided(
  loop: LoopStep,
  stacks: readonly { readonly value: TensorRef; readonly exact: Float64Array; readonly each: number }[],
  state: BoundState,
  round: number,
  rounds: number,
): void {
  const exactOf = (r: TensorRef): Float64Array => {
    const source = sourceOf(r.tensor, state);
    return Float64Array.from({ length: product(source.shape) }, (_, i) => source.element(r.slot, i));
  };
  let done = isDone(loop, state);
  for (let r = round + 1; r < rounds && !(done && stacks.length === 0); r++) {
    if (loop.index) state.sources.set(loop.index, { shape: [], arrays: [Float64Array.of(r)], element: () => r });
    for (const s of loop.body) runStep(s, state);
    for (const k of stacks) if ((r + 1) * k.each <= k.exact.length) k.exact.set(exactOf(k.value), r * k.each);
    if (done) continue;
    done = isDone(loop, state);
    const next = loop.carries.map((c) => exactOf(c.next));
    loop.carries.forEach((c, i) => {
      const array = next[i]!;
      state.sources.set(c.carry, {
        shape: shapeIn(c.carry, state),
        arrays: [array],
        element: (_, offset) => array[offset]!,
      });
    });
  }
  for (const d of [...loop.carries.map((c) => c.carry), ...loop.stacks.map((k) => k.stack)])
    state.boxes.set(d, {
      shape: shapeIn(d, state),
      uncertain: [true],
      read: (_, __, out) => setAnything(out, d.types[0] ?? "f32"),
    });
}
