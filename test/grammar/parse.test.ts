import { describe, expect, test } from "vitest";
import { parseModule } from "../../grammar/parser.ts";
import { moduleToJson } from "../../grammar/print.ts";
import { body, expr, tree } from "./check.ts";

describe("declarations", () => {
  test("imports", () => {
    expect(tree(`import { softmax, relu as r, } from "std/nn"\nimport {} from "./other.ein"`)).toMatchInlineSnapshot(`
      "(import "std/nn" softmax relu=r)
      (import "./other.ein")"
    `);
    expect(tree('import {\n  a,\n  b\n}\n  from "./a.ein"')).toBe('(import "./a.ein" a b)');
  });

  test("functions: parameters, constants, results, attributes, documentation", () => {
    expect(
      tree(`
/// Convolves.
///
/// Slowly.
@vjp(conv_rule)
@checkpoint
export fn conv(x: f32[N, C, H], w: f32[..., 2 * D + 1], k: i32, flag: bool,
    stride: const int = 1, axes: const ints = [0, 1], f: const fn, eps: const = 1e-5, s: const f32 = 1, eps2: f32 = 1e-5,)
    -> (value: f32, index: i32[B])
{ x }
fn plain() -> f32[N] { 1 }
fn scalar(x: f32[]) -> f32 { x }`),
    ).toMatchInlineSnapshot(`
      ";; Convolves.
      ;; 
      ;; Slowly.
      @vjp(conv_rule) @checkpoint() (export fn conv [x: f32[N C H], w: f32[... (+ (* 2 D) 1)], k: i32, flag: bool, stride: const <int> = 1, axes: const <ints> = [0 1], f: const <fn>, eps: const = 1e-5, s: const f32 = 1, eps2: f32 = 1e-5] -> {value:f32 index:i32[B]}
        (result x))
      (fn plain [] -> f32[N]
        (result 1))
      (fn scalar [x: f32[]] -> f32
        (result x))"
    `);
  });

  test("a block of `//` lines directly above documents too; others do not", () => {
    expect(tree("// Doubles.\n//  - twice\nfn f() { 1 }")).toBe(";; Doubles.\n;;  - twice\n(fn f []\n  (result 1))");
    expect(tree("// Not this.\n\nfn f() { 1 }")).toBe("(fn f []\n  (result 1))");
    expect(tree("let a = 1 // nor this\nfn f() { 1 }")).toBe("(let a 1)\n(fn f []\n  (result 1))");
    expect(tree("/* nor this */\nfn f() { 1 }")).toBe("(fn f []\n  (result 1))");
    expect(tree("// header\n/// this\r\nlet a = 1")).toBe(";; this\n(let a 1)");
  });

  test("module-level values", () => {
    expect(tree("export let train_step = value_and_grad(mlp_loss, wrt: [w1, w2])")).toMatchInlineSnapshot(
      `"(export let train_step (call value_and_grad mlp_loss wrt:[w1 w2]))"`,
    );
    expect(tree("const N = 4; export const M = N * 2")).toBe("(const N 4)\n(export const M (* N 2))");
  });

  test("the example of the language page", () => {
    expect(
      tree(`
import { softmax } from "std/nn"
export fn conv2d(x: f32[N, C, H, W], w: f32[O, C, R, S], stride: const int = 1, pad: const int = 0)
    -> f32[N, O, (H + 2 * pad - R) div stride + 1, (W + 2 * pad - S) div stride + 1] {
  y[n, o, i, j] = sum[c, r, s] (x[n, c, i * stride + r - pad, j * stride + s - pad] ?? 0) * w[o, c, r, s]
}
export fn layer_norm(x: f32[..., D], gain: f32[D], bias: f32[D], eps: f32 = 1e-5) {
  let mu  = mean(x, axis: -1, keepdims: true)
  let var = mean((x - mu) ** 2, axis: -1, keepdims: true)
  (x - mu) * rsqrt(var + eps) * gain + bias
}
export fn mlp_loss(x: f32[N, I], t: i32[N], w1: f32[I, D], w2: f32[D, O]) -> f32 {
  let z = relu(x @ w1) @ w2
  mean(logsumexp(z, axis: 1) - for[n] (z[n, t[n]] ?? 0))   // a comment
}`),
    ).toMatchInlineSnapshot(`
      "(import "std/nn" softmax)
      (export fn conv2d [x: f32[N C H W], w: f32[O C R S], stride: const <int> = 1, pad: const <int> = 0] -> f32[N O (+ (div (- (+ H (* 2 pad)) R) stride) 1) (+ (div (- (+ W (* 2 pad)) S) stride) 1)]
        (define y [n o i j] (sum [c r s] (* (?? (at x n c (- (+ (* i stride) r) pad) (- (+ (* j stride) s) pad)) 0) (at w o c r s)))))
      (export fn layer_norm [x: f32[... D], gain: f32[D], bias: f32[D], eps: f32 = 1e-5]
        (let mu (call mean x axis:(- 1) keepdims:true))
        (let var (call mean (** (- x mu) 2) axis:(- 1) keepdims:true))
        (result (+ (* (* (- x mu) (call rsqrt (+ var eps))) gain) bias)))
      (export fn mlp_loss [x: f32[N I], t: i32[N], w1: f32[I D], w2: f32[D O]] -> f32
        (let z (@ (call relu (@ x w1)) w2))
        (result (call mean (- (call logsumexp z axis:1) (for [n] (?? (at z n (at t n)) 0))))))"
    `);
  });
});

