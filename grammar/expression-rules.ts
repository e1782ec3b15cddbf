/**
 * The grammar of expressions, over tokens that `layout.ts` has typed by their place: one token of lookahead decides everywhere.
 * Blocks are single tokens; `host.block` says what they become, so nothing here recurs through a block.
 */
import type { IOrAlt, IToken, ParserMethod } from "chevrotain";
import type * as ast from "./ast.ts";
import { MAX_NESTING } from "./balance.ts";
import type { BlockToken } from "./layout.ts";
import { isFloatText, numberText, unescapeString } from "./literals.ts";
import { buildExpression, type Part } from "./precedence.ts";
import { MAX_LINKS, MAX_OPERATORS, type Rule, RulesBase } from "./rules-base.ts";
import { joinSpans, type Span } from "./span.ts";
import { T } from "./tokens.ts";

export abstract class ExpressionRules extends RulesBase {
  /** Alternatives that capture nothing are built once: they stand on the hottest paths. */
  readonly #operators: IOrAlt<IToken>[] = [
    { ALT: () => this.CONSUME(T.Binary) },
    { ALT: () => this.CONSUME(T.Sign) },
    { ALT: () => this.CONSUME(T.Power) },
    { ALT: () => this.CONSUME(T.Compare) },
    { ALT: () => this.CONSUME(T.Fill) },
    { ALT: () => this.CONSUME(T.OrOr) },
    { ALT: () => this.CONSUME(T.Bar) },
  ];
  readonly #primaries: IOrAlt<ast.Expr>[] = [
    {
      ALT: (): ast.Expr => {
        const t = this.CONSUME(T.Name);
        return { kind: "name", text: t.image, span: this.span(t) };
      },
    },
    {
      ALT: (): ast.Expr => {
        const t = this.CONSUME(T.Number);
        const text = numberText(t.image);
        return { kind: "number", text, isFloat: isFloatText(text), span: this.span(t) };
      },
    },
    {
      ALT: (): ast.Expr => {
        const start = this.CONSUME(T.LParen);
        const inner = this.SUBRULE(this.expression);
        const end = this.CONSUME(T.RParen);
        // The span takes in the parentheses, so that a caret under `(a + b) * c` has them too.
        return this.ACTION(() => ({ ...inner, span: this.from(start, this.span(end)) }));
      },
    },
    {
      ALT: (): ast.Expr => {
        const reducer = this.name(this.CONSUME(T.Reducer));
        const { indices } = this.SUBRULE(this.binders);
        const body = this.SUBRULE2(this.expression);
        return this.ACTION(() => ({
          kind: "reduce",
          reducer,
          indices,
          body,
          span: joinSpans(reducer.span, body.span),
        }));
      },
    },
    {
      ALT: (): ast.Expr => {
        const start = this.CONSUME(T.For);
        const { indices } = this.SUBRULE2(this.binders);
        const body = this.SUBRULE3(this.expression);
        return this.ACTION(() => ({ kind: "for", indices, body, span: this.from(start, body.span) }));
      },
    },
    {
      ALT: (): ast.Expr => {
        const t = this.CONSUME(T.Text);
        return { kind: "string", value: this.ACTION(() => unescapeString(t.image)), span: this.span(t) };
      },
    },
    {
      ALT: (): ast.Expr => {
        const start = this.CONSUME(T.LSquare);
        const items: ast.Expr[] = [];
        this.MANY_SEP({ SEP: T.Comma, DEF: () => items.push(this.SUBRULE4(this.expression)) });
        return { kind: "list", items, span: this.from(start, this.span(this.CONSUME(T.RSquare))) };
      },
    },
    { ALT: (): ast.Expr => ({ kind: "boolean", value: true, span: this.span(this.CONSUME(T.True)) }) },
    { ALT: (): ast.Expr => ({ kind: "boolean", value: false, span: this.span(this.CONSUME(T.False)) }) },
    { ALT: (): ast.Expr => ({ kind: "name", text: "None", span: this.span(this.CONSUME(T.None)) }) },
    {
      ALT: (): ast.Expr => {
        const t = this.CONSUME(T.Infinite);
        return { kind: "number", text: t.image, isFloat: true, span: this.span(t) };
      },
    },
    { ALT: (): ast.Expr => this.SUBRULE(this.scan) },
    { ALT: (): ast.Expr => this.SUBRULE(this.record) },
    {
      ALT: (): ast.Expr => {
        const t = this.CONSUME(T.BlockTree);
        return this.ACTION(() => {
          const block = this.host.block(t as BlockToken);
          return { kind: "blockExpr", block, span: block.span };
        });
      },
    },
    { ALT: (): ast.Expr => this.SUBRULE(this.iterate) },
    { ALT: (): ast.Expr => this.SUBRULE(this.lambda) },
  ];
  readonly #items: IOrAlt<ast.SubscriptItem>[] = [
    { ALT: (): ast.SubscriptItem => ({ kind: "ellipsis", span: this.span(this.CONSUME(T.Ellipsis)) }) },
    { ALT: (): ast.SubscriptItem => this.SUBRULE(this.slice, { ARGS: [undefined] }) },
    {
      ALT: (): ast.SubscriptItem => {
        const expr = this.SUBRULE(this.expression);
        const slice = this.OPTION(() => this.SUBRULE2(this.slice, { ARGS: [expr] }));
        return this.ACTION(
          () =>
            slice ??
            (expr.kind === "name" && expr.text === "None"
              ? { kind: "newAxis", span: expr.span }
              : { kind: "index", expr, span: expr.span }),
        );
      },
    },
  ];

  /** `in 0..K` */
  readonly range: Rule<NonNullable<ast.IndexBinder["range"]>> = this.RULE("range", () => {
    this.CONSUME(T.In);
    const from = this.SUBRULE(this.expression);
    this.CONSUME(T.DotDot);
    const to = this.SUBRULE2(this.expression);
    return { from, to };
  });

  readonly binders: Rule<{ indices: ast.IndexBinder[]; end: Span }> = this.RULE("binders", () => {
    const indices: ast.IndexBinder[] = [];
    this.CONSUME(T.Binder);
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const name = this.name(this.CONSUME(T.Name));
        const range = this.OPTION(() => this.SUBRULE(this.range));
        this.ACTION(() => indices.push({ name, range, span: range ? joinSpans(name.span, range.to.span) : name.span }));
      },
    });
    const end = this.span(this.CONSUME(T.RSquare));
    return { indices, end };
  });

  // ---- Expressions ------------------------------------------------------------------------------------------------

  /** A whole expression, with `? :`. */
  readonly expression: Rule<ast.Expr> = this.RULE("expression", () => {
    this.ACTION(() => this.enter(this.LA(1)));
    const parts: Part[] = [];
    let operators = 0;
    this.SUBRULE(this.operand, { ARGS: [undefined, parts] });
    this.MANY(() => {
      const operator = this.OR(this.#operators);
      this.ACTION(() => this.limit(++operators, MAX_OPERATORS, "operators", operator));
      this.SUBRULE2(this.operand, { ARGS: [operator, parts] });
    });
    const condition = this.ACTION(() =>
      parts.length === 1 && parts[0]!.prefixes.length === 0 ? parts[0]!.operand : buildExpression(parts, this.host),
    );
    const result = this.OPTION(() => {
      this.CONSUME(T.Question);
      const then = this.SUBRULE(this.expression);
      this.CONSUME(T.Colon);
      const otherwise = this.SUBRULE3(this.expression);
      return this.ACTION(
        () =>
          ({
            kind: "conditional",
            condition,
            then,
            otherwise,
            span: joinSpans(condition.span, otherwise.span),
          }) as const,
      );
    });
    this.depth--;
    return result ?? condition;
  });

  /** Prefix operators, a primary and what follows it (calls, subscripts, fields, casts). */
  readonly operand: ParserMethod<[IToken | undefined, Part[]], void> = this.RULE(
    "operand",
    (operator: IToken | undefined, parts: Part[]) => {
      const prefixes: IToken[] = [];
      this.MANY(() => {
        const t = this.CONSUME(T.Prefix);
        this.ACTION(() => {
          this.limit(prefixes.length + 1, MAX_NESTING, "prefix operators", t);
          prefixes.push(t);
        });
      });
      let value = this.SUBRULE(this.primary);
      let links = 0;
      this.MANY2(() => {
        this.ACTION(() => this.limit(++links, MAX_LINKS, "calls, subscripts and fields after one value", this.LA(1)));
        const left = value;
        value = this.OR([
          {
            ALT: (): ast.Expr => {
              const { args, end } = this.SUBRULE(this.args);
              return this.ACTION(() => ({ kind: "call", callee: left, args, span: joinSpans(left.span, end) }));
            },
          },
          {
            ALT: (): ast.Expr => {
              const items: ast.SubscriptItem[] = [];
              this.CONSUME(T.Subscript);
              this.MANY_SEP({ SEP: T.Comma, DEF: () => items.push(this.SUBRULE(this.subscriptItem)) });
              const end = this.span(this.CONSUME(T.RSquare));
              return this.ACTION(() => ({ kind: "subscript", value: left, items, span: joinSpans(left.span, end) }));
            },
          },
          {
            ALT: (): ast.Expr => {
              this.CONSUME(T.Dot);
              const field = this.name(this.CONSUME(T.Name));
              return this.ACTION(() => ({ kind: "field", value: left, field, span: joinSpans(left.span, field.span) }));
            },
          },
          {
            ALT: (): ast.Expr => {
              this.CONSUME(T.As);
              const dtype = this.name(this.CONSUME2(T.Name));
              return this.ACTION(() => ({ kind: "cast", value: left, dtype, span: joinSpans(left.span, dtype.span) }));
            },
          },
        ]);
      });
      this.ACTION(() => parts.push({ operator, prefixes, operand: value }));
    },
  );

  readonly args: Rule<{ args: ast.Argument[]; end: Span }> = this.RULE("args", () => {
    const args: ast.Argument[] = [];
    this.CONSUME(T.Call);
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => {
        this.ACTION(() => this.counted(args.length + 1, "arguments", this.LA(1)));
        const name = this.OPTION(() => {
          const t = this.CONSUME(T.ArgName);
          this.CONSUME(T.Colon);
          return this.name(t);
        });
        const value = this.SUBRULE(this.expression);
        this.ACTION(() => args.push({ name, value, span: name ? joinSpans(name.span, value.span) : value.span }));
      },
    });
    const end = this.span(this.CONSUME(T.RParen));
    return { args, end };
  });

  readonly subscriptItem: Rule<ast.SubscriptItem> = this.RULE("subscriptItem", () => this.OR(this.#items));

  /** From the first `:` on. */
  readonly slice: ParserMethod<[ast.Expr | undefined], ast.SubscriptItem> = this.RULE(
    "slice",
    (from: ast.Expr | undefined) => {
      const colon = this.CONSUME(T.Colon);
      let end = this.span(colon);
      const to = this.OPTION(() => this.SUBRULE(this.expression));
      const step = this.OPTION2(() => {
        end = this.span(this.CONSUME2(T.Colon));
        return this.OPTION3(() => this.SUBRULE2(this.expression));
      });
      return this.ACTION(() => {
        const start = from?.span ?? this.span(colon);
        const last = step?.span ?? (end.start > colon.startOffset ? end : (to?.span ?? end));
        return { kind: "slice", from, to, step, span: joinSpans(start, last) } as const;
      });
    },
  );

  readonly primary: Rule<ast.Expr> = this.RULE("primary", () => this.OR(this.#primaries));

  readonly scan: Rule<ast.ScanExpr> = this.RULE("scan", () => {
    const scanner = this.name(this.CONSUME(T.Scanner));
    const { indices } = this.SUBRULE(this.binders);
    const body = this.SUBRULE(this.expression);
    return this.ACTION(() => {
      if (indices.length > 1) this.misplaced(`\`${scanner.text}\` runs along one index`, indices[1]!.span);
      return { kind: "scan", scanner, index: indices[0]!, body, span: joinSpans(scanner.span, body.span) } as const;
    });
  });

  readonly record: Rule<ast.RecordExpr> = this.RULE("record", () => {
    const fields: { name: ast.Name; value: ast.Expr }[] = [];
    const start = this.CONSUME(T.RecordOpen);
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const name = this.name(this.CONSUME(T.Name));
        const value = this.OPTION(() => {
          this.CONSUME(T.Colon);
          return this.SUBRULE(this.expression);
        });
        fields.push({ name, value: value ?? { kind: "name", text: name.text, span: name.span } });
      },
    });
    return { kind: "record", fields, span: this.from(start, this.span(this.CONSUME(T.RCurly))) } as const;
  });

  readonly iterate: Rule<ast.IterateExpr> = this.RULE("iterate", () => {
    const start = this.CONSUME(T.Iterate);
    const index = this.OPTION(() => this.name(this.CONSUME(T.IterIndex)));
    const counted = this.OPTION2(() =>
      this.OR([
        {
          ALT: () => {
            const range = this.SUBRULE(this.range);
            this.ACTION(() => {
              if (range.from.kind !== "number" || range.from.text !== "0")
                this.misplaced("an iteration counts from 0", range.from.span);
            });
            return range.to;
          },
        },
        { ALT: () => this.SUBRULE(this.expression) },
      ]),
    );
    const until = this.OPTION3(() => {
      this.CONSUME(T.Until);
      return this.SUBRULE2(this.expression);
    });
    const carries: { name: ast.Name; init: ast.Expr }[] = [];
    this.CONSUME(T.From);
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const init = this.SUBRULE3(this.expression);
        this.CONSUME(T.CarryAs);
        carries.push({ init, name: this.name(this.CONSUME(T.Name)) });
      },
    });
    const before = this.OPTION4(() => {
      this.CONSUME(T.Max);
      return this.SUBRULE4(this.expression);
    });
    const block = this.CONSUME(T.BlockTree);
    const after = this.OPTION5(() => {
      this.CONSUME2(T.Max);
      return this.SUBRULE5(this.expression);
    });
    return this.ACTION(() => {
      const body = this.host.block(block as BlockToken);
      if (before && after) this.misplaced("`max` is given twice", after.span);
      return {
        kind: "iterate",
        index,
        count: counted,
        until,
        carries,
        body,
        max: before ?? after,
        span: this.from(start, after?.span ?? body.span),
      } as const;
    });
  });

  readonly lambda: Rule<ast.LambdaExpr> = this.RULE("lambda", () => {
    const params: ast.Name[] = [];
    const start = this.CONSUME(T.LambdaOpen);
    this.MANY_SEP({ SEP: T.Comma, DEF: () => params.push(this.name(this.CONSUME(T.Name))) });
    this.CONSUME(T.LambdaClose);
    const body = this.SUBRULE(this.expression);
    return this.ACTION(() => ({ kind: "lambda", params, body, span: this.from(start, body.span) }) as const);
  });
}
