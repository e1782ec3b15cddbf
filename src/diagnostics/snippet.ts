/** One source line with the marks under it. */
import { displayLine, sliceColumns } from "./display.ts";

/** From `start` to `end`, in UTF-16 units of the line; at least one column is marked. */
export interface Mark {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly primary: boolean;
}

export interface Row {
  readonly text: string;
  /** The source line itself, which has a line number. */
  readonly isSource: boolean;
}

export interface Paint {
  readonly primary: (text: string) => string;
  readonly secondary: (text: string) => string;
}

interface Placed {
  readonly from: number;
  readonly to: number;
  readonly mark: Mark;
}

/** Longer lines are cut around each mark before anything is measured: a line may be a megabyte. */
const LONG = 2000;

/** Rows for a line. A line wider than `width` is clipped around its marks, and shown again for marks that are too far away. */
export function renderLine(text: string, marks: readonly Mark[], width: number, paint: Paint): readonly Row[] {
  if (text.length <= LONG) return renderShort(text, marks, width, paint, { before: false, after: false });
  const rows: Row[] = [];
  const sorted = [...marks].sort((a, b) => a.start - b.start);
  for (let i = 0; i < sorted.length || i === 0; ) {
    const from = Math.max(0, (sorted[i]?.start ?? 0) - 2 * width);
    const to = from + LONG;
    let end = i + 1;
    while (end < sorted.length && sorted[end]!.start < to - 2 * width) end++;
    const moved = sorted.slice(i, end).map((m) => ({ ...m, start: m.start - from, end: Math.min(m.end, to) - from }));
    rows.push(...renderShort(text.slice(from, to), moved, width, paint, { before: from > 0, after: to < text.length }));
    i = end;
  }
  return rows;
}

/** `cut` says whether the text is only a part of its line. */
function renderShort(
  text: string,
  marks: readonly Mark[],
  width: number,
  paint: Paint,
  cut: { readonly before: boolean; readonly after: boolean },
): readonly Row[] {
  const line = displayLine(text);
  const total = line.columns.at(-1)!;
  const placed = marks
    .map((mark): Placed => {
      const from = line.columns[Math.min(mark.start, text.length)]!;
      const to = line.columns[Math.min(mark.end, text.length)]!;
      return { from, to: Math.max(from + 1, to), mark };
    })
    .sort((a, b) => a.from - b.from || a.to - b.to);
  if (total <= width && !cut.before && !cut.after)
    return [{ text: sliceColumns(line, 0, total).trimEnd(), isSource: true }, ...underline(placed, paint)];
  if (placed.length === 0) return [{ text: `${sliceColumns(line, 0, width)}…`, isSource: true }];
  const rows: Row[] = [];
  for (const group of groupByReach(placed, width)) {
    const left = Math.max(0, Math.min(group[0]!.from - Math.floor(width / 4), total - width));
    const right = Math.min(total, left + width);
    const before = left > 0 || cut.before ? "…" : "";
    const after = right < total || cut.after ? "…" : "";
    const shift = left - before.length;
    rows.push({ text: `${before}${sliceColumns(line, left, right)}${after}`, isSource: true });
    const moved = group.map(
      (p): Placed => ({
        mark: p.mark,
        from: p.from - shift,
        to: Math.max(p.from + 1, Math.min(p.to, right)) - shift,
      }),
    );
    rows.push(...underline(moved, paint));
  }
  return rows;
}

/** Marks that fit into one window. */
function groupByReach(placed: readonly Placed[], width: number): readonly (readonly Placed[])[] {
  const groups: Placed[][] = [];
  for (const p of placed) {
    const group = groups.at(-1);
    if (group && p.from - group[0]!.from < Math.floor(width / 2)) group.push(p);
    else groups.push([p]);
  }
  return groups;
}

/** The row of carets with the rightmost text, then one row a remaining text, hanging from its mark. */
function underline(placed: readonly Placed[], paint: Paint): readonly Row[] {
  if (placed.length === 0) return [];
  const last = placed.at(-1)!;
  const reach = Math.max(...placed.map((p) => p.to));
  const cells: { sign: string; primary: boolean }[] = Array.from({ length: reach }, () => ({
    sign: " ",
    primary: false,
  }));
  for (const p of [...placed].sort(
    (a, b) => Number(a.mark.primary) - Number(b.mark.primary) || b.to - b.from - (a.to - a.from),
  ))
    for (let i = p.from; i < p.to; i++) cells[i] = { sign: p.mark.primary ? "^" : "-", primary: p.mark.primary };
  const inline = last.to === reach ? last : undefined;
  const colourOf = (p: Placed): ((text: string) => string) => (p.mark.primary ? paint.primary : paint.secondary);
  let row = "";
  for (let i = 0; i < reach; ) {
    const { primary, sign } = cells[i]!;
    let end = i;
    while (end < reach && cells[end]!.sign === sign) end++;
    const run = sign.repeat(end - i);
    row += sign === " " ? run : primary ? paint.primary(run) : paint.secondary(run);
    i = end;
  }
  if (inline && inline.mark.text !== "") row += ` ${colourOf(inline)(inline.mark.text)}`;
  const rows: Row[] = [{ text: row, isSource: false }];
  const hanging = placed.filter((p) => p !== inline && p.mark.text !== "");
  for (let k = hanging.length - 1; k >= 0; k--) {
    const stems = hanging.slice(0, k + 1);
    rows.push({ text: hang(stems, undefined, paint), isSource: false });
    rows.push({ text: hang(stems.slice(0, -1), stems.at(-1)!, paint), isSource: false });
  }
  return rows;
}

function hang(stems: readonly Placed[], text: Placed | undefined, paint: Paint): string {
  let row = "";
  let column = 0;
  for (const p of stems) {
    if (p.from < column || (text && p.from >= text.from)) continue;
    row += " ".repeat(p.from - column) + (p.mark.primary ? paint.primary("|") : paint.secondary("|"));
    column = p.from + 1;
  }
  if (!text) return row;
  row += " ".repeat(Math.max(0, text.from - column));
  return row + (text.mark.primary ? paint.primary(text.mark.text) : paint.secondary(text.mark.text));
}
