import { describe, expect, test } from "vitest";
import { type Diagnostic, type DiagnosticParts, diagnostic, type Label } from "../../grammar/diagnostic.ts";
import { Lines } from "../../src/diagnostics/lines.ts";
import { diagnosticsToJson, renderDiagnostics } from "../../src/diagnostics/render.ts";
import { distance, suggest } from "../../src/diagnostics/suggest.ts";

/** A label on the nth occurrence of a piece of the source. */
function at(source: string, piece: string, text = "", nth = 0, file = "a.ein"): Label {
  let start = -1;
  for (let k = 0; k <= nth; k++) start = source.indexOf(piece, start + 1);
  expect(start).toBeGreaterThanOrEqual(0);
  return { span: { file, start, end: start + piece.length }, text };
}

function pretty(
  source: string,
  labels: Label | Label[],
  parts: DiagnosticParts = {},
  message = "extents disagree",
): string {
  const text = renderDiagnostics(
    [diagnostic("EIN1203", message, labels, parts)],
    (f) => (f === "a.ein" ? source : undefined),
    {
      colour: false,
      pretty: true,
    },
  );
  return `\n${text}`;
}

describe("with the source", () => {
  test("one label, notes and a fix", () => {
    const source = "let a = 1\nlet b = f(a b)\n";
    const span = { file: "a.ein", start: 21, end: 21 };
    expect(
      pretty(source, at(source, "b)", "here"), {
        notes: ["the first line\nand the second", "another"],
        fix: { message: "insert `,`", edits: [{ span, text: "," }] },
      }),
    ).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:2:13
        |
      2 | let b = f(a b)
        |             ^^ here
        |
        = note: the first line
                and the second
        = note: another
        = fix: insert \`,\`
      2 | let b = f(a, b)
        |            +
      "
    `);
  });

  test("several labels on one line, also overlapping ones", () => {
    const source = "let y = x @ w + bias";
    expect(
      pretty(source, [at(source, "x", "f32[N, K]"), at(source, "w", "f32[J, O]"), at(source, "@", "K against J")]),
    ).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:9
        |
      1 | let y = x @ w + bias
        |         ^ - - f32[J, O]
        |         | |
        |         | K against J
        |         |
        |         f32[N, K]
      "
    `);
    expect(pretty(source, [at(source, "@", "here"), at(source, "x @ w", "in this product")])).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:11
        |
      1 | let y = x @ w + bias
        |         --^--
        |         | |
        |         | here
        |         |
        |         in this product
      "
    `);
    expect(pretty(source, [at(source, "x", ""), at(source, "w", "")])).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:9
        |
      1 | let y = x @ w + bias
        |         ^   -
      "
    `);
  });

  test("several lines: the one between two is shown, more are left out", () => {
    const source = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj";
    expect(
      pretty(source, [at(source, "a", "first"), at(source, "c", "third"), at(source, "j", "tenth")]),
    ).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
        --> a.ein:1:1
         |
       1 | a
         | ^ first
       2 | b
       3 | c
         | - third
      ...
      10 | j
         | - tenth
      "
    `);
  });

  test("a span of several lines", () => {
    const source = "let a = f(\n  b,\n  c\n) + 1";
    expect(pretty(source, at(source, "f(\n  b,\n  c\n)", "this call"))).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:9
        |
      1 | let a = f(
        |         ^^
      ...
      4 | ) + 1
        | ^ this call
      "
    `);
  });

  test("two files, one of which is not at hand", () => {
    const source = "let a = b";
    const other = { span: { file: "b.ein", start: 3, end: 5 }, text: "declared here" };
    expect(pretty(source, [at(source, "b", "used here"), other])).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:9
        |
      1 | let a = b
        |         ^ used here
       ::: b.ein: declared here
      "
    `);
  });

  test("the end of the file, an empty file, spans outside", () => {
    const end = { span: { file: "a.ein", start: 12, end: 12 }, text: "`}` is missing" };
    expect(pretty("fn f() { 1\n\n", end)).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:11
        |
      1 | fn f() { 1
        |           ^ \`}\` is missing
      "
    `);
    expect(pretty("", { span: { file: "a.ein", start: 0, end: 0 }, text: "empty" })).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:1
        |
      1 |
        | ^ empty
      "
    `);
    expect(pretty("ab", { span: { file: "a.ein", start: 50, end: 70 }, text: "far out" })).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:3
        |
      1 | ab
        |   ^ far out
      "
    `);
    expect(
      pretty("ab", { span: { file: "a.ein", start: Number.NaN, end: -3 }, text: "nowhere" }),
    ).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:1
        |
      1 | ab
        | ^ nowhere
      "
    `);
  });

  test("tabs, wide characters, combining marks and CRLF keep the carets under their text", () => {
    const source = "// \u4f60\u597d e\u0301 \u{1F600}\tx = y\r\n\tlet a = b\r\n";
    expect(pretty(source, [at(source, "x", "x"), at(source, "b", "b")])).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:13
        |
      1 | // 你好 é 😀    x = y
        |                 ^ x
      2 |     let a = b
        |             - b
      "
    `);
  });

  test("a long line is clipped around its labels, and shown twice if they are far apart", () => {
    const source = `let a = [${"1234567, ".repeat(60)}x, ${"1234567, ".repeat(60)}y]`;
    expect(pretty(source, [at(source, "x", "here"), at(source, "y", "and there")])).toMatchInlineSnapshot(`
      "
      error[EIN1203]: extents disagree
       --> a.ein:1:550
        |
      1 | …34567, 1234567, 1234567, x, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, …
        |                           ^ here
      1 | …234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, 1234567, y]
        |                                                                                                    - and there
      "
    `);
    const huge = `${"\u{1F600}".repeat(300_000)}x${"-".repeat(300_000)}`;
    expect(pretty(huge, at(huge, "x", "here")).length).toBeLessThan(1000);
  });

  test("nothing reaches the terminal that it would obey", () => {
    const source = "let \u001b[31mx\u0007 = \u202e\u009b2J\ud800";
    const text = pretty(
      source,
      { span: { file: "a.ein", start: 4, end: 10 }, text: "a \u001b[2J label" },
      { notes: ["\u001b]0;title\u0007"] },
      "name \u001b[1m\nx",
    );
    expect(text).toMatchInlineSnapshot(`
      "
      error[EIN1203]: name \\u{1b}[1m\\nx
       --> a.ein:1:5
        |
      1 | let \\u{1b}[31mx\\u{7} = \\u{202e}\\u{9b}2J\\u{d800}
        |     ^^^^^^^^^^^ a \\u{1b}[2J label
        |
        = note: \\u{1b}]0;title\\u{7}
      "
    `);
    expect(text).not.toMatch(/[^\n\P{Cc}]|\p{Cf}|\p{Cs}/u);
    const name = renderDiagnostics(
      [diagnostic("EIN1103", "m", { span: { file: "\u001b[1m.ein", start: 0, end: 1 }, text: "" })],
      () => "x",
      { colour: false, pretty: false },
    );
    expect(name).toBe("\\u{1b}[1m.ein(1,1): error EIN1103: m\n");
  });

  test("colours", () => {
    const d: Diagnostic[] = [diagnostic("EIN1009", "m", at("ab", "b", "t"), { severity: "warning" })];
    const text = renderDiagnostics(d, () => "ab", { colour: true, pretty: true });
    expect(text).toContain("\u001b[33m");
    // Without its colours it is the plain text.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the colours
    expect(text.replace(/\u001b\[\d+m/g, "")).toBe(renderDiagnostics(d, () => "ab", { colour: false, pretty: true }));
  });
});

