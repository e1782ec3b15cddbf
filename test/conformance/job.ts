/** What a case becomes: a program of the language, its arguments and what must come out. */
import type { Tolerance, Values } from "./arrays.ts";

export type ConstValue = number | boolean | string | readonly number[];

export interface RunJob {
  readonly kind: "run";
  /** A `.ein` module. */
  readonly source: string;
  readonly fn: string;
  readonly inputs: Readonly<
    Record<string, { readonly values: Values; readonly dtype: "f32" | "f16" | "i32" | "u32" | "bool" }>
  >;
  readonly consts?: Readonly<Record<string, ConstValue>>;
  /** In the order of the function's results. Undefined entries are not compared. */
  readonly expected: readonly (Values | undefined)[];
  readonly tolerance: Tolerance;
  /**
   * The expected numbers came out of f32 arithmetic themselves. Where they leave the tolerance (a sum that cancels to nearly 0, a
   * rounding that falls the other way) and they and ours lie within the bounds that are derived for f32 evaluation of the program, the
   * case decides nothing: it is counted as unsupported, not as passed.
   */
  readonly expectedInF32?: boolean;
  /** Exact on the interpreter (float64) even where f32 is not. */
  readonly exactInterpreter?: boolean;
}
/** The program must be rejected with a diagnostic. */
export interface RejectJob {
  readonly kind: "reject";
  readonly source: string;
  readonly fn: string;
  /** Shapes of the arguments, since some disagreements are between shapes only. */
  readonly inputs: RunJob["inputs"];
  readonly consts?: RunJob["consts"];
  /** Something that the diagnostic has to say (both sizes, a name); checked as substrings. */
  readonly mentions?: readonly string[];
}
/** Outside what the language can say, and why. Counted, listed, never a pass. */
export interface Unsupported {
  readonly kind: "unsupported";
  /** For the summary: an operator or a feature. */
  readonly group: string;
  readonly reason: string;
}
/** A rejection that happened while translating: the translator itself (einops pack, TC's notation) found the error. */
export interface Rejected {
  readonly kind: "rejected";
  readonly reason: string;
}
export type Job = RunJob | RejectJob | Unsupported | Rejected;

/** One file of cases. `translate` may throw: that is a failure of the harness, reported as such. */
export interface Suite {
  /** The file's name without `.json`. */
  readonly name: string;
  translate(testCase: Readonly<Record<string, unknown>>): readonly Job[] | Job;
}

export function unsupported(group: string, reason: string): Unsupported {
  return { kind: "unsupported", group, reason };
}

export const DEFAULT_TOLERANCE: Tolerance = { exact: false, atol: 1e-5, rtol: 1e-4 };
export const EXACT: Tolerance = { exact: true, atol: 0, rtol: 0 };
