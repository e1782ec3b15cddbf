/** Mistakes that people make: what the message says, and the fix. */
import { describe, expect, test } from "vitest";
import { broken, fixed, messages } from "./check.ts";

describe("mistakes", () => {
  test("what other languages write", () => {
    expect(
      broken(`export function f(x: f32) -> f32 {
  var a = x and not x
  b = f(a, axis=1)
  let mut c = a === b
  return c = 1 < 2 < 3
}`),
    ).toMatchInlineSnapshot(`
      "
      error[EIN1001]: functions are declared with \`fn\`
       --> m.ein:1:8
        |
      1 | export function f(x: f32) -> f32 {
        |        ^^^^^^^^
        |
        = fix: write \`fn\`
      1 | export fn f(x: f32) -> f32 {
        |        ++

      error[EIN1001]: values are declared with \`let\`
       --> m.ein:2:3
        |
      2 |   var a = x and not x
        |   ^^^
        |
        = fix: write \`let\`
      2 |   let a = x and not x
        |   +++

      error[EIN1001]: \`and\` is not an operator
       --> m.ein:2:13
        |
      2 |   var a = x and not x
        |             ^^^
        |
        = fix: write \`&&\`
      2 |   var a = x && not x
        |             ++

      error[EIN1001]: \`not\` is written \`!\`
       --> m.ein:2:17
        |
      2 |   var a = x and not x
        |                 ^^^
        |
        = fix: write \`!\`
      2 |   var a = x and !x
        |                 +

      error[EIN1001]: \`b\` is not declared
       --> m.ein:3:3
        |
      3 |   b = f(a, axis=1)
        |   ^ a new value begins with \`let\`
        |
        = fix: insert \`let\`
      3 |   let b = f(a, axis=1)
        |   ++++

      error[EIN1001]: named arguments are written with \`:\`
       --> m.ein:3:16
        |
      3 |   b = f(a, axis=1)
        |                ^
        |
        = fix: write \`:\`
      3 |   b = f(a, axis: 1)
        |                ++

      error[EIN1001]: values do not change
       --> m.ein:4:7
        |
      4 |   let mut c = a === b
        |       ^^^
        |
        = fix: remove \`mut\`
      4 |   let c = a === b

      error[EIN1001]: \`===\` is not an operator
       --> m.ein:4:17
        |
      4 |   let mut c = a === b
        |                 ^^^
        |
        = fix: write \`==\`
      4 |   let mut c = a == b
        |                 ++

      error[EIN1001]: there is no \`return\`
       --> m.ein:5:3
        |
      5 |   return c = 1 < 2 < 3
        |   ^^^^^^ the last expression of a block is its value
        |
        = fix: remove \`return\`
      5 |   c = 1 < 2 < 3

      error[EIN1001]: \`c\` is not declared
       --> m.ein:5:10
        |
      5 |   return c = 1 < 2 < 3
        |          ^ a new value begins with \`let\`
        |
        = fix: insert \`let\`
      5 |   return let c = 1 < 2 < 3
        |          ++++

      error[EIN1001]: comparisons do not chain
       --> m.ein:5:20
        |
      5 |   return c = 1 < 2 < 3
        |                -   ^ a second comparison
        |                |
        |                the first one
        |
        = note: \`a < b < c\` is written \`a < b && b < c\`
        = fix: compare twice
      5 |   return c = 1 < 2 && 2 < 3
        |                   +++++
      => (export fn f [x: f32] -> f32
           (let a (&& x (! x)))
           (let b (call f a axis:1))
           (let c (== a b))
           (let c (< (< 1 2) 3)))
      "
    `);
  });

  test.each([
    ["def f(x: f32) { x }", "fn f(x: f32) { x }"],
    ["fn f(x: f32) { return x }", "fn f(x: f32) { x }"],
    ["let a = f(x y z)", "let a = f(x, y, z)"],
    ["let a = f(axis = 1)", "let a = f(axis: 1)"],
    ["let a = x != = y", undefined],
    ["let a = x = y", "let a = x == y"],
    ["let a = x !== y", "let a = x != y"],
    ["let a = (x, y]", undefined],
    ["let a = [x, y)", "let a = [x, y]"],
    ["let a = 'b'", 'let a = "b"'],
    ['let a = "b', 'let a = "b"'],
    ["let a = 1.0f", "let a = 1.0"],
    ["let a = x \u2212 1", "let a = x - 1"],
    ["let a = x mod 2 or y", "let a = x % 2 || y"],
    ["fn f(x: f32) {\n  y = x\n  y\n}", "fn f(x: f32) {\n  let y = x\n  y\n}"],
    ["fn f(g: fn) { g(1) }", "fn f(g: const fn) { g(1) }"],
    ["impotr = 1", "let impotr = 1"],
    ["exprot let x = 1", "export let x = 1"],
    ["let a = x <= y < z", "let a = x <= y && y < z"],
  ])("%s is fixed", (source, expected) => {
    expect(messages(source)).not.toEqual([]);
    if (expected === undefined) return;
    expect(fixed(source)).toBe(expected);
    expect(messages(expected)).toEqual([]);
  });

  test("messages say what is expected in words", () => {
    const lines = (sources: string[]): string => `\n${sources.flatMap(messages).join("\n")}\n`;
    expect(
      lines([
        "fn (x: f32) { x }",
        "fn f x { x }",
        "fn f(x) { x }",
        "fn f(x: ) { x }",
        "fn f(k: const) { k }",
        "fn f(x: f32)",
        "fn f(x: f32) -> { x }",
        "let = 1",
        "let x 1",
        "let x =",
        "let div = 1",
        "import softmax from std",
        'import { a } "x"',
        "import { a } from b",
        "5 + 5",
        "let x = sum[] 1",
        "let x = sum[i + 1] x",
        "let x = sum[i in 0] x",
        "let x = var[i] + 1",
        "let x = for i in x",
        "let x = f(a,, b)",
        "let x = f(a;b)",
        "let x = x.1",
        "let x = a b",
        "let x = (a b)",
        "let x = iterate 10 as x { x }",
        "let x = iterate 10 from a { x }",
        "let x = iterate i in 1..10 from a as b { b }",
        "let x = lambda a: a",
        "let x = (a) => a",
        "let x = if a { b } else { c }",
        "let x = cumsum[i, j] x",
        "fn f() { x += 1 }",
        "fn f() { x[i] -= 1 }",
        "fn f() { x[i in 0..3] += 1 }",
        "fn f() { x[i + 1] = 1 }",
        "fn f() { x[i] = 1 over [i] }",
        "fn f() { f(x) = 1 }",
        "fn f() { let [a, b] = x\n a }",
        "fn f() { let (a, b) = x\n a }",
        "fn f() { let a, b = x\n a }",
        "fn f() { a, b = x\n a }",
        "fn f() { fn g() { 1 } }",
        'fn f() { import { a } from "b" }',
        "fn f() { 1\n 2 }",
        "fn f() { { a, b: } }",
        'let x = "\\q"',
        "let x = 1e",
        "/* never",
        "let x = @",
        "let x = #",
      ]),
    ).toMatchInlineSnapshot(`
      "
      m.ein(1,4): error EIN1001: expected a name, found \`(\`
      m.ein(1,6): error EIN1001: expected \`(\` and the parameters, found \`x\`
      m.ein(1,7): error EIN1001: expected \`:\` and the parameter's type, found \`)\`
      m.ein(1,6): error EIN1001: the parameter \`x\` needs a type
      m.ein(1,9): error EIN1001: the parameter \`k\` needs a type
      m.ein(1,13): error EIN1001: expected the function's body in braces, found the end of the declaration
      m.ein(1,17): error EIN1001: expected a result type such as \`f32[N]\`, found \`{\`
      m.ein(1,5): error EIN1001: expected a name, found \`=\`
      m.ein(1,7): error EIN1001: expected \`=\` and a value, found \`1\`
      m.ein(1,8): error EIN1001: expected an expression, found the end of the declaration
      m.ein(1,5): error EIN1001: expected a name, found \`div\`
      m.ein(1,8): error EIN1001: expected \`{\` as in \`import { a } from "std/nn"\`, found \`softmax\`
      m.ein(1,14): error EIN1001: expected \`from\` as in \`import { a } from "std/nn"\`, found a string
      m.ein(1,19): error EIN1001: expected the module in quotes, as in \`from "std/nn"\`, found \`b\`
      m.ein(1,1): error EIN1001: expected a declaration, found \`5\`
      m.ein(1,13): error EIN1001: expected the name of an index, found \`]\`
      m.ein(1,15): error EIN1001: expected \`,\` or \`]\` after the name of an index, found \`+\`
      m.ein(1,19): error EIN1001: expected \`..\` as in \`k in 0..K\`, found \`]\`
      m.ein(1,13): error EIN1001: \`for\` makes an array and names its indices in brackets
      m.ein(1,13): error EIN1001: expected an expression, found \`,\`
      m.ein(1,12): error EIN1001: \`;\` inside brackets
      m.ein(1,10): error EIN1001: expected an operator or the end of the declaration, found \`.1\`
      m.ein(1,11): error EIN1001: expected an operator or the end of the declaration, found \`b\`
      m.ein(1,12): error EIN1001: expected \`)\`, found \`b\`
      m.ein(1,20): error EIN1001: expected \`from\` as in \`iterate 10 from x0 as x { … }\`, found \`as\`
      m.ein(1,27): error EIN1001: expected \`as\` and the name of the carried value, found \`{\`
      m.ein(1,22): error EIN1001: an iteration counts from 0
      m.ein(1,16): error EIN1001: there is no \`lambda\`
      m.ein(1,13): error EIN1001: \`=>\` is not used here
      m.ein(1,12): error EIN1001: there is no \`if\`
      m.ein(1,19): error EIN1001: \`cumsum\` runs along one index
      m.ein(1,12): error EIN1001: values do not change
      m.ein(1,15): error EIN1001: there is no scatter with \`-=\`
      m.ein(1,17): error EIN1001: a scatter's target has no ranges; put them after \`over\`
      m.ein(1,12): error EIN1001: an index on the left of \`=\` is a new name
      m.ein(1,26): error EIN1001: \`over\` belongs to a scatter such as \`+=\`
      m.ein(1,15): error EIN1001: this cannot be assigned to
      m.ein(1,14): error EIN1001: one name has one value
      m.ein(1,14): error EIN1001: one name has one value
      m.ein(1,15): error EIN1001: one name has one value
      m.ein(1,11): error EIN1001: one name has one value
      m.ein(1,10): error EIN1001: a function inside a function
      m.ein(1,10): error EIN1001: \`import\` inside a function
      m.ein(1,10): error EIN1001: the value of this expression is not used
      m.ein(1,18): error EIN1001: expected an expression, found \`}\`
      m.ein(1,10): error EIN1008: unknown escape in a string
      m.ein(1,9): error EIN1004: \`1e\` is not a number
      m.ein(1,1): error EIN1007: this comment is never closed
      m.ein(1,9): error EIN1001: expected an expression, found \`@\`
      m.ein(1,8): error EIN1001: expected an expression, found the end of the declaration
      m.ein(1,9): error EIN1002: the character \`#\` (U+0023) has no meaning here
      "
    `);
  });
});