describe("statements", () => {
  test("let and const", () => {
    expect(
      body("let x = 1\nconst k = 2\nlet y: f32[N] = x\nlet { value, index: i } = argmax(y)\nvalue"),
    ).toMatchInlineSnapshot(`
      "(let x 1)
      (const k 2)
      (let y: f32[N] x)
      (let {value index=i} (call argmax y))
      (result value)"
    `);
  });

  test("definitions by index", () => {
    expect(body("y[n, o, i in 0..K] = e\nz[i]: f32[N] = y[i]")).toMatchInlineSnapshot(`
      "(define y [n o i:0..K] e)
      (define z [i]: f32[N] (at y i))"
    `);
    // The names of reductions may be defined, though not read in brackets.
    expect(body("mean[i] = x[i]")).toBe("(define mean [i] (at x i))");
  });

  test("scatters", () => {
    expect(
      body(
        "y[ids[i], d]: f32[V, D] += x[i, d]\na[i] *= b[i]\na[i] max= b[i]\na[i]: i32[N] min= b[i]\na[2 * i] set= b[i] over [i in 0..N]\na[i] += sum[k] b[k] over [i, k]",
      ),
    ).toMatchInlineSnapshot(`
      "(scatter += y [(at ids i) d]: f32[V D] (at x i d))
      (scatter *= a [i] (at b i))
      (scatter max= a [i] (at b i))
      (scatter min= a [i]: i32[N] (at b i))
      (scatter set= a [(* 2 i)] (at b i) over [i:0..N])
      (scatter += a [i] (sum [k] (at b k)) over [i k])"
    `);
  });

  test("a block's result is its last expression, if it has one", () => {
    expect(body("y[i] = x[i]")).toBe("(define y [i] (at x i))");
    expect(body("let x = 1;; x;")).toBe("(let x 1)\n(result x)");
    expect(tree("fn f() {}")).toBe("(fn f [])");
  });
});

