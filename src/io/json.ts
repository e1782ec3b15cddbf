/** Arrays as JSON: nested lists, or { dtype, shape, data } with the elements in row-major order. */

import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import { checkShape, MAX_RANK } from "./elements.ts";
import { failFile } from "./fail.ts";

type Data = HostArray["data"];
type Element = number | boolean;

/** What JSON has no numbers for. */
const SPECIAL: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

/** Gives the element type that a list is to become, by array name; where it says nothing, the elements decide. */
export type DTypeHint = (name: string) => PlanDType | undefined;

/**
 * Reads one array, under the name "", or an object of arrays by name. A list of truth values is bool, of integers i32, of other
 * numbers f32, unless the hint says otherwise; "NaN", "Infinity", "-Infinity" and "-0" stand for those numbers. Fails with
 * EIN2002 malformed, EIN2003 type, EIN2004 range, EIN2005 size.
 */
export function readJson(text: string, file: string, hint: DTypeHint = () => undefined): Map<string, HostArray> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : "";
    return failFile("EIN2002", file, "the file is not valid JSON", 0, [detail.slice(0, 200)]);
  }
  if (isTyped(value) || typeof value !== "object" || value === null || Array.isArray(value)) {
    return new Map([["", readArray(value, "", file, hint(""))]]);
  }
  return new Map(Object.entries(value).map(([name, item]) => [name, readArray(item, name, file, hint(name))]));
}

/** One array from text, with this element type if one is given. Fails as readJson. */
export function arrayFromJson(text: string, file: string, dtype?: PlanDType): HostArray {
  const found = readJson(text, file, () => dtype).get("");
  return found ?? failFile("EIN2002", file, "a list or { dtype, shape, data } is expected");
}

/** { dtype, shape, data }; f16 as numbers, bool as truth values. */
export function writeJson(array: HostArray): string {
  return `${JSON.stringify(toJson(array))}\n`;
}

/** An object of arrays by name. */
export function writeJsonMap(arrays: ReadonlyMap<string, HostArray>): string {
  return `${JSON.stringify(Object.fromEntries([...arrays].map(([name, array]) => [name, toJson(array)])))}\n`;
}

function toJson(array: HostArray): object {
  const { dtype, shape } = array;
  const number = (x: number): number | string => (Object.is(x, -0) ? "-0" : Number.isFinite(x) ? x : String(x));
  // The shortest text that gives the same f32 back: 0.1, not 0.10000000149011612.
  const single = (x: number): number | string => number(Number.isFinite(x) && x !== 0 ? shortest(x) : x);
  const elements = Array.from(array.data as ArrayLike<number>);
  switch (dtype) {
    case "f32":
      return { dtype, shape, data: elements.map(single) };
    case "f16":
      return { dtype, shape, data: elements.map((bits) => number(halfValue(bits))) };
    case "bool":
      return { dtype, shape, data: elements.map((x) => x !== 0) };
    case "i32":
    case "u32":
      return { dtype, shape, data: elements };
    default:
      return dtype satisfies never;
  }
}

function shortest(x: number): number {
  const single = Math.fround(x);
  for (let digits = 6; digits <= 9; digits++) {
    const value = Number(single.toPrecision(digits));
    if (Math.fround(value) === single) return value;
  }
  return single;
}

interface Typed {
  readonly dtype: PlanDType;
  readonly shape: readonly unknown[];
  readonly data: readonly unknown[];
}

function isTyped(
  value: unknown,
): value is { readonly dtype: unknown; readonly shape: unknown; readonly data: unknown } {
  return typeof value === "object" && value !== null && "dtype" in value && "shape" in value && "data" in value;
}

