/** The direct parts of expressions, with what each binds: for passes that look through syntax before names are resolved. */
import type { Block, Expr, IndexBinder, Statement } from "../../grammar/ast.ts";

/** Calls `onExpr` for every direct subexpression. `bound` are index names that the subexpression sees beyond those of `e`. */
export function eachPart(
  e: Expr,
  onExpr: (part: Expr, bound: readonly IndexBinder[], names: readonly string[]) => void,
  onBlock: (b: Block) => void,
): void {
  const plain = (x: Expr | undefined): void => {
    if (x) onExpr(x, [], []);
  };
  switch (e.kind) {
    case "number":
    case "boolean":
    case "string":
    case "name":
    case "error":
      return;
    case "unary":
      plain(e.operand);
      return;
    case "binary":
      plain(e.left);
      plain(e.right);
      return;
    case "conditional":
      plain(e.condition);
      plain(e.then);
      plain(e.otherwise);
      return;
    case "cast":
    case "field":
      plain(e.value);
      return;
    case "call":
      plain(e.callee);
      for (const a of e.args) plain(a.value);
      return;
    case "subscript":
      plain(e.value);
      for (const i of e.items) {
        if (i.kind === "index") plain(i.expr);
        else if (i.kind === "slice") {
          plain(i.from);
          plain(i.to);
          plain(i.step);
        }
      }
      return;
    case "list":
      for (const x of e.items) plain(x);
      return;
    case "record":
      for (const f of e.fields) plain(f.value);
      return;
    case "for":
    case "reduce":
      ranges(e.indices, plain);
      onExpr(e.body, e.indices, []);
      return;
    case "scan":
      ranges([e.index], plain);
      onExpr(e.body, [e.index], []);
      return;
    case "lambda":
      onExpr(
        e.body,
        [],
        e.params.map((p) => p.text),
      );
      return;
    case "blockExpr":
      onBlock(e.block);
      return;
    case "iterate":
      plain(e.count);
      plain(e.max);
      for (const c of e.carries) plain(c.init);
      {
        const names = [...(e.index ? [e.index] : []), ...e.carries.map((c) => c.name)].map((n) => n.text);
        onExpr({ kind: "blockExpr", block: e.body, span: e.body.span }, [], names);
        if (e.until) onExpr(e.until, [], names);
      }
      return;
    default:
      e satisfies never;
  }
}

function ranges(indices: readonly IndexBinder[], plain: (x: Expr) => void): void {
  for (const i of indices)
    if (i.range) {
      plain(i.range.from);
      plain(i.range.to);
    }
}

/** The expressions of a statement, with the indices they see beyond the block's. */
export function statementParts(s: Statement, onExpr: (part: Expr, bound: readonly IndexBinder[]) => void): void {
  switch (s.kind) {
    case "let":
      onExpr(s.value, []);
      return;
    case "indexed":
      ranges(s.indices, (x) => onExpr(x, []));
      onExpr(s.value, s.indices);
      return;
    case "scatter":
      for (const a of s.at) onExpr(a, s.over ?? []);
      onExpr(s.value, s.over ?? []);
      return;
    default:
      s satisfies never;
  }
}
