/** Element types. `bool` is stored as u32 0/1 on devices; values in interpreters are numbers, bool as 0 or 1. */
export type DType = "f32" | "f16" | "i32" | "u32" | "bool";

export const DTYPES: readonly DType[] = ["f32", "f16", "i32", "u32", "bool"];
export function isFloat(d: DType): boolean {
  return d === "f32" || d === "f16";
}
export function isInteger(d: DType): boolean {
  return d === "i32" || d === "u32";
}
