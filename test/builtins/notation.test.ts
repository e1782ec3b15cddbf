import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseEinops, parseNamedEinsum, parsePack } from "../../src/elaborate/notation/einops.ts";
import { parseEinsum } from "../../src/elaborate/notation/einsum.ts";
import { NotationError } from "../../src/elaborate/notation/error.ts";

/** The error, as `code message | characters it points at`. */
function errorOf(text: string, f: () => unknown): string {
  try {
    f();
  } catch (e) {
    if (!(e instanceof NotationError)) throw e;
    const place = e.places[0];
    return `${e.code} ${e.message} | ${place ? text.slice(place.offset, place.offset + place.length) : ""}`;
  }
  return "no error";
}
const einsumError = (text: string, ranks: readonly number[]): string => errorOf(text, () => parseEinsum(text, ranks));
const namesOf = (list: readonly { readonly name: string }[]): string => list.map((l) => l.name).join(" ");
const planText = (text: string, ranks: readonly number[], diagonal = false): string => {
  const plan = parseEinsum(text, ranks, { diagonal });
  return `${plan.inputs.map(namesOf).join(", ")} -> ${namesOf(plan.output)}`;
};

describe("einsum strings", () => {
  it("reads explicit and implicit results", () => {
    expect(planText("ij,jk->ik", [2, 2])).toBe("i j, j k -> i k");
    expect(planText("ij,jk", [2, 2])).toBe("i j, j k -> i k");
    expect(planText("ba", [2])).toBe("b a -> a b");
    expect(planText("ii", [2])).toBe("i i -> ");
    expect(planText("aB", [2])).toBe("a B -> B a");
    expect(planText("", [0])).toBe(" -> ");
    expect(planText(" i j , j k - > i k ", [2, 2])).toBe("i j, j k -> i k");
  });
  it("aligns ellipses at the right", () => {
    expect(planText("...ij,...jk", [4, 3])).toBe("...1 ...0 i j, ...0 j k -> ...1 ...0 i k");
    expect(planText("i...->...", [3])).toBe("i ...1 ...0 -> ...1 ...0");
    expect(planText("...->", [2])).toBe("...1 ...0 -> ");
    expect(planText("a...b->ab", [3])).toBe("a ...0 b -> a b");
  });
  it("writes diagonals only when asked to", () => {
    expect(planText("a->aa", [1], true)).toBe("a -> a a");
    expect(einsumError("a->aa", [1])).toBe("EIN1401 index `a` occurs twice in the result | a");
  });
  it("points at what is wrong", () => {
    expect(einsumError("ij,j&->i", [2, 2])).toBe("EIN1401 `&` is not an index | &");
    expect(einsumError("ij,jk->iz", [2, 2])).toBe("EIN1401 index `z` of the result occurs in no operand | z");
    expect(einsumError("ij->i->j", [2])).toBe("EIN1401 `->` occurs twice | ->");
    expect(einsumError("i..j", [2])).toBe("EIN1401 a `.` is not part of `...` | ..");
    expect(einsumError("...i...", [2])).toBe("EIN1401 `...` occurs twice in one term | ...");
    expect(einsumError("ij,jk->i,k", [2, 2])).toBe("EIN1401 the result is one term | ,");
    expect(einsumError("ij,jk", [2])).toBe("EIN1402 the string has 2 terms for 1 operand | jk");
    expect(einsumError("ij", [2, 2])).toBe("EIN1402 the string has 1 term for 2 operands | ij");
    expect(einsumError("ij,jk->ik", [3, 2])).toBe("EIN1402 operand 0 has 3 axes, but its term names 2 | ij");
    expect(einsumError("ab...", [1])).toBe("EIN1402 operand 0 has 1 axis, but its term needs at least 2 | ab...");
  });
  it("refuses 10^5 terms for one operand at once", () => {
    const text = `${"ab,".repeat(100000)}ab`;
    const start = process.cpuUsage();
    expect(einsumError(text, [2])).toMatch(/^EIN1402 the string has 100001 terms for 1 operand/);
    expect(parseEinsum(text, new Array<number>(100001).fill(2)).output.length).toBe(0);
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(1000);
  });
});

const einopsError = (
  op: "rearrange" | "reduce" | "repeat",
  text: string,
  rank: number,
  sizes: readonly string[] = [],
): string => errorOf(text, () => parseEinops(op, text, sizes, rank));

