/**
 * Epochs of `checkpoint`. Elaboration gives what a call computes an even one (`inEpoch`); a derivative copies what it needs of
 * that into an odd one (differentiate/recompute.ts); once no more derivatives are taken, even ones have done their work.
 */
import type { Program } from "../../ir/tensor.ts";
import { definitionsOf, redefined, rewriteProgram, slotsOf } from "./rewrite.ts";

/** Is it computed again for a derivative, instead of being kept? */
export function isRecomputed(epoch: number): boolean {
  return epoch % 2 === 1;
}

/** Every definition in one epoch: a checkpoint within a checkpoint belongs to the outer one. */
export function inEpoch(p: Program, epoch: number): Program {
  return withEpochs(p, () => epoch);
}

/** Originals are like everything else from here on; copies stay apart. */
export function settleEpochs(p: Program): Program {
  return withEpochs(p, (e) => (isRecomputed(e) ? e : 0));
}

/** As if there were no `checkpoint`: copies merge with their originals. */
export function dropEpochs(p: Program): Program {
  return withEpochs(p, () => 0);
}

export function hasCheckpoints(p: Program): boolean {
  return definitionsOf(p).some((d) => isRecomputed(d.epoch));
}

function withEpochs(p: Program, epochOf: (epoch: number) => number): Program {
  if (definitionsOf(p).every((d) => epochOf(d.epoch) === d.epoch)) return p;
  return rewriteProgram(p, (d, emit) => {
    const epoch = epochOf(d.epoch);
    const made = epoch === d.epoch ? d : redefined(d, { epoch });
    emit(made);
    return slotsOf(made);
  });
}