function readArray(value: unknown, name: string, file: string, hint: PlanDType | undefined): HostArray {
  const what = name === "" ? "the array" : JSON.stringify(name);
  if (isTyped(value)) {
    const { dtype, shape, data } = value;
    if (!(["f32", "f16", "i32", "u32", "bool"] as readonly unknown[]).includes(dtype)) {
      failFile(
        "EIN2003",
        file,
        `${what} has the dtype ${JSON.stringify(dtype)}; f32, f16, i32, u32 and bool are known`,
      );
    }
    if (!Array.isArray(shape) || !Array.isArray(data))
      return failFile("EIN2002", file, `shape and data of ${what} must be lists`);
    const typed: Typed = { dtype: dtype as PlanDType, shape, data };
    const count = checkShape(typed.shape, file, what);
    if (typed.data.length !== count)
      failFile("EIN2002", file, `${what} has ${typed.data.length} elements, but its shape needs ${count}`);
    return {
      dtype: typed.dtype,
      shape: shape as number[],
      data: convert(
        typed.dtype,
        typed.data.map((x) => element(x, file, what)),
        file,
        what,
      ),
    };
  }
  const shape: number[] = [];
  for (let inner: unknown = value; Array.isArray(inner); inner = inner[0]) {
    shape.push(inner.length);
    if (shape.length > MAX_RANK) failFile("EIN2005", file, `${what} has more than ${MAX_RANK} axes`);
    if (inner.length === 0) break;
  }
  const elements: Element[] = [];
  const flatten = (item: unknown, axis: number): void => {
    if (axis === shape.length) {
      elements.push(element(item, file, what));
      return;
    }
    if (!Array.isArray(item) || item.length !== shape[axis]) {
      const found = Array.isArray(item) ? `a list of ${item.length}` : JSON.stringify(item);
      failFile(
        "EIN2002",
        file,
        `${what} is ragged: a list of ${shape[axis]} is expected along axis ${axis}, found ${found.slice(0, 40)}`,
      );
    }
    for (const inner of item) flatten(inner, axis + 1);
  };
  flatten(value, 0);
  const dtype = hint ?? guess(elements);
  return { dtype, shape, data: convert(dtype, elements, file, what) };
}

function element(value: unknown, file: string, what: string): Element {
  if (typeof value === "number" || typeof value === "boolean") return value;
  const special = SPECIAL.get(value);
  if (special !== undefined) return special;
  return failFile(
    "EIN2002",
    file,
    `${what} has the element ${(JSON.stringify(value) ?? "nothing").slice(0, 40)}, which is no number`,
  );
}

function guess(elements: readonly Element[]): PlanDType {
  if (elements.length > 0 && elements.every((x) => typeof x === "boolean")) return "bool";
  const whole =
    elements.length > 0 &&
    elements.every((x) => Number.isInteger(x) && !Object.is(x, -0) && Math.abs(Number(x)) < 2 ** 31);
  return whole ? "i32" : "f32";
}

function convert(dtype: PlanDType, elements: readonly Element[], file: string, what: string): Data {
  const fill = <T extends Data>(out: T): T => {
    elements.forEach((x, i) => {
      const value = Number(x);
      out[i] = value;
      if (out[i] !== value)
        failFile("EIN2004", file, `element ${i} of ${what} is ${value}, which does not fit ${dtype}`);
    });
    return out;
  };
  switch (dtype) {
    case "f32":
      return Float32Array.from(elements, Number);
    case "f16":
      return Uint16Array.from(elements, (x) => halfBits(Number(x)));
    case "i32":
      return fill(new Int32Array(elements.length));
    case "u32":
      return fill(new Uint32Array(elements.length));
    case "bool":
      elements.forEach((x, i) => {
        if (x !== 0 && x !== 1 && typeof x !== "boolean")
          failFile("EIN2004", file, `element ${i} of ${what} is ${x}, which is no truth value`);
      });
      return Uint8Array.from(elements, Number);
    default:
      return dtype satisfies never;
  }
}

const half = new DataView(new ArrayBuffer(2));

function halfBits(value: number): number {
  half.setFloat16(0, value);
  return half.getUint16(0);
}

function halfValue(bits: number): number {
  half.setUint16(0, bits);
  return half.getFloat16(0);
}
