/** Random modules as text: every construct, with comments and line breaks wherever they may stand. */
import fc from "fast-check";

/** `GAP` may become white space or a comment without a new line, `BREAK` anything; `NEED` is a gap that is not empty. */
const GAP = "\ue001";
const BREAK = "\ue002";
const NEED = "\ue003";

const NAMES = [
  "x",
  "y",
  "w1",
  "B",
  "mu",
  "max",
  "sum",
  "var",
  "over",
  "from",
  "in",
  "until",
  "__proto__",
  "constructor",
  "set",
];
const name = fc.constantFrom(...NAMES);
/** Not one of the reductions, which are read otherwise before `[`. */
const plainName = fc.constantFrom("x", "y", "w1", "B", "mu", "__proto__", "over", "from");
const number = fc.constantFrom("0", "1", "2.5", "1e-5", "0xff", "1_000", ".5", "3.", "inf", "nan", "0b101");
const text = fc.constantFrom(
  '"ij,jk->ik"',
  '"b (h d) t -> b h t d"',
  '"\\n\\"\\u{1F600}"',
  '""',
  '"// no comment"',
  '"/*"',
);
const reducer = fc.constantFrom("sum", "prod", "max", "argmin", "logsumexp", "var", "norm");
const binary = fc.constantFrom("+", "-", "*", "/", "%", "**", "@", "&&", "||", "&", "|", "^", "<<", ">>", "??");
const comparison = fc.constantFrom("==", "!=", "<", "<=", ">", ">=");

interface Texts {
  expr: string;
  inner: string;
  block: string;
  statement: string;
}

const join = (items: readonly string[], separator: string): string => items.join(separator);

const depth = fc.createDepthIdentifier();

