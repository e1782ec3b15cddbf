import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../ir/dtype.ts";
import { erf, erfc } from "../../ir/erf.ts";
import { evaluatePrim, type Mode } from "../../ir/evaluate.ts";
import { FORMATS, f16round, ulp } from "../../ir/float.ts";
import { PRIM_TYPES, PRIMS, type Prim, resultType } from "../../ir/prim.ts";
import { threefry } from "../../ir/threefry.ts";

function on(dtype: DType, prim: Prim, ...args: number[]): number {
  const operands = prim === "select" ? (["bool", dtype, dtype] as const) : args.map(() => dtype);
  return evaluatePrim(prim, args, operands, resultType(prim, operands) ?? dtype, "exact");
}
function convert(prim: "cast" | "bitcast", from: DType, to: DType, value: number, mode: Mode = "exact"): number {
  return evaluatePrim(prim, [value], [from], to, mode);
}

describe("integers", () => {
  test("wrap", () => {
    expect(on("i32", "add", 2147483647, 1)).toBe(-2147483648);
    expect(on("i32", "mul", 65536, 65537)).toBe(65536);
    expect(on("u32", "mul", 4294967295, 4294967295)).toBe(1);
    expect(on("u32", "sub", 0, 1)).toBe(4294967295);
    expect(on("u32", "neg", 1)).toBe(4294967295);
    expect(on("i32", "neg", -2147483648)).toBe(-2147483648);
    expect(on("i32", "abs", -2147483648)).toBe(-2147483648);
    expect(on("i32", "floordiv", -2147483648, -1)).toBe(-2147483648);
  });
  test("divide to the floor, by zero to 0", () => {
    expect(on("i32", "floordiv", -7, 2)).toBe(-4);
    expect(on("i32", "mod", -7, 2)).toBe(1);
    expect(on("i32", "mod", 7, -2)).toBe(-1);
    expect(on("i32", "rem", -7, 2)).toBe(-1);
    for (const p of ["floordiv", "mod", "rem"] as const) expect(on("i32", p, 5, 0)).toBe(0);
    for (const p of ["floordiv", "mod", "rem"] as const) expect(on("u32", p, 5, 0)).toBe(0);
  });
  test("a = b·(a div b) + a % b against big integers", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        if (b === 0) return;
        const q = BigInt(on("i32", "floordiv", a, b));
        const r = BigInt(on("i32", "mod", a, b));
        expect(BigInt.asIntN(32, q * BigInt(b) + r)).toBe(BigInt(a));
        expect(b > 0 ? r >= 0n && r < BigInt(b) : r <= 0n && r > BigInt(b)).toBe(true);
      }),
    );
  });
  test("powers", () => {
    expect(on("i32", "pow", 3, 4)).toBe(81);
    expect(on("i32", "pow", 3, 40)).toBe(Number(BigInt.asIntN(32, 3n ** 40n)));
    expect(on("u32", "pow", 7, 31)).toBe(Number(BigInt.asUintN(32, 7n ** 31n)));
    expect([
      on("i32", "pow", 2, -1),
      on("i32", "pow", 1, -5),
      on("i32", "pow", -1, -5),
      on("i32", "pow", -1, -4),
      on("i32", "pow", 0, 0),
    ]).toEqual([0, 1, -1, 1, 1]);
  });
  test("bits", () => {
    expect(on("u32", "bitnot", 0)).toBe(4294967295);
    expect(on("i32", "bitnot", 0)).toBe(-1);
    expect(on("u32", "shl", 3, 31)).toBe(2147483648);
    expect(on("u32", "shl", 3, 33)).toBe(6);
    expect(on("i32", "shr", -8, 1)).toBe(-4);
    expect(on("u32", "shr", 0xfffffff8, 1)).toBe(0x7ffffffc);
    expect(on("u32", "popcount", 0xffffffff)).toBe(32);
    expect(on("i32", "popcount", -1)).toBe(32);
    expect(on("u32", "clz", 0)).toBe(32);
    expect(on("i32", "clz", -1)).toBe(0);
    expect(on("u32", "bitxor", 0xf0f0f0f0, 0xffffffff)).toBe(0x0f0f0f0f);
  });
});

