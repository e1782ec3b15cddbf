/**
 * The formatter. It prints the tokens that are there, so every parenthesis and comment stays; it chooses only the white space
 * between them, trailing commas (where a list is broken) and where statements end (`;` becomes a new line).
 *
 * Style: two spaces a level, lines up to 100 columns, operators at line ends, at most one blank line, none at the ends of a block.
 * A block or a function body of one statement that was on one line stays so if it fits.
 * Invariants, tested: formatting twice changes nothing; the tree is the same up to spans; every comment is still there, in order.
 */
import type { IToken } from "chevrotain";
import { balance } from "./balance.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { cat, comment, type Doc, group, hardline, indent, line, printDoc } from "./doc.ts";
import { type BlockToken, layout } from "./layout.ts";
import { lex } from "./lexer.ts";
import { parseModule } from "./parser.ts";
import { printModule } from "./print.ts";
import type { BlockPrinter } from "./sequence-printer.ts";
import type { Unit } from "./statement-ends.ts";
import { type Comment, tokenEnd } from "./tokens.ts";
import { UnitPrinter } from "./unit-printer.ts";

const WIDTH = 100;

/**
 * The module's text in the one style; ends with a new line unless it is empty. A module with syntax errors is returned as it is:
 * ask `parseModule` for them. Throws nothing.
 */
export function formatModule(source: string, file: string): string {
  const before = parseModule(source, file);
  if (before.diagnostics.some((d) => d.severity === "error")) return source;
  const text = formatUnchecked(source, file);
  // The formatter must never change what a program means: if it ever would, the text is better left alone.
  const after = parseModule(text, file);
  return after.diagnostics.some((d) => d.severity === "error") ||
    printModule(after.module) !== printModule(before.module)
    ? source
    : text;
}

/** The formatter without its last check, for tests of it; the module has no syntax errors. */
export function formatUnchecked(source: string, file: string): string {
  const diagnostics: Diagnostic[] = [];
  const { tokens, comments } = lex(source, file);
  const balanced = balance(tokens, source, file, diagnostics);
  if (!balanced) return source;
  const { units } = layout(balanced, source, file, diagnostics);
  return new ModulePrinter(source, comments).print(units);
}

/** A statement or a comment between statements. */
interface Entry {
  readonly start: number;
  readonly end: number;
  readonly unit: Unit | undefined;
  readonly comment: Comment | undefined;
}

class ModulePrinter implements BlockPrinter {
  readonly source: string;
  readonly #comments: readonly Comment[];
  readonly #units: UnitPrinter;

  constructor(source: string, comments: readonly Comment[]) {
    this.source = source;
    this.#comments = comments;
    this.#units = new UnitPrinter(this);
  }

  print(units: readonly Unit[]): string {
    const body = this.#entries(units, 0, this.source.length);
    if (body.length === 0) return "";
    return `${printDoc(this.#join(body), WIDTH)}\n`;
  }

  /** Comments that begin in [from, to). */
  commentsIn(from: number, to: number): readonly Comment[] {
    let low = 0;
    let high = this.#comments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#comments[middle]!.start < from) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < this.#comments.length && this.#comments[end]!.start < to) end++;
    return this.#comments.slice(low, end);
  }

  hasLineBreak(from: number, to: number): boolean {
    return /[\n\r]/.test(this.source.slice(from, to));
  }

  block(token: IToken): Doc {
    const { open, close, units } = (token as BlockToken).payload;
    const entries = this.#entries(units, tokenEnd(open), close.startOffset);
    if (entries.length === 0) return "{}";
    const body = this.#join(entries);
    const [only] = entries;
    const wasFlat = entries.length === 1 && only!.unit && !this.hasLineBreak(tokenEnd(open), only!.start);
    const edge = wasFlat ? line : hardline;
    return group("{", indent(edge, body), edge, "}");
  }

  /** Statements and the comments that lie between them, in order. */
  #entries(units: readonly Unit[], from: number, to: number): readonly Entry[] {
    const entries: Entry[] = [];
    let at = from;
    const addComments = (until: number): void => {
      for (const c of this.commentsIn(at, until))
        entries.push({ start: c.start, end: c.end, unit: undefined, comment: c });
    };
    for (const unit of units) {
      const start = unit[0]!.startOffset;
      addComments(start);
      at = tokenEnd(unit.at(-1)!);
      entries.push({ start, end: at, unit, comment: undefined });
    }
    addComments(to);
    return entries;
  }

  #join(entries: readonly Entry[]): Doc {
    const parts: Doc[] = [];
    entries.forEach((entry, i) => {
      const previous = entries[i - 1];
      if (previous) parts.push(this.#between(previous, entry, entries[i - 2]));
      parts.push(entry.comment ? comment(entry.comment.text.trimEnd()) : this.#units.unit(entry.unit!));
    });
    return cat(...parts);
  }

  #between(previous: Entry, entry: Entry, beforePrevious: Entry | undefined): Doc {
    const gap = this.source.slice(previous.end, entry.start);
    const breaks = gap.match(/\r\n|\n|\r/g)?.length ?? 0;
    if (breaks === 0) {
      // `let x = 1  // why`, and `/* what */ let x = 1`.
      if (entry.comment) return previous.unit && entry.comment.text.startsWith("//") ? "  " : " ";
      const follows = beforePrevious !== undefined && !this.hasLineBreak(beforePrevious.end, previous.start);
      if (previous.comment && !follows) return " ";
    }
    return breaks > 1 ? cat(hardline, hardline) : hardline;
  }
}
