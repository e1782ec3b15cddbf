/** The TextMate grammar, run by the library that VS Code runs it with. */
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createOnigScanner, createOnigString, loadWASM } from "vscode-oniguruma";
import textmate, { type IGrammar } from "vscode-textmate";
import { textMateGrammar } from "../../editors/vscode/grammar.ts";
import { lex } from "../../grammar/lexer.ts";
import { BUILTINS } from "../../src/elaborate/builtins/index.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const FILE = resolve(ROOT, "editors/vscode/syntaxes/ein.tmLanguage.json");
let grammar: IGrammar;

beforeAll(async () => {
  const wasm = createRequire(import.meta.url).resolve("vscode-oniguruma/release/onig.wasm");
  await loadWASM(readFileSync(wasm).buffer);
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({ createOnigScanner, createOnigString }),
    loadGrammar: async () => textmate.parseRawGrammar(readFileSync(FILE, "utf8"), FILE),
  });
  grammar = (await registry.loadGrammar("source.ein"))!;
});

interface Token {
  readonly text: string;
  readonly start: number;
  /** The innermost scope. */
  readonly scope: string;
  readonly scopes: readonly string[];
}

function tokens(source: string): Token[] {
  const found: Token[] = [];
  let stack = textmate.INITIAL;
  let start = 0;
  for (const line of source.split("\n")) {
    const result = grammar.tokenizeLine(line, stack);
    stack = result.ruleStack;
    for (const t of result.tokens)
      found.push({
        text: line.slice(t.startIndex, t.endIndex),
        start: start + t.startIndex,
        scope: t.scopes[t.scopes.length - 1]!,
        scopes: t.scopes,
      });
    start += line.length + 1;
  }
  return found;
}

/** `word scope` of the tokens that are more than space. */
function shown(source: string): readonly string[] {
  return tokens(source)
    .filter((t) => t.text.trim() !== "" && t.scope !== "source.ein")
    .map((t) => `${t.text.trim()} ${t.scope.replace(/\.ein$/, "")}`);
}

test("the file is what the tables say", () => {
  expect(readFileSync(FILE, "utf8"), "run node editors/vscode/build.ts").toBe(
    `${JSON.stringify(textMateGrammar(), null, 2)}\n`,
  );
});

describe("scopes", () => {
  test("declarations, types, extents", () => {
    expect(shown("export fn f(x: f32[..., 2 * D], k: const int = 1) -> f32 {")).toEqual([
      "export keyword.control",
      "fn storage.type.function",
      "f entity.name.function",
      "x variable.parameter.named",
      ": keyword.operator",
      "f32 support.type.primitive",
      "[ punctuation.section.brackets.begin",
      "... keyword.operator.ellipsis",
      "2 constant.numeric",
      "* keyword.operator",
      "D entity.name.type.extent",
      "] punctuation.section.brackets.end",
      "k variable.parameter.named",
      "const storage.modifier",
      "int support.type.constant",
      "= keyword.operator",
      "1 constant.numeric",
      "-> keyword.operator.arrow",
      "f32 support.type.primitive",
    ]);
  });

  test("calls of builtins and others, reductions, fields, named arguments", () => {
    expect(shown("y[i] = sum[k] mine(exp(x.T), axis: -1)[i] max x.sum")).toContain("sum support.function.reduction");
    const found = shown("y[i] = sum[k] mine(exp(x.T), axis: -1)[i] + x.sum");
    expect(found).toEqual(
      expect.arrayContaining([
        "mine entity.name.function.call",
        "exp support.function.builtin",
        "T variable.other.member",
        "axis variable.parameter.named",
        "sum variable.other.member",
      ]),
    );
  });

  test("imports, comments, strings that end with their line", () => {
    expect(shown('import { a as b } from "std/nn" // why\n/// doc\nlet s = "open\nlet t = 1')).toEqual(
      expect.arrayContaining([
        "import keyword.control.import",
        "as keyword.control.import",
        "from keyword.control.import",
        "std/nn string.quoted.double",
        "// why comment.line.double-slash",
        "/// doc comment.line.documentation",
        "t variable.other",
      ]),
    );
  });
});

test("every builtin is one", () => {
  for (const name of BUILTINS.keys())
    expect(shown(`let q = ${name}(x)`), name).toContain(`${name} support.function.builtin`);
});

test("in the library and the examples, comments, strings, numbers and names are where the lexer sees them", () => {
  const files = globSync(["src/std/*.ein", "examples/*.ein"], { cwd: ROOT });
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) {
    const source = readFileSync(resolve(ROOT, file), "utf8");
    const all = tokens(source);
    const at = new Map(all.flatMap((t) => Array.from(t.text, (_, i) => [t.start + i, t] as const)));
    const lexed = lex(source, file);
    for (const c of lexed.comments)
      expect(at.get(c.start)?.scopes.join(" "), `${file} ${c.text}`).toContain("comment.");
    for (const t of lexed.tokens) {
      const scopes = at.get(t.startOffset)?.scopes.join(" ") ?? "";
      const where = `${file} ${t.startOffset} ${t.image}`;
      expect(scopes, where).not.toContain("comment.");
      if (t.tokenType.name === "Text") expect(scopes, where).toContain("string.");
      else expect(scopes, where).not.toContain("string.");
      if (t.tokenType.name === "Number") expect(scopes, where).toContain("constant.numeric");
      // Some words are keywords at their place only, which the lexer does not know.
      if (t.tokenType.name === "Name" && !/^(?:from|in|until|over|max|fn)$/.test(t.image))
        expect(scopes, where).not.toMatch(/keyword|storage|constant\.numeric/);
      if (["Fn", "Let", "Const"].includes(t.tokenType.name)) expect(scopes, where).toContain("storage.");
    }
  }
});