describe("floats", () => {
  test("min and max propagate NaN and order the zeros", () => {
    expect(on("f32", "max", Number.NaN, 1)).toBeNaN();
    expect(on("f32", "min", 1, Number.NaN)).toBeNaN();
    expect(on("f32", "max", -0, 0)).toBe(0);
    expect(on("f32", "min", 0, -0)).toBe(-0);
  });
  test("pow is C's", () => {
    expect(on("f32", "pow", 1, Number.NaN)).toBe(1);
    expect(on("f32", "pow", -1, Number.POSITIVE_INFINITY)).toBe(1);
    expect(on("f32", "pow", Number.NaN, 0)).toBe(1);
    expect(on("f32", "pow", -2, 3)).toBe(-8);
    expect(on("f32", "pow", -2, 0.5)).toBeNaN();
  });
  test("floor division and modulo are Python's", () => {
    // Pairs from CPython: a // b and a % b.
    const rows: [number, number, number, number][] = [
      [7.5, 2, 3, 1.5],
      [-7.5, 2, -4, 0.5],
      [7.5, -2, -4, -0.5],
      [-7.5, -2, 3, -1.5],
      [6, -3, -2, -0],
      [-1, Number.POSITIVE_INFINITY, -1, Number.POSITIVE_INFINITY],
      [1, 0.1, 9, 0.09999999999999995],
      [-0, 3, -0, 0],
    ];
    for (const [a, b, q, r] of rows) {
      expect(on("f32", "floordiv", a, b)).toBe(q);
      expect(on("f32", "mod", a, b)).toBe(r);
    }
    expect(on("f32", "mod", 1, 0)).toBeNaN();
  });
  test("round goes half to even", () => {
    expect(
      [0.5, 1.5, 2.5, -0.5, -1.5, 4503599627370497, 0.49999999999999994].map((x) => on("f32", "round", x)),
    ).toEqual([0, 2, 2, -0, -2, 4503599627370497, 0]);
  });
  test("erf and erfc", () => {
    // From mpmath, 40 digits.
    const rows: [number, number, number][] = [
      [1e-10, 1.1283791670955126e-10, 0.999999999887162],
      [0.1, 0.1124629160182849, 0.887537083981715],
      [0.5, 0.5204998778130465, 0.4795001221869535],
      [0.84, 0.7651427114549945, 0.23485728854500548],
      [1, 0.8427007929497149, 0.15729920705028513],
      [1.3, 0.9340079449406524, 0.06599205505934755],
      [2, 0.9953222650189527, 0.004677734981047266],
      [2.5, 0.999593047982555, 0.0004069520174449589],
      [3.7, 0.9999998328489421, 1.6715105790914599e-7],
      [5, 0.9999999999984626, 1.537459794428035e-12],
      [8, 1, 1.1224297172982926e-29],
      [15, 1, 7.212994172451207e-100],
      [26, 1, 5.663192408856143e-296],
      [-0.3, -0.3286267594591274, 1.3286267594591274],
      [-2.2, -0.9981371537020182, 1.998137153702018],
      [-6, -1, 2],
    ];
    for (const [x, e, c] of rows) {
      expect(Math.abs(erf(x) / e - 1)).toBeLessThan(2e-15);
      expect(Math.abs(erfc(x) / c - 1)).toBeLessThan(2e-15);
    }
    expect([
      erf(0),
      erf(-0),
      erfc(0),
      erf(Number.POSITIVE_INFINITY),
      erf(Number.NEGATIVE_INFINITY),
      erfc(Number.POSITIVE_INFINITY),
      erfc(Number.NEGATIVE_INFINITY),
    ]).toEqual([0, -0, 1, 1, -1, 0, 2]);
    expect(erf(Number.NaN)).toBeNaN();
    expect(erfc(Number.NaN)).toBeNaN();
  });
  test("f16 rounding agrees with the engine's Float16Array", () => {
    const F16 = (globalThis as { Float16Array?: new (a: number[]) => ArrayLike<number> }).Float16Array;
    if (!F16) throw new Error("this test needs an engine with Float16Array");
    const engine = (x: number): number => new F16([x])[0] ?? Number.NaN;
    for (const x of [
      65519.99,
      65520,
      -65520,
      2 ** -24,
      2 ** -25,
      2 ** -25 + 2 ** -60,
      0.1,
      -0,
      0,
      1e-30,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ])
      expect(f16round(x)).toBe(engine(x));
    fc.assert(
      fc.property(
        fc.oneof(fc.double(), fc.double({ min: -70000, max: 70000 }), fc.double({ min: -1e-4, max: 1e-4 })),
        (x) => {
          expect(f16round(x)).toBe(engine(x));
        },
      ),
      { numRuns: 2000 },
    );
  });
  test("ulp", () => {
    expect(ulp(FORMATS.f32, 1)).toBe(2 ** -23);
    expect(ulp(FORMATS.f32, 0)).toBe(2 ** -149);
    expect(ulp(FORMATS.f32, 3)).toBe(2 ** -22);
    expect(ulp(FORMATS.f16, 1)).toBe(2 ** -10);
    expect(ulp(FORMATS.f32, 2 ** -125)).toBe(2 ** -148);
  });
  test("rounded mode rounds every arithmetic result", () => {
    expect(evaluatePrim("add", [1, 2 ** -25], ["f32", "f32"], "f32", "rounded")).toBe(1);
    expect(evaluatePrim("mul", [300, 300], ["f16", "f16"], "f16", "rounded")).toBe(Number.POSITIVE_INFINITY);
    expect(evaluatePrim("div", [1, 3], ["f32", "f32"], "f32", "rounded")).toBe(Math.fround(1 / 3));
  });
});

