/**
 * Elementary functions that WGSL lacks, or promises too little of: NaN, infinities and -0 come out as in IEEE, arguments are
 * reduced, nothing overflows on the way, odd functions keep their relative accuracy near 0.
 *
 * Polynomials are those of Cephes' single-precision library (S. Moshier) unless said otherwise. No step relies on a fused
 * multiply-add, and none is of a form that optimisers of SPIR-V rewrite (a float plus, minus or times two constants in turn).
 */
import { type Helper, INFINITE, MAGNITUDE, polynomial, QUIET, SIGN } from "./helper.ts";

/** log(1 + x) = x - x^2 / 2 + x^3 p(x) for sqrt(1/2) <= 1 + x < sqrt(2). */
const LOG: readonly number[] = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
];
const NAN_OF_A = (F: string, U: string): string => `bitcast<${F}>(bitcast<${U}>(a) | ${U}(${QUIET}))`;

export const FLOAT: Readonly<Record<string, Helper>> = {
  exp_ieee: {
    params: ["F"],
    result: "F",
    body: ({ use }) => `return select(exp(a), a, ${use("is_nan")}(a));`,
  },
  exp2_ieee: {
    params: ["F"],
    result: "F",
    body: ({ use }) => `return select(exp2(a), a, ${use("is_nan")}(a));`,
  },
  /** -infinity of zeros, NaN of negative numbers; what else is valid has bits 1 … infinity's. */
  log_special: {
    params: ["F", "F"],
    result: "F",
    body: ({ F, U }) => `let u = bitcast<${U}>(a);
let special = u | select(${U}(${QUIET}), ${U}(0xff800000u), (u & ${U}(${MAGNITUDE})) == ${U}(0u));
return select(bitcast<${F}>(special), b, u - ${U}(1u) < ${U}(${INFINITE}));`,
  },
  log_ieee: {
    params: ["F"],
    result: "F",
    body: ({ use }) => `return ${use("log_special")}(a, log(a));`,
  },
  log2_ieee: {
    params: ["F"],
    result: "F",
    body: ({ use }) => `return ${use("log_special")}(a, log2(a));`,
  },
  /** log to 2 ULP everywhere: WGSL's may be wrong by 2^-21 near 1. Not for subnormals. */
  log_precise: {
    params: ["F"],
    result: "F",
    body: ({ F, I, U, use }) => `let u = bitcast<${U}>(a) - ${U}(0x3f3504f3u);
let e = ${F}(bitcast<${I}>(u) >> ${U}(23u));
let m = bitcast<${F}>((u & ${U}(0x7fffffu)) + ${U}(0x3f3504f3u)) - 1.0;
let z = m * m;
let p = ${polynomial("m", LOG)};
let r = m + (m * z * (p) - e * 2.12194440e-4 - 0.5 * z) + e * 0.693359375;
return ${use("log_special")}(a, select(r, a, bitcast<${U}>(a) == ${U}(${INFINITE})));`,
  },
  sqrt_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U }) => `return select(${NAN_OF_A(F, U)}, sqrt(a), a >= ${F}(0.0));`,
  },
  rsqrt_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U }) => `return select(${NAN_OF_A(F, U)}, inverseSqrt(a), a >= ${F}(0.0));`,
  },
  /** a times 2^b, in two steps so that neither factor overflows. */
  scale: {
    params: ["F", "I"],
    result: "F",
    body: ({ F, I, U }) => `let half = b >> ${U}(1u);
return (a * bitcast<${F}>((half + ${I}(127)) << ${U}(23u))) * bitcast<${F}>((b - half + ${I}(127)) << ${U}(23u));`,
  },
  /** exp to 2 ULP everywhere, for functions that would multiply the error of WGSL's. */
  exp_precise: {
    params: ["F"],
    result: "F",
    body: ({ F, I, use }) => `let x = clamp(a, ${F}(-104.0), ${F}(89.0));
let n = floor(x * 1.44269504089 + 0.5);
let r = (x - n * 0.693359375) + n * 2.12194440e-4;
let p = ${polynomial("r", [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])};
return select(${use("scale")}(p * r * r + r + 1.0, ${I}(n)), a, ${use("is_nan")}(a));`,
  },
  /** Taylor's series within 1/2; outside nothing cancels. */
  expm1_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, use }) => `let p = ${polynomial("a", [1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2])};
return select(a * (1.0 + a * (p)), ${use("exp_precise")}(a) - 1.0, abs(a) > ${F}(0.5));`,
  },
  log1p_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, use }) => `let z = a * a;
let p = ${polynomial("a", LOG)};
let near = a + (a * z * (p) - 0.5 * z);
return select(${use("log_precise")}(1.0 + a), near, abs(a - 0.06066017) < ${F}(0.35355339));`,
  },
  /**
   * a P(a²) / Q(a²) up to 8, the best of its degrees in relative error (Lawson's weights, in double precision): 1.6e-8, and never
   * above 1 with or without fused steps. From 8 on 1, which is 2.3e-7 too much at most. Half the operations of an exponential's form
   * with a series near 0, none of them dear.
   */
  tanh_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, use }) => `let z = a * a;
let p = ${polynomial("z", [2.350849e-11, -1.4704175e-8, 9.878645e-6, 2.98586022e-3, 0.129792213, 1])};
let q = ${polynomial("z", [2.37202997e-4, 2.40279175e-2, 0.463125378, 1])};
return select(a * p / q, ${use("with_sign")}(${F}(1.0), a), abs(a) > ${F}(8.0));`,
  },
  sinh_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, use }) => `let z = a * a;
let near = a + a * z * (${polynomial("z", [1 / 362880, 1 / 5040, 1 / 120, 1 / 6])});
let h = ${use("exp_precise")}(0.5 * abs(a));
let far = (0.5 * h) * h - 0.5 / (h * h);
return select(near, ${use("with_sign")}(far, a), abs(a) >= ${F}(1.0));`,
  },
  cosh_ieee: {
    params: ["F"],
    result: "F",
    body: ({ use }) => `let h = ${use("exp_precise")}(0.5 * abs(a));
return (0.5 * h) * h + 0.5 / (h * h);`,
  },
  asinh_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, use }) => `let x = abs(a);
let near = ${use("log1p_ieee")}(x + x * x / (1.0 + sqrt(x * x + 1.0)));
let far = ${use("log_precise")}(x) + 0.693147180560;
return ${use("with_sign")}(select(near, far, x > ${F}(1e6)), a);`,
  },
  acosh_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U, use }) => `let t = a - 1.0;
let near = ${use("log1p_ieee")}(t + sqrt(t * t + 2.0 * t));
let inside = select(near, ${use("log_precise")}(a) + 0.693147180560, a > ${F}(1e6));
return select(${NAN_OF_A(F, U)}, inside, a >= ${F}(1.0));`,
  },
  atanh_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U, use }) => `let x = abs(a);
let inside = 0.5 * ${use("log1p_ieee")}(2.0 * x / (1.0 - x));
return select(${NAN_OF_A(F, U)}, ${use("with_sign")}(inside, a), x <= ${F}(1.0));`,
  },
  /** For a >= 0; reduced at the tangents of pi/8 and 3 pi/8. */
  atan_positive: {
    params: ["F"],
    result: "F",
    body: ({ F }) => `let high = a > ${F}(2.414213562373);
let middle = a > ${F}(0.414213562373);
let t = select(select(a, (a - 1.0) / (a + 1.0), middle), -1.0 / a, high);
let base = select(select(${F}(0.0), ${F}(0.785398163397), middle), ${F}(1.570796326795), high);
let z = t * t;
return base + (t + t * z * (${polynomial("z", [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1])}));`,
  },
  atan_ieee: {
    params: ["F"],
    result: "F",
    body: ({ use }) => `return ${use("with_sign")}(${use("atan_positive")}(abs(a)), a);`,
  },
  /** The angle of the point (b, a). */
  atan2_ieee: {
    params: ["F", "F"],
    result: "F",
    body: ({ F, U, use }) => `let y = abs(a);
let x = abs(b);
let both = bitcast<${U}>(max(x, y)) == bitcast<${U}>(min(x, y));
let low = min(x, y);
let ratio = select(low / max(x, y), select(${F}(1.0), ${F}(0.0), x == ${F}(0.0)), both);
let first = ${use("atan_positive")}(ratio);
let half = select(first, 1.570796326795 - first, y > x);
let full = select(half, 3.141592653590 - half, (bitcast<${U}>(b) & ${U}(${SIGN})) != ${U}(0u));
return select(${use("with_sign")}(full, a), a + b, ${use("is_nan")}(a) | ${use("is_nan")}(b));`,
  },
  /** asin of a in 0 … 1/2. */
  asin_small: {
    params: ["F"],
    result: "F",
    body: () => `let z = a * a;
return a + a * z * (${polynomial("z", [4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2, 1.6666752422e-1])});`,
  },
  asin_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U, use }) => `let x = abs(a);
let big = x > ${F}(0.5);
let p = ${use("asin_small")}(select(x, sqrt(max(0.5 * (1.0 - x), ${F}(0.0))), big));
let inside = ${use("with_sign")}(select(p, 1.570796326795 - 2.0 * p, big), a);
return select(${NAN_OF_A(F, U)}, inside, x <= ${F}(1.0));`,
  },
  acos_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U, use }) => `let x = abs(a);
let big = x > ${F}(0.5);
let p = ${use("asin_small")}(select(x, sqrt(max(0.5 * (1.0 - x), ${F}(0.0))), big));
let far = select(2.0 * p, 3.141592653590 - 2.0 * p, a < ${F}(0.0));
let inside = select(1.570796326795 - ${use("with_sign")}(p, a), far, big);
return select(${NAN_OF_A(F, U)}, inside, x <= ${F}(1.0));`,
  },

  // ---- Trigonometry
  /** The high word of the product. */
  multiply_high: {
    params: ["u32", "u32"],
    result: "u32",
    scalar: true,
    body: () => `let a0 = a & 0xffffu;
let a1 = a >> 16u;
let b0 = b & 0xffffu;
let b1 = b >> 16u;
let middle = a1 * b0 + ((a0 * b0) >> 16u);
return a1 * b1 + (middle >> 16u) + ((a0 * b1 + (middle & 0xffffu)) >> 16u);`,
  },
  /**
   * Of |a| from 8192 on: the remainder after multiples of pi/2 and the quadrant, from 1/(2 pi) to 96 bits where they matter
   * (M. Payne and R. Hanek, 1983).
   */
  far_angle: {
    params: ["f32"],
    result: "vec2f",
    scalar: true,
    body: ({
      use,
    }) => `var turns = array<u32, 7>(0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau);
let bits = bitcast<u32>(a);
if ((bits & ${MAGNITUDE}) >= ${INFINITE}) { return vec2f(bitcast<f32>(bits | ${QUIET}), 0.0); }
let exponent = ((bits >> 23u) & 0xffu) - 126u;
let m = (bits << 8u) | ${SIGN};
let word = exponent >> 5u;
let shift = exponent & 31u;
var w0 = 0u;
if (word > 0u) { w0 = turns[word - 1u]; }
var w1 = turns[word];
var w2 = turns[word + 1u];
if (shift > 0u) {
  w0 = (w0 << shift) | (w1 >> (32u - shift));
  w1 = (w1 << shift) | (w2 >> (32u - shift));
  w2 = (w2 << shift) | (turns[word + 2u] >> (32u - shift));
}
let carry = ${use("multiply_high")}(m, w2);
let low = m * w1 + carry;
let high = m * w0 + ${use("multiply_high")}(m, w1) + select(0u, 1u, low < carry);
let fraction = bitcast<i32>((high << 2u) | (low >> 30u));
let quadrant = (high >> 30u) + select(0u, 1u, fraction < 0);
let r = (f32(fraction) + f32(low << 2u) * 2.3283064365386963e-10) * ${Math.fround((Math.PI / 2) * 2 ** -32)};
let negative = bits >= ${SIGN};
return vec2f(select(r, -r, negative), f32(select(quadrant, 4u - quadrant, negative) & 3u));`,
  },
  /** a less multiples of pi/2, within pi/4, and their number modulo 4; pi/2 in four parts whose products are exact but for the last. */
  angle: {
    params: ["f32"],
    result: "vec2f",
    scalar: true,
    body: ({ use }) => `if (abs(a) < 8192.0) {
  let n = round(a * 0.636619772368);
  let r = (((a - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549533620476723e-8) - n * 2.5633440682570896e-12;
  return vec2f(select(r, a, n == 0.0), n - 4.0 * floor(n * 0.25));
}
return ${use("far_angle")}(a);`,
  },
  sin_near: {
    params: ["F"],
    result: "F",
    body: () => `let z = a * a;
return a * (1.0 + z * (${polynomial("z", [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1])}));`,
  },
  cos_near: {
    params: ["F"],
    result: "F",
    body: () => `let z = a * a;
return 1.0 - z * (0.5 - z * (${polynomial("z", [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2])}));`,
  },
  sin_ieee: {
    params: ["F"],
    result: "F",
    scalar: true,
    body: ({ use }) => `let t = ${use("angle")}(a);
let odd = (t.y == 1.0) | (t.y == 3.0);
let v = select(${use("sin_near")}(t.x), ${use("cos_near")}(t.x), odd);
return select(v, -v, t.y >= 2.0);`,
  },
  cos_ieee: {
    params: ["F"],
    result: "F",
    scalar: true,
    body: ({ use }) => `let t = ${use("angle")}(a);
let odd = (t.y == 1.0) | (t.y == 3.0);
let v = select(${use("cos_near")}(t.x), ${use("sin_near")}(t.x), odd);
return select(v, -v, (t.y == 1.0) | (t.y == 2.0));`,
  },
  tan_ieee: {
    params: ["F"],
    result: "F",
    scalar: true,
    body: ({ use }) => `let t = ${use("angle")}(a);
let s = ${use("sin_near")}(t.x);
let c = ${use("cos_near")}(t.x);
if ((t.y == 1.0) | (t.y == 3.0)) { return -c / s; }
return s / c;`,
  },

  // ---- Error functions
  /** Coefficients by N. Juffa; 1 - exp(-...) from 0.93 on, where exp is a fifth of the result and WGSL's own will do. */
  erf_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, use }) => `let t = abs(a);
let s = a * a;
let inner = ${polynomial("s", [-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1])};
let x = min(t, ${F}(4.0));
let outer = ${polynomial("x", [-1.7285347e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1])};
let far = 1.0 - exp((outer) * x - x);
return select(a + a * (inner), ${use("with_sign")}(far, a), t > ${F}(0.927734375));`,
  },
  /** (1 + 2x) exp(x^2) erfc(x) is a polynomial in (x - 2)/(x + 2) (N. Juffa; M. Shepherd and J. Laframboise, 1981). */
  erfc_ieee: {
    params: ["F"],
    result: "F",
    body: ({ F, U, use }) => `let x = min(abs(a), ${F}(12.0));
let q = (x - 2.0) / (x + 2.0);
let p = ${polynomial("q", [5.92470169e-5, 1.61224554e-4, -3.46481771e-4, -1.39681227e-3, 1.2058838e-3, 8.69014394e-3, -8.01387429e-3, -5.42122945e-2, 1.64048523e-1, -1.66031078e-1, -9.27637145e-2, 2.76978403e-1])};
let high = bitcast<${F}>(bitcast<${U}>(x) & ${U}(0xfffff000u));
let e = ${use("exp_precise")}(-high * high) * ${use("exp_precise")}((high - x) * (high + x));
let r = (1.0 + (p)) / (1.0 + 2.0 * x) * e;
return select(select(r, 2.0 - r, a < ${F}(0.0)), a, ${use("is_nan")}(a));`,
  },
};
