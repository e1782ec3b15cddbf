/** What the page gives to the command that opened it, as `globalThis.fusumBench`. */
import type { WorkloadResult } from "../result.ts";
import type { Conditions } from "../run.ts";

/** A row, or why there is none. */
export type Outcome = { readonly result: WorkloadResult } | { readonly error: string };

export interface PageBench {
  readonly conditions: Promise<Conditions>;
  /** The row of that number, once it has been measured: they come in order. */
  row(at: number): Promise<Outcome>;
}

declare global {
  var fusumBench: PageBench;
}
