/** What all rules share: the host, places, names and limits. */
import { EmbeddedActionsParser, type IToken, type ParserMethod } from "chevrotain";
import type * as ast from "./ast.ts";
import { MAX_NESTING } from "./balance.ts";
import { type Diagnostic, DiagnosticError, diagnostic } from "./diagnostic.ts";
import { messages } from "./expected.ts";
import type { BlockToken } from "./layout.ts";
import type { Span } from "./span.ts";
import { ALL_TOKENS, tokenSpan } from "./tokens.ts";

/** More operators than this in one expression are refused, because later passes walk the tree by recursion. */
export const MAX_OPERATORS = 2000;
/** `x[0][0]…`: links after one operand. */
export const MAX_LINKS = 256;

/** Parameters of a function, and arguments of a call: what has more is a list. */
export const MAX_ITEMS = 1000;

export interface Host {
  readonly source: string;
  readonly file: string;
  readonly report: (d: Diagnostic) => void;
  /** The block that the token stands for; its statements may be filled in later. */
  readonly block: (token: BlockToken) => ast.Block;
}

const NO_HOST: Host = {
  source: "",
  file: "",
  report: () => {},
  block: () => {
    throw new Error("the parser has no host");
  },
};

export type Rule<R> = ParserMethod<[], R>;

export abstract class RulesBase extends EmbeddedActionsParser {
  host: Host = NO_HOST;
  depth = 0;
  /** Since they were last set to 0: the deepest nesting, and the most operators and links in one expression. */
  deepest = 0;
  longest = 0;

  constructor() {
    super(ALL_TOKENS, {
      maxLookahead: 1,
      skipValidations: true,
      recoveryEnabled: false,
      errorMessageProvider: messages,
    });
  }

  protected span(t: IToken): Span {
    return tokenSpan(t, this.host.file);
  }
  protected from(start: IToken, end: Span): Span {
    return { file: this.host.file, start: start.startOffset, end: end.end };
  }
  protected name(t: IToken): ast.Name {
    return { text: t.image, span: this.span(t) };
  }
  protected enter(t: IToken): void {
    if (++this.depth > this.deepest) this.deepest = this.depth;
    if (this.depth > MAX_NESTING)
      throw new DiagnosticError(
        diagnostic(
          "EIN1003",
          `expressions nest more than ${MAX_NESTING} deep`,
          { span: this.span(t), text: "this part is too deep" },
          {
            notes: ["name parts of the expression with `let`"],
          },
        ),
      );
  }
  protected limit(count: number, limit: number, what: string, t: IToken): void {
    if (count > this.longest) this.longest = count;
    if (count > limit)
      throw new DiagnosticError(
        diagnostic(
          "EIN1003",
          `more than ${limit} ${what} in one expression`,
          { span: this.span(t), text: "this one is too many" },
          {
            notes: ["name parts of the expression with `let`"],
          },
        ),
      );
  }
  /** Refuses the list when it gets longer than its limit. */
  protected counted(count: number, what: string, t: IToken): void {
    if (count <= MAX_ITEMS) return;
    const label = { span: this.span(t), text: "this one is too many" };
    throw new DiagnosticError(diagnostic("EIN1003", `more than ${MAX_ITEMS} ${what}`, label));
  }
  protected misplaced(message: string, span: Span): void {
    this.host.report(diagnostic("EIN1001", message, { span, text: "not allowed here" }));
  }
}
