import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatModule, formatUnchecked } from "../../grammar/format.ts";
import { lex } from "../../grammar/lexer.ts";
import { parseModule } from "../../grammar/parser.ts";
import { printModule } from "../../grammar/print.ts";
import { moduleText } from "./generate.ts";

const commentsOf = (source: string): string[] => lex(source, "m.ein").comments.map((c) => c.text.trimEnd());

/** The printer without its safety net keeps the tree and the comments, and has nothing to do the second time. */
function checkFormat(source: string): string {
  const parsed = parseModule(source, "m.ein");
  expect(parsed.diagnostics.filter((d) => d.severity === "error")).toEqual([]);
  const formatted = formatUnchecked(source, "m.ein");
  const again = parseModule(formatted, "m.ein");
  expect(again.diagnostics.filter((d) => d.severity === "error")).toEqual([]);
  expect(printModule(again.module)).toBe(printModule(parsed.module));
  expect(commentsOf(formatted)).toEqual(commentsOf(source));
  expect(formatUnchecked(formatted, "m.ein")).toBe(formatted);
  expect(formatted).not.toMatch(/[ \t]+$/m);
  return formatted;
}

const format = (source: string): string => checkFormat(source);

describe("the formatter", () => {
  test("the style of the language page", () => {
    const source = `import { softmax } from "std/nn"

// Extents in capitals are inferred from the arguments.
export fn attention(q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E]) -> f32[B, H, Q, E] {
  let s = einsum("bhqd,bhkd->bhqk", q, k) / sqrt(D)
  let p = softmax(s, axis: -1)
  einsum("bhqk,bhke->bhqe", p, v)
}

export fn conv2d(x: f32[N, C, H, W], w: f32[O, C, R, S], stride: const int = 1, pad: const int = 0)
    -> f32[N, O, (H + 2 * pad - R) div stride + 1, (W + 2 * pad - S) div stride + 1] {
  y[n, o, i, j] = sum[c, r, s]
    (x[n, c, i * stride + r - pad, j * stride + s - pad] ?? 0) * w[o, c, r, s]
}

export fn mlp_loss(x: f32[N, I], t: i32[N]) -> f32 {
  mean(logsumexp(z, axis: 1) - for[n] (z[n, t[n]] ?? 0))  // \`for\` makes an array of its axes
}
export let train_step = value_and_grad(mlp_loss, wrt: [w1, w2])
`;
    expect(format(source)).toBe(source);
  });

  test.each([
    ["let   x=a+b*-c**2", "let x = a + b * -c ** 2\n"],
    ["let x = x [ 1 : 3 , : , : : - 1 , None , ... ]", "let x = x[1:3, :, ::-1, None, ...]\n"],
    ["let x = x[a ? b : c : d]", "let x = x[a ? b : c:d]\n"],
    ["let x = f ( a , axis : - 1 , )", "let x = f(a, axis: -1)\n"],
    ["let x = for [ i,j in 0 .. J ]a[ i ]", "let x = for[i, j in 0..J] a[i]\n"],
    ["let x = 0. .. 1", undefined],
    ["let x = for[i in 0. .. .5] i", "let x = for[i in 0. .. .5] i\n"],
    ["let x = scan ( | a,b | a+b , x as f16 )", "let x = scan(|a, b| a + b, x as f16)\n"],
    ["let x={value,index:j}", "let x = { value, index: j }\n"],
    ["let x = (((a)))", "let x = (((a)))\n"],
    ["let a = 1; let b = 2", "let a = 1\nlet b = 2\n"],
    ["\n\n\nlet a = 1\n\n\n\nlet b = 2\n\n", "let a = 1\n\nlet b = 2\n"],
    ["let a = 1   // one\r\n/* two */ let b = 2 /* three */", "let a = 1  // one\n/* two */ let b = 2 /* three */\n"],
    ["@ vjp ( g )   export fn f ( ) { 1 }", "@vjp(g)\nexport fn f() { 1 }\n"],
    ["fn f(x:f32)\n->f32{\n\nx\n\n}", "fn f(x: f32) -> f32 {\n  x\n}\n"],
    ["fn f(x:f32){y[ i ] :f32[N]+=x[i]over[ i ];y}", "fn f(x: f32) {\n  y[i]: f32[N] += x[i] over [i]\n  y\n}\n"],
    ["fn f(x:f32){y[ i ] max=x[i]}", "fn f(x: f32) { y[i] max= x[i] }\n"],
    [
      "let x=iterate i in 0..n until e<1 from a as x,b as y{x}max 10",
      "let x = iterate i in 0..n until e < 1 from a as x, b as y { x } max 10\n",
    ],
    ["fn f() { // why\n1 }", "fn f() {\n  // why\n  1\n}\n"],
    ["fn f() {}", "fn f() {}\n"],
    ["", ""],
    ["  // only this  \n", "// only this\n"],
  ])("%j", (source, expected) => {
    if (expected === undefined) expect(formatModule(source, "m.ein")).toBe(source);
    else expect(format(source)).toBe(expected);
  });

  test("what does not fit is broken: lists one item a line, chains after operators", () => {
    expect(
      format(`
fn f(first_parameter: f32[N, M], second_parameter: f32[M, K], third_parameter: const int = 1, fourth: f32) {
  let call = some_function(argument_one, argument_two * 2 + 17, argument_three, argument_four: [1, 2, 3], argument_five: 1)
  let chain = aaaaaaaaaaaaaaaaaaaaaaaaaaaa * bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + cccccccccccccccccccccccccccc * dddddddddddddddd - eee
  let choice = some_condition_that_is_long > other_condition_long ? value_of_the_first_branch + something : value_of_second
  y[i, j] = sum[k] aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[i, k] * bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb[k, j] * ccccccccccccccccccccc[k]
}`),
    ).toMatchInlineSnapshot(`
      "fn f(
        first_parameter: f32[N, M],
        second_parameter: f32[M, K],
        third_parameter: const int = 1,
        fourth: f32,
      ) {
        let call = some_function(
          argument_one,
          argument_two * 2 + 17,
          argument_three,
          argument_four: [1, 2, 3],
          argument_five: 1,
        )
        let chain = aaaaaaaaaaaaaaaaaaaaaaaaaaaa * bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb +
          cccccccccccccccccccccccccccc * dddddddddddddddd -
          eee
        let choice = some_condition_that_is_long > other_condition_long
          ? value_of_the_first_branch + something
          : value_of_second
        y[i, j] = sum[k]
          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[i, k] *
            bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb[k, j] *
            ccccccccccccccccccccc[k]
      }
      "
    `);
  });

  test("comments stay where they are", () => {
    expect(
      format(`
// header

fn f(
  x: f32, // the first
  // about the second
  y: f32,
  // at the end
) { // at the start
  let a = x  // first
    * /* inside */ y * // second
    // on its own
    z
  let b = f(a, // why
    /* b */ c // last
  )


  // before the result
  a + b // behind the result
  // at the end
}
// the last line`),
    ).toMatchInlineSnapshot(`
      "// header

      fn f(
        x: f32,  // the first
        // about the second
        y: f32,
        // at the end
      ) {
        // at the start
        let a = x  // first
          * /* inside */ y *  // second
          // on its own
          z
        let b = f(
          a,  // why
          /* b */ c,  // last
        )

        // before the result
        a + b  // behind the result
        // at the end
      }
      // the last line
      "
    `);
  });

  test("a module with errors is left as it is", () => {
    for (const source of ["let  x = (", "fn f() { let  }", "let a  = \u0000"])
      expect(formatModule(source, "m.ein")).toBe(source);
  });

  test("keeps tree and comments, and is idempotent, on random modules", () => {
    fc.assert(
      fc.property(moduleText, (source) => {
        checkFormat(source);
      }),
      { numRuns: 200 },
    );
  });
});
