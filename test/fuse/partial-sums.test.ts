/** Sums that go on from sums that are there, and axes along which nothing varies. */
import { describe, expect, test } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { normalise } from "../../src/passes/normalise.ts";

/** The normalised program's definitions; it must be valid and give what the written one gives, up to the order of its sums. */
function normalised(text: string, shapes: Readonly<Record<string, readonly number[]>>, strict = false): string {
  const p = parseProgram(text);
  const q = normalise(p, { strict });
  expect(verifyProgram(q)).toEqual([]);
  const inputs = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const count = shape.reduce((n, d) => n * d, 1);
      // Small integers: every order of a sum gives the same.
      return [name, { shape: [...shape], data: Array.from({ length: count }, (_, i) => ((i * 7) % 11) - 5) }];
    }),
  );
  const run = (x: typeof p): number[][] => interpret(x, inputs).map((r) => [...r.data]);
  expect(run(q)).toEqual(run(p));
  return printProgram(q);
}
const X = "input x: f32[i:2, j:3, k:6]\n";

describe("a sum over more goes on from a sum over less", () => {
  test("of the same tensor", () =>
    expect(
      normalised(
        `${X}m[i:2, j:3] = add(k:6) x[i, j, k]\nb[j:3] = add(i:2, k:6) x[i, j, k]\nresult m = m\nresult b = b`,
        { x: [2, 3, 6] },
      ),
    ).toMatch(/b\[\S+:3\] = add\(\S+:2\) m\[\S+, \S+\]\n/));
  test("with a dimension in digits, and of the largest part", () =>
    expect(
      normalised(
        `${X}m[i:2, j:3] = add(k:6) x[i, j, k]\nn[i:2] = add(j:3, k:6) x[i, j, k]\n` +
          "b[] = add(i:2, j:3, p:2, q:3) x[i, j, p * 3 + q]\nresult m = m\nresult n = n\nresult b = b",
        { x: [2, 3, 6] },
      ),
    ).toMatch(/n\[\S+:2\] = add\(\S+:3\) m\[[^\n]+\n[\s\S]*b\[\] = add\(\S+:2\) n\[\S+\]\n/));
  test("over the same axes in another order is the same", () =>
    expect(
      normalised(
        `${X}m[i:2, j:3] = add(k:6) x[i, j, k]\nb[j:3, i:2] = add(k:6) x[i, j, k]\nresult m = m\nresult b = b`,
        { x: [2, 3, 6] },
      ),
    ).not.toMatch(/add[\s\S]*add/));
  test.each([
    ["other dimensions", "m[i:2, k:6] = add(j:3) x[i, j, k]\nb[j:3] = add(i:2, k:6) x[i, j, k]"],
    ["another kind", "m[i:2, j:3] = max(k:6) x[i, j, k]\nb[j:3] = add(i:2, k:6) x[i, j, k]"],
    ["a diagonal", "m[i:2, j:3] = add(k:6) x[i, j, k]\nb[j:2] = add(k:6) x[j, j, k]"],
    ["a part of the range", "m[i:2, j:3] = add(k:6) x[i, j, k]\nb[j:3] = add(i:2, k:5) x[i, j, k]"],
    ["something read twice", "m[i:2, j:3] = add(k:6) x[i, j, k]\nb[j:3] = add(i:2, k:6) x[i, j, k] * x[i, j, 5 - k]"],
  ])("not over %s", (_, body) =>
    expect(normalised(`${X}${body}\nresult m = m\nresult b = b`, { x: [2, 3, 6] })).not.toMatch(
      /\bm\[[^\]]*\][^=]*\n[\s\S]*= .*\bm\[/,
    ),
  );
  test("not where sums must stay as written", () => {
    const text = `${X}m[i:2, j:3] = add(k:6) x[i, j, k]\nb[j:3] = add(i:2, k:6) x[i, j, k]\nresult m = m\nresult b = b`;
    expect(normalised(text, { x: [2, 3, 6] }, true)).toMatch(/b\[\S+:3\] = add\(\S+:2, \S+:6\) x\[/);
  });
});

describe("an axis along which nothing varies is a factor", () => {
  test("beside others", () =>
    expect(
      normalised("input y: f32[i:2, j:3]\nb[i:2] = add(j:3, k:5) y[i, j] * y[i, j]\nresult b = b", { y: [2, 3] }),
    ).toMatch(/= add\(\S+:3\) [\s\S]*\* 5\.0\n/));
  test("alone", () =>
    expect(normalised("input y: f32[i:2]\nb[i:2] = add(k:5) y[i]\nresult b = b", { y: [2] })).toMatch(
      /b\[\S+\] = y\[\S+\] \* 5\.0\n/,
    ));
  test("that may be empty: the sum over nothing is 0", () => {
    const text =
      "input y: f32[]\ninput z: f32[n:N]\nb[] = add(n:N) y[]\nc[] = add(n:N) z[n]\nresult b = b\nresult c = c";
    const q = normalise(parseProgram(text));
    for (const [n, want] of [[0, 0], [3, Number.POSITIVE_INFINITY]] as const) {
      const inputs = new Map([
        ["y", { shape: [], data: [Number.POSITIVE_INFINITY] }],
        ["z", { shape: [n], data: new Array<number>(n).fill(1) }],
      ]);
      expect([...interpret(q, inputs)[0]!.data]).toEqual([want]);
    } // biome-ignore format: a table
  });
});
