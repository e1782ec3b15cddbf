/** The TextMate grammar, made from the language's own tables so that it knows every keyword and builtin. */
import { KEYWORDS, REDUCERS, SCANNERS } from "../../grammar/tokens.ts";
import { DTYPES } from "../../ir/dtype.ts";
import { BUILTINS } from "../../src/elaborate/builtins/index.ts";
import { DERIVATIVE_NAMES } from "../../src/elaborate/derivatives.ts";

interface Rule {
  readonly name?: string;
  readonly match?: string;
  readonly begin?: string;
  readonly end?: string;
  readonly include?: string;
  readonly captures?: Readonly<Record<string, { readonly name: string }>>;
  readonly beginCaptures?: Readonly<Record<string, { readonly name: string }>>;
  readonly endCaptures?: Readonly<Record<string, { readonly name: string }>>;
  readonly patterns?: readonly Rule[];
}

export interface Grammar {
  readonly name: string;
  readonly scopeName: string;
  readonly fileTypes: readonly string[];
  readonly patterns: readonly Rule[];
  readonly repository: Readonly<Record<string, { readonly patterns: readonly Rule[] }>>;
}

const words = (list: Iterable<string>): string => `\\b(?:${[...list].sort().join("|")})\\b`;
/** Words are no keywords where they name a field or an argument. */
const NOT_FIELD = "(?<!\\.)";

const DECLARING = ["fn", "let", "const"];
const CONSTANTS = ["true", "false", "None", "inf", "nan"];
const OPERATORS = ["as", "div"];
/** Words with a meaning at their place only. */
const CONTEXTUAL = ["from", "in", "until", "over", "max"];

/** The grammar as VS Code and other users of TextMate grammars read it. */
export function textMateGrammar(): Grammar {
  const others = [...KEYWORDS.keys()].filter(
    (k) => !DECLARING.includes(k) && !CONSTANTS.includes(k) && !OPERATORS.includes(k),
  );
  const functions = [...BUILTINS.keys(), ...DERIVATIVE_NAMES];
  const include = (...names: readonly string[]): readonly Rule[] => names.map((n) => ({ include: `#${n}` }));
  return {
    name: "Ein",
    scopeName: "source.ein",
    fileTypes: ["ein"],
    patterns: include("comments", "strings", "attributes", "imports", "functions", "types", "expressions"),
    repository: {
      comments: {
        patterns: [
          { name: "comment.line.documentation.ein", match: "///(?!/).*$" },
          { name: "comment.line.double-slash.ein", match: "//.*$" },
          { name: "comment.block.ein", begin: "/\\*", end: "\\*/" },
        ],
      },
      strings: {
        patterns: ['"', "'"].map((quote) => ({
          name: `string.quoted.${quote === '"' ? "double" : "single"}.ein`,
          begin: quote,
          // Strings end with their line.
          end: `${quote}|$`,
          patterns: [
            { name: "constant.character.escape.ein", match: "\\\\(?:[ntr0\\\\\"']|u\\{[0-9A-Fa-f]+\\})" },
            { name: "keyword.operator.arrow.ein", match: "->" },
          ],
        })),
      },
      attributes: { patterns: [{ name: "entity.name.function.decorator.ein", match: "^\\s*@[A-Za-z_]\\w*" }] },
      imports: {
        patterns: [
          {
            begin: "\\b(import)\\b",
            beginCaptures: { "1": { name: "keyword.control.import.ein" } },
            end: "(?=[\"'])|$",
            patterns: [
              { include: "#comments" },
              { name: "keyword.control.import.ein", match: "\\b(?:from|as)\\b" },
              { name: "variable.other.readwrite.alias.ein", match: "[A-Za-z_]\\w*" },
            ],
          },
        ],
      },
      functions: {
        patterns: [
          {
            match: "\\b(fn)\\s+([A-Za-z_]\\w*)",
            captures: { "1": { name: "storage.type.function.ein" }, "2": { name: "entity.name.function.ein" } },
          },
          { name: "keyword.operator.arrow.ein", match: "->" },
        ],
      },
      types: {
        patterns: [
          {
            // Extents in the brackets of an element type.
            begin: `${NOT_FIELD}\\b(${DTYPES.join("|")})(\\[)`,
            beginCaptures: {
              "1": { name: "support.type.primitive.ein" },
              "2": { name: "punctuation.section.brackets.begin.ein" },
            },
            end: "\\]",
            endCaptures: { "0": { name: "punctuation.section.brackets.end.ein" } },
            patterns: [
              { include: "#comments" },
              { name: "keyword.operator.ellipsis.ein", match: "\\.\\.\\." },
              { include: "#numbers" },
              { name: "keyword.operator.word.ein", match: words(OPERATORS) },
              { name: "entity.name.type.extent.ein", match: "[A-Za-z_]\\w*" },
              { include: "#operators" },
            ],
          },
          { name: "support.type.primitive.ein", match: NOT_FIELD + words(DTYPES) },
          {
            match: ":\\s*(?:(const)\\s+)?(int|float|string|ints|fn)\\b",
            captures: { "1": { name: "storage.modifier.ein" }, "2": { name: "support.type.constant.ein" } },
          },
        ],
      },
      expressions: {
        patterns: [
          ...include("numbers", "words", "calls", "operators"),
          { name: "variable.other.ein", match: "[A-Za-z_]\\w*" },
        ],
      },
      words: {
        patterns: [
          { name: "storage.type.ein", match: NOT_FIELD + words(DECLARING) },
          { name: "constant.language.ein", match: NOT_FIELD + words(CONSTANTS) },
          { name: "keyword.operator.word.ein", match: NOT_FIELD + words(OPERATORS) },
          { name: "keyword.control.ein", match: NOT_FIELD + words(others) },
          {
            // `name:` of an argument or a field.
            match: "(?<=[(,{]\\s*)([A-Za-z_]\\w*)\\s*(?=:)",
            captures: { "1": { name: "variable.parameter.named.ein" } },
          },
          { name: "keyword.control.ein", match: `${NOT_FIELD}${words(CONTEXTUAL)}(?=\\s+[\\w.(])` },
        ],
      },
      calls: {
        patterns: [
          { name: "support.function.reduction.ein", match: `${NOT_FIELD}${words([...REDUCERS, ...SCANNERS])}(?=\\[)` },
          { name: "support.function.builtin.ein", match: `${NOT_FIELD}${words(functions)}(?=\\s*\\()` },
          { name: "entity.name.function.call.ein", match: `${NOT_FIELD}\\b[A-Za-z_]\\w*(?=\\()` },
          { match: "\\.([A-Za-z_]\\w*)", captures: { "1": { name: "variable.other.member.ein" } } },
        ],
      },
      numbers: {
        patterns: [
          { name: "constant.numeric.hex.ein", match: "\\b0[xX][0-9A-Fa-f_]+\\b" },
          {
            name: "constant.numeric.ein",
            match: "(?<!\\w)(?:\\d[\\d_]*(?:\\.(?![.A-Za-z_])[\\d_]*)?|\\.\\d[\\d_]*)(?:[eE][-+]?\\d[\\d_]*)?",
          },
        ],
      },
      operators: {
        patterns: [
          { name: "keyword.operator.scatter.ein", match: "(?:\\+|\\*|max|min|set)=(?!=)" },
          {
            name: "keyword.operator.ein",
            match: "\\?\\?|\\*\\*|&&|\\|\\||<<|>>|[=!<>]=|\\.\\.\\.?|[-+*/%@<>=!~&|^?:]",
          },
        ],
      },
    },
  };
}