const { expr, inner, block, statement } = fc.letrec<Texts>((tie) => {
  const innerExpr = tie("inner") as fc.Arbitrary<string>;
  const blockText = tie("block") as fc.Arbitrary<string>;
  /** A list in brackets, with a comma after the last now and then. */
  const list = (item: fc.Arbitrary<string>, min: number, max: number): fc.Arbitrary<string> =>
    fc
      .tuple(fc.array(item, { minLength: min, maxLength: max }), fc.boolean())
      .map(
        ([items, trailing]) => `${join(items, `${BREAK},${BREAK}`)}${trailing && items.length > 0 ? `${BREAK},` : ""}`,
      );
  const index = fc.oneof(
    { weight: 3, arbitrary: name },
    {
      weight: 1,
      arbitrary: fc.tuple(name, innerExpr, innerExpr).map(([n, a, b]) => `${n}${NEED}in${NEED}${a} ..${GAP} ${b}`),
    },
  );
  const argument = fc.oneof(
    { weight: 3, arbitrary: innerExpr },
    { weight: 1, arbitrary: fc.tuple(name, innerExpr).map(([n, e]) => `${n}${BREAK}:${BREAK}${e}`) },
  );
  const optional = fc.option(innerExpr, { nil: "" });
  const item = fc.oneof(
    innerExpr,
    fc.tuple(optional, optional).map(([a, b]) => `${a}${BREAK}:${BREAK}${b}`),
    fc.tuple(optional, optional, optional).map(([a, b, c]) => `${a}:${BREAK}${b}${BREAK}:${c}`),
    fc.constantFrom("...", "None", ":", "::"),
  );
  /** Forms that stand for an operand. `g` is what may separate tokens outside their brackets. */
  const operand = (e: fc.Arbitrary<string>, g: string): fc.Arbitrary<string> =>
    fc.oneof(
      { maxDepth: 3, depthIdentifier: depth, withCrossShrink: true },
      fc.oneof(name, number, text, fc.constantFrom("true", "false", "None")),
      innerExpr.map((x) => `(${BREAK}${x}${BREAK})`),
      list(innerExpr, 0, 4).map((x) => `[${BREAK}${x}${BREAK}]`),
      fc.tuple(name, list(argument, 0, 4)).map(([n, args]) => `${n}${GAP}(${BREAK}${args}${BREAK})`),
      fc.tuple(plainName, list(item, 1, 3)).map(([n, items]) => `${n}${GAP}[${BREAK}${items}${BREAK}]`),
      fc.tuple(plainName, name).map(([n, f]) => `${n}.${f === "sum" || f === "max" || f === "var" ? "T" : f}`),
      fc.tuple(fc.constantFrom("-", "!", "~", "+"), plainName).map(([op, n]) => `${op}${g}${n}`),
      fc.tuple(plainName, fc.constantFrom("f32", "f16", "i32")).map(([n, d]) => `(${n}${NEED}as${NEED}${d})`),
      list(
        fc.oneof(
          name,
          fc.tuple(name, innerExpr).map(([n, x]) => `${n}${BREAK}:${BREAK}${x}`),
        ),
        1,
        3,
      ).map((x) => `{${BREAK}${x}${BREAK}}`),
      fc.tuple(reducer, list(index, 1, 3), e).map(([r, i, b]) => `(${r}${GAP}[${BREAK}${i}${BREAK}]${BREAK}${b})`),
      fc.tuple(list(index, 1, 3), e).map(([i, b]) => `(for${GAP}[${BREAK}${i}${BREAK}]${BREAK}${b})`),
      fc.tuple(name, e).map(([i, b]) => `(cumsum[${i}]${BREAK}${b})`),
      fc
        .tuple(fc.array(name, { minLength: 1, maxLength: 3 }), e)
        .map(([p, b]) => `(|${GAP}${join(p, `${GAP},${GAP}`)}${GAP}|${BREAK}${b})`),
      blockText,
      fc
        .tuple(
          fc.option(number, { nil: "" }),
          fc.array(fc.tuple(plainName, name), { minLength: 1, maxLength: 2 }),
          blockText,
          fc.boolean(),
        )
        .map(
          ([n, carries, body, max]) =>
            `(iterate${NEED}${n === "" ? `until${NEED}x` : n}${NEED}from${NEED}${join(
              carries.map(([a, b]) => `${a}${NEED}as${NEED}${b}`),
              `${GAP},${BREAK}`,
            )}${NEED}${body}${max ? `${NEED}max${NEED}10` : ""})`,
        ),
    );
  const expression = (e: fc.Arbitrary<string>, g: string): fc.Arbitrary<string> => {
    const o = operand(e, g);
    return fc.oneof(
      { maxDepth: 3, depthIdentifier: depth, withCrossShrink: true },
      o,
      fc.tuple(o, binary, o).map(([a, op, b]) => `${a} ${op} ${BREAK} ${b}`),
      fc.tuple(o, binary, o, binary, o).map(([a, op, b, op2, c]) => `${a} ${op} ${BREAK} ${b} ${op2} ${BREAK} ${c}`),
      fc.tuple(o, comparison, o).map(([a, op, b]) => `${a}${g} ${op} ${BREAK}${b}`),
      fc.tuple(o, fc.constant("div"), o).map(([a, op, b]) => `${a} ${op} ${b}`),
      fc.tuple(o, o, o).map(([a, b, c]) => `${a} ?${BREAK}${b} :${BREAK} ${c}`),
      fc
        .tuple(o, o, o, o, o)
        .map(([a, b, c, d, x]) => `${a} ?${BREAK}${b} :${BREAK} ${c} ?${BREAK} ${d} ?${BREAK} ${x} : y :${BREAK} ${b}`),
      fc.tuple(reducer, list(index, 1, 2), e).map(([r, i, b]) => `${r}[${i}]${BREAK}${b}`),
      fc.tuple(o, binary, list(index, 1, 2), e).map(([a, op, i, b]) => `${a} ${op} for[${i}]${BREAK}${b}`),
    );
  };
  const type = fc.oneof(
    fc.constantFrom("f32", "i32"),
    list(fc.oneof(name, innerExpr, fc.constant("...")), 0, 3).map((d) => `f32[${BREAK}${d}${BREAK}]`),
  );
  const e = tie("expr") as fc.Arbitrary<string>;
  return {
    expr: expression(tie("expr") as fc.Arbitrary<string>, GAP),
    inner: expression(innerExpr, BREAK),
    statement: fc.oneof(
      fc
        .tuple(fc.constantFrom("let", "const"), name, fc.option(type, { nil: undefined }), e)
        .map(([w, n, t, v]) => `${w}${NEED}${n}${t ? `${GAP}:${BREAK}${t}` : ""}${GAP}=${BREAK} ${v}`),
      fc
        .tuple(
          list(
            fc.oneof(
              name,
              fc.tuple(name, name).map(([a, b]) => `${a}:${GAP}${b}`),
            ),
            1,
            3,
          ),
          e,
        )
        .map(([n, v]) => `let${NEED}{${BREAK}${n}${BREAK}}${GAP}=${BREAK} ${v}`),
      fc.tuple(plainName, list(index, 1, 3), e).map(([n, i, v]) => `${n}[${BREAK}${i}${BREAK}]${GAP}=${BREAK} ${v}`),
      fc
        .tuple(
          plainName,
          list(innerExpr, 1, 2),
          type,
          fc.constantFrom("+=", "*=", "max=", "min=", "set="),
          e,
          fc.option(list(index, 1, 2), { nil: undefined }),
        )
        .map(
          ([n, at, t, op, v, over]) =>
            `${n}[${BREAK}${at}${BREAK}]${GAP}:${BREAK}${t} ${op} ${BREAK} ${over ? `(${v})${NEED}over${GAP}[${over}]` : v}`,
        ),
    ),
    block: fc
      .tuple(
        fc.array(tie("statement") as fc.Arbitrary<string>, { maxLength: 2 }),
        e,
        fc.constantFrom("\n", ";", "\n\n\n"),
        fc.boolean(),
      )
      .map(
        ([list, result, separator, parenthesised]) =>
          `{${BREAK}${join([...list, parenthesised ? `(${result})` : `\ue004${result}`], `${GAP}${separator}${BREAK}`)}${BREAK}}`,
      ),
  };
});

