/** The language server over its protocol: a spawned process and a real client. What a reader of a file is shown. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CodeAction, Location } from "vscode-languageserver-protocol";
import { applied } from "./client.ts";
import { at, type Opened, type Session, startSession, WHOLE } from "./session.ts";

let session: Session;

beforeAll(async () => {
  session = await startSession();
});
afterAll(() => session.stop());

describe("diagnostics", () => {
  test("both places of a disagreement, the second as related information", async () => {
    const o = session.open("fn f(x: f32[N], y: f32[N + 1]) -> f32[N] {\n  x + y\n}\n");
    const [d, ...rest] = await session.client.diagnostics(o.uri);
    expect(rest).toEqual([]);
    expect(d).toMatchObject({ code: "EIN1203", severity: 1, source: "fusum" });
    expect(d?.relatedInformation?.map((r) => r.location.uri)).toContain(o.uri);
  });

  test("typing an error and taking it back", async () => {
    const o = session.open("fn f(x: f32[N]) -> f32[N] { exp(x) }\n");
    expect(await session.client.diagnostics(o.uri)).toEqual([]);
    const name = { start: { line: 0, character: 28 }, end: { line: 0, character: 31 } };
    session.client.edit(o.uri, name, "exq");
    const [d] = await session.client.diagnostics(o.uri);
    expect(d).toMatchObject({ code: "EIN1101", range: name });
    session.client.edit(o.uri, name, "exp");
    expect(await session.client.diagnostics(o.uri)).toEqual([]);
  });

  test("an edit above moves what is kept of the functions below", async () => {
    const o = session.open("fn f(x: f32[N]) { x }\n\nfn g(x: f32[N]) { exq(x) }\n");
    expect((await session.client.diagnostics(o.uri))[0]?.range.start).toEqual({ line: 2, character: 18 });
    session.client.edit(
      o.uri,
      { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } },
      "// one\n// two\n",
    );
    expect((await session.client.diagnostics(o.uri))[0]?.range.start).toEqual({ line: 4, character: 18 });
  });

  test("a change to a function is seen in its callers, here and in files that import it", async () => {
    const b = session.open("export fn twice(x: f32[N]) -> f32[N] { 2 * x }\n", "lib/b.ein");
    const a = session.open('import { twice } from "./lib/b"\nfn f(x: f32[N]) -> f32[N] { twice(x) }\n');
    expect(await session.client.diagnostics(a.uri)).toEqual([]);
    // The buffer is not saved: the file does not even exist.
    session.client.set(b.uri, "export fn twice(x: f32[N]) -> f32[N + 2] { pad(x, 1) }\n");
    await session.client.diagnostics(b.uri);
    session.client.set(a.uri, a.text);
    expect((await session.client.diagnostics(a.uri)).map((d) => d.code)).toEqual(["EIN1203"]);
    session.client.set(b.uri, b.text);
    session.client.set(a.uri, a.text);
    expect(await session.client.diagnostics(a.uri)).toEqual([]);
  });

  test("imports from disk, and from nowhere", async () => {
    writeFileSync(join(session.folder, "lib/disk.ein"), "export fn id(x: f32[N]) { x }\n");
    const o = session.open(
      'import { id } from "./lib/disk"\nimport { no } from "./lib/none"\nfn f(x: f32[N]) { id(x) }\n',
    );
    expect((await session.client.diagnostics(o.uri)).map((d) => d.code)).toEqual(["EIN1103"]);
  });

  test("several errors, syntax and types, in one file; the rest still answers", async () => {
    const o = session.open(
      "fn a(x: f32[N]) { let = 3 }\nfn b(x: f32[N]) { x + }\nfn c(x: f32[N]) { exq(x) }\nfn ¦d(x: f32[N]) { x * x }\n",
    );
    const lines = (await session.client.diagnostics(o.uri)).map((d) => d.range.start.line);
    expect(new Set(lines)).toEqual(new Set([0, 1, 2]));
    expect(await session.hoverText(o)).toContain("fn d(x: f32[N]) -> f32[N]");
  });

  test("closing a file takes its diagnostics away", async () => {
    const o = session.open("fn f() { x }\n");
    expect(await session.client.diagnostics(o.uri)).not.toEqual([]);
    session.client.close(o.uri);
    const again = session.open("fn f(x: f32) { x }\n");
    expect(await session.client.diagnostics(again.uri)).toEqual([]);
  });

  test("the fix of a misspelt name, and of a name that the library has", async () => {
    const o = session.open("fn f(x: f32[N]) { exq(x) + softmax(x, axis: 0) }\n");
    await session.client.diagnostics(o.uri);
    const fixed = async (text: string): Promise<string> => {
      session.client.set(o.uri, text);
      await session.client.diagnostics(o.uri);
      const params = { textDocument: { uri: o.uri }, range: WHOLE, context: { diagnostics: [] } };
      const actions = await session.client.request<CodeAction[]>("textDocument/codeAction", params);
      return applied(text, actions[0]?.edit?.changes?.[o.uri] ?? []);
    };
    const first = await fixed(o.text);
    expect(first).not.toContain("exq");
    expect(await fixed(first)).toBe(`import { softmax } from "std/nn"\n${first}`);
  });
});

describe("hover", () => {
  test("a function: its result as it was found, its documentation, extents, and conditions", async () => {
    const o = session.open("/// Doubles.\nfn ¦f(x: f32[N, M]) {\n  cat([x, x], axis: 1)\n}\n");
    const text = await session.hoverText(o);
    expect(text).toContain("fn f(x: f32[N, M]) -> f32[N, 2 * M]");
    expect(text).toContain("Doubles.");
    expect(text).toContain("Extents: `N`, `M`");
  });

  test("types of locals, extents as polynomials; ranges of indices", async () => {
    const o = session.open(
      "fn f(x: f32[N], w: f32[R]) {\n  let p¦ = pad(x, 2)\n  let n¦ = p.shape[0] * 2\n  y[i] = sum[r¦ in 0..R] w[r] * (p[i + r] ?? 0.0) + x[i]\n  y\n}\n",
    );
    expect(await session.hoverText(o, 0)).toContain("let p: f32[N + 4]");
    expect(await session.hoverText(o, 1)).toContain("int = 2 * N + 8");
    expect(await session.hoverText(o, 2)).toContain("r in 0..R");
  });

  test("builtins, derivatives, element types, extents and expressions", async () => {
    const o = session.open("fn f(x: f¦32[N¦]) -> f32 { s¦um(ex¦p(x) ¦* x) }\nlet g = g¦rad(f)\n");
    expect(await session.hoverText(o, 0)).toContain("32-bit float");
    expect(await session.hoverText(o, 1)).toContain("axis 0 of `x`");
    expect(await session.hoverText(o, 2)).toContain("sum(x, axis?, keepdims?)");
    expect(await session.hoverText(o, 3)).toContain("e to the x");
    expect(await session.hoverText(o, 4)).toContain("f32[N]");
    expect(await session.hoverText(o, 5)).toContain("grad(f, wrt?)");
  });

  test("the gradient in index notation", async () => {
    const o = session.open("fn ¦mm(a: f32[M, K], b: f32[K, N]) { a @ b }\n");
    const text = (await session.hoverText(o)) ?? "";
    expect(text).toContain("da[m, k] = sum[n] dy[m, n] * b[k, n]");
    expect(text).toContain("db[k, n] = sum[m] dy[m, n] * a[m, k]");
    // Not of what has no floats to differentiate by.
    const integers = session.open("fn ¦f(a: i32[N]) { a * 2 }\n");
    expect(await session.hoverText(integers)).not.toContain("Gradient");
  });

  test("a function of the library, where it is imported and where it is used", async () => {
    const o = session.open('import { soft¦max } from "std/nn"\nfn f(x: f32[N]) { soft¦max(x, axis: 0) }\n');
    for (const k of [0, 1]) expect(await session.hoverText(o, k)).toContain("from `std/nn`");
  });
});

describe("names", () => {
  const places = async (method: string, o: Opened, k = 0): Promise<readonly string[]> => {
    const params = { ...at(o, k), context: { includeDeclaration: true } };
    const found = await session.client.request<Location | Location[] | null>(method, params);
    const list = found === null ? [] : Array.isArray(found) ? found : [found];
    return list.map((l) => `${l.uri.split("/").pop()} ${l.range.start.line}:${l.range.start.character}`);
  };

  test("definitions of locals, indices, extents, parameters by name and functions", async () => {
    const o = session.open(
      "fn f(x: f32[N], eps: f32) {\n  let y = x * N¦ as f32\n  z[i] = y¦[i¦] + eps\n  z\n}\nfn g(x: f32[N]) { f¦(x, eps¦: 1.0) }\n",
    );
    const name = o.uri.split("/").pop();
    expect(await places("textDocument/definition", o, 0)).toEqual([`${name} 0:12`]);
    expect(await places("textDocument/definition", o, 1)).toEqual([`${name} 1:6`]);
    expect(await places("textDocument/definition", o, 2)).toEqual([`${name} 2:4`]);
    expect(await places("textDocument/definition", o, 3)).toEqual([`${name} 0:3`]);
    expect(await places("textDocument/definition", o, 4)).toEqual([`${name} 0:16`]);
  });

  test("definitions in other files and in the library", async () => {
    session.open("// first\nexport fn far(x: f32[N]) { x }\n", "lib/far.ein");
    const o = session.open(
      'import { far } from "./lib/far"\nimport { relu6 } from "std/nn"\nfn f(x: f32[N]) { fa¦r(x) + relu¦6(x) }\n',
    );
    expect(await places("textDocument/definition", o, 0)).toEqual(["far.ein 1:10"]);
    expect((await places("textDocument/definition", o, 1))[0]).toMatch(/^nn\.ein \d+:10$/);
  });

  test("references in every file of the folder, open or on disk, and by `wrt`", async () => {
    writeFileSync(
      join(session.folder, "lib/user.ein"),
      'import { shared } from "./shared"\nexport fn u(x: f32[N]) { shared(x, w: x) }\n',
    );
    const o = session.open(
      "export fn sha¦red(x: f32[N], w¦: f32[N]) -> f32 { sum(x * w) }\nexport let g = grad(shared, wrt: [w])\n",
      "lib/shared.ein",
    );
    expect([...(await places("textDocument/references", o, 0))].sort()).toEqual([
      "shared.ein 0:10",
      "shared.ein 1:20",
      "user.ein 0:9",
      "user.ein 1:25",
    ]);
    expect([...(await places("textDocument/references", o, 1))].sort()).toEqual([
      "shared.ein 0:28",
      "shared.ein 0:56",
      "shared.ein 1:34",
      "user.ein 1:35",
    ]);
  });
});

test("nothing that was asked made the server log an error", () => {
  expect(session.client.log).toEqual([]);
});
