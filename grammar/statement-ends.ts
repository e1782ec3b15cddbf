/** Where statements end: the rule that `layout.ts` states, and the warning for lines that look as if they went on. */
import type { IToken, TokenType } from "chevrotain";
import { type Diagnostic, diagnostic } from "./diagnostic.ts";
import { T, tokenSpan } from "./tokens.ts";

/** The tokens of one statement or declaration. */
export type Unit = IToken[];

export type FrameKind =
  | "module"
  | "block"
  | "group"
  | "call"
  | "params"
  | "list"
  | "subscript"
  | "binder"
  | "over"
  | "record";

/** What is open around the token at hand. */
export interface Frame {
  readonly kind: FrameKind;
  readonly opener: IToken | undefined;
  /** Where tokens go: the statement that is being collected. */
  sink: Unit;
  readonly units: Unit[];
  /** In the header of a function: its lines may break anywhere. */
  header: boolean;
  /** Headers of `iterate` that wait for their body. */
  iterating: number;
  /** A top-level `=` was seen in this statement. */
  assigned: boolean;
  /** A block after a header, as opposed to one that stands for an operand. */
  isBody: boolean;
}

/** After these an operator may follow. */
export const OPERAND_ENDS: ReadonlySet<TokenType> = new Set([
  T.Name,
  T.Number,
  T.Text,
  T.True,
  T.False,
  T.None,
  T.Infinite,
  T.RParen,
  T.RSquare,
  T.RCurly,
  T.BlockTree,
  T.IterIndex,
]);
const CONTINUES_LINE: ReadonlySet<TokenType> = new Set([
  T.Binary,
  T.Power,
  T.Fill,
  T.OrOr,
  T.Bar,
  T.Compare,
  T.Question,
  T.Colon,
  T.Dot,
  T.DotDot,
  T.Comma,
  T.Assign,
  T.ScatterOp,
  T.Arrow,
  T.FatArrow,
  T.As,
  T.RParen,
  T.RSquare,
  T.RCurly,
]);
const STARTS_ITEM: ReadonlySet<TokenType> = new Set([T.Let, T.Const, T.Fn, T.Import, T.Export]);

export interface Place {
  readonly frame: Frame;
  readonly previous: IToken | undefined;
  /** Whether the previous token ends an operand. */
  readonly ended: boolean;
  readonly tokens: readonly IToken[];
  readonly startsLine: Uint8Array;
  /** Partners of brackets. */
  readonly match: Int32Array;
  readonly at: number;
}

/** Whether the statement that is being collected ends before the token; it has tokens, and the frame is a block or the module. */
export function endsBefore({ frame, previous, ended, tokens, startsLine, match, at }: Place): boolean {
  const t = tokens[at]!;
  const first = frame.sink[0]!;
  const type = t.tokenType;
  const next = tokens[at + 1]?.tokenType;
  const before = previous?.tokenType;
  if (type === T.RCurly) return false;
  const isModule = frame.kind === "module";
  const isAt = type === T.Binary && t.image === "@";
  const attributed =
    isModule && first.tokenType === T.Binary && first.image === "@" && !frame.header && before !== T.BlockTree;
  // `fn f() { … } fn g() { … }` on one line.
  if (isModule && !attributed && before === T.BlockTree && STARTS_ITEM.has(type)) return true;
  if (!startsLine[at]) return false;
  if (attributed && (type === T.Fn || type === T.Export || isAt)) return false;
  if (STARTS_ITEM.has(type)) return before !== T.Export && before !== T.Colon;
  if (isModule && isAt) return true;
  if (frame.header || frame.iterating > 0 || !ended) return false;
  if (type === T.Name) {
    if (t.image === "from") return first.tokenType !== T.Import;
    if (t.image === "over") {
      if (first.tokenType !== T.Target || next !== T.LSquare) return true;
      // `over[i] = …` defines a tensor of that name.
      const after = tokens[match[at + 1]! + 1]?.tokenType;
      return after === T.Assign || after === T.ScatterOp || after === T.Colon;
    }
    if (t.image === "max") return before !== T.BlockTree || (next !== T.Number && next !== T.Name);
  }
  return !CONTINUES_LINE.has(type);
}

/** `let s = a` and, further in on the next line, `- b`: two statements, though it looks like one. */
export function misleadingBreak(
  t: IToken,
  frame: Frame,
  last: IToken,
  source: string,
  file: string,
): Diagnostic | undefined {
  const type = t.tokenType;
  if (type !== T.Sign && type !== T.LParen && type !== T.LSquare) return undefined;
  if (columnOf(t, source) <= columnOf(frame.sink[0]!, source)) return undefined;
  const labels = [
    { span: tokenSpan(t, file), text: "a new expression, though it is indented" },
    { span: tokenSpan(last, file), text: "the statement ends here" },
  ];
  return diagnostic("EIN1009", `a line that begins with \`${t.image}\` starts a new expression`, labels, {
    severity: "warning",
    notes: [`to go on with the line above, put \`${t.image}\` at its end`],
  });
}

function columnOf(t: IToken, source: string): number {
  let start = t.startOffset;
  while (start > 0 && source[start - 1] !== "\n" && source[start - 1] !== "\r") start--;
  return t.startOffset - start;
}
