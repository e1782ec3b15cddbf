/** f32 to f16 by bits, for drivers that make branches of it. */
import type { Helper } from "./helper.ts";

export const HALF: Readonly<Record<string, Helper>> = {
  /**
   * Rounded to the nearest, ties to even. A normal number is rounded by an addition to its bits; below 2^-14, where a step is 2^-24, by the
   * addition of 0.5, whose step is the same. Magnitudes are compared as signed integers.
   */
  half_bits: {
    params: ["F"],
    result: "U",
    body: ({ F, U, I }) => `let m = bitcast<${I}>(a) & ${I}(0x7fffffff);
let normal = (m - ${I}(0x37fff001) + ((m >> ${U}(13u)) & ${I}(1))) >> ${U}(13u);
let small = bitcast<${I}>(bitcast<${F}>(m) + ${F}(0.5)) - ${I}(0x3f000000);
let large = select(${I}(0x7c00), ${I}(0x7e00), m > ${I}(0x7f800000));
let h = select(select(normal, small, m < ${I}(0x38800000)), large, m >= ${I}(0x47800000));
return bitcast<${U}>(h) | ((bitcast<${U}>(a) >> ${U}(16u)) & ${U}(0x8000u));`,
  },
  to_half: {
    params: ["F"],
    result: "H",
    body: ({ H, use }) => {
      const bits = `let h = ${use("half_bits")}(a);\n`;
      if (H === "f16") return `${bits}return bitcast<vec2h>(h).x;`;
      if (H === "vec2h") return `${bits}return bitcast<vec2h>(h.x | (h.y << 16u));`;
      return `${bits}return bitcast<vec4h>(vec2u(h.x | (h.y << 16u), h.z | (h.w << 16u)));`;
    },
  },
};
