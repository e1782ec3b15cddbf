/** The grammar of declarations, types and statements. */
import type { IToken } from "chevrotain";
import type * as ast from "./ast.ts";
import { diagnostic } from "./diagnostic.ts";
import { ExpressionRules } from "./expression-rules.ts";
import type { BlockToken } from "./layout.ts";
import { unescapeString } from "./literals.ts";
import type { Rule } from "./rules-base.ts";
import { joinSpans } from "./span.ts";
import { T } from "./tokens.ts";

const CONST_TYPES: ReadonlySet<string> = new Set(["int", "float", "bool", "string", "ints", "fn"]);

type Name = ast.Name;

/** What may stand left of `=` or `+=` in brackets: an index with or without a range. */
interface TargetItem {
  readonly expr: ast.Expr;
  readonly range: ast.IndexBinder["range"];
}

export class Rules extends ExpressionRules {
  constructor() {
    super();
    this.performSelfAnalysis();
  }

  /** Parses one statement or declaration; undefined if it failed, and then `errors` has an entry. Throws DiagnosticError past a limit. */
  parseUnit<R>(tokens: IToken[], rule: () => R): R | undefined {
    this.input = tokens;
    this.depth = 0;
    const result = rule.call(this);
    return this.errors.length > 0 ? undefined : result;
  }

  // ---- Declarations -----------------------------------------------------------------------------------------------