describe("one line each", () => {
  test("like tsc", () => {
    const source = "let a = 1\nlet b = c";
    const list = [
      diagnostic("EIN1101", "unknown name `c`", at(source, "c")),
      diagnostic("EIN1009", "odd", at(source, "b", "", 0, "gone.ein"), { severity: "warning" }),
      diagnostic("EIN1503", "no place", []),
    ];
    expect(renderDiagnostics(list, (f) => (f === "a.ein" ? source : undefined), { colour: false, pretty: false })).toBe(
      "a.ein(2,9): error EIN1101: unknown name `c`\ngone.ein: warning EIN1009: odd\nerror EIN1503: no place\n",
    );
    expect(renderDiagnostics([], () => undefined, { colour: false, pretty: false })).toBe("");
  });
});

describe("as JSON", () => {
  test("places have lines and columns", () => {
    const source = "a\r\nbc";
    const fix = { message: "m", edits: [{ span: { file: "a.ein", start: 3, end: 4 }, text: "x" }] };
    const [json] = diagnosticsToJson(
      [diagnostic("EIN1101", "unknown", at(source, "c", "here"), { notes: ["n"], fix })],
      () => source,
    );
    const place = { file: "a.ein", line: 2, endLine: 2 };
    expect(json).toEqual({
      code: "EIN1101",
      severity: "error",
      message: "unknown",
      labels: [{ ...place, start: 4, end: 5, column: 2, endColumn: 3, text: "here" }],
      notes: ["n"],
      fix: { message: "m", edits: [{ ...place, start: 3, end: 4, column: 1, endColumn: 2, text: "x" }] },
    });
  });
});

test("lines end with \\n, \\r\\n and \\r", () => {
  const lines = new Lines("a\nb\r\nc\rd");
  expect([1, 2, 3, 4].map((n) => lines.text(n))).toEqual(["a", "b", "c", "d"]);
  expect([0, 1, 2, 4, 5, 7, 8, 99].map((o) => lines.at(o))).toEqual(
    [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 3],
      [3, 1],
      [4, 1],
      [4, 2],
      [4, 2],
    ].map(([line, column]) => ({ line, column })),
  );
});

describe("did you mean", () => {
  const names = ["softmax", "relu", "sum", "transpose", "x", "axis", "keepdims"];
  test.each([
    ["sofmax", "softmax"],
    ["Softmax", "softmax"],
    ["sotfmax", "softmax"],
    ["rellu", "relu"],
    ["smu", "sum"],
    ["keep_dims", "keepdims"],
    ["axes", "axis"],
    ["y", undefined],
    ["banana", undefined],
    ["", undefined],
    ["a".repeat(10_000), undefined],
    ["__proto__", undefined],
  ])("%s", (name, expected) => {
    expect(suggest(name, names)).toBe(expected);
  });
  test("distance is symmetric and zero only for the same word", () => {
    for (const a of names)
      for (const b of names) expect([distance(a, b), distance(a, b) === 0]).toEqual([distance(b, a), a === b]);
  });
});
