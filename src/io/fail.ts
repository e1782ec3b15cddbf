import type { DiagnosticCode } from "../../grammar/codes.ts";
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";

/** Throws a DiagnosticError about a data file. `at` is a byte offset, where one can be told. */
export function failFile(
  code: DiagnosticCode,
  file: string,
  message: string,
  at = 0,
  notes: readonly string[] = [],
): never {
  throw new DiagnosticError(diagnostic(code, message, { span: { file, start: at, end: at }, text: "" }, { notes }));
}