describe("einops patterns", () => {
  it("reads groups, units and ellipses", () => {
    const plan = parseEinops("rearrange", "b (h d) ... 1 -> (b ...) h () d", ["h"], 5);
    expect(plan.input.map((g) => namesOf(g.axes))).toEqual(["b", "h d", "...0", "...1", ""]);
    expect(plan.output.map((g) => namesOf(g.axes))).toEqual(["b ...0 ...1", "h", "", "d"]);
  });
  it("knows what is reduced and what is new", () => {
    expect(namesOf(parseEinops("reduce", "a (b 2) ... -> a", [], 4).reduced)).toBe("b 2@5 ...0 ...1");
    expect(namesOf(parseEinops("repeat", "a -> a b 3", ["b"], 1).added)).toBe("b 3@9");
  });
  it("points at what is wrong", () => {
    expect(einopsError("rearrange", "a b -> a b b", 2)).toBe("EIN1411 axis `b` occurs twice on one side | b");
    expect(einopsError("rearrange", "(a (b c)) -> a b c", 1)).toBe("EIN1411 parentheses may not nest | (");
    expect(einopsError("rearrange", "(a b -> a b", 1)).toBe("EIN1411 a parenthesis is not closed | (");
    expect(einopsError("rearrange", "a b) -> a b", 2)).toBe("EIN1411 a parenthesis is closed that was not opened | )");
    expect(einopsError("rearrange", "a, b -> a b", 2)).toMatch(/^EIN1411 /);
    expect(einopsError("rearrange", "1a b -> b 1a", 2)).toBe("EIN1411 `1a` is no name for an axis | 1a");
    expect(einopsError("rearrange", "_ b -> b _", 2)).toBe("EIN1411 the axis name `_` begins or ends with `_` | _");
    expect(einopsError("rearrange", "a .. b -> a b", 3)).toBe("EIN1411 an ellipsis has three dots | ..");
    expect(einopsError("rearrange", "a b -> a", 2)).toBe(
      "EIN1411 axis `b` stands only on the left side of `rearrange` | b",
    );
    expect(einopsError("repeat", "a -> a b", 1)).toBe("EIN1411 the new axis `b` has no extent | b");
    expect(einopsError("rearrange", "a b c -> a b c", 2)).toBe(
      "EIN1412 the tensor has 2 axes, but the pattern names 3 | a b c ",
    );
    expect(errorOf("a b", () => parsePack("a b"))).toMatch(/^EIN1411 the pattern has no `\*`/);
  });
});

interface EinsumCase {
  readonly name: string;
  readonly equation: string;
  readonly shapes?: number[][];
  readonly inputs?: { shape: number[] }[];
  readonly expected?: { shape: number[] };
}
interface EinopsCase {
  readonly name: string;
  readonly op: string;
  readonly pattern: string;
  readonly axes: Record<string, number>;
  readonly inputs: { shape: number[] }[];
  readonly list_input?: boolean;
  readonly expected: { shape: number[] };
  readonly shapes: number[][];
}
const FOLDER = process.env["FUSUM_CONFORMANCE"] ?? new URL("../../../shared/conformance/", import.meta.url).pathname;
const load = (name: string): { cases: unknown[] } =>
  JSON.parse(readFileSync(`${FOLDER}/${name}.json`, "utf8")) as { cases: unknown[] };

describe.runIf(existsSync(`${FOLDER}/einsum.json`))("the notation of other projects' suites", () => {
  it("parses every einsum, with the right rank", () => {
    for (const c of load("einsum").cases as EinsumCase[])
      expect(
        parseEinsum(
          c.equation,
          (c.inputs ?? []).map((t) => t.shape.length),
        ).output.length,
        c.name,
      ).toBe(c.expected?.shape.length);
  });
  it("parses every einops pattern, with the right rank", () => {
    for (const c of load("einops").cases as EinopsCase[]) {
      const rank = c.list_input ? (c.inputs[0]?.shape.length ?? 0) + 1 : (c.inputs[0]?.shape.length ?? 0);
      if (c.op === "einsum")
        expect(
          parseNamedEinsum(
            c.pattern,
            c.inputs.map((t) => t.shape.length),
          ).output.length,
          c.name,
        ).toBe(c.expected.shape.length);
      else if (c.op === "pack" || c.op === "unpack")
        expect(parsePack(c.pattern).before, c.name).toBeGreaterThanOrEqual(0);
      else
        expect(parseEinops(c.op as "reduce", c.pattern, Object.keys(c.axes), rank).output.length, c.name).toBe(
          c.expected.shape.length,
        );
    }
  });
});
