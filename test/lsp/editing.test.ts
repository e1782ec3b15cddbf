/** The language server over its protocol: what helps to write and change a file. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  DocumentSymbol,
  InlayHint,
  SemanticTokens,
  SignatureHelp,
  TextEdit,
  WorkspaceEdit,
} from "vscode-languageserver-protocol";
import { applied } from "./client.ts";
import { at, labels, type Session, startSession, WHOLE } from "./session.ts";

let session: Session;

beforeAll(async () => {
  session = await startSession();
});
afterAll(() => session.stop());

describe("rename", () => {
  test("a local, an extent, an index, a parameter with its named arguments", async () => {
    const source =
      "fn f(x¦: f32[N¦]) -> f32[N] {\n  let t¦ = x * 2\n  y[i¦] = t[i]\n  y\n}\nfn g(v: f32[M]) -> f32[M] { f(x: v) }\n";
    const o = session.open(source);
    expect(await session.renamed(o, "input", 0)).toBe(o.text.replaceAll(/\bx\b/g, "input"));
    expect(await session.renamed(o, "Size", 1)).toBe(o.text.replaceAll(/\bN\b/g, "Size"));
    expect(await session.renamed(o, "twice", 2)).toBe(o.text.replaceAll(/\bt\b/g, "twice"));
    expect(await session.renamed(o, "j", 3)).toBe(o.text.replaceAll(/\bi\b/g, "j"));
  });

  test("shorthands keep the field's name", async () => {
    const o = session.open(
      "fn f(x: f32[N]) {\n  let value¦ = x\n  { value }\n}\nfn g(x: f32[N]) {\n  let { value¦ } = f(x)\n  value\n}\n",
    );
    expect(await session.renamed(o, "v", 0)).toBe(
      o.text.replace("let value = x\n  { value }", "let v = x\n  { value: v }"),
    );
    expect(await session.renamed(o, "v", 1)).toBe(
      o.text.replace("let { value } = f(x)\n  value", "let { value: v } = f(x)\n  v"),
    );
  });

  test("an exported function, in the files that import it; an alias stays", async () => {
    const b = session.open("export fn ren¦ame_me(x: f32[N]) { x }\n", "lib/decl.ein");
    const a = session.open('import { rename_me as r } from "./lib/decl"\nfn f(x: f32[N]) { r(x) }\n');
    const edit = await session.client.request<WorkspaceEdit>("textDocument/rename", { ...at(b), newName: "better" });
    expect(applied(a.text, edit.changes?.[a.uri] ?? [])).toBe(a.text.replace("rename_me", "better"));
    expect(applied(b.text, edit.changes?.[b.uri] ?? [])).toBe(b.text.replace("rename_me", "better"));
  });

  test("a name of the library gets an alias", async () => {
    const o = session.open('import { softmax } from "std/nn"\nfn f(x: f32[N]) { soft¦max(x, axis: 0) }\n');
    expect(await session.renamed(o, "sm")).toBe(
      o.text.replace("softmax }", "softmax as sm }").replace("softmax(", "sm("),
    );
  });

  test.each([
    ["another local", "fn f(x: f32[N]) {\n  let a¦ = x\n  let b = x\n  a + b\n}\n", "b"],
    ["a parameter that a use would find instead", "fn f(x: f32[N], y: f32[N]) {\n  let a¦ = y\n  a + x\n}\n", "x"],
    [
      "a function that is called where the new name hides it",
      "fn h(x: f32[N]) { x }\nfn f(x: f32[N]) {\n  let a¦ = x\n  h(a)\n}\n",
      "h",
    ],
    ["a builtin that is called where the new name hides it", "fn f(x: f32[N]) {\n  let a¦ = x\n  exp(a)\n}\n", "exp"],
    ["a word of the language", "fn f(x¦: f32[N]) { x }\n", "for"],
    ["no name", "fn f(x¦: f32[N]) { x }\n", "a b"],
    ["another function", "fn f¦(x: f32[N]) { x }\nfn g(x: f32[N]) { f(x) }\n", "g"],
    ["text that cannot be read", "fn f¦(x: f32[N]) { x }\nfn g(x: f32[N]) { f(x) + }\n", "h"],
  ])("is refused: %s", async (_what, source, to) => {
    await expect(session.renamed(session.open(source), to)).rejects.toThrow();
  });

  test("builtins cannot be renamed", async () => {
    const o = session.open("fn f(x: f32[N]) { e¦xp(x) }\n");
    await expect(session.client.request("textDocument/prepareRename", at(o))).rejects.toThrow("built in");
  });
});

describe("completion", () => {
  test("names in scope with their types, builtins with their documentation, extents, keywords", async () => {
    const o = session.open(
      "fn helper(x: f32[N]) { x }\nfn f(input: f32[N], n: const int = 2) {\n  let twice = input * 2\n  sum[k in 0..N] tw¦ice[k]\n}\n",
    );
    const list = await session.complete(o);
    expect(labels(list)).toEqual(
      expect.arrayContaining(["twice", "input", "n", "k", "N", "helper", "exp", "grad", "for"]),
    );
    expect(list.find((c) => c.label === "twice")?.detail).toBe("f32[N]");
    expect(list.find((c) => c.label === "exp")).toMatchObject({ detail: "exp(x)", documentation: "e to the x" });
    expect(labels(list)).not.toContain("x");
  });

  test("in a line that does not parse yet", async () => {
    const o = session.open("fn f(input: f32[N]) {\n  let twice = input * 2\n  let r = twice + ¦\n}\n");
    expect(labels(await session.complete(o))).toEqual(expect.arrayContaining(["twice", "input", "N"]));
  });

  test("a library name brings its import", async () => {
    const o = session.open('import { relu6 } from "std/nn"\n\nfn f(x: f32[N]) { softm¦ }\n');
    const found = (await session.complete(o)).find((c) => c.label === "softmax");
    expect(applied(o.text, (found?.additionalTextEdits ?? []) as TextEdit[])).toContain("{ relu6, softmax }");
  });

  test("imports: modules, and what they export", async () => {
    session.open("export fn visible(x: f32[N]) { x }\nfn hidden(x: f32[N]) { x }\n", "lib/exports.ein");
    const o = session.open(
      'import { ¦ } from "./lib/exports"\nimport { soft¦ } from "std/nn"\nimport { x } from "std/¦"\n',
    );
    expect(labels(await session.complete(o, 0))).toEqual(["visible"]);
    expect(labels(await session.complete(o, 1))).toEqual(expect.arrayContaining(["softmax", "layer_norm"]));
    expect(labels(await session.complete(o, 2))).toEqual(expect.arrayContaining(["std/nn", "std/signal"]));
  });

  test("named arguments, fields of tensors and records, types, extents of a type", async () => {
    const o = session.open(
      "fn f(x: f32[N], k: ¦) {\n  let r = { value: x, other: 1.0 }\n  let s = r.¦\n  let t = x.¦\n  let u: f32[¦\n  softplus(x, ¦)\n}\n",
    );
    expect(labels(await session.complete(o, 0))).toEqual(expect.arrayContaining(["f32", "const", "ints"]));
    expect(labels(await session.complete(o, 2))).toEqual(expect.arrayContaining(["T", "shape"]));
    const clean = session.open(
      "fn f(x: f32[N]) {\n  let r = { value: x, other: 1.0 }\n  let s = r.¦\n  x\n}\nfn g(x: f32[N]) {\n  softplus(x, ¦)\n}\nfn h(x: f32[N]) {\n  let u: f32[¦] = x\n  u\n}\n",
    );
    expect(labels(await session.complete(clean, 0))).toEqual(["value", "other"]);
    expect(labels(await session.complete(clean, 1))).toEqual(expect.arrayContaining(["beta:"]));
    expect(labels(await session.complete(clean, 2))).toEqual(["N"]);
  });

  test("nothing in comments and strings", async () => {
    const o = session.open('// a com¦ment\nfn f(x: f32[N, M]) { einsum("ij¦->i", x) }\n');
    expect(await session.complete(o, 0)).toEqual([]);
    expect(await session.complete(o, 1)).toEqual([]);
  });
});

describe("signature help", () => {
  test("which parameter of which call", async () => {
    const o = session.open(
      "fn two(a: f32[N], b: f32[N], c: const int = 1) { a + b }\nfn f(x: f32[N]) { two(exp(x), ¦x, c¦: 2) }\n",
    );
    const help = await session.client.request<SignatureHelp>("textDocument/signatureHelp", at(o, 0));
    expect(help.signatures[0]?.label).toBe("fn two(a: f32[N], b: f32[N], c: const int = 1) -> f32[N]");
    const shown = help.signatures[0]?.parameters?.map((p) =>
      help.signatures[0]!.label.slice(...(p.label as [number, number])),
    );
    expect(shown).toEqual(["a: f32[N]", "b: f32[N]", "c: const int = 1"]);
    expect(help.activeParameter).toBe(1);
    expect((await session.client.request<SignatureHelp>("textDocument/signatureHelp", at(o, 1))).activeParameter).toBe(
      2,
    );
  });
});

describe("the rest of a file", () => {
  test("symbols", async () => {
    const o = session.open("const N0 = 4\nfn f(x: f32[N]) {\n  let a = x\n  b[i] = a[i]\n  b\n}\nexport let g = f\n");
    const symbols = await session.client.request<DocumentSymbol[]>("textDocument/documentSymbol", {
      textDocument: { uri: o.uri },
    });
    expect(symbols.map((s) => [s.name, s.children?.map((c) => c.name) ?? []])).toEqual([
      ["N0", []],
      ["f", ["a", "b"]],
      ["g", []],
    ]);
  });

  test("formatting, and no formatting of what does not parse", async () => {
    const o = session.open("fn f( x:f32[N] ){x*  2}\n");
    const format = { textDocument: { uri: o.uri }, options: { tabSize: 2, insertSpaces: true } };
    const edits = await session.client.request<TextEdit[]>("textDocument/formatting", format);
    expect(applied(o.text, edits)).toBe("fn f(x: f32[N]) { x * 2 }\n");
    session.client.set(o.uri, "fn f( x:f32[N] ){x*  }\n");
    expect(await session.client.request("textDocument/formatting", format)).toEqual([]);
  });

  test("hints for what is not stated, none for what is", async () => {
    const o = session.open(
      "fn f(x: f32[N]) {\n  let a = cat([x, x], axis: 0)\n  let b: f32[N] = x\n  let k = 2\n  c[i] = a[i] * 2\n  d[i]: f32[N] = b[i]\n  a\n}\n",
    );
    const params = { textDocument: { uri: o.uri }, range: WHOLE };
    const hints = await session.client.request<InlayHint[]>("textDocument/inlayHint", params);
    expect(hints.map((h) => `${h.position.line}:${h.position.character}${h.label as string}`)).toEqual([
      "0:15 -> f32[2 * N]",
      "1:7: f32[2 * N]",
      "4:6: f32[2 * N]",
    ]);
  });

  test("semantic tokens", async () => {
    const o = session.open("fn f(x: f32[N]) { sum[k] x[k] }\n");
    const { data } = await session.client.request<SemanticTokens>("textDocument/semanticTokens/full", {
      textDocument: { uri: o.uri },
    });
    const legend = session.client.initialized.capabilities.semanticTokensProvider?.legend.tokenTypes ?? [];
    const tokens: string[] = [];
    let [line, character] = [0, 0];
    for (let k = 0; k < data.length; k += 5) {
      const [dl, dc, length, type] = data.slice(k, k + 4) as [number, number, number, number];
      character = dl === 0 ? character + dc : dc;
      line += dl;
      tokens.push(`${o.text.split("\n")[line]!.slice(character, character + length)} ${legend[type]}`);
    }
    expect(tokens).toEqual([
      "f function",
      "x parameter",
      "f32 type",
      "N typeParameter",
      "sum function",
      "k variable",
      "x parameter",
      "k variable",
    ]);
  });
});

test("nothing that was asked made the server log an error", () => {
  expect(session.client.log).toEqual([]);
});
