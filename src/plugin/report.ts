/** Tells bundlers what was found, each in the form that it shows best. */
import type { PartialMessage } from "esbuild";
import type { UnpluginBuildContext, UnpluginContext } from "unplugin";
import type { Message, Place } from "./messages.ts";

type Context = UnpluginBuildContext & UnpluginContext;

/**
 * Warnings and errors, through the hook's context. Rollup and its kin stop at the first error that they are told: it carries what is
 * known of the others.
 */
export function report(context: Context, messages: readonly Message[]): void {
  const native = context.getNativeBuildContext?.();
  const experiments = native?.framework === "rspack" ? native.loaderContext?.experiments : undefined;
  if (native?.framework === "webpack") reportWebpack(native, messages);
  else if (experiments) reportRspack(experiments, messages);
  else reportRollup(context, messages);
}

function reportRollup(context: Context, messages: readonly Message[]): void {
  for (const m of messages.filter((x) => x.severity !== "error")) context.warn(rollupLog([m]));
  const errors = messages.filter((x) => x.severity === "error");
  if (errors.length > 0) context.error(rollupLog(errors));
}

/** What Rollup, Rolldown and Vite know as a log: Vite shows `frame` in its overlay. */
function rollupLog(messages: readonly Message[]): {
  message: string;
  code: string;
  id?: string;
  loc?: { file: string; line: number; column: number };
  frame: string;
} {
  const [first, ...rest] = messages as readonly [Message, ...Message[]];
  const { place } = first;
  return {
    message: rest.length > 0 ? `${first.text} (and ${rest.length} more)` : first.text,
    code: first.code,
    ...(place ? { id: place.file, loc: { file: place.file, line: place.line, column: place.column } } : {}),
    frame: [withoutHead(first), ...rest.map((m) => m.rendered)].join("\n\n"),
  };
}

/** The message stands above the frame already. */
function withoutHead(m: Message): string {
  return m.rendered.slice(m.rendered.indexOf("\n") + 1);
}

type Native = ReturnType<NonNullable<UnpluginBuildContext["getNativeBuildContext"]>>;
type WebpackNative = Extract<Native, { framework: "webpack" }>;
type RspackExperiments = NonNullable<Extract<Native, { framework: "rspack" }>["loaderContext"]>["experiments"];

function reportWebpack({ compiler, loaderContext }: WebpackNative, messages: readonly Message[]): void {
  const module = loaderContext?._module;
  for (const m of messages) {
    const error = new compiler.webpack.WebpackError(m.rendered);
    error.hideStack = true;
    if (m.place) {
      const { line, column, length, file } = m.place;
      error.file = file;
      error.loc = { start: { line, column }, end: { line, column: column + length } };
    }
    if (m.severity === "error") module?.addError(error);
    else module?.addWarning(error);
  }
}

function reportRspack(experiments: RspackExperiments, messages: readonly Message[]): void {
  for (const m of messages) {
    const help = [m.label, ...m.others.map((o) => o.text), ...m.notes].filter((text) => text !== "").join("\n");
    const { place } = m;
    experiments.emitDiagnostic({
      severity: m.severity === "error" ? "error" : "warning",
      message: m.text,
      ...(help ? { help } : {}),
      ...(place
        ? {
            file: place.file,
            sourceCode: place.source,
            location: { line: place.line, ...inBytes(place) },
          }
        : {}),
    });
  }
}

/** Columns as programs that hold text as UTF-8 count them. */
function inBytes({ lineText, column, length }: Place): { readonly column: number; readonly length: number } {
  const bytes = (from: number, to: number): number => Buffer.byteLength(lineText.slice(from, to));
  return { column: bytes(0, column), length: bytes(column, column + length) };
}

export function esbuildMessage(m: Message): PartialMessage {
  const location = (place: Place): PartialMessage["location"] => ({
    file: place.file,
    line: place.line,
    lineText: place.lineText,
    ...inBytes(place),
  });
  return {
    id: m.code,
    text: m.label === "" ? m.text : `${m.text}: ${m.label}`,
    location: m.place ? location(m.place) : null,
    notes: [
      ...m.others.map((o) => ({ text: o.text, location: o.place ? location(o.place) : null })),
      ...m.notes.map((text) => ({ text })),
    ],
  };
}
