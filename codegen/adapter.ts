import type { AdapterInfo } from "../runtime/plan.ts";

/** Mesa's llvmpipe: long straight-line code with dear functions spills there, a loop over few lines does not. */
export function isLlvmpipe(t: AdapterInfo): boolean {
  return /llvmpipe/i.test(`${t.name} ${t.driver}`);
}
