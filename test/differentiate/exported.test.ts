/** `export let f = vjp(g)` and `jvp(g)`: functions with a signature, whose cotangent or tangents are parameters like others. */
import { expect, test } from "vitest";
import { CompileError, compile, type HostArray } from "../../src/index.ts";
import { expectError } from "../elaborate/helper.ts";

const SOURCE = `fn g(x: f32[M, N], w: f32[N], k: f32 = 2) -> f32[M] { sum(tanh(x * w * k), axis: 1) }
fn record(x: f32[..., N]) { { a: x * x, n: argmax(x, axis: -1), s: sum(x ** 3, axis: -1) } }
fn longer(x: f32[N]) { cat([x * x, zeros([2])], axis: 0) }

/// What a cotangent of g is to its arguments.
export let pull = vjp(g, wrt: [x, w])
export let push = jvp(g, wrt: [x, w])
export let push_one = jvp(g)
export let pull_record = vjp(record)
export let pull_longer = vjp(longer)
export let curvature = jvp(grad(loss))

fn loss(x: f32[N]) -> f32 { sum(x ** 3) }

export fn pull_called(x: f32[M, N], w: f32[N], c: f32[M]) { vjp(g, wrt: [x, w])(x, w, cotangent: c) }
export fn push_called(x: f32[M, N], w: f32[N], dx: f32[M, N], dw: f32[N]) { jvp(g, wrt: [x, w])(x, w, tangent_x: dx, tangent_w: dw) }
export fn record_called(x: f32[M, N], a: f32[M, N], s: f32[M]) { vjp(record)(x, { a, s }) }
export fn longer_called(x: f32[N], c: f32[C]) { vjp(longer)(x, c) }
export fn curvature_called(x: f32[N], t: f32[N]) { jvp(grad(loss))(x, t) }
`;

const program = compile(SOURCE);

function array(shape: readonly number[], seed: number): HostArray {
  const count = shape.reduce((a, b) => a * b, 1);
  return { dtype: "f32", shape, data: Float32Array.from({ length: count }, (_, i) => Math.sin(seed + 3 * i)) };
}

test("signatures say what the cotangent and the tangents are", () => {
  const texts = program.functions
    .filter((f) => !f.name.endsWith("called"))
    .map((f) => `${f.name}: ${f.parameters.map((p) => `${p.name} ${p.dtype}[${p.shape.join(", ")}]`).join("; ")}`);
  expect(texts).toEqual([
    "pull: x f32[M, N]; w f32[N]; k f32[]; cotangent f32[M]",
    "push: x f32[M, N]; w f32[N]; k f32[]; tangent_x f32[M, N]; tangent_w f32[N]",
    "push_one: x f32[M, N]; w f32[N]; k f32[]; tangent f32[M, N]",
    "pull_record: x f32[..., N]; cotangent_a f32[..., N]; cotangent_s f32[...]",
    "pull_longer: x f32[N]; cotangent f32[N + 2]",
    "curvature: x f32[N]; tangent f32[N]",
  ]);
  const [pull] = program.functions;
  expect(pull).toMatchObject({ doc: "What a cotangent of g is to its arguments.", extents: ["M", "N"] });
  expect(program.plan("pull_record").params.map((p) => [p.name, p.folded])).toEqual([
    ["x", true],
    ["cotangent_a", true],
    ["cotangent_s", true],
  ]);
});

const [x, w, c, dx, dw] = [array([3, 4], 1), array([4], 2), array([3], 3), array([3, 4], 4), array([4], 5)] as const;
const v = array([4], 6);
const c6 = array([6], 7);

test.each([
  ["pull", { x, w, cotangent: c }, { x, w, c }],
  ["push", { x, w, tangent_x: dx, tangent_w: dw }, { x, w, dx, dw }],
  ["pull_record", { x, cotangent_a: dx, cotangent_s: c }, { x, a: dx, s: c }],
  ["pull_longer", { x: v, cotangent: c6 }, { x: v, c: c6 }],
  ["curvature", { x: v, tangent: w }, { x: v, t: w }],
])("%s gives what a call of it does", (name, inputs, called) => {
  const expected = program.interpret(
    name === "pull" ? "pull_called" : `${name.replace("pull_", "")}_called`,
    called as Record<string, HostArray>,
  );
  expect(program.interpret(name, inputs as unknown as Record<string, HostArray>)).toEqual(expected);
});

test("a parameter that is left out keeps its default", () => {
  const k = (value: number): HostArray => ({ dtype: "f32", shape: [], data: Float32Array.of(value) });
  const short = program.interpret("push_one", { x, w, tangent: dx });
  expect(program.interpret("push_one", { x, w, tangent: dx, k: k(2) })).toEqual(short);
  expect(program.interpret("push_one", { x, w, tangent: dx, k: k(3) })).not.toEqual(short);
});

test.each<[string, Record<string, HostArray>, string, RegExp]>([
  ["another extent", { x, w, cotangent: array([4], 1) }, "EIN1203", /axis 0 of `cotangent`.*4 is not 3/],
  ["another rank", { x, w, cotangent: array([3, 1], 1) }, "EIN1202", /`cotangent` has 1 axis, but the shape \[3, 1\]/],
  ["an unknown name", { x, w, cotangents: c }, "EIN1501", /no parameter `cotangents`; did you mean `cotangent`/],
])("%s is refused", (_, inputs, code, message) => {
  const error = (() => {
    try {
      return program.interpret("pull", inputs);
    } catch (e) {
      return e;
    }
  })();
  expect(error).toBeInstanceOf(CompileError);
  expect((error as CompileError).diagnostics).toMatchObject([{ code, message: expect.stringMatching(message) }]);
});

test("two parameters of one name are refused", () => {
  const takes = (name: string): string => `fn g(x: f32[N], ${name}: f32[N]) { { y: x * ${name} } }\n`;
  expectError(`${takes("cotangent")}export let f = vjp(g)`, "EIN1601", ["vjp(g)"]);
  expectError(`${takes("tangent")}export fn f(x: f32[N]) { jvp(g)(x, x, x) }`, "EIN1601", ["jvp(g)"]);
  expectError(`${takes("cotangent_y")}export let f = vjp(g)`, "EIN1601", ["g"]);
  expectError(`${takes("tangent_x")}export fn f(x: f32[N]) { jvp(g)(x, x, x) }`, "EIN1601", ["jvp(g)(x, x, x)"]);
  expectError("fn g(x: f32[N]) { x * x }\nexport let f = vjp(vjp(g))", "EIN1601", ["vjp(vjp(g))"]);
});
