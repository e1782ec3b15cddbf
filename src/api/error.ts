import type { Diagnostic } from "../../grammar/diagnostic.ts";

/** Thrown by `compile` and everything that compiles on demand. `message` is one `tsc`-style line a diagnostic. */
export class CompileError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  /** Texts of the files that the diagnostics point into. */
  readonly sources: ReadonlyMap<string, string>;
  constructor(diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>) {
    super(diagnostics.map((d) => summary(d, sources)).join("\n"));
    this.name = "CompileError";
    this.diagnostics = diagnostics;
    this.sources = sources;
  }
}

function summary(d: Diagnostic, sources: ReadonlyMap<string, string>): string {
  const span = d.labels[0]?.span;
  const text = span && sources.get(span.file);
  if (!span || text === undefined) return `${d.severity} ${d.code}: ${d.message}`;
  const before = text.slice(0, span.start).split("\n");
  return `${span.file}(${before.length},${(before.at(-1)?.length ?? 0) + 1}): ${d.severity} ${d.code}: ${d.message}`;
}
