/** From what elaboration throws to diagnostics. */
import { type Diagnostic, DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { Silent } from "./scope.ts";

/**
 * The diagnostic of a failure at `span`; `null` for one that was reported before; undefined for an error that is not about the
 * program. Arithmetic on extents throws RangeError where a number leaves what can be counted.
 */
export function diagnosticOf(error: unknown, span: Span): Diagnostic | null | undefined {
  if (error instanceof DiagnosticError) return error.diagnostic;
  if (error instanceof Silent) return null;
  if (!(error instanceof RangeError)) return undefined;
  const here = { span, text: "here" };
  if (/call stack/i.test(error.message)) return diagnostic("EIN1003", "the expression nests too deeply", here);
  if (/safe integer/.test(error.message))
    return diagnostic("EIN1206", "an extent is too large", here, { notes: ["extents must stay below 2^31"] });
  if (/by zero/.test(error.message)) return diagnostic("EIN1503", "an extent is divided by zero", here);
  return undefined;
}

/** At most one diagnostic of a kind for a place. */
export function distinct(list: readonly Diagnostic[]): readonly Diagnostic[] {
  const seen = new Set<string>();
  return list.filter((d) => {
    const at = d.labels[0]?.span;
    const key = `${d.code} ${at?.file}:${at?.start}-${at?.end} ${d.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
