/** Text that knows which source each of its lines comes from. */
import { addMapping, GenMapping, setSourceContent, toEncodedMap } from "@jridgewell/gen-mapping";

export interface SourcePlace {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 0. */
  readonly column: number;
}

/** A source in a map: what it is called there, and its text. */
export interface MappedSource {
  readonly path: string;
  readonly text: string;
}

export class MappedText {
  #text = "";
  #line = 1;
  readonly #mappings: { readonly line: number; readonly column: number; readonly place: SourcePlace }[] = [];

  /** Adds lines; the first begins at `place`. */
  add(text: string, place?: SourcePlace): void {
    if (place) this.#mappings.push({ line: this.#line, column: 0, place });
    this.#text += `${text}\n`;
    this.#line += text.split("\n").length;
  }

  get text(): string {
    return this.#text;
  }

  /** The map as JSON. Places in files that `sources` lacks are left out. */
  map(file: string, sources: ReadonlyMap<string, MappedSource>): string {
    const map = new GenMapping({ file });
    for (const { line, column, place } of this.#mappings) {
      const source = sources.get(place.file);
      if (!source) continue;
      const original = { line: place.line, column: place.column };
      addMapping(map, { generated: { line, column }, source: source.path, original });
      setSourceContent(map, source.path, source.text);
    }
    return `${JSON.stringify(toEncodedMap(map))}\n`;
  }
}

/** Finds lines and columns of offsets in the texts of a program. */
export function placeOf(file: string, text: string, offset: number): SourcePlace {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { file, line, column: offset - (before.lastIndexOf("\n") + 1) };
}

/** `../lib/a.ein` for `/p/lib/a.ein` seen from the file `/p/src/b.ein`; the path itself where the two have nothing in common. */
export function relativePath(from: string, to: string): string {
  const parts = (path: string): string[] =>
    path
      .replaceAll("\\", "/")
      .split("/")
      .filter((p) => p !== ".");
  const [a, b] = [parts(from).slice(0, -1), parts(to)];
  let common = 0;
  while (common < a.length && common < b.length - 1 && a[common] === b[common]) common++;
  return [...a.slice(common).map(() => ".."), ...b.slice(common)].join("/");
}
