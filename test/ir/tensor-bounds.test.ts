import { describe, expect, test } from "vitest";
import { ACCURACY, type FunctionPrim } from "../../ir/accuracy.ts";
import { type BoundOptions, type Bounds, compareWithin, errorBounds, errorBoundsSampled } from "../../ir/bounds.ts";
import { type DType, isFloat } from "../../ir/dtype.ts";
import { compilePrim } from "../../ir/evaluate.ts";
import { FORMATS, roundTo, ulp } from "../../ir/float.ts";
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import type { PlayedDevice } from "../../ir/interpret-parts.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printProgram } from "../../ir/print-tensor.ts";
import { generateProgram } from "../generate/programs.ts";
import { type Random, random } from "../generate/random.ts";

/** A device that keeps its promises and no more: errors as large as allowed, either rounding, flushing, any order. */
function mischievous(r: Random): PlayedDevice {
  const flush = (v: number, dtype: DType): number => {
    if (!isFloat(dtype) || v === 0 || Number.isNaN(v) || Math.abs(v) >= FORMATS[dtype as "f32" | "f16"].normal)
      return v;
    return r.chance(0.5) ? (v < 0 ? -0 : 0) : v;
  };
  /** To one of the two neighbours in the format. */
  const toGrid = (v: number, dtype: "f32" | "f16"): number => {
    if (!Number.isFinite(v)) return v;
    const format = FORMATS[dtype];
    if (Math.abs(v) > format.max) return Math.sign(v) * (r.chance(0.5) ? format.max : Number.POSITIVE_INFINITY);
    const near = roundTo(dtype, v);
    if (near === v) return v;
    const step = ulp(format, v);
    const other = near > v ? near - step : near + step;
    return r.chance(0.5) ? near : roundTo(dtype, other);
  };
  return {
    primitive: (prim, operands, result) => {
      const f = compilePrim(prim, operands, result, "exact");
      const from = prim === "select" ? operands[1] : operands[0];
      const accuracy = Object.hasOwn(ACCURACY, prim) ? ACCURACY[prim as FunctionPrim] : undefined;
      return (a, b, c, d) => {
        const args = [a, b, c, d].map((v, i) => flush(v, operands[i] ?? "i32"));
        const v = f(args[0]!, args[1]!, args[2]!, args[3]!);
        if (result !== "f32" && result !== "f16") return v;
        const exact =
          !accuracy &&
          (!isFloat(from ?? "f32") ? from === "bool" : prim !== "cast" && prim !== "floordiv" && prim !== "mod");
        // Zeros of zeros are exact.
        if (exact || !Number.isFinite(v) || (v === 0 && args[0] === 0)) return flush(v, result);
        const units = accuracy ? accuracy.relative(Math.min(Math.abs(args[0]!), 1e4)) : prim === "floordiv" ? 2.5 : 1;
        const far = r.pick([-1, 1, r.unit() * 2 - 1]);
        // One unit is left for the last rounding.
        const relative = Math.max(0, units - 1) * 2 ** -23 * far;
        const absolute = accuracy ? accuracy.absolute(args[0]!, args[0]!) * r.pick([-1, 0, 1]) : 0;
        return flush(toGrid(v * (1 + relative) + absolute, result), result);
      };
    },
    split: (n) => 1 + r.below(n - 1),
    order: (n) => {
      const list = Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = r.below(i + 1);
        [list[i], list[j]] = [list[j]!, list[i]!];
      }
      return list;
    },
  };
}

function bounds(text: string, inputs: Record<string, ArrayInput>, options: BoundOptions = {}): Bounds[] {
  return errorBounds(parseProgram(text), new Map(Object.entries(inputs)), options);
}
function list(values: number[]): ArrayInput {
  return { shape: [values.length], data: Float32Array.from(values) };
}
/** Half the width of the only element's bound. */
function width(text: string, x: number, dtype = "f32"): number {
  const [b] = bounds(`input x: ${dtype}[]\ny[] = ${text}\nresult y = y`, { x: { shape: [], data: [x] } });
  return Math.max(b!.high[0]! - b!.exact[0]!, b!.exact[0]! - b!.low[0]!);
}
const U = 2 ** -23;

