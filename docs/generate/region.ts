/** Pages that are written by hand but for some parts: what stands between `<!-- generated: NAME -->` and `<!-- end -->`. */

/** The page with the part replaced. Throws RangeError if the page has no such part, or several. */
export function replacePart(page: string, name: string, text: string): string {
  const open = `<!-- generated: ${name} -->\n`;
  const parts = page.split(open);
  if (parts.length !== 2) throw new RangeError(`the page has ${parts.length - 1} parts called ${name}, not one`);
  const [before, rest] = parts as [string, string];
  const end = rest.indexOf("<!-- end -->");
  if (end < 0) throw new RangeError(`the part ${name} has no end`);
  return `${before}${open}\n${text.trim()}\n\n${rest.slice(end)}`;
}

/** A Markdown table. Cells are escaped where a `|` would end them. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((c) => c.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