describe("where statements end", () => {
  test("a line that ends with an operator or an opening bracket goes on", () => {
    expect(body("let x = a *\n  b +\n c\nlet y = f(\n a,\n b\n)\nlet z =\n  x\nx")).toMatchInlineSnapshot(`
      "(let x (+ (* a b) c))
      (let y (call f a b))
      (let z x)
      (result x)"
    `);
  });
  test("a line that begins with a binary operator other than - and + goes on", () => {
    expect(body("let x = a\n * b\n && c\n ?? 0\n ? d\n : e\n .T\n as f16\nx")).toMatchInlineSnapshot(`
      "(let x (? (?? (&& (* a b) c) 0) d (as (. e T) f16)))
      (result x)"
    `);
    expect(body("let x = a\n div b\nx")).toBe("(let x (div a b))\n(result x)");
    expect(body("let x = a\n | b\nx")).toBe("(let x (| a b))\n(result x)");
  });
  test("a line that begins with ( or [ or a sign is a new statement", () => {
    expect(body("let mu = mean(x)\n(x - mu) * 2")).toBe("(let mu (call mean x))\n(result (* (- x mu) 2))");
    expect(body("let mu = x\n[mu, 1]")).toBe("(let mu x)\n(result [mu 1])");
    expect(body("let mu = x\n-mu")).toBe("(let mu x)\n(result (- mu))");
  });
  test("the body of for and of a reduction may stand on the next line", () => {
    expect(body("let x = for[i]\n  (a[i])\nsum[k]\n  -x[k]")).toBe(
      "(let x (for [i] (at a i)))\n(result (sum [k] (- (at x k))))",
    );
  });
  test("inside brackets lines mean nothing, inside blocks in brackets they do", () => {
    expect(body("f(a\n  - b,\n {\n let t = 1\n t })")).toMatchInlineSnapshot(`
      "(result (call f (- a b) (block
        (let t 1)
        (result t))))"
    `);
  });
  test("all line ends and a byte order mark", () => {
    expect(tree("\uFEFFlet a = 1\r\nlet b = 2\rlet c = 3\n")).toBe("(let a 1)\n(let b 2)\n(let c 3)");
  });
  test("a line of one token that may be a keyword elsewhere", () => {
    expect(
      body("let over = 1\nlet from = over\nlet max = 2\nlet in = 3\nlet until = 4\nover[i] = 1\nset[i] = 2"),
    ).toMatchInlineSnapshot(`
      "(let over 1)
      (let from over)
      (let max 2)
      (let in 3)
      (let until 4)
      (define over [i] 1)
      (define set [i] 2)"
    `);
    expect(body("a[i] += b[i]\nover[j] = 1")).toBe("(scatter += a [i] (at b i))\n(define over [j] 1)");
    expect(body("a[i] += b[i]\n  over [i]")).toBe("(scatter += a [i] (at b i) over [i])");
  });
});

describe("expressions", () => {
  test.each([
    ["1_000", "1000"],
    ["0xff", "0xff"],
    ["1.", "1."],
    [".5e+3", ".5e+3"],
    ["inf", "inf"],
    ['"a\\n\\"\\u{41}"', '"a\\n\\"A"'],
    ["None", "None"],
    ["x.shape[0]", "(at (. x shape) 0)"],
    ["x.T", "(. x T)"],
    ["x[1:3, :, ::-1, None, ..., -1]", "(at x (: 1 3 _) (: _ _ _) (: _ _ (- 1)) newaxis ... (- 1))"],
    ["x[a ? b : c : d]", "(at x (: (? a b c) d _))"],
    ["x[a:b:c, 1::2, :n:]", "(at x (: a b c) (: 1 _ 2) (: _ n _))"],
    ["f(x, axis: -1, g(y: 1),)", "(call f x axis:(- 1) (call g y:1))"],
    ["grad(f)(x)[0]", "(at (call (call grad f) x) 0)"],
    ["[]", "[]"],
    ["[a, [b],]", "[a [b]]"],
    ["{ value, index: j }", "{value:value index:j}"],
    ["{ x }", "{x:x}"],
    ["for[i, j in 0..J - 1] a[i] * b[j]", "(for [i j:0..(- J 1)] (* (at a i) (at b j)))"],
    ["for[i in n..2 * n] 1", "(for [i:n..(* 2 n)] 1)"],
    ["sum[k] a[k] + 1", "(sum [k] (+ (at a k) 1))"],
    ["(sum[k] a[k]) + 1", "(+ (sum [k] (at a k)) 1)"],
    ["1 + max[i, j] x ? y : z", "(+ 1 (max [i j] (? x y z)))"],
    ["cumsum[i] x[i]", "(scan cumsum [i] (at x i))"],
    ["sum(x) + max(a, b)", "(+ (call sum x) (call max a b))"],
    ["r.max[0]", "(at (. r max) 0)"],
    ["scan(|a, b| a + b, x)", "(call scan (lambda [a b] (+ a b)) x)"],
    ["|a| |b| a | b", "(lambda [a] (lambda [b] (| a b)))"],
    ["c ? x : d ? y : z", "(? c x (? d y z))"],
    ["c ? d ? x : y : z", "(? c (? d x y) z)"],
    ["x as f16 as f32", "(as (as x f16) f32)"],
    ["iterate 20 from v0 as v { v }", "(iterate 20 [v=v0]\n  (result v))"],
    [
      "iterate i in 0..n until e < 1 from a as x, b as f32 as y { y } max 99",
      "(iterate i n until (< e 1) [x=a y=(as b f32)] max 99\n  (result y))",
    ],
    ["iterate until done from a as x max 5 { x }", "(iterate until done [x=a] max 5\n  (result x))"],
    ["{ let t = 1; t }", "(block\n  (let t 1)\n  (result t))"],
  ])("%s", (source, expected) => {
    expect(expr(source)).toBe(expected);
  });

  test("a name may be any word that no other reading needs", () => {
    expect(expr("f(max: 1, in: 2, from: over)")).toBe("(call f max:1 in:2 from:over)");
    expect(expr("__proto__.constructor[toString]")).toBe("(at (. __proto__ constructor) toString)");
  });

  test("trees as JSON have no spans", () => {
    const { module } = parseModule("let a = -1", "m.ein");
    expect(JSON.stringify(moduleToJson(module))).toBe(
      '{"kind":"module","file":"m.ein","items":[{"kind":"letItem","exported":false,"isConst":false,"name":{"text":"a"},"value":{"kind":"unary","op":"-","operand":{"kind":"number","text":"1","isFloat":false}}}]}',
    );
  });
});

