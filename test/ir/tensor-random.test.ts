import { describe, expect, test } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { interpretSampled } from "../../ir/interpret-sampled.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { simplifyProgram } from "../../ir/simplify.ts";
import type { Program } from "../../ir/tensor.ts";
import { unprovedReads, verifyProgram } from "../../ir/verify-tensor.ts";
import { type GeneratedProgram, generateProgram } from "../generate/programs.ts";

const SEEDS = 120;
function each(f: (g: GeneratedProgram) => void, options: Parameters<typeof generateProgram>[1] = {}): void {
  for (let seed = 0; seed < SEEDS; seed++) {
    const g = generateProgram(seed, options);
    try {
      f(g);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}\n${printProgram(g.program)}`, {
        cause: error,
      });
    }
  }
}
function values(p: Program, g: GeneratedProgram): (number | string)[][] {
  return interpret(p, g.inputs, { sizes: g.sizes }).map((r) => [r.name, ...r.shape, ...r.data]);
}

const ALL = { dtypes: ["f32", "f32", "f16", "i32", "u32", "bool"], specials: true } as const;

describe("random programs", () => {
  test("verify, with every read proved", () => {
    each((g) => {
      expect(verifyProgram(g.program)).toEqual([]);
      expect(unprovedReads(g.program).length).toBe(0);
    }, ALL);
  });
  test("print and parse back", () => {
    each((g) => {
      const text = printProgram(g.program);
      const again = parseProgram(text);
      expect(printProgram(again)).toBe(text);
      expect(values(again, g)).toEqual(values(g.program, g));
      const canonical = printProgram(g.program, { canonical: true });
      expect(printProgram(parseProgram(canonical), { canonical: true })).toBe(canonical);
    }, ALL);
  });
  test("simplified, compute the same bits", () => {
    let changed = 0;
    each((g) => {
      const s = simplifyProgram(g.program);
      if (s !== g.program) changed++;
      expect(verifyProgram(s)).toEqual([]);
      expect(values(s, g)).toEqual(values(g.program, g));
      expect(printProgram(simplifyProgram(s))).toBe(printProgram(s));
      expect(simplifyProgram(s)).toBe(s);
    }, ALL);
    expect(changed).toBeGreaterThan(SEEDS / 4);
  });
  test("sampled, compute the same bits", () => {
    each((g) => {
      for (const r of interpret(g.program, g.inputs, { sizes: g.sizes })) {
        const some = [...r.data.keys()].filter((i) => i % 3 === 0);
        const sampled = interpretSampled(g.program, g.inputs, r.name, some, { sizes: g.sizes });
        expect([...sampled]).toEqual(some.map((i) => r.data[i]));
      }
    }, ALL);
  });
  test("the same seed gives the same program", () => {
    for (let seed = 0; seed < 20; seed++)
      expect(printProgram(generateProgram(seed).program)).toBe(printProgram(generateProgram(seed).program));
  });
});