  readonly importItem: Rule<ast.ImportItem> = this.RULE("importItem", () => {
    const start = this.CONSUME(T.Import);
    this.CONSUME(T.RecordOpen);
    const names: { name: Name; alias: Name | undefined }[] = [];
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => {
        const name = this.name(this.CONSUME(T.Name));
        const alias = this.OPTION(() => {
          this.CONSUME(T.As);
          return this.name(this.CONSUME2(T.Name));
        });
        names.push({ name, alias });
      },
    });
    this.CONSUME(T.RCurly);
    this.CONSUME(T.From);
    const text = this.CONSUME(T.Text);
    const span = this.span(text);
    return {
      kind: "import",
      names,
      from: { text: unescapeString(text.image), span },
      span: this.from(start, span),
    } as const;
  });

  readonly fnItem: Rule<ast.FnItem> = this.RULE("fnItem", () => {
    const attributes: ast.FnItem["attributes"][number][] = [];
    this.MANY(() => {
      const at = this.CONSUME(T.Binary);
      const name = this.name(this.CONSUME(T.Name));
      const call = this.OPTION(() => this.SUBRULE(this.args));
      attributes.push({
        name,
        args: (call?.args ?? []).map((a) => a.value),
        span: this.from(at, call?.end ?? name.span),
      });
    });
    const exported = this.OPTION2(() => this.CONSUME(T.Export));
    const fn = this.CONSUME(T.Fn);
    const name = this.name(this.CONSUME2(T.Name));
    this.CONSUME(T.Call);
    const params: ast.Param[] = [];
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => {
        this.ACTION(() => this.counted(params.length + 1, "parameters", this.LA(1)));
        params.push(this.SUBRULE(this.param));
      },
    });
    this.CONSUME(T.RParen);
    const result = this.OPTION3(() => {
      this.CONSUME(T.Arrow);
      return this.OR([
        { ALT: () => this.SUBRULE(this.tupleType) as ast.ResultType },
        { ALT: () => this.SUBRULE(this.type) },
      ]);
    });
    const block = this.CONSUME(T.BlockTree);
    return this.ACTION(() => {
      const first = attributes[0]?.span ?? this.span(exported ?? fn);
      const body = this.host.block(block as BlockToken);
      return {
        kind: "fn",
        exported: exported !== undefined,
        doc: undefined,
        attributes,
        name,
        params,
        result,
        body,
        span: joinSpans(first, body.span),
      } as const;
    });
  });

  readonly param: Rule<ast.Param> = this.RULE("param", () => {
    const name = this.name(this.CONSUME(T.Name));
    this.CONSUME(T.Colon);
    const isConst = this.OPTION(() => this.CONSUME(T.Const));
    const type = this.OPTION2(() => this.SUBRULE(this.type));
    const value = this.OPTION3(() => {
      this.CONSUME(T.Assign);
      return this.SUBRULE(this.expression);
    });
    return this.ACTION(() => {
      const named: ast.TypeExpr | undefined =
        isConst && type?.kind === "tensorType" && type.dims === undefined && CONST_TYPES.has(type.dtype.text)
          ? { kind: "constType", name: type.dtype, span: type.span }
          : type;
      if (type?.kind === "constType" && !isConst)
        this.host.report(
          diagnostic(
            "EIN1001",
            "a function is a `const` parameter",
            { span: type.span, text: "" },
            {
              fix: { message: "write `const fn`", edits: [{ span: type.span, text: "const fn" }] },
            },
          ),
        );
      if (!type && !(isConst && value)) {
        const span = isConst ? this.span(isConst) : name.span;
        this.host.report(
          diagnostic("EIN1001", `the parameter \`${name.text}\` needs a type`, {
            span,
            text: "such as `f32[N]` or `const int`",
          }),
        );
      }
      const end = value?.span ?? type?.span ?? (isConst ? this.span(isConst) : name.span);
      return { name, isConst: isConst !== undefined, type: named, default: value, span: joinSpans(name.span, end) };
    });
  });

  readonly letItem: Rule<ast.LetItem> = this.RULE("letItem", () => {
    const exported = this.OPTION(() => this.CONSUME(T.Export));
    const word = this.OR([{ ALT: () => this.CONSUME(T.Let) }, { ALT: () => this.CONSUME(T.Const) }]);
    const name = this.name(this.CONSUME(T.Name));
    this.CONSUME(T.Assign);
    const value = this.SUBRULE(this.expression);
    return this.ACTION(() => {
      const span = this.from(exported ?? word, value.span);
      return {
        kind: "letItem",
        exported: exported !== undefined,
        isConst: word.tokenType === T.Const,
        doc: undefined,
        name,
        value,
        span,
      } as const;
    });
  });

  // ---- Types ------------------------------------------------------------------------------------------------------

  readonly type: Rule<ast.TypeExpr> = this.RULE("type", () =>
    this.OR([
      {
        ALT: (): ast.TypeExpr => {
          const name = this.name(this.CONSUME(T.Fn));
          return { kind: "constType", name, span: name.span };
        },
      },
      {
        ALT: (): ast.TypeExpr => {
          const dtype = this.name(this.CONSUME(T.Name));
          let end = dtype.span;
          const dims = this.OPTION(() => {
            const list: ast.Dim[] = [];
            this.CONSUME(T.Subscript);
            this.MANY_SEP({ SEP: T.Comma, DEF: () => list.push(this.SUBRULE(this.dim)) });
            end = this.span(this.CONSUME(T.RSquare));
            return list;
          });
          return { kind: "tensorType", dtype, dims, span: joinSpans(dtype.span, end) };
        },
      },
    ]),
  );

  readonly dim: Rule<ast.Dim> = this.RULE("dim", () =>
    this.OR([
      { ALT: (): ast.Dim => ({ kind: "ellipsis", span: this.span(this.CONSUME(T.Ellipsis)) }) },
      {
        ALT: (): ast.Dim => {
          const expr = this.SUBRULE(this.expression);
          return this.ACTION(() => ({ kind: "extent", expr, span: expr.span }));
        },
      },
    ]),
  );

  readonly tupleType: Rule<ast.TupleType> = this.RULE("tupleType", () => {
    const start = this.CONSUME(T.LParen);
    const fields: { name: Name; type: ast.TypeExpr }[] = [];
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const name = this.name(this.CONSUME(T.Name));
        this.CONSUME(T.Colon);
        fields.push({ name, type: this.SUBRULE(this.type) });
      },
    });
    return { kind: "tupleType", fields, span: this.from(start, this.span(this.CONSUME(T.RParen))) } as const;
  });

  // ---- Statements -------------------------------------------------------------------------------------------------

  readonly letStatement: Rule<ast.LetStatement> = this.RULE("letStatement", () => {
    const word = this.OR([{ ALT: () => this.CONSUME(T.Let) }, { ALT: () => this.CONSUME(T.Const) }]);
    const pattern = this.OR2([
      { ALT: (): ast.LetStatement["pattern"] => ({ kind: "name", name: this.name(this.CONSUME(T.Name)) }) },
      {
        ALT: (): ast.LetStatement["pattern"] => {
          const names: { field: Name; alias: Name | undefined }[] = [];
          this.CONSUME(T.RecordOpen);
          this.AT_LEAST_ONE_SEP({
            SEP: T.Comma,
            DEF: () => {
              const field = this.name(this.CONSUME2(T.Name));
              const alias = this.OPTION(() => {
                this.CONSUME(T.Colon);
                return this.name(this.CONSUME3(T.Name));
              });
              names.push({ field, alias });
            },
          });
          this.CONSUME(T.RCurly);
          return { kind: "record", names };
        },
      },
    ]);
    const type = this.OPTION2(() => {
      this.CONSUME2(T.Colon);
      return this.SUBRULE(this.type);
    });
    this.CONSUME(T.Assign);
    const value = this.SUBRULE(this.expression);
    return this.ACTION(
      () =>
        ({
          kind: "let",
          isConst: word.tokenType === T.Const,
          pattern,
          type,
          value,
          span: this.from(word, value.span),
        }) as const,
    );
  });

  readonly targetStatement: Rule<ast.IndexedDefinition | ast.ScatterStatement> = this.RULE("targetStatement", () => {
    const target = this.name(this.CONSUME(T.Target));
    this.CONSUME(T.Subscript);
    const items: TargetItem[] = [];
    this.MANY_SEP({
      SEP: T.Comma,
      DEF: () => {
        const expr = this.SUBRULE(this.expression);
        const range = this.OPTION(() => this.SUBRULE(this.range));
        items.push({ expr, range });
      },
    });
    this.CONSUME(T.RSquare);
    const type = this.OPTION2(() => {
      this.CONSUME(T.Colon);
      return this.SUBRULE(this.type);
    });
    const op = this.OR([{ ALT: () => this.CONSUME(T.Assign) }, { ALT: () => this.CONSUME(T.ScatterOp) }]);
    const value = this.SUBRULE2(this.expression);
    let end = value?.span;
    const over = this.OPTION3(() => {
      this.CONSUME(T.Over);
      const binders = this.SUBRULE(this.binders);
      end = binders.end;
      return binders.indices;
    });
    return this.ACTION(() => {
      const span = joinSpans(target.span, end);
      if (op.tokenType === T.Assign) {
        if (over) this.misplaced("`over` belongs to a scatter such as `+=`", end);
        return {
          kind: "indexed",
          target,
          indices: items.map((item) => this.#binderOf(item)),
          type,
          value,
          span,
        } as const;
      }
      for (const item of items)
        if (item.range)
          this.misplaced(
            "a scatter's target has no ranges; put them after `over`",
            joinSpans(item.range.from.span, item.range.to.span),
          );
      const known =
        op.image === "*=" || op.image === "/="
          ? "*="
          : op.image === "max=" || op.image === "min=" || op.image === "set="
            ? op.image
            : "+=";
      return {
        kind: "scatter",
        target,
        at: items.map((item) => item.expr),
        type,
        op: known,
        value,
        over,
        span,
      } as const;
    });
  });

  #binderOf(item: TargetItem): ast.IndexBinder {
    const { expr, range } = item;
    const span = range ? joinSpans(expr.span, range.to.span) : expr.span;
    if (expr.kind === "name") return { name: { text: expr.text, span: expr.span }, range, span };
    this.host.report(
      diagnostic(
        "EIN1001",
        "an index on the left of `=` is a new name",
        { span: expr.span, text: "expected a name" },
        {
          notes: ["`y[i, j] = …` names the axes of y; to write to computed places use a scatter, `y[f(i)] += …`"],
        },
      ),
    );
    return { name: { text: "_", span: expr.span }, range, span };
  }
}
