/** Loops in the form that fusion and the plan want. */
import {
  apply,
  axisRef,
  type CarryDef,
  carryDef,
  type Definition,
  i32,
  type LoopStep,
  mapDef,
  type Program,
  read,
  readsOf,
  roundsOf,
  type Step,
  type TensorRef,
} from "../../ir/tensor.ts";
import { freshAxes, rewriteProgram, slotsOf } from "./rewrite.ts";

/** What a loop and everything in it refers to, its own definitions included. */
export function readsOfLoop(s: LoopStep): readonly Definition[] {
  return [
    ...s.carries.flatMap((c) => [c.init.tensor, c.next.tensor]),
    ...s.stacks.map((k) => k.value.tensor),
    ...(s.until ? [s.until.tensor] : []),
    ...(s.rule?.arguments.map((a) => a.value.tensor) ?? []),
    ...s.body.flatMap((d) => (d.kind === "loop" ? readsOfLoop(d) : readsOf(d))),
  ];
}

/** Without rules for derivatives: calls that have one are what they compute. */
export function dropRules(p: Program): Program {
  const stands = new Map<Definition, readonly TensorRef[]>();
  const copies = new Map<Definition, CarryDef>();
  const plain = (steps: readonly Step[]): readonly Step[] =>
    steps.flatMap((s): Step[] => {
      if (s.kind !== "loop") return [s];
      if (!s.rule) return [{ ...s, body: plain(s.body) }];
      return s.carries.map(({ carry, init }) => {
        const axes = freshAxes(carry.axes, new Map());
        const copy = mapDef(axes, [read(init.tensor, init.slot, axes.map(axisRef))], { name: carry.name });
        copies.set(copy, carry);
        return copy;
      });
    });
  const steps = plain(p.steps);
  if (copies.size === 0) return p;
  return rewriteProgram(
    { ...p, steps },
    (d, emit, original) => {
      emit(d);
      const carry = copies.get(original);
      if (carry) stands.set(carry, slotsOf(d));
      return slotsOf(d);
    },
    (r) => r,
    stands,
  );
}

/**
 * Every loop counts its rounds, without `until` (which only says that no later round changes anything); an index that is read is a
 * carry; and every carry's next value is a definition of the body's own, which nothing else goes on with: the two change places
 * after a round.
 */
export function lowerLoops(p: Program): Program {
  if (!p.steps.some((s) => s.kind === "loop")) return p;
  const counters = new Map<Definition, CarryDef>();
  const find = (steps: readonly Step[]): void => {
    for (const s of steps) {
      if (s.kind !== "loop") continue;
      if (s.index && readsOfLoop(s).includes(s.index))
        counters.set(s.index, carryDef(s.index.name, ["i32"], [], roundsOf(s)));
      find(s.body);
    }
  };
  find(p.steps);
  const counted = rewriteProgram(
    p,
    (d, emit) => {
      emit(d);
      return slotsOf(d);
    },
    (r) => {
      const carry = counters.get(r.tensor);
      return carry ? read(carry, 0, []) : r;
    },
  );
  const lower = (steps: readonly Step[]): readonly Step[] =>
    steps.flatMap((s): Step[] => {
      if (s.kind !== "loop") return [s];
      const before: Step[] = [];
      const body = [...lower(s.body)];
      const carries = [...s.carries];
      const carry = s.index && counters.get(s.index);
      if (carry) {
        const zero = mapDef([], [i32(0)], { name: carry.name });
        const next = mapDef([], [apply("add", read(carry, 0, []), i32(1))], { name: carry.name });
        before.push(zero);
        body.push(next);
        carries.push({ carry, init: { tensor: zero, slot: 0 }, next: { tensor: next, slot: 0 } });
      }
      const own = new Set<Step>(body);
      const taken = new Set<string>();
      const nexts = carries.map(({ next: r, carry: c }): TensorRef => {
        const key = `${r.tensor.id}.${r.slot}`;
        if (own.has(r.tensor) && !taken.has(key)) {
          taken.add(key);
          return r;
        }
        const axes = freshAxes(c.axes, new Map());
        const copy = mapDef(axes, [read(r.tensor, r.slot, axes.map(axisRef))], { name: c.name });
        body.push(copy);
        return { tensor: copy, slot: 0 };
      });
      const loop: LoopStep = {
        kind: "loop",
        index: undefined,
        carries: carries.map((c, i) => ({ ...c, next: nexts[i]! })),
        stacks: s.stacks,
        body,
        count: roundsOf(s),
        until: undefined,
        max: undefined,
      };
      return [...before, loop];
    });
  return { ...counted, steps: lower(counted.steps) };
}
