/**
 * NaN, infinities and signs of zero by their bits. Drivers take comparisons with NaN for false whatever they are, and let min
 * and max lose a NaN (numerics.md), so only the bits tell.
 */
import { type Helper, INFINITE, MAGNITUDE, QUIET, SIGN } from "./helper.ts";

export const BASIC: Readonly<Record<string, Helper>> = {
  /** Magnitudes are compared as signed integers, as unsigned ones would be: SSE has no comparison of those, and takes ten instructions. */
  is_nan: {
    params: ["F"],
    result: "B",
    body: ({ I }) => `return (bitcast<${I}>(a) & ${I}(0x7fffffff)) > ${I}(0x7f800000);`,
  },
  is_inf: {
    params: ["F"],
    result: "B",
    body: ({ U }) => `return (bitcast<${U}>(a) & ${U}(${MAGNITUDE})) == ${U}(${INFINITE});`,
  },
  is_nonzero: {
    params: ["F"],
    result: "B",
    body: ({ U }) => `return (bitcast<${U}>(a) & ${U}(${MAGNITUDE})) != ${U}(0u);`,
  },
  /** The magnitude of a, which is not negative, with the sign of b. */
  with_sign: {
    params: ["F", "F"],
    result: "F",
    body: ({ F, U }) => `return bitcast<${F}>(bitcast<${U}>(a) | (bitcast<${U}>(b) & ${U}(${SIGN})));`,
  },
  /**
   * NaN propagates: a's is told by its bits, and with b's no comparison is true. -0 is below +0: where a == b, the bits of the larger are
   * those that both have. Eight operations; with the builtin max they are twelve (maxima of rows take 0.77 of the time on SwiftShader).
   */
  max_ieee: {
    params: ["F", "F"],
    result: "F",
    body: ({ F, U, use }) => `let larger = select(b, a, (a > b) | ${use("is_nan")}(a));
return select(larger, bitcast<${F}>(bitcast<${U}>(a) & bitcast<${U}>(b)), a == b);`,
  },
  min_ieee: {
    params: ["F", "F"],
    result: "F",
    body: ({ F, U, use }) => `let smaller = select(b, a, (a < b) | ${use("is_nan")}(a));
return select(smaller, bitcast<${F}>(bitcast<${U}>(a) | bitcast<${U}>(b)), a == b);`,
  },
  /** max(a, b) and min(a, b) for a constant b that is neither zero nor NaN. */
  max_constant: {
    params: ["F", "F"],
    result: "F",
    body: ({ use }) => `return select(max(a, b), a, ${use("is_nan")}(a));`,
  },
  min_constant: {
    params: ["F", "F"],
    result: "F",
    body: ({ use }) => `return select(min(a, b), a, ${use("is_nan")}(a));`,
  },
  /** max(a, +0): the bits of -0 … -infinity, the least as signed integers, become +0, all others stay, NaN of either sign too. */
  max_zero: {
    params: ["F"],
    result: "F",
    body: ({ F, I }) => `return select(a, ${F}(0.0), bitcast<${I}>(a) <= ${I}(-0x800000));`,
  },
  /** min(a, +0). */
  min_zero: {
    params: ["F"],
    result: "F",
    body: ({ F, U }) => `return select(a, ${F}(0.0), bitcast<${U}>(a) <= ${U}(${INFINITE}));`,
  },
  /** Zeros and NaN are returned as they are: their magnitude less 1 is, unsigned, not below infinity's bits. */
  sign_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U }) => `let u = bitcast<${U}>(a);
let one = bitcast<${F}>((u & ${U}(${SIGN})) | ${U}(0x3f800000u));
return select(one, a, (u & ${U}(${MAGNITUDE})) - ${U}(1u) >= ${U}(${INFINITE}));`,
  },
  /** Saturates; NaN gives 0. */
  to_i32: {
    params: ["F"],
    result: "I",
    body: ({ F, I, use }) => `let x = select(a, ${F}(0.0), ${use("is_nan")}(a));
let inside = ${I}(clamp(x, ${F}(-2147483648.0), ${F}(2147483520.0)));
return select(inside, ${I}(2147483647), x >= ${F}(2147483648.0));`,
  },
  to_u32: {
    params: ["F"],
    result: "U",
    body: ({ F, U, use }) => `let x = select(a, ${F}(0.0), ${use("is_nan")}(a));
let inside = ${U}(clamp(x, ${F}(0.0), ${F}(4294967040.0)));
return select(inside, ${U}(4294967295u), x >= ${F}(4294967296.0));`,
  },
  /** An order of the floats on u32: -infinity is 0, +infinity below every NaN. */
  order_key: {
    params: ["F"],
    result: "U",
    body: ({ U, I }) => `let u = bitcast<${U}>(a);
let flip = bitcast<${U}>(bitcast<${I}>(u) >> ${U}(31u)) | ${U}(${SIGN});
return (u ^ flip) - ${U}(0x007fffffu);`,
  },
  from_order_key: {
    params: ["U"],
    result: "F",
    body: ({ F, U }) => `let k = a + ${U}(0x007fffffu);
let u = select(~k, k ^ ${U}(${SIGN}), k >= ${U}(${SIGN}));
return bitcast<${F}>(u);`,
  },
  /** The same with every NaN at the bottom, for the minimum. */
  order_key_low: {
    params: ["F"],
    result: "U",
    body: ({ U, use }) => `let k = ${use("order_key")}(a);
return select(k + ${U}(1u), ${U}(0u), ${use("is_nan")}(a));`,
  },
  from_order_key_low: {
    params: ["U"],
    result: "F",
    body: ({ F, U, use }) =>
      `return select(${use("from_order_key")}(a - ${U}(1u)), bitcast<${F}>(a | ${U}(${QUIET})), a == ${U}(0u));`,
  },

  // ---- Integers: floor division and its remainder; by zero both are 0.
  floordiv_i32: {
    params: ["I", "I"],
    result: "I",
    body: ({ I }) => `let d = select(b, ${I}(1), b == ${I}(0));
let q = a / d;
let r = a - q * d;
let down = select(${I}(0), ${I}(1), (r != ${I}(0)) & ((r ^ d) < ${I}(0)));
return select(q - down, ${I}(0), b == ${I}(0));`,
  },
  mod_i32: {
    params: ["I", "I"],
    result: "I",
    body: ({ I }) => `let d = select(b, ${I}(1), b == ${I}(0));
let r = a - (a / d) * d;
return select(r, r + d, (r != ${I}(0)) & ((r ^ d) < ${I}(0)));`,
  },
  rem_i32: {
    params: ["I", "I"],
    result: "I",
    body: ({ I }) => `let d = select(b, ${I}(1), b == ${I}(0));
return a - (a / d) * d;`,
  },
  floordiv_u32: {
    params: ["U", "U"],
    result: "U",
    body: ({ U }) => `return select(a / max(b, ${U}(1u)), ${U}(0u), b == ${U}(0u));`,
  },
  rem_u32: {
    params: ["U", "U"],
    result: "U",
    body: ({ U }) => `return a % max(b, ${U}(1u));`,
  },
  pow_u32: {
    params: ["U", "U"],
    result: "U",
    scalar: true,
    body: () => `var result = 1u;
var square = a;
for (var e = b; e > 0u; e = e >> 1u) {
  if ((e & 1u) == 1u) { result = result * square; }
  square = square * square;
}
return result;`,
  },
  /** A negative exponent truncates the reciprocal. */
  pow_i32: {
    params: ["I", "I"],
    result: "I",
    scalar: true,
    body: ({ use }) => `if (b < 0) {
  if (a == 1) { return 1; }
  return select(0, select(1, -1, (b & 1) == 1), a == -1);
}
return bitcast<i32>(${use("pow_u32")}(bitcast<u32>(a), bitcast<u32>(b)));`,
  },
  /** Both words of Threefry-2x32 with 20 rounds, key (a, b), counter (c, d). */
  threefry: {
    params: ["u32", "u32", "u32", "u32"],
    result: "vec2u",
    scalar: true,
    body: () => {
      const rotations = [13, 15, 26, 6, 17, 29, 16, 24];
      const key = ["a", "b", "k2"];
      const lines = ["let k2 = 0x1bd11bdau ^ a ^ b;", "var x = c + a;", "var y = d + b;"];
      for (let round = 0; round < 20; round++) {
        const r = rotations[round % 8] ?? 0;
        lines.push("x = x + y;", `y = ((y << ${r}u) | (y >> ${32 - r}u)) ^ x;`);
        if (round % 4 === 3) {
          const g = (round + 1) / 4;
          lines.push(`x = x + ${key[g % 3]};`, `y = y + ${key[(g + 1) % 3]} + ${g}u;`);
        }
      }
      return `${lines.join("\n")}\nreturn vec2u(x, y);`;
    },
  },
};
