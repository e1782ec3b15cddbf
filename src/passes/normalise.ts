/**
 * Brings a tensor program into the form that fusion reads: every reduction is a definition of its own over the axes it
 * depends on, index maps are read through, factors have left sums, reshaped axes are split, equal definitions are one, and sums go
 * on from sums that are there.
 * Stands after `contract`, which wants whole products, and before `fuse`, which decides what is stored.
 */
import type { Program } from "../../ir/tensor.ts";
import { inlineExpansions } from "./expand.ts";
import { hoistFactors } from "./hoist.ts";
import { dropStopGradient, inlineIndexMaps } from "./inline.ts";
import { liftReductions } from "./lift.ts";
import { dropDead, mergeEqual } from "./merge.ts";
import { sharePartialSums } from "./partial-sums.ts";
import { splitAxes } from "./split.ts";

export interface NormaliseOptions {
  /** No distribution over float sums. */
  readonly strict?: boolean;
  /** Before differentiation, which is what `stopGradient` is for. */
  readonly keepStopGradient?: boolean;
}

export function normalise(program: Program, o: NormaliseOptions = {}): Program {
  let p = dropDead(o.keepStopGradient ? program : dropStopGradient(program));
  p = liftReductions(p);
  p = dropDead(inlineIndexMaps(p));
  p = mergeEqual(p);
  p = dropDead(inlineExpansions(p));
  // Reading through a broadcast may have freed a reduction of an axis.
  p = dropDead(inlineIndexMaps(liftReductions(p)));
  p = dropDead(hoistFactors(p, o));
  p = splitAxes(p);
  p = dropDead(inlineIndexMaps(p));
  if (!o.strict) p = sharePartialSums(p);
  return dropDead(mergeEqual(p));
}
