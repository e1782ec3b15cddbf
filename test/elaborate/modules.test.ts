import { describe, expect, it } from "vitest";
import { errorsOf, expectError, run } from "./helper.ts";

describe("imports", () => {
  it("bring functions, constants and aliases", () => {
    const files = {
      "std/nn": "export fn twice(x: f32[..., D]) { x * two }\nconst two = 2",
      "o.ein": 'import { twice as t } from "std/nn"\nexport let four = t\nexport const K = 3',
    };
    const source =
      'import { twice } from "std/nn"\nimport { four, K as k } from "./o.ein"\nexport fn f(x: f32[N]) { four(twice(x)) + k }';
    expect(run(source, { x: [1] }, {}, "f", files)).toEqual([7]);
  });
  it("refuse what is not there", () => {
    expectError('import { a } from "std/no"', "EIN1103", ['"std/no"']);
    expectError('import { a } from "./no.ein"', "EIN1103", ['"./no.ein"']);
    expectError('import { a } from "no"', "EIN1103", ['"no"']);
    const e = expectError(
      'import { sofmax } from "./o.ein"\nexport fn f(x: f32) { sofmax(x) }',
      "EIN1106",
      ["sofmax"],
      { "o.ein": "export fn softmax(x: f32) { x }" },
    );
    expect(e.fixed).toContain("{ softmax }");
    const builtin = expectError('import { gelu } from "./o.ein"', "EIN1106", ["gelu"], {
      "o.ein": "export fn elu(x: f32) { x }",
    });
    expect(builtin.notes).toEqual(["`gelu` is known everywhere: leave it out of the import"]);
    expectError('import { hidden } from "./o.ein"', "EIN1106", ["hidden", "hidden"], {
      "o.ein": "fn hidden(x: f32) { x }",
    });
  });
  it("refuse circles and show them", () => {
    const e = errorsOf('import { a } from "./a.ein"', {
      "a.ein": 'import { b } from "./b.ein"\nexport fn a(x: f32) { b(x) }',
      "b.ein": 'import { a } from "./a.ein"\nexport fn b(x: f32) { x }',
    });
    expect(e.map((x) => x.code)).toEqual(["EIN1104"]);
    expect(e[0]?.notes).toEqual(["a.ein → b.ein → a.ein"]);
  });
  it("refuse names twice", () => {
    expectError('import { a } from "./o.ein"\nfn a(x: f32) { x }', "EIN1102", ["a", "a"], {
      "o.ein": "export fn a(x: f32) { x }",
    });
    expectError("fn a(x: f32) { x }\nconst a = 1", "EIN1102", ["a", "a"]);
  });
  it("find errors in imported modules", () => {
    expectError('import { a } from "./o.ein"\nexport fn f(x: f32) { a(x) }', "EIN1101", ["oops"], {
      "o.ein": "export fn a(x: f32) { x + oops }",
    });
  });
  it("evaluate module values once, and refuse circles", () => {
    expect(run("let table = arange(3) * 2\nexport fn f(i: i32) { (table[i] ?? 0) + (table[i] ?? 0) }", { i: 2 })).toBe(
      8,
    );
    expect(errorsOf("const a = b\nconst b = a").map((e) => e.code)).toContain("EIN1105");
  });
});
