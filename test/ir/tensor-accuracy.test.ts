/** The device's functions against what ir/accuracy.ts promises of them, over many arguments and all the special ones. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import type { Device } from "../../runtime/node.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";
import { type Random, random } from "../generate/random.ts";

/** In the language, and in the tensor program's text over element i. */
const FUNCTIONS: readonly (readonly [name: string, source: string, text: string])[] = [
  ..."exp exp2 expm1 log log2 log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh erf erfc floor ceil round trunc sign"
    .split(" ")
    .map((f) => [f, `${f}(x)`, `${f}(x[i])`] as const),
  ["add", "x + y", "x[i] + y[i]"],
  ["sub", "x - y", "x[i] - y[i]"],
  ["mul", "x * y", "x[i] * y[i]"],
  ["div", "x / y", "x[i] / y[i]"],
  ["mod", "x % y", "x[i] % y[i]"],
  ["pow", "x ** y", "pow(x[i], y[i])"],
  ["atan2", "atan2(x, y)", "atan2(x[i], y[i])"],
];
const N = 4096;
const SPECIAL = [
  0,
  -0,
  1,
  -1,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
  2,
  0.5,
  Math.PI,
  88.7,
  -87.3,
  1e-40,
  3e38,
  100.5,
  8192,
  8191.5,
  1e6,
  -1e6,
];

/** Around 0 and 1, of every magnitude, and special. */
function sample(r: Random): Float32Array {
  return Float32Array.from({ length: N }, (_, i) => {
    const u = r.unit() * 2 - 1;
    if (i % 8 < 2) return u;
    if (i % 8 < 4) return u * 10;
    if (i % 8 === 4) return u * 100;
    if (i % 8 === 5) return Math.sign(u) * 2 ** (Math.abs(u) * 250 - 126);
    return i % 8 === 6 ? 1 + u / 2 : r.pick(SPECIAL);
  });
}

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device?.close());

const binary = (source: string): boolean => /\by\b/.test(source);
const program = compile(
  FUNCTIONS.map(
    ([name, source]) => `export fn of_${name}(x: f32[N]${binary(source) ? ", y: f32[N]" : ""}) { ${source} }`,
  ).join("\n"),
);

test.each(FUNCTIONS)("%s keeps its promise", async (name, source, text) => {
  const r = random(11);
  const [x, y] = [sample(r), sample(r)];
  const kernel = await device.load(program, `of_${name}`);
  const array = (data: Float32Array) => ({ dtype: "f32" as const, shape: [N], data });
  const results = await kernel.run(binary(source) ? { x: array(x), y: array(y) } : { x: array(x) });
  const [got] = Object.values(results);
  const p = parseProgram(`input x: f32[i:N]\ninput y: f32[i:N]\nz[i:N] = ${text}\nresult z = z`);
  const [bounds] = errorBounds(
    p,
    new Map([
      ["x", array(x)],
      ["y", array(y)],
    ]),
  );
  const c = compareWithin(bounds!, got!.data as Float32Array);
  const at = c.first ?? 0;
  expect(c.outside, `x ${x[at]} y ${y[at]}: ${got!.data[at]}, not in ${bounds!.low[at]} … ${bounds!.high[at]}`).toBe(0);
});
