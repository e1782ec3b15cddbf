/** Whatever the text and wherever the cursor, every question is answered: in one process, so that an exception is seen. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Analysis } from "../../src/lsp/analysis.ts";
import { completion } from "../../src/lsp/completion.ts";
import { diagnosticsFor, fixesIn } from "../../src/lsp/diagnostics.ts";
import { format } from "../../src/lsp/format.ts";
import { hover } from "../../src/lsp/hover.ts";
import { documentSymbols, inlayHints } from "../../src/lsp/outline.ts";
import { prepareRename, RenameRefused, rename } from "../../src/lsp/rename.ts";
import { meaningOf, occurrenceAt, placesOf } from "../../src/lsp/resolve.ts";
import { semanticTokens } from "../../src/lsp/semantic.ts";
import { signatureHelp } from "../../src/lsp/signature-help.ts";
import { fileOf, Workspace } from "../../src/lsp/workspace.ts";
import { WHOLE } from "./session.ts";

const URI = "file:///nowhere/a.ein";
const SOURCE = `import { softmax as sm, gelu } from "std/nn"
import { none } from "./missing"

/// Attention.
export fn attention(q: f32[..., Q, D], k: f32[K, D], scale: const float = 0.5) -> (value: f32[..., Q, K], n: i32) {
  let s = einsum("...qd,kd->...qk", q, k) * scale
  let { value, n: count } = { value: sm(s, axis: -1), n: Q }
  { value, n: count }
}
fn scatter(x: f32[N], ids: i32[N]) -> f32[8] {
  h[ids[i]]: f32[8] += x[i]
  h[j] *= 2.0
  h
}
fn index(x: f32[N, M]) {
  y[i, j in 0..M] = sum[k] x[i, k] * (x[i, j - 1] ?? 0) + max(x) as f32
  reduce(|p, q| p * q, 1.0, y.T, axis: 0)
}
export let step = value_and_grad(|x| x, wrt: [x])
const SIZE = 4 * 2 div 3
`;
const PIECES = [
  "",
  "",
  "{",
  "}",
  "(",
  ")",
  "[",
  "]",
  '"',
  "\n",
  ".",
  ",",
  ":",
  "fn ",
  "let ",
  "import { ",
  "|",
  "@vjp(",
  "/*",
  "😀",
  "x",
  "\u0000",
];

function questions(w: Workspace, a: Analysis, offset: number): void {
  diagnosticsFor(w, a);
  fixesIn(w, a, WHOLE);
  hover(w, a, offset);
  completion(w, a, offset);
  signatureHelp(w, a, offset);
  documentSymbols(a);
  inlayHints(w, a, WHOLE);
  semanticTokens(w, a);
  format(a.module.module);
  const o = occurrenceAt(w, a.module, offset);
  const meaning = o && meaningOf(w, a.module, o);
  if (meaning?.kind === "declared") placesOf(w, meaning.module, meaning.declared);
  try {
    prepareRename(w, a, offset);
    rename(w, a, offset, "renamed");
  } catch (error) {
    if (!(error instanceof RenameRefused)) throw error;
  }
}

function workspaceWith(text: string): { readonly w: Workspace; readonly set: (text: string) => Analysis } {
  let document = TextDocument.create(URI, "ein", 1, text);
  const fail = (error: unknown): never => {
    throw error;
  };
  const w = new Workspace({ all: () => [document] }, fail);
  return {
    w,
    set(next) {
      document = TextDocument.create(URI, "ein", document.version + 1, next);
      w.changed();
      return w.analysis(fileOf(URI))!;
    },
  };
}

test("every offset of a text that has everything", () => {
  const { w, set } = workspaceWith("");
  const a = set(SOURCE);
  expect(a.items.size).toBe(5);
  for (let offset = 0; offset <= SOURCE.length; offset += 29) questions(w, a, offset);
});

test("texts that were cut and typed into", () => {
  const { w, set } = workspaceWith("");
  const edit = fc.tuple(fc.nat(SOURCE.length), fc.constantFrom(0, 0, 1, 5, 60), fc.constantFrom(...PIECES));
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat(SOURCE.length), (edits, offset) => {
      let text = SOURCE;
      for (const [at, remove, insert] of edits) text = text.slice(0, at) + insert + text.slice(at + remove);
      questions(w, set(text), Math.min(offset, text.length));
    }),
    { numRuns: 25, seed: 3 },
  );
});

test("the library's modules have no names without a meaning", () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../src/std/nn.ein"), "utf8");
  const { w, set } = workspaceWith("");
  const a = set(text);
  const unknown = w
    .bindings(a.module)
    .occurrences.filter((o) => o.role === "use" || o.role === "shorthandUse" || o.role === "imported")
    .filter((o) => meaningOf(w, a.module, o).kind === "unknown")
    .map((o) => o.name.text);
  // Constants and element types as values have no declaration.
  expect([...new Set(unknown)].filter((n) => !["pi", "None", "f32", "i32", "f16"].includes(n))).toEqual([]);
});