const param = fc.oneof(
  fc.tuple(name, inner).map(([n, e]) => `${n}${BREAK}:${BREAK}f32[${e}]`),
  fc.tuple(name, inner).map(([n, e]) => `${n}:${GAP}const${NEED}int${BREAK}=${BREAK}${e}`),
  name.map((n) => `${n}: const fn`),
);
const item = fc.oneof(
  fc
    .tuple(fc.constantFrom("", "export "), fc.constantFrom("let", "const"), name, expr)
    .map(([e, w, n, v]) => `${e}${w}${NEED}${n} =${BREAK} ${v}`),
  fc
    .tuple(
      fc.constantFrom("", "export ", "@vjp(g)\n", "@checkpoint export "),
      name,
      fc.array(param, { maxLength: 4 }),
      fc.constantFrom("", "-> f32", "-> f32[N, 2 * D]", "-> (a: f32, b: i32[B])"),
      block,
    )
    .map(
      ([e, n, p, r, b]) => `${e}fn${NEED}${n}(${BREAK}${join(p, `${BREAK},${BREAK}`)}${BREAK})${BREAK}${r}${BREAK}${b}`,
    ),
  fc.array(fc.tuple(name, fc.option(name, { nil: undefined })), { minLength: 1, maxLength: 3 }).map(
    (n) =>
      `import {${BREAK}${join(
        n.map(([a, b]) => (b ? `${a} as ${b}` : a)),
        `,${BREAK}`,
      )}${BREAK}} from "std/nn"`,
  ),
);

const GAPS = ["", "", "", " ", "  ", " /* c */ ", "/**/"];
const BREAKS = [
  "",
  "",
  "",
  " ",
  " ",
  "\n",
  "\n    ",
  " // c\n",
  "\n// own\n\n\n  ",
  " /* c */ ",
  "\n/* two\n lines */\n",
  "\r\n",
  "/* a */ /* b */ // c\n",
];

/** The marked text with its gaps filled in by the numbers, over and over. */
function fill(marked: string, choices: readonly number[]): string {
  let k = 0;
  const choose = (list: readonly string[]): string => list[choices[k++ % choices.length]! % list.length]!;
  // The result of a block must not look like a record or a definition: it begins with a sign that means nothing.
  return marked.replace(/[\ue001-\ue004]/g, (mark) =>
    mark === GAP ? choose(GAPS) : mark === BREAK ? choose(BREAKS) : mark === NEED ? choose(GAPS) || " " : "0 + ",
  );
}

const choices = fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 60 });

export const moduleText: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(item, { minLength: 0, maxLength: 3 }),
    choices,
    fc.constantFrom("\n", "\n\n\n", " ;", "\n// between\n", "\n  \n/// doc\n"),
  )
  .map(([items, numbers, separator]) => fill(`${BREAK}${join(items, `${GAP}${separator}${BREAK}`)}${BREAK}`, numbers));

/** Texts that are hardly ever modules: pieces of the language and noise. */
export const brokenText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ..."(){}[]|,;:?=@.!~<>&^+-*/%\"'\\\n\r\t \u0000\ud800",
        "fn ",
        "let ",
        "for[",
        "iterate ",
        " as ",
        "..",
        "...",
        "->",
        "=>",
        "import {",
        "export ",
        "max=",
        "over [",
        "sum[k]",
        "//",
        "/*",
        "*/",
        "return ",
        "not ",
        "x",
        "y[i]",
        "1.5e",
        "0x",
        "\u{1F600}",
      ),
      statement.map((s) => fill(s, [1])),
      fc.string({ unit: "binary", maxLength: 5 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));
