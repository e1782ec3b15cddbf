/** Remainders and powers of floats: exact long division, and a logarithm in two words. */
import { type Helper, INFINITE, MAGNITUDE, QUIET, SIGN } from "./helper.ts";

/** The leading 12 digits of the significand. */
const cut = (x: string): string => `bitcast<f32>(bitcast<u32>(${x}) & 0xfffff000u)`;

export const REMAINDER: Readonly<Record<string, Helper>> = {
  /** C's fmod, exact: the significands are divided as integers, 8 digits at a time. */
  rem_f32: {
    params: ["F", "F"],
    result: "F",
    scalar: true,
    body: () => `let sign = bitcast<u32>(a) & ${SIGN};
let x = bitcast<u32>(a) & ${MAGNITUDE};
let y = bitcast<u32>(b) & ${MAGNITUDE};
if ((x >= ${INFINITE}) | (y > ${INFINITE}) | (y == 0u)) { return bitcast<f32>(x | ${QUIET}); }
if (x < y) { return a; }
let ex = max(i32(x >> 23u), 1);
let ey = max(i32(y >> 23u), 1);
let my = select((y & 0x7fffffu) | 0x800000u, y, y < 0x800000u);
var r = select((x & 0x7fffffu) | 0x800000u, x, x < 0x800000u) % my;
for (var d = ex - ey; d > 0; d -= 8) { r = (r << u32(min(d, 8))) % my; }
if (r == 0u) { return bitcast<f32>(sign); }
let shift = min(i32(countLeadingZeros(r)) - 8, ey - 1);
let m = r << u32(shift);
return bitcast<f32>(sign | select((m & 0x7fffffu) | (u32(ey - shift) << 23u), m, m < 0x800000u));`,
  },
  /** The remainder with the sign of b. */
  mod_f32: {
    params: ["F", "F"],
    result: "F",
    scalar: true,
    body: ({ use }) => `let r = ${use("rem_f32")}(a, b);
if ((bitcast<u32>(r) & ${MAGNITUDE}) == 0u) { return bitcast<f32>(bitcast<u32>(b) & ${SIGN}); }
if ((bitcast<u32>(r) ^ bitcast<u32>(b)) >= ${SIGN}) { return r + b; }
return r;`,
  },
  /** The floor of the exact quotient. */
  floordiv_f32: {
    params: ["F", "F"],
    result: "F",
    scalar: true,
    body: ({ use }) => `if ((bitcast<u32>(b) & ${MAGNITUDE}) == 0u) { return a / b; }
let r = ${use("rem_f32")}(a, b);
let differ = (bitcast<u32>(a) ^ bitcast<u32>(b)) >= ${SIGN};
var q = (a - r) / b;
if (differ & ((bitcast<u32>(r) & ${MAGNITUDE}) != 0u)) { q = q - 1.0; }
if (q == 0.0) { return bitcast<f32>(select(0u, ${SIGN}, differ)); }
return round(q);`,
  },
  /**
   * C's pow: the logarithm to base 2 in two words times the exponent in two words, as in FreeBSD's e_powf.c (I. Taylor, after
   * K. Ng; Sun Microsystems).
   */
  pow_positive: {
    params: ["f32", "f32"],
    result: "f32",
    scalar: true,
    body: ({ use }) => `let ua = bitcast<u32>(a);
if (ua == 0u) { return bitcast<f32>(select(0u, ${INFINITE}, bitcast<u32>(b) >= ${SIGN})); }
if (ua == ${INFINITE}) { return select(a, 0.0, bitcast<u32>(b) >= ${SIGN}); }
if (ua == 0x3f800000u) { return 1.0; }
var normal = ua;
var n = 0;
if (ua < 0x800000u) {
  normal = bitcast<u32>(f32(ua));
  n = -149;
}
n += i32(normal >> 23u) - 127;
let fraction = normal & 0x7fffffu;
var ix = fraction | 0x3f800000u;
var base = 1.0;
var base_high = 0.0;
var base_low = 0.0;
if (fraction > 0x1cc471u) {
  if (fraction < 0x5db3d7u) {
    base = 1.5;
    base_high = 5.84960938e-01;
    base_low = 1.56322085e-06;
  } else {
    n += 1;
    ix -= 0x00800000u;
  }
}
let ax = bitcast<f32>(ix);
let u = ax - base;
let v = 1.0 / (ax + base);
let s = u * v;
let s_high = ${cut("s")};
let t_high = ${cut("ax + base")};
let t_low = ax - (t_high - base);
let s_low = v * ((u - s_high * t_high) - s_high * t_low);
let s2 = s * s;
let r = s2 * s2 * (6.0000002384e-01 + s2 * (4.2857143283e-01 + s2 * (3.3333334327e-01 + s2 * (2.7272811532e-01 + s2 * (2.3066075146e-01 + s2 * 2.0697501302e-01))))) + s_low * (s_high + s);
let square = s_high * s_high;
let series = ${cut("3.0 + square + r")};
let rest = r - ((series - 3.0) - square);
let uu = s_high * series;
let vv = s_low * series + rest * s;
let p_high = ${cut("uu + vv")};
let p_low = vv - (p_high - uu);
let z_high = 9.6191406250e-01 * p_high;
let z_low = -1.1736857402e-04 * p_high + p_low * 9.6179670095e-01 + base_low;
let exponent = f32(n);
let log_high = ${cut("((z_high + z_low) + base_high) + exponent")};
let log_low = z_low - (((log_high - exponent) - base_high) - z_high);
let y = clamp(b, -2147483648.0, 2147483648.0);
let y_high = ${cut("y")};
let w_low = (y - y_high) * log_high + y * log_low;
let w_high = y_high * log_high;
let z = w_low + w_high;
if (z >= 129.0) { return bitcast<f32>(${INFINITE} | (ua & ${SIGN})); }
if (z <= -151.0) { return 0.0; }
let whole = round(z);
let q = (w_high - whole) + w_low;
return ${use("scale")}(${use("exp2_near")}(q), i32(whole));`,
  },
  /** 2^a for |a| <= 1/2: exp(a ln 2) by Taylor's series, the product in two words. */
  exp2_near: {
    params: ["f32"],
    result: "f32",
    scalar: true,
    body: () => `let high = ${cut("a")};
let x = high * 0.69314575;
let low = (a - high) * 0.69314718 + high * 1.42860654e-6;
let y = x + low;
let p = y * y * (0.5 + y * (0.16666667 + y * (0.041666668 + y * (0.008333334 + y * (0.0013888889 + y * 0.00019841270)))));
return 1.0 + (x + (low + p));`,
  },
  pow_f32: {
    params: ["F", "F"],
    result: "F",
    scalar: true,
    body: ({ use }) => `let ua = bitcast<u32>(a) & ${MAGNITUDE};
let ub = bitcast<u32>(b) & ${MAGNITUDE};
if ((ub == 0u) | (bitcast<u32>(a) == 0x3f800000u)) { return 1.0; }
if ((ua > ${INFINITE}) | (ub > ${INFINITE})) { return a + b; }
let size = bitcast<f32>(ua);
if (ub == ${INFINITE}) {
  if (ua == 0x3f800000u) { return 1.0; }
  return select(0.0, bitcast<f32>(ub), (ua > 0x3f800000u) == (bitcast<u32>(b) < ${SIGN}));
}
let r = ${use("pow_positive")}(size, b);
if (bitcast<u32>(a) < ${SIGN}) { return r; }
let y = abs(b);
let whole = (y >= 8388608.0) | (floor(y) == y);
let odd = whole & (y < 16777216.0) & ((u32(y) & 1u) == 1u);
if (odd) { return -r; }
if (!whole & (ua != 0u) & (ua != ${INFINITE})) { return bitcast<f32>(ua | ${QUIET}); }
return r;`,
  },
};
