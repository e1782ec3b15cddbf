/** The table of accuracies in docs/numerics.md. */
import { ACCURACY, type Accuracy } from "../../ir/accuracy.ts";
import { markdownTable } from "./region.ts";

export function accuracyTable(): string {
  return markdownTable(
    ["function", "relative", "absolute", "why"],
    Object.entries(ACCURACY).map(([name, a]) => [`\`${name}\``, relativeText(a), absoluteText(a), a.why]),
  );
}

/** Promises grow with the argument's magnitude linearly, or not at all, and some of them only so far. */
function relativeText(a: Accuracy): string {
  const [at0, at1, most] = [a.relative(0), a.relative(1), a.relative(1e4)];
  const linear = (x: number): number => at0 + x * (at1 - at0);
  if ([10, 100, 1e4].some((x) => a.relative(x) !== Math.min(most, linear(x))))
    throw new RangeError("a promise that is not linear");
  if (at0 === at1) return `${at0}`;
  const text = `${at0} + ${at1 - at0}·∣x∣`;
  return most < linear(1e4) ? `${text}, at most ${most}` : text;
}

function absoluteText(a: Accuracy): string {
  const [small, one, large] = [a.absolute(0.25, 0.25), a.absolute(1, 1), a.absolute(4096, 4096)];
  if (small + one + large === 0) return "";
  if (small === 0 && large === 0) return `2^${Math.log2(one)} within [1/2, 2]`;
  return `${one.toExponential(1)} at 1, ${large.toExponential(1)} at 4096 and above`;
}
