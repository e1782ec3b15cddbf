/** What a build says: on the terminal as `tsc` does, or as JSON. */
import { join, relative } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { diagnosticsToJson } from "../diagnostics/json.ts";
import type { BuildReport } from "../project/build.ts";
import type { Project } from "../project/project.ts";
import { textOfFile } from "../project/sources.ts";
import { resolveStd } from "../std/index.ts";
import { type GlobalOptions, printDiagnostics, shownPath } from "./context.ts";

/** The diagnostics with files named from the working folder, and the texts that they point into. */
function located(report: BuildReport, root: string): { diagnostics: Diagnostic[]; sources: Map<string, string> } {
  const sources = new Map<string, string>();
  const shown = new Map<string, string>();
  const name = (file: string): string => {
    const old = shown.get(file);
    if (old !== undefined) return old;
    const text = file === "" ? undefined : textOfFile(root, file);
    const isStd = /^std\/\w+\.ein$/.test(file) && text === resolveStd(file.slice(0, -4));
    const made = file === "" || isStd ? file : relative(process.cwd(), join(root, file));
    if (text !== undefined) sources.set(made, text);
    shown.set(file, made);
    return made;
  };
  const at = <T extends { readonly span: Span }>(l: T): T => ({ ...l, span: { ...l.span, file: name(l.span.file) } });
  const diagnostics = report.diagnostics.map((d) => ({
    ...d,
    labels: d.labels.map(at),
    ...(d.fix ? { fix: { ...d.fix, edits: d.fix.edits.map(at) } } : {}),
  }));
  return { diagnostics, sources };
}

/** One JSON value, on one line in watch mode. */
export function reportJson(report: BuildReport, project: Project): object {
  const { diagnostics, sources } = located(report, project.unit.root);
  return {
    diagnostics: diagnosticsToJson(diagnostics, (file) => sources.get(file)),
    written: report.written.map(shownPath),
    removed: report.removed.map(shownPath),
    compiled: report.compiled,
    unchanged: report.unchanged,
  };
}

/** Diagnostics and how many errors there are; for files that were named, also what was written. */
export function printReport(report: BuildReport, project: Project, o: GlobalOptions): void {
  if (o.json) {
    process.stdout.write(`${JSON.stringify(reportJson(report, project), null, 2)}\n`);
    return;
  }
  printFindings(report, project, o);
  if (!project.config) for (const path of report.written) process.stdout.write(`${shownPath(path)}\n`);
  const errors = errorsOf(report);
  if (errors > 0) process.stderr.write(`\nFound ${errors} ${errors === 1 ? "error" : "errors"}${filesText(report)}.\n`);
}

export function printFindings(report: BuildReport, project: Project, o: GlobalOptions): void {
  if (report.diagnostics.length === 0) return;
  const { diagnostics, sources } = located(report, project.unit.root);
  printDiagnostics(diagnostics, sources, o);
}

export function errorsOf(report: BuildReport): number {
  return report.diagnostics.filter((d) => d.severity === "error").length;
}

function filesText(report: BuildReport): string {
  const files = new Set(report.diagnostics.filter((d) => d.severity === "error").map((d) => d.labels[0]?.span.file));
  return files.size > 1 ? ` in ${files.size} files` : "";
}

export interface Progress {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

/** A few sources are done before a line could be read. */
const WORTH_SHOWING = 16;

/** A line on a terminal, nothing elsewhere. */
export async function progress(o: GlobalOptions): Promise<Progress> {
  if (o.json || process.stderr.isTTY !== true) return { update: () => undefined, stop: () => undefined };
  const { SingleBar } = (await import("cli-progress")).default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  return {
    update: (done, total) => {
      if (total < WORTH_SHOWING) return;
      if (!bar) {
        bar = new SingleBar({
          format: "compiling {bar} {value}/{total}",
          barsize: 24,
          barCompleteChar: "#",
          barIncompleteChar: ".",
          clearOnComplete: true,
          hideCursor: true,
        });
        bar.start(total, done);
      }
      bar.update(done);
    },
    stop: () => bar?.stop(),
  };
}
