/** How WGSL helper functions are written: once, for scalars and vectors alike. */
import type { Lanes } from "../../ir/kernel.ts";

/** Type names at some number of lanes, and the functions a helper may call. */
export interface HelperTypes {
  readonly F: string;
  readonly U: string;
  readonly I: string;
  readonly B: string;
  readonly H: string;
  /** The name of another helper at the same lanes; it is emitted too. */
  readonly use: (name: string) => string;
}

export interface Helper {
  /** Parameter and result types as letters of HelperTypes, or a WGSL type. */
  readonly params: readonly string[];
  readonly result: string;
  /** The function's body over parameters a, b, c, d. */
  readonly body: (t: HelperTypes) => string;
  /** Branches, so that vectors call it once a lane. */
  readonly scalar?: boolean;
}

export const PARAMETERS: readonly string[] = ["a", "b", "c", "d"];

/** Horner's rule, the highest power first. */
export function polynomial(x: string, coefficients: readonly number[]): string {
  return coefficients.reduce(
    (text, c, i) => (i === 0 ? literal(c) : `(${text}) * ${x} ${c < 0 ? "-" : "+"} ${literal(Math.abs(c))}`),
    "",
  );
}
export function literal(c: number): string {
  const text = String(Math.fround(c) === c ? c : Number(c.toPrecision(12)));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

export const SIGN = "0x80000000u";
export const MAGNITUDE = "0x7fffffffu";
export const INFINITE = "0x7f800000u";
export const QUIET = "0x7fc00000u";

export function typesFor(lanes: Lanes): Omit<HelperTypes, "use"> {
  return lanes === 1
    ? { F: "f32", U: "u32", I: "i32", B: "bool", H: "f16" }
    : { F: `vec${lanes}f`, U: `vec${lanes}u`, I: `vec${lanes}i`, B: `vec${lanes}<bool>`, H: `vec${lanes}h` };
}