describe("bounds are what the promises say", () => {
  test("one rounding", () => {
    expect(width("x[] + 1.0", 3)).toBeCloseTo(4 * U, 12);
    expect(width("x[] * 3.0", 1)).toBeCloseTo(3 * U, 12);
    expect(width("exp(x[])", 1)).toBeCloseTo(Math.E * 5 * U, 10);
    expect(width("f32(x[])", 1.5, "f16")).toBe(0);
    expect(width("x[] + 1.0h", 3, "f16")).toBeCloseTo(4 * 2 ** -10 + 2 ** -14, 12);
    expect(width("-abs(x[])", 3)).toBe(0);
    expect(width("i32(x[]) * 7", 3.5)).toBe(0);
  });
  test("a sum of n terms by its depth", () => {
    const x = list(Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? 1 : -1)));
    const text = "input x: f32[i:N]\ns[] = add(i:N) x[i]\nresult s = s";
    const [any] = bounds(text, { x });
    expect(any!.high[0]).toBeGreaterThan(1000 * 1000 * U * 0.99);
    expect(any!.high[0]).toBeLessThan(1000 * 1000 * U * 1.01);
    const [tree] = bounds(text, { x }, { orderOf: () => ({ depth: 10 }) });
    expect(tree!.high[0]).toBeLessThan(1000 * 10 * U * 1.01);
  });
  test("matmul: γ·Σ|a||b|, and never relative to a result that cancels", () => {
    const [b] = bounds(
      "input a: f32[i:2, k:K]\ninput b: f32[k:K, j:1]\nc[i:2, j:1] = add(k:K) a[i, k] * b[k, j]\nresult c = c",
      { a: { shape: [2, 3], data: [1, 2, 3, 1, 1, -2] }, b: { shape: [3, 1], data: [1, 1, 1] } },
    );
    expect(b!.exact[1]).toBe(0);
    const half = b!.high[1]! - b!.exact[1]!;
    expect(half).toBeGreaterThan(3 * 4 * U);
    expect(half).toBeLessThan(4.1 * 4 * U);
  });
  test("what rounding cannot touch is exact", () => {
    const [y, j] = bounds(
      "input x: f32[i:N]\ny[i:N] = max(x[i], 0.0)\nm, j[] = argmax(i:N) x[i], i\nresult y = y\nresult j = j",
      { x: list([3, -1, 7, 2]) },
    );
    expect([...y!.low]).toEqual([3, 0, 7, 2]);
    expect([...y!.high]).toEqual([3, 0, 7, 2]);
    expect([j!.low[0], j!.high[0]]).toEqual([2, 2]);
  });
  test("undecided choices count both ways", () => {
    const [f, s, j] = bounds(
      `input x: f32[i:N]
       f[] = floor(x[0] / 3.0 * 3.0)
       s[] = x[0] / 3.0 * 3.0 >= 7.0 ? 1 : 2
       z[i:N] = exp(x[i]) * exp(-x[i])
       v, j[] = argmax(i:N) z[i], i
       result f = f
       result s = s
       result j = j`,
      { x: list([7, 1, 2]) },
    );
    expect([f!.low[0], f!.high[0]]).toEqual([6, 7]);
    expect([s!.low[0], s!.high[0]]).toEqual([1, 2]);
    expect([j!.low[0], j!.high[0]]).toEqual([0, 2]);
  });
  test("infinities and NaN", () => {
    const [y] = bounds("input x: f32[i:N]\ny[i:N] = x[i] - x[N - 1 - i]\nresult y = y", {
      x: list([Number.POSITIVE_INFINITY, Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]),
    });
    expect([...y!.nan]).toEqual([1, 1, 1, 1]);
    expect(compareWithin(y!, [Number.NaN, Number.NaN, Number.NaN, Number.NaN]).outside).toBe(0);
    expect(compareWithin(y!, [1, Number.NaN, Number.NaN, Number.NaN]).outside).toBe(1);
    const [e] = bounds("input x: f32[]\ne[] = exp(x[])\nresult e = e", { x: { shape: [], data: [100] } });
    expect(e!.high[0]).toBe(Number.POSITIVE_INFINITY);
    expect(compareWithin(e!, [Number.POSITIVE_INFINITY]).outside).toBe(0);
    expect(compareWithin(e!, [1]).outside).toBe(1);
  });
  test("softmax has a relative bound of a few dozen ULP", () => {
    const [y] = bounds(
      `input x: f32[k:K]
       m[] = max(k:K) x[k]
       p[k:K] = exp(x[k] - m[])
       z[] = add(k:K) p[k]
       y[k:K] = p[k] / z[]
       result y = y`,
      { x: list([1, 2, 3, 4, 5, 6, 7, 8]) },
    );
    y!.exact.forEach((v, i) => {
      expect((y!.high[i]! - y!.low[i]!) / 2 / v / U).toBeLessThan(60);
    });
  });
  test("an until that rounding may turn leaves the carry open", () => {
    const text = (limit: string): string => `input x: f32[]
      loop max 20 {
        carry c: f32[] = x
        w[] = c[] / 2.0
        done[] = w[] < ${limit}
        next c = w
        until done
      }
      result c = c`;
    const x = { shape: [], data: [1] };
    expect(bounds(text("0.3"), { x })[0]!.high[0]).toBeLessThan(0.26);
    expect(bounds(text("0.25"), { x })[0]!.high[0]).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("a device that keeps its promises is never outside", () => {
  const run = (
    from: number,
    to: number,
    options: Parameters<typeof generateProgram>[1],
  ): { checked: number; open: number } => {
    let [checked, open] = [0, 0];
    for (let seed = from; seed < to; seed++) {
      const g = generateProgram(seed, options);
      const all = errorBounds(g.program, g.inputs, { sizes: g.sizes });
      for (let device = 0; device < 4; device++) {
        const results = interpret(g.program, g.inputs, {
          sizes: g.sizes,
          mode: "rounded",
          device: mischievous(random(seed * 31 + device)),
        });
        results.forEach((r, i) => {
          const c = compareWithin(all[i]!, r.data);
          if (c.first !== undefined) {
            const b = all[i]!;
            const at = c.first;
            throw new Error(
              `seed ${seed} device ${device} ${r.name}[${at}] = ${r.data[at]}, exact ${b.exact[at]}, bound ${b.low[at]} … ${b.high[at]} nan ${b.nan[at]}\n${printProgram(g.program)}`,
            );
          }
          checked += r.data.length;
          open += c.unbounded;
        });
      }
    }
    return { checked, open };
  };
  test("on tame programs", () => {
    const { checked, open } = run(0, 60, { dtypes: ["f32", "f32", "i32", "bool"], nested: true });
    expect(checked).toBeGreaterThan(1000);
    expect(open / checked).toBeLessThan(0.5);
  });
  test("with arithmetic alone most bounds are finite", () => {
    const { checked, open } = run(0, 40, { dtypes: ["f32", "f32", "f32", "i32", "bool"], functions: false });
    expect(open / checked).toBeLessThan(0.3);
  });
  test("with infinities, NaN, subnormals and f16", () => {
    run(1000, 1060, { dtypes: ["f32", "f32", "f16", "i32", "u32", "bool"], specials: true });
  });
});

test("rounding monoids of one's own: any brackets in order, or sequentially", () => {
  const text = (
    commutative: string,
  ): string => `monoid affine: f32, f32 = $0 * $2, $2 * $1 + $3 identity 1.0, 0.0${commutative}
    input x: f32[i:N]
    a, b[] = affine(i:N) x[i], x[N - 1 - i] / 3.0
    c, d[i:N] = scan affine along i x[i], 0.1
    result b = b
    result d = d`;
  const x = list([1.5, -0.25, 2, 0.75, -1, 3, 0.5]);
  const inputs = new Map([["x", x]]);
  const p = parseProgram(text(""));
  const all = errorBounds(p, inputs);
  for (const b of all) expect(Math.max(...b.high) - Math.min(...b.low)).toBeLessThan(20);
  for (let device = 0; device < 100; device++) {
    const results = interpret(p, inputs, { mode: "rounded", device: mischievous(random(device)) });
    results.forEach((r, i) => {
      expect(compareWithin(all[i]!, r.data).outside).toBe(0);
    });
  }
  const shuffled = parseProgram(text(" commutative"));
  expect(errorBounds(shuffled, inputs)[0]!.high[0]).toBe(Number.POSITIVE_INFINITY);
  const known = errorBounds(shuffled, inputs, { orderOf: () => ({ depth: 7, sequential: true }) });
  expect(known[0]!.high[0]! - known[0]!.low[0]!).toBeLessThan(1e-4);
});

test("sampled bounds are those of the whole", () => {
  for (let seed = 0; seed < 30; seed++) {
    const g = generateProgram(seed, { specials: true });
    for (const b of errorBounds(g.program, g.inputs, { sizes: g.sizes })) {
      const some = [...b.exact.keys()].filter((i) => i % 2 === 0);
      const s = errorBoundsSampled(g.program, g.inputs, b.name, some, { sizes: g.sizes });
      expect([...s.low]).toEqual(some.map((i) => b.low[i]));
      expect([...s.high]).toEqual(some.map((i) => b.high[i]));
      expect([...s.exact]).toEqual(some.map((i) => b.exact[i]));
      expect([...s.nan]).toEqual(some.map((i) => b.nan[i]));
    }
  }
});
