/** `assert`: what is decided while compiling, what the host is left to check, and where it is told. */
import { expect, test } from "vitest";
import type { HostArray } from "../../runtime/plan.ts";
import { CompileError, compile } from "../../src/index.ts";

function codeOf(source: string): string | undefined {
  try {
    compile(source, { fileName: "a.ein" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    const [d] = error.diagnostics;
    return `${d!.code} ${d!.message} @${d!.labels.map((l) => l.span.start).join(" ")}`;
  }
}
const f32 = (...data: number[]): { dtype: "f32"; shape: number[]; data: Float32Array } => ({
  dtype: "f32",
  shape: [data.length],
  data: Float32Array.from(data),
});

/** The only result. */
const first = (results: Readonly<Record<string, HostArray>>): HostArray => Object.values(results)[0]!;

test("constants decide it while compiling; both the condition and the call are shown", () => {
  const mine = 'fn g(x: f32[N], k: const int) { assert(k > 1, "k is more than 1", x) }\n';
  expect(codeOf(`${mine}export fn f(x: f32[N]) { g(x, 2) }`)).toBeUndefined();
  expect(codeOf(`${mine}export fn f(x: f32[N]) { g(x, 1) }`)).toBe(
    `EIN1504 k is more than 1 @${mine.indexOf("assert")} ${mine.length + "export fn f(x: f32[N]) { ".length}`,
  );
  expect(codeOf('export fn f(x: f32[4]) { assert(x.shape[0] == 3, "three", x) }')).toMatch(/^EIN1504 three /);
});

test("extents are asked when sizes are known", () => {
  const p = compile('export fn f(x: f32[N]) { assert(N % 2 == 0, "halves are of an even number", x[:N div 2]) }');
  expect([...first(p.interpret("f", { x: f32(1, 2, 3, 4) })).data]).toEqual([1, 2]);
  expect(() => p.interpret("f", { x: f32(1, 2, 3) })).toThrow(/halves are of an even number/);
  for (const [relation, good, bad] of [[">=", 3, 2], [">", 4, 3], ["<=", 3, 4], ["<", 2, 3], ["==", 3, 4]] as const) {
    const q = compile(`export fn f(x: f32[N]) { assert(N ${relation} 3, "wanted", x) }`);
    const ones = (n: number): ReturnType<typeof f32> => f32(...new Array<number>(n).fill(1));
    expect(first(q.interpret("f", { x: ones(good) })).shape).toEqual([good]);
    expect(() => q.interpret("f", { x: ones(bad) }), relation).toThrow();
  } // biome-ignore format: a table
});

test("two symbols that are asserted equal are one", () => {
  const p = compile('export fn f(x: f32[N], y: f32[M]) { x + assert(N == M, "as many", y) }');
  expect([...first(p.interpret("f", { x: f32(1, 2), y: f32(3, 4) })).data]).toEqual([4, 6]);
  expect(() => p.interpret("f", { x: f32(1, 2), y: f32(3) })).toThrow();
});

test("data cannot be asserted, nor with a message that is no string", () => {
  expect(codeOf('export fn f(x: f32[N], y: f32) { assert(y > 0, "positive", x) }')).toMatch(/^EIN1502 /);
  expect(codeOf("export fn f(x: f32[N]) { assert(true, 3, x) }")).toMatch(/^EIN1501 /);
});