test("casts saturate from floats and wrap between integers", () => {
  expect([
    convert("cast", "f32", "i32", 3e9),
    convert("cast", "f32", "i32", -3e9),
    convert("cast", "f32", "i32", Number.NaN),
    convert("cast", "f32", "i32", -1.9),
    convert("cast", "f32", "u32", -1),
    convert("cast", "f32", "u32", 5e9),
    convert("cast", "f32", "i32", -0.5),
  ]).toEqual([2147483647, -2147483648, 0, -1, 0, 4294967295, 0]);
  expect([
    convert("cast", "i32", "u32", -1),
    convert("cast", "u32", "i32", 4294967295),
    convert("cast", "f32", "bool", Number.NaN),
    convert("cast", "f32", "bool", -0),
    convert("cast", "bool", "f32", 1),
  ]).toEqual([4294967295, -1, 1, 0, 1]);
  expect(convert("cast", "i32", "f32", 16777217, "rounded")).toBe(16777216);
});
test("bitcast keeps the bits of the rounded value", () => {
  expect(convert("bitcast", "f32", "u32", 1)).toBe(0x3f800000);
  expect(convert("bitcast", "f32", "u32", 0.1)).toBe(0x3dcccccd);
  expect(convert("bitcast", "u32", "f32", 0x7f800000)).toBe(Number.POSITIVE_INFINITY);
  expect(convert("bitcast", "f32", "i32", -0)).toBe(-2147483648);
});
test("Threefry-2x32-20 gives Random123's known answers", () => {
  const rows: [number, number, number, number, number, number][] = [
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    // counter 243f6a88 85a308d3, key 13198a2e 03707344
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ];
  for (const [k0, k1, c0, c1, r0, r1] of rows)
    expect([threefry(0, k0, k1, c0, c1), threefry(1, k0, k1, c0, c1)]).toEqual([r0, r1]);
});
test("integer primitives give values of their dtype, -0 never", () => {
  const edge = [0, 1, -1, 2147483647, -2147483648, 7, -13];
  for (const prim of PRIMS) {
    const t = PRIM_TYPES[prim];
    if (t.result === "given" || !resultType(prim, new Array(t.arity).fill("i32"))) continue;
    for (const a of edge)
      for (const b of edge) {
        const r = on("i32", prim, ...[a, b].slice(0, t.arity));
        expect(Object.is(r, r | 0), `${prim}(${a}, ${b}) = ${r}`).toBe(true);
      }
  }
});
