/** From a failure of the parser to a message for people: what was expected there, what stands there, and what may be meant. */
import {
  EOF,
  type IParserErrorMessageProvider,
  type IRecognitionException,
  type IToken,
  type TokenType,
} from "chevrotain";
import { type Diagnostic, type DiagnosticParts, diagnostic } from "./diagnostic.ts";
import type { Span } from "./span.ts";
import type { Unit } from "./statement-ends.ts";
import { suggest } from "./suggest.ts";
import { RESERVED, T, tokenEnd, tokenSpan } from "./tokens.ts";

/** What a rule wants where it cannot go on, if the token's own label does not say it well. */
const EXPECTED: Readonly<Record<string, string>> = {
  "fnItem Name": "a name",
  "fnItem Call": "`(` and the parameters",
  "fnItem BlockTree": "the function's body in braces",
  "fnItem Fn": "`fn`",
  fnItem: "a result type such as `f32[N]`",
  "param Name": "a parameter's name",
  "param Colon": "`:` and the parameter's type",
  "letItem Assign": "`=` and a value",
  "letStatement Assign": "`=` and a value",
  "importItem RecordOpen": '`{` as in `import { a } from "std/nn"`',
  "importItem From": '`from` as in `import { a } from "std/nn"`',
  "importItem Text": 'the module in quotes, as in `from "std/nn"`',
  "range DotDot": "`..` as in `k in 0..K`",
  "iterate From": "`from` as in `iterate 10 from x0 as x { … }`",
  "iterate CarryAs": "`as` and the name of the carried value",
  "iterate BlockTree": "the loop's body in braces",
  "binders RSquare": "`,` or `]` after the name of an index",
  binders: "the name of an index",
  primary: "an expression",
  type: "a type such as `f32[N]`",
  targetStatement: "`=` or a scatter such as `+=`",
  record: "a field's name",
  letStatement: "a name",
  letItem: "`fn`, `let` or `const`",
  tupleType: "a result's name",
};

const what = (rule: string, expected: TokenType | undefined): string =>
  (expected && EXPECTED[`${rule} ${expected.name}`]) ??
  (expected ? (expected.LABEL ?? expected.name) : (EXPECTED[rule] ?? "something else"));

/** Chevrotain asks for messages; these are only the words after "expected". */
export const messages: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, ruleName }) => what(ruleName, expected),
  buildNotAllInputParsedMessage: () => "",
  buildNoViableAltMessage: ({ ruleName }) => what(ruleName, undefined),
  buildEarlyExitMessage: ({ ruleName }) => what(ruleName, undefined),
};

export type UnitKind = "declaration" | "statement";

/** The diagnostic for the one error of a unit that failed. */
export function explainFailure(error: IRecognitionException, unit: Unit, kind: UnitKind, file: string): Diagnostic {
  const last = unit.at(-1)!;
  const found = foundToken(error);
  const span = found ? placeOf(found, file) : { file, start: tokenEnd(last), end: tokenEnd(last) };
  const slip = found ? slipAt(found, unit, kind, span) : undefined;
  if (slip) return slip;
  const wanted =
    error.message !== ""
      ? error.message
      : found && inBrackets(found, unit)
        ? "an operator, `,` or a closing bracket"
        : kind === "declaration"
          ? "an operator or the end of the declaration"
          : "an operator or a new line";
  const foundText = found
    ? describeToken(found)
    : kind === "declaration"
      ? "the end of the declaration"
      : "the end of the statement";
  return diagnostic(
    "EIN1001",
    `expected ${wanted}, found ${foundText}`,
    { span, text: `expected ${wanted}` },
    hint(found, error.message),
  );
}

/** The token that the parser could not go on with; undefined at the end of the unit. */
export function foundToken(error: IRecognitionException): IToken | undefined {
  return error.token.tokenType === EOF ? undefined : error.token;
}

/** A unit of a module that begins like no declaration. */
export function explainNoDeclaration(unit: Unit, file: string): Diagnostic {
  const first = unit[0]!;
  const span = placeOf(first, file);
  const slip = slipAt(first, unit, "declaration", span);
  if (slip) return slip;
  const near =
    first.tokenType === T.Name ? suggest(first.image, ["import", "export", "fn", "let", "const"]) : undefined;
  const parts: DiagnosticParts = near
    ? { fix: { message: `did you mean \`${near}\`?`, edits: [{ span, text: near }] } }
    : { notes: ["a module is made of `import`, `fn`, `let` and `const`, each perhaps after `export`"] };
  return diagnostic(
    "EIN1001",
    `expected a declaration, found ${describeToken(first)}`,
    { span, text: "expected `fn`, `let`, `const` or `import`" },
    parts,
  );
}

function placeOf(t: IToken, file: string): Span {
  const span = tokenSpan(t, file);
  return t.tokenType === T.BlockTree ? { ...span, end: span.start + 1 } : span;
}

export function describeToken(t: IToken): string {
  if (t.tokenType === T.BlockTree) return "`{`";
  if (t.tokenType === T.Text) return "a string";
  return `\`${t.image.length > 30 ? `${t.image.slice(0, 27)}...` : t.image}\``;
}

function inBrackets(t: IToken, unit: Unit): boolean {
  let depth = 0;
  for (const u of unit) {
    if (u === t) break;
    if (u.tokenType === T.RParen || u.tokenType === T.RSquare || u.tokenType === T.RCurly) depth--;
    else if (
      u.tokenType === T.Call ||
      u.tokenType === T.LParen ||
      u.tokenType === T.Subscript ||
      u.tokenType === T.LSquare ||
      u.tokenType === T.Binder ||
      u.tokenType === T.RecordOpen
    )
      depth++;
  }
  return depth > 0;
}

