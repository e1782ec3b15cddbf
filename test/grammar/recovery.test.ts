/** What is read around an error, and how many messages it costs. */
import { describe, expect, test } from "vitest";
import { broken, messages } from "./check.ts";

describe("recovery", () => {
  test("several errors in one run; what is around them is read", () => {
    expect(
      broken(`fn f(x: f32[N]) {
  let a = x +
  let b = a * )
  let c = g(a, b
  c
}
fn g( { 1 }
fn h(x: f32) { x }
`),
    ).toMatchInlineSnapshot(`
      "
      error[EIN1001]: expected an expression, found the end of the statement
       --> m.ein:2:14
        |
      2 |   let a = x +
        |              ^ expected an expression

      error[EIN1001]: expected an expression, found the end of the statement
       --> m.ein:3:14
        |
      3 |   let b = a * )
        |              ^ expected an expression

      error[EIN1001]: \`)\` closes nothing
       --> m.ein:3:15
        |
      3 |   let b = a * )
        |               ^ no bracket is open here
        |
        = fix: remove it
      3 |   let b = a * 

      error[EIN1001]: \`(\` is never closed
       --> m.ein:4:12
        |
      4 |   let c = g(a, b
        |            ^    - \`)\` is missing before \`c\`
        |            |
        |            opened here
        |
        = fix: insert \`)\`
      4 |   let c = g(a, b)
        |                 +

      error[EIN1001]: \`(\` is never closed
       --> m.ein:7:5
        |
      7 | fn g( { 1 }
        |     ^      - \`)\` is missing before \`fn\`
        |     |
        |     opened here
        |
        = fix: insert \`)\`
      7 | fn g( { 1 })
        |            +
      => (fn f [x: f32[N]]
           (let a <error>)
           (let b <error>)
           (let c (call g a b))
           (result c))
         (let g <error>)
         (fn h [x: f32]
           (result x))
      "
    `);
  });

  test("a lost bracket costs one message", () => {
    expect(broken("fn f() {\n  let y = sum[i] (x[i] * (2 + 1)\n  y\n}\nfn g() { 1 }")).toMatchInlineSnapshot(`
      "
      error[EIN1001]: \`(\` is never closed
       --> m.ein:2:18
        |
      2 |   let y = sum[i] (x[i] * (2 + 1)
        |                  ^              - \`)\` is missing before \`y\`
        |                  |
        |                  opened here
        |
        = fix: insert \`)\`
      2 |   let y = sum[i] (x[i] * (2 + 1))
        |                                 +
      => (fn f []
           (let y (sum [i] (* (at x i) (+ 2 1))))
           (result y))
         (fn g []
           (result 1))
      "
    `);
    expect(broken("fn f() {\n  let y = (1\n  let z = 2\n  z\n\nfn g() { 1 }")).toMatchInlineSnapshot(`
      "
      error[EIN1001]: \`{\` is never closed
       --> m.ein:1:8
        |
      1 | fn f() {
        |        ^ opened here
      ...
      4 |   z
        |    - \`}\` is missing before \`fn\`
        |
        = fix: insert \`}\`
      4 |   z}
        |    +

      error[EIN1001]: \`(\` is never closed
       --> m.ein:2:11
        |
      2 |   let y = (1
        |           ^ - \`)\` is missing before \`let\`
        |           |
        |           opened here
        |
        = fix: insert \`)\`
      2 |   let y = (1)
        |             +
      => (fn f []
           (let y 1)
           (let z 2)
           (result z))
         (fn g []
           (result 1))
      "
    `);
    expect(broken("let a = f(x]\nlet b = 1)\nlet c = 2")).toMatchInlineSnapshot(`
      "
      error[EIN1001]: expected \`)\`, found \`]\`
       --> m.ein:1:12
        |
      1 | let a = f(x]
        |          - ^ expected \`)\`
        |          |
        |          to close this one
        |
        = fix: write \`)\`
      1 | let a = f(x)
        |            +

      error[EIN1001]: \`)\` closes nothing
       --> m.ein:2:10
        |
      2 | let b = 1)
        |          ^ no bracket is open here
        |
        = fix: remove it
      2 | let b = 1
      => (let a (call f x))
         (let b 1)
         (let c 2)
      "
    `);
  });

  test("a line that begins with an operator and is indented", () => {
    expect(broken("fn f() {\n  let s = a\n    - b\n}")).toMatchInlineSnapshot(`
      "
      warning[EIN1009]: a line that begins with \`-\` starts a new expression
       --> m.ein:3:5
        |
      2 |   let s = a
        |           - the statement ends here
      3 |     - b
        |     ^ a new expression, though it is indented
        |
        = note: to go on with the line above, put \`-\` at its end
      => (fn f []
           (let s a)
           (result (- b)))
      "
    `);
    expect(messages("fn f() {\n  let s = a\n    - b\n  s\n}")[0]).toContain("error EIN1009");
    expect(messages("fn f() {\n  let s = a\n  -s\n}")).toEqual([]);
    expect(messages("fn f() {\n  let s = a\n    (b)\n}")[0]).toContain("warning EIN1009");
  });

  test("a broken declaration still declares its names", () => {
    expect(broken('import { a b c from "x"\nlet ok = 1').split("=>").at(-1)).toMatchInlineSnapshot(`
      " (import "x" a b c)
         (let ok 1)
      "
    `);
    expect(broken("fn f() { let { a, b } = ; a }").split("=>").at(-1)).toMatchInlineSnapshot(`
      " (fn f []
           (let {a b} <error>)
           (result a))
      "
    `);
    expect(broken("fn f() { y[i, j] = ;\n y }").split("=>").at(-1)).toMatchInlineSnapshot(`
      " (fn f []
           (let y <error>)
           (result y))
      "
    `);
  });
});