describe("precedence", () => {
  // From loosest to tightest; each level is tried against the next.
  const levels = ["??", "||", "&&", "|", "^", "&", "==", "<<", "+", "*", "**"];
  test.each(levels.slice(1).map((tight, i) => [levels[i]!, tight]))("%s is looser than %s", (loose, tight) => {
    expect(expr(`a ${loose} b ${tight} c`)).toBe(`(${loose} a (${tight} b c))`);
    expect(expr(`a ${tight} b ${loose} c`)).toBe(`(${loose} (${tight} a b) c)`);
  });
  test.each([
    ["- + *", "a - b + c * d", "(+ (- a b) (* c d))"],
    ["left", "a - b - c", "(- (- a b) c)"],
    ["left", "a / b * c div d % e @ f", "(@ (% (div (* (/ a b) c) d) e) f)"],
    ["right", "a ** b ** c", "(** a (** b c))"],
    ["prefix before power", "-x ** 2", "(- (** x 2))"],
    ["prefix after power", "2 ** -x * y", "(* (** 2 (- x)) y)"],
    ["prefix before product", "-a * b", "(* (- a) b)"],
    ["prefix before comparison", "!a == b", "(== (! a) b)"],
    ["prefixes", "!-~x", "(! (- (~ x)))"],
    ["cast before power", "x ** y as f16", "(** x (as y f16))"],
    ["cast before prefix", "-x as f16", "(- (as x f16))"],
    ["subscript before cast", "x[0] as f16", "(as (at x 0) f16)"],
    ["conditional", "a ?? b ? c : d", "(? (?? a b) c d)"],
    ["fill", "x[i] ?? 0 + 1", "(?? (at x i) (+ 0 1))"],
    ["fill", "a ?? b ?? c", "(?? (?? a b) c)"],
    ["shift", "a << 1 + b >> c", "(>> (<< a (+ 1 b)) c)"],
  ])("%s: %s", (_, source, expected) => {
    expect(expr(source)).toBe(expected);
  });
  test("parentheses are part of the span of what they enclose", () => {
    const source = "let v = (a + b) * c";
    const item = parseModule(source, "m.ein").module.items[0]!;
    if (item.kind !== "letItem" || item.value.kind !== "binary") throw new Error("not a product");
    const text = (s: { start: number; end: number }): string => source.slice(s.start, s.end);
    expect([text(item.value.span), text(item.value.left.span), text(item.value.opSpan)]).toEqual([
      "(a + b) * c",
      "(a + b)",
      "*",
    ]);
  });
});