function hint(found: IToken | undefined, wanted: string): DiagnosticParts {
  if (!found) return {};
  if (/name/.test(wanted) && RESERVED.includes(found.image))
    return {
      notes: [`\`${found.image}\` is a word of the language and cannot be a name`],
      ...underscored(found, wanted),
    };
  return {};
}

const underscored = (found: IToken, wanted: string): DiagnosticParts =>
  /^a name$|parameter's name|of an index/.test(wanted)
    ? {
        fix: {
          message: `choose another name, such as \`${found.image}_\``,
          edits: [{ span: tokenSpan(found, ""), text: `${found.image}_` }],
        },
      }
    : {};

/** Errors that have a better explanation than what the parser expected. */
function slipAt(t: IToken, unit: Unit, kind: UnitKind, span: Span): Diagnostic | undefined {
  const first = unit[0]!;
  const index = unit.indexOf(t);
  const before = unit[index - 1];
  const say = (message: string, text: string, parts: DiagnosticParts = {}): Diagnostic =>
    diagnostic("EIN1001", message, { span, text }, parts);
  if (t.tokenType === T.FatArrow)
    return say("`=>` is not used here", "not an operator", {
      notes: ["a function as a value is written `|x| x * 2`; a function's result type comes after `->`"],
    });
  if (t.tokenType === T.ScatterOp && before && !unit.some((u) => u.tokenType === T.Target))
    return say("values do not change", `\`${t.image}\` needs an element on its left`, {
      notes: ["name the new value with `let`; scatters are written `y[i] += x[i]`"],
    });
  if (
    t.tokenType === T.Assign &&
    index > 0 &&
    first.tokenType !== T.Let &&
    first.tokenType !== T.Const &&
    first.tokenType !== T.Export
  )
    return say("this cannot be assigned to", "a definition has a name on its left", {
      notes: ["write `let x = …`, or `y[i, j] = …` to define y by its elements"],
    });
  if (severalNames(index, unit))
    return say("one name has one value", "not a list of names", {
      notes: [
        "the fields of a record are named by `let { a, b } = …`; parts of a tensor one by one, as in `let a = x[0]`",
      ],
    });
  if (t.tokenType === T.Semicolon)
    return say("`;` inside brackets", "not allowed here", {
      notes: ["a `;` or a new line ends a statement; inside brackets things are separated by `,`"],
    });
  if (t.tokenType === T.Fn && kind === "statement")
    return say("a function inside a function", "functions are declared at the top of a module", {
      notes: ["move it out; to pass a function as an argument write `|x| x * 2`"],
    });
  if ((t.tokenType === T.Import || t.tokenType === T.Export) && kind === "statement")
    return say(`\`${t.image}\` inside a function`, "belongs at the top of a module");
  if (unit.some((u) => u.tokenType === T.Name && (u.image === "if" || u.image === "else" || u.image === "elif")))
    return say("there is no `if`", "", {
      notes: ["write `condition ? value : otherwise`, or `where(condition, value, otherwise)`"],
    });
  if (before?.tokenType === T.Name && before.image === "lambda")
    return say("there is no `lambda`", "", { notes: ["a function as a value is written `|x| x * 2`"] });
  if (before?.tokenType === T.Name && (before.image === "while" || before.image === "loop"))
    return say(`there is no \`${before.image}\``, "", {
      notes: ["a loop with a carry is written `iterate 20 from v0 as v { … }`"],
    });
  if (before?.tokenType === T.For && t.tokenType !== T.Binder)
    return say("`for` makes an array and names its indices in brackets", "expected `[`", {
      notes: ["write `for[i in 0..N] …`; a loop with a carry is `iterate N from x0 as x { … }`"],
    });
  if (t.tokenType === T.Prefix && before && (t.image === "!" || t.image === "~")) return undefined;
  const reducer = reducerBefore(index, unit);
  if (reducer)
    return say(`expected the body of \`${reducer}[…]\`, found ${describeToken(t)}`, "expected an expression", {
      notes: [
        `\`${reducer}[i] e\` is a reduction over the index i; a tensor cannot be called \`${reducer}\` and be read by \`${reducer}[…]\``,
      ],
    });
  return undefined;
}

/** `let [a, b] = …`, `let (a, b) = …`, `let a, b = …`, with or without the `let`. */
function severalNames(index: number, unit: Unit): boolean {
  const types = unit.slice(0, 4).map((t) => t.tokenType);
  const declared = types[0] === T.Let || types[0] === T.Const;
  if (declared) types.shift();
  const bracketed = declared && (types[0] === T.LSquare || types[0] === T.LParen);
  if (bracketed) types.shift();
  const wrong = bracketed ? 1 : declared ? 2 : 1;
  const listed = types[0] === T.Name && types[1] === T.Comma;
  return index === wrong && listed && unit.some((t) => t.tokenType === T.Assign);
}

/** The reduction whose index list ends right before the token. */
function reducerBefore(index: number, unit: Unit): string | undefined {
  if (unit[index - 1]?.tokenType !== T.RSquare) return undefined;
  let depth = 0;
  for (let i = index - 1; i > 0; i--) {
    const type = unit[i]!.tokenType;
    if (type === T.RSquare) depth++;
    else if (type === T.Subscript || type === T.LSquare || type === T.Binder) {
      if (--depth > 0) continue;
      const owner = unit[i - 1]!;
      return type === T.Binder && (owner.tokenType === T.Reducer || owner.tokenType === T.Scanner)
        ? owner.image
        : undefined;
    }
  }
  return undefined;
}
