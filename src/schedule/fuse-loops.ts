/**
 * Programs with loops: what stands before, inside and after a loop is fused apart, since what a round leaves for the next, or a
 * loop for what follows it, is in memory.
 */
import {
  type Definition,
  type LoopStep,
  type Program,
  read,
  readsOf,
  roundsOf,
  type Step,
  type TensorRef,
} from "../../ir/tensor.ts";
import { mapExpressions, rewriteProgram, slotsOf } from "../passes/rewrite.ts";
import { keyOf, type RefKey } from "./fuse-build.ts";
import type { FusedLoop } from "./fused-loop.ts";
import type { Decision, FusedProgram, Region } from "./region.ts";

/** `fuseStraight` fuses a program without loops. The program is as `lowerLoops` makes it. */
export function fuseLoops(program: Program, fuseStraight: (p: Program) => FusedProgram): FusedProgram {
  const f = new LoopFusion(program, fuseStraight);
  const { steps, outputs } = f.level(program.steps, program.results);
  const results = program.results.map((r, i) => ({ name: r.name, ...outputs[i]! }));
  return {
    program: { ...program, steps, results },
    regions: f.regions,
    loops: f.loops,
    decisions: f.decisions,
    stored: f.stored,
  };
}

class LoopFusion {
  readonly regions: Region[] = [];
  readonly loops: FusedLoop[] = [];
  readonly decisions: Decision[] = [];
  readonly stored: Set<Definition> = new Set();
  readonly #program: Program;
  readonly #fuse: (p: Program) => FusedProgram;
  /** What fusion made of what is done. */
  readonly #stands: Map<RefKey, TensorRef> = new Map();

  constructor(program: Program, fuseStraight: (p: Program) => FusedProgram) {
    this.#program = program;
    this.#fuse = fuseStraight;
  }

  /** Fuses the steps of the program, or of a loop's body. `outputs` is what is needed of them afterwards. */
  level(
    steps: readonly Step[],
    outputs: readonly TensorRef[],
  ): { readonly steps: readonly Step[]; readonly outputs: readonly TensorRef[] } {
    const out: Step[] = [];
    const pieces = piecesOf(steps);
    for (const [i, piece] of pieces.entries()) {
      const [first] = piece;
      if (first?.kind === "loop") {
        out.push(this.#loop(first));
        continue;
      }
      const later = new Map<RefKey, TensorRef>();
      for (const r of [...pieces.slice(i + 1).flatMap((p) => p.flatMap(refsOf)), ...outputs]) later.set(keyOf(r), r);
      out.push(...this.#straight(piece, [...later.values()]));
    }
    // An output that nobody computed here is copied by whoever wants it of its own (ownResults).
    return { steps: out, outputs: outputs.map(this.#onRef) };
  }

  readonly #onRef = (r: TensorRef): TensorRef => this.#stands.get(keyOf(r)) ?? r;

  #straight(piece: readonly Step[], later: readonly TensorRef[]): readonly Step[] {
    const own = new Set<Step>(piece);
    const needed = later.filter((r) => own.has(r.tensor));
    const results = needed.map((r) => ({ name: r.tensor.name, tensor: r.tensor, slot: r.slot }));
    const moved = rewriteProgram(
      { ...this.#program, steps: piece, results },
      (d, emit) => {
        const made = d.kind === "scatter" ? mapExpressions(d, (e) => e, this.#onRef) : d;
        emit(made);
        return slotsOf(made);
      },
      (r) => {
        const to = this.#stands.get(keyOf(r));
        return to ? read(to.tensor, to.slot, r.at, r.fill) : r;
      },
    );
    const fused = this.#fuse(moved);
    for (const [i, r] of needed.entries()) {
      const { tensor, slot } = fused.program.results[i]!;
      this.#stands.set(keyOf(r), { tensor, slot });
    }
    this.regions.push(...fused.regions);
    this.decisions.push(...fused.decisions);
    for (const d of fused.stored) this.stored.add(d);
    return fused.program.steps;
  }

  #loop(s: LoopStep): LoopStep {
    const inits = s.carries.map((c) => this.#onRef(c.init));
    const [first, place] = [this.regions.length, this.loops.length];
    const { steps, outputs } = this.level(s.body, [...s.carries.map((c) => c.next), ...s.stacks.map((k) => k.value)]);
    const carries = s.carries.map(({ carry }, i) => ({ carry, init: inits[i]!, next: outputs[i]! }));
    const stacks = s.stacks.map(({ stack }, i) => ({ stack, value: outputs[carries.length + i]! }));
    // Outer loops stand before those within.
    this.loops.splice(place, 0, { first, end: this.regions.length, rounds: roundsOf(s), carries, stacks });
    return { ...s, carries, stacks, body: steps };
  }
}

/** Loops alone, and runs of definitions between them. */
function piecesOf(steps: readonly Step[]): readonly (readonly Step[])[] {
  const pieces: Step[][] = [];
  for (const s of steps) {
    const last = pieces.at(-1);
    if (s.kind !== "loop" && last && last[0]?.kind !== "loop") last.push(s);
    else pieces.push([s]);
  }
  return pieces;
}

/** Everything that a step refers to. */
function refsOf(s: Step): readonly TensorRef[] {
  if (s.kind !== "loop") return readsOf(s).flatMap((d) => slotsOf(d));
  return [...s.carries.flatMap((c) => [c.init, c.next]), ...s.stacks.map((k) => k.value), ...s.body.flatMap(refsOf)];
}
