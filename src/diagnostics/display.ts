/**
 * How text looks in a terminal: how wide it is, and what stands for characters that a terminal would obey instead of show.
 * Source text and names are somebody else's: an escape sequence in them must not reach the terminal.
 */

const TAB = 4;

/** C0 and C1 controls, bidirectional overrides, invisible format characters, line separators, lone surrogates. */
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be printed
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udfff]/u;

/** East Asian wide and fullwidth characters and emoji, which take two columns. */
const WIDE =
  /[\u1100-\u115f\u231a\u231b\u2329\u232a\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{1f004}\u{1f0cf}\u{1f18e}\u{1f191}-\u{1f19a}\u{1f200}-\u{1f320}\u{1f32d}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f7e0}-\u{1f7eb}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const COMBINING = /\p{M}/u;

/** A character (one code point) as it is shown, without tabs. */
function shown(character: string): string {
  if (!HIDDEN.test(character)) return character;
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

function width(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Columns that a text takes once it is escaped. */
export function displayWidth(text: string): number {
  let columns = 0;
  for (const c of text) columns += width(c);
  return columns;
}

/** Makes a message or a name safe to print on one line. */
export function escapeText(text: string): string {
  if (!/[^\u0020-\u007e]/.test(text)) return text;
  let out = "";
  for (const c of text) out += c === "\n" ? "\\n" : c === "\t" ? "\\t" : shown(c);
  return out;
}

/** A source line as it is shown, and the display column at which each UTF-16 unit of it begins (one more entry for its end). */
export interface DisplayLine {
  readonly cells: readonly { readonly text: string; readonly width: number }[];
  readonly columns: readonly number[];
}

export function displayLine(line: string): DisplayLine {
  const cells: { text: string; width: number }[] = [];
  const columns: number[] = [];
  let column = 0;
  for (const c of line) {
    let text = shown(c);
    let w = text === c ? width(c) : text.length;
    if (c === "\t") {
      w = TAB - (column % TAB);
      text = " ".repeat(w);
    }
    cells.push({ text, width: w });
    for (let i = 0; i < c.length; i++) columns.push(column);
    column += w;
  }
  columns.push(column);
  return { cells, columns };
}

/** The part of a line between two display columns; a character that is cut by an edge is replaced by spaces. */
export function sliceColumns(line: DisplayLine, from: number, to: number): string {
  let out = "";
  let column = 0;
  for (const cell of line.cells) {
    const end = column + cell.width;
    if (column >= from && end <= to) out += cell.text;
    else if (end > from && column < to) out += " ".repeat(Math.min(end, to) - Math.max(column, from));
    column = end;
    if (column >= to) break;
  }
  return out;
}
