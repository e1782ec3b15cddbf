/** Texts made to hurt: each must be answered within a second of processor time, without an exception and with a diagnostic. */
import { describe, expect, test } from "vitest";
import type { DiagnosticCode } from "../../grammar/codes.ts";
import { formatModule } from "../../grammar/format.ts";
import { parseModule } from "../../grammar/parser.ts";
import { printModule } from "../../grammar/print.ts";
import { renderDiagnostics } from "../../src/diagnostics/render.ts";

const MB = 1_000_000;
/** Of noise a part of a megabyte is enough: the parser is linear, and the tests are to be quick. */
const NOISE = 200_000;

/** Best of three, so that a busy machine does not fail the test. Processor time of this process, in ms. */
function cost(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 3 && best > 1000; k++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

function answer(source: string): DiagnosticCode[] {
  let codes: DiagnosticCode[] = [];
  const time = cost(() => {
    const { module, diagnostics } = parseModule(source, "m.ein");
    codes = [...new Set(diagnostics.map((d) => d.code))];
    printModule(module);
    const text = renderDiagnostics(diagnostics.slice(0, 3), () => source, { colour: false, pretty: true });
    expect(text.length).toBeLessThan(4000);
  });
  expect(time).toBeLessThan(1000);
  return codes;
}

describe("too deep, too long", () => {
  test.each(["(", "[", "{", "([{", "f(", "x[", "let x = {", "sum[", "{ let y = ("])("a megabyte of %s", (piece) => {
    expect(answer(piece.repeat(MB / piece.length))).toContain("EIN1003");
  });

  test.each([
    ["operators", `a${" + a".repeat(1e5)}`],
    ["powers", `a${" ** a".repeat(1e5)}`],
    ["comparisons", `a${" < a".repeat(1e5)}`],
    ["signs", `${"-".repeat(1e5)}a`],
    ["conditionals", `${"a ? b : ".repeat(1e5)}c`],
    ["open conditionals", `${"a ? ".repeat(1e5)}c`],
    ["for", `${"for[i] ".repeat(1e5)}c`],
    ["reductions", `${"sum[i] ".repeat(1e5)}c`],
    ["lambdas", `${"|a| ".repeat(1e5)}c`],
    ["loops", "iterate ".repeat(1e5)],
    ["subscripts", `a${"[0]".repeat(1e5)}`],
    ["calls", `a${"()".repeat(1e5)}`],
    ["fields", `a${".T".repeat(1e5)}`],
    ["casts", `a${" as f32".repeat(1e5)}`],
    ["depth and length together", `${"(".repeat(200)}a${`${" + a".repeat(30)})`.repeat(200)}`],
  ])("10^5 %s", (_, expression) => {
    expect(answer(`let x = ${expression}`)).toEqual(expect.arrayContaining(["EIN1003"]));
  });

  test("what is just within the limits is read, printed and formatted", () => {
    for (const expression of [
      `a${" + a".repeat(2000)}`,
      `${"(".repeat(240)}a${")".repeat(240)}`,
      `${"f(1 + ".repeat(240)}a${")".repeat(240)}`,
      `${"for[i] ".repeat(250)}a`,
    ]) {
      const source = `let x = ${expression}`;
      expect(answer(source)).toEqual([]);
      const formatted = formatModule(source, "m.ein");
      expect(parseModule(formatted, "m.ein").diagnostics).toEqual([]);
      expect(printModule(parseModule(formatted, "m.ein").module)).toBe(
        printModule(parseModule(source, "m.ein").module),
      );
    }
    expect(answer(`fn f() ${"{ 1 + ".repeat(240)}1${"}".repeat(240)}`)).toEqual([]);
  });

  test("10^5 elements and 10^4 statements are no trouble", () => {
    expect(answer(`let x = [${"1, ".repeat(1e5)}]`)).toEqual([]);
    expect(answer(`fn f() {\n${"let x = 1\n".repeat(1e4)}x }`)).toEqual([]);
  });
});

describe("noise", () => {
  test.each([
    ["zero bytes", "\0", "EIN1002"],
    ["emoji", "\u{1F600}", "EIN1002"],
    ["lone surrogates", "\ud800", "EIN1002"],
    ["backslashes", "\\", "EIN1002"],
    ["quotes", '"', "EIN1001"],
    ["closing brackets", ")", "EIN1001"],
    ["commas", ",", "EIN1001"],
    ["dots", ".", "EIN1001"],
    ["bars", "|", "EIN1001"],
    ["at signs", "@", "EIN1001"],
    ["comment openers", "/*", "EIN1007"],
    ["let", "let\n", "EIN1001"],
    ["fn", "fn ", "EIN1001"],
    ["export", "export ", "EIN1001"],
    ["names on lines", "a\n", "EIN1001"],
    ["names in a row", "a ", "EIN1001"],
    ["one name", "a", "EIN1001"],
    ["arrows", "->", "EIN1001"],
    ["scatters", "y[i] += ", "EIN1001"],
    ["slips", "x = = ", "EIN1001"],
    ["unclosed lines", "f(\n", "EIN1003"],
    ["line starts", "a\n  -b\n", "EIN1001"],
  ])("%s", (_, piece, code) => {
    expect(answer(piece.repeat(NOISE / piece.length))).toContain(code);
    expect(answer(`fn f(x: f32) {\n  ${piece.repeat(NOISE / piece.length / 2)}\n  x\n  ,\n}`).length).toBeGreaterThan(
      0,
    );
  });

  test("an endless string, number or name", () => {
    expect(answer(`let x = "${"a".repeat(MB)}`)).toEqual(["EIN1005"]);
    expect(answer(`let x = "${"\\".repeat(MB)}`)).toEqual(["EIN1005"]);
    expect(answer(`let x = ${"9".repeat(MB)}`)).toEqual([]);
    expect(answer(`let x = ${"9".repeat(MB)}z`)).toEqual(["EIN1004"]);
    expect(answer(`let ${"a".repeat(MB)} = 1`)).toEqual([]);
  });

  test("empty texts", () => {
    for (const source of ["", " ", "\n", "\uFEFF", "// c", "/* c */", ";;"]) expect(answer(source)).toEqual([]);
  });

  test("names of object properties are names", () => {
    const source =
      "fn __proto__(constructor: f32[toString]) { let hasOwnProperty = __proto__; { valueOf: hasOwnProperty } }";
    expect(answer(source)).toEqual([]);
    expect(printModule(parseModule(source, "m.ein").module)).toBe(
      "(fn __proto__ [constructor: f32[toString]]\n  (let hasOwnProperty __proto__)\n  (result {valueOf:hasOwnProperty}))",
    );
    expect(answer("let x = __proto__ constructor toString(valueOf hasOwnProperty)")).toEqual(["EIN1001"]);
  });

  test("parsing works where little of the stack is left", () => {
    const atDepth = (left: number): DiagnosticCode[] =>
      left === 0 ? parseModule("let x = ((1))", "m.ein").diagnostics.map((d) => d.code) : atDepth(left - 1);
    expect(atDepth(1000)).toEqual([]);
  });
});
