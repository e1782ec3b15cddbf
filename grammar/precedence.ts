/**
 * From a flat sequence of operands and operators to a tree, without recursion. From loosest to tightest:
 * `??` · `||` · `&&` · `|` · `^` · `&` · comparisons · `<< >>` · `+ -` · `* / div % @` · prefix `- + ! ~` · `**` (to the right).
 * (`? :` is looser than all of these; `as`, calls, subscripts and fields are tighter. `parser-rules.ts` reads those.)
 * Comparisons do not chain.
 */
import type { IToken } from "chevrotain";
import type { BinaryOp, Expr, UnaryExpr } from "./ast.ts";
import { type Diagnostic, diagnostic } from "./diagnostic.ts";
import { operatorText } from "./slips.ts";
import { joinSpans } from "./span.ts";
import { tokenSpan } from "./tokens.ts";

export const BINARY_PRECEDENCE: Readonly<Record<BinaryOp, number>> = {
  "??": 1,
  "||": 2,
  "&&": 3,
  "|": 4,
  "^": 5,
  "&": 6,
  "==": 7,
  "!=": 7,
  "<": 7,
  "<=": 7,
  ">": 7,
  ">=": 7,
  "<<": 8,
  ">>": 8,
  "+": 9,
  "-": 9,
  "*": 10,
  "/": 10,
  div: 10,
  "%": 10,
  "@": 10,
  "**": 12,
};
export const PREFIX_PRECEDENCE = 11;
const COMPARISON = BINARY_PRECEDENCE["=="];

export const isComparison = (op: BinaryOp): boolean => BINARY_PRECEDENCE[op] === COMPARISON;

/** An operand with the prefix operators before it, outermost first; `operator` joins it to the one before. */
export interface Part {
  readonly operator: IToken | undefined;
  readonly prefixes: readonly IToken[];
  readonly operand: Expr;
}

export interface ExpressionContext {
  readonly source: string;
  readonly file: string;
  readonly report: (d: Diagnostic) => void;
}

type Pending =
  | { readonly kind: "binary"; readonly token: IToken; readonly op: BinaryOp }
  | { readonly kind: "prefix"; readonly token: IToken };

/** Builds the tree; a chain of comparisons is reported and read as if joined to the left. */
export function buildExpression(parts: readonly Part[], context: ExpressionContext): Expr {
  const { file } = context;
  const operands: Expr[] = [];
  const pending: Pending[] = [];

  const reduceTop = (): void => {
    const top = pending.pop()!;
    const right = operands.pop()!;
    if (top.kind === "prefix") {
      const op = operatorText(top.token.image) as UnaryExpr["op"];
      operands.push({ kind: "unary", op, operand: right, span: joinSpans(tokenSpan(top.token, file), right.span) });
      return;
    }
    const left = operands.pop()!;
    operands.push({
      kind: "binary",
      op: top.op,
      opSpan: tokenSpan(top.token, file),
      left,
      right,
      span: joinSpans(left.span, right.span),
    });
  };

  for (const part of parts) {
    if (part.operator) {
      const op = operatorText(part.operator.image) as BinaryOp;
      const precedence = BINARY_PRECEDENCE[op];
      let chained: Pending | undefined;
      while (pending.length > 0) {
        const top = pending.at(-1)!;
        const other = top.kind === "prefix" ? PREFIX_PRECEDENCE : BINARY_PRECEDENCE[top.op];
        if (other < precedence || (op === "**" && other === precedence)) break;
        if (precedence === COMPARISON && other === COMPARISON) chained = top;
        reduceTop();
      }
      if (chained) reportChain(operands.at(-1)!, chained.token, part.operator, context);
      pending.push({ kind: "binary", token: part.operator, op });
    }
    for (const prefix of part.prefixes) pending.push({ kind: "prefix", token: prefix });
    operands.push(part.operand);
  }
  while (pending.length > 0) reduceTop();
  return operands[0]!;
}

function reportChain(left: Expr, first: IToken, second: IToken, at: ExpressionContext): void {
  const { file, source, report } = at;
  const middle = left.kind === "binary" ? left.right.span : left.span;
  const edits = [
    { span: { file, start: middle.end, end: middle.end }, text: ` && ${source.slice(middle.start, middle.end)}` },
  ];
  report(
    diagnostic(
      "EIN1001",
      "comparisons do not chain",
      [
        { span: tokenSpan(second, file), text: "a second comparison" },
        { span: tokenSpan(first, file), text: "the first one" },
      ],
      { notes: ["`a < b < c` is written `a < b && b < c`"], fix: { message: "compare twice", edits } },
    ),
  );
}
