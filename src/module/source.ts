/** Where things of a module come from, said so that two machines say the same: no absolute paths. */
import type { Span } from "../../grammar/span.ts";
import { type MappedSource, placeOf, relativePath, type SourcePlace } from "./text.ts";
import type { ModuleInput } from "./types.ts";

export interface ModuleSource {
  /** The source's base name. */
  readonly name: string;
  /** `attention.ein:6  let s = einsum(…)`. */
  comment(span: Span): string;
  place(span: Span): SourcePlace | undefined;
  /** For source maps, by the names that spans use. */
  readonly sources: ReadonlyMap<string, MappedSource>;
}

const LONGEST = 100;

export function moduleSource(input: ModuleInput): ModuleSource {
  const name = input.fileName.slice(input.fileName.lastIndexOf("/") + 1);
  const texts = input.program.sources;
  // The module itself is loaded before what it imports.
  const entry = [...texts.keys()][0] ?? input.fileName;
  const own = input.sourcePath ?? name;
  const folder = own.slice(0, own.lastIndexOf("/") + 1);
  const shown = (file: string): string =>
    file === entry ? name : file.startsWith("std/") ? file : relativePath(entry, file);
  const sources = new Map(
    [...texts].map(([file, text]) => [file, { path: file === entry ? own : folder + shown(file), text }]),
  );
  return {
    name,
    sources,
    place: (span) => {
      const text = texts.get(span.file);
      return text === undefined ? undefined : placeOf(span.file, text, span.start);
    },
    comment: (span) => {
      const text = texts.get(span.file);
      if (text === undefined) return shown(span.file);
      const { line } = placeOf(span.file, text, span.start);
      const words = (text.split("\n")[line - 1] ?? "").trim();
      return `${shown(span.file)}:${line}  ${words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words}`;
    },
  };
}
