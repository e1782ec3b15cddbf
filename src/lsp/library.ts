/** What the standard library exports, for completion. */
import type { FnItem } from "../../grammar/ast.ts";
import { parseModule } from "../../grammar/parser.ts";
import { LIBRARY, type NamedItem } from "../modules.ts";
import { resolveStd } from "../std/index.ts";

export interface LibraryItem {
  readonly specifier: string;
  readonly item: NamedItem;
  readonly source: string;
}

let known: readonly LibraryItem[] | undefined;

/** Everything that `std/…` exports; read once. */
export function libraryItems(): readonly LibraryItem[] {
  known ??= LIBRARY.flatMap((specifier) => {
    const source = resolveStd(specifier);
    if (source === undefined) return [];
    const { module } = parseModule(source, `${specifier}.ein`);
    return module.items.flatMap((item) =>
      item.kind !== "import" && item.exported ? [{ specifier, item, source }] : [],
    );
  });
  return known;
}

/** `fn relu6(x: f32[...])` as it is written. */
export function headOf(item: FnItem, source: string): string {
  const head = source.slice(item.name.span.start, item.body.span.start).replace(/\s+/g, " ").trim();
  return `fn ${head}`;
}
