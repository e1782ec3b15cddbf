/** Element types of data files, and their conversion to the five that programs have. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import { failFile } from "./fail.ts";

export interface ElementType {
  readonly kind: "float" | "bfloat" | "int" | "uint" | "bool";
  readonly bytes: 1 | 2 | 4 | 8;
  readonly littleEndian: boolean;
}

/** Programs index with i32: no array may have as many elements as this. */
export const MAX_ELEMENTS: number = 2 ** 31;
/** NumPy's limit is 64; nobody is known to need more. */
export const MAX_RANK = 64;

/** The program's type for a file's: f64 and bf16 become f32, the integers i32 or u32. */
export function dtypeOf(type: ElementType): PlanDType {
  switch (type.kind) {
    case "float":
      return type.bytes === 2 ? "f16" : "f32";
    case "bfloat":
      return "f32";
    case "int":
      return "i32";
    case "uint":
      return "u32";
    case "bool":
      return "bool";
    default:
      return type.kind satisfies never;
  }
}

/** The number of elements of a shape; fails with EIN2002 if an extent is no size, EIN2005 if there are too many. */
export function checkShape(shape: readonly unknown[], file: string, what: string): number {
  if (shape.length > MAX_RANK)
    failFile("EIN2005", file, `${what} has ${shape.length} axes; at most ${MAX_RANK} are read`);
  let count = 1;
  let factors = 1;
  for (const extent of shape) {
    if (typeof extent !== "number" || !Number.isSafeInteger(extent) || extent < 0) {
      failFile("EIN2002", file, `${what} has the extent ${String(extent)}, which is not a whole number of at least 0`);
    }
    count *= extent;
    // An empty array may not have absurd other extents either: NumPy refuses those too.
    factors *= Math.max(1, extent);
  }
  if (factors >= MAX_ELEMENTS) {
    failFile("EIN2005", file, `${what} has the shape [${shape.join(", ")}], which is too many elements (2^31 or more)`);
  }
  return count;
}

/**
 * Decodes `count` elements from the start of `bytes` (which must be long enough) and converts them. 64-bit integers that do
 * not fit 32 bits fail with EIN2004; f64 is rounded to the nearest f32.
 */
export function decodeElements(
  type: ElementType,
  bytes: Uint8Array,
  count: number,
  file: string,
  name: string,
): HostArray["data"] {
  // Not bytes.slice: a Buffer's shares its memory.
  const copy = new Uint8Array(bytes.subarray(0, count * type.bytes));
  if (!type.littleEndian) reverseElements(copy, type.bytes);
  const { buffer } = copy;
  switch (type.kind) {
    case "float":
      if (type.bytes === 2) return new Uint16Array(buffer);
      return type.bytes === 4 ? new Float32Array(buffer) : Float32Array.from(new Float64Array(buffer));
    case "bfloat": {
      const words = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      return new Float32Array(words.buffer);
    }
    case "int":
      if (type.bytes === 1) return Int32Array.from(new Int8Array(buffer));
      if (type.bytes === 2) return Int32Array.from(new Int16Array(buffer));
      return type.bytes === 4
        ? new Int32Array(buffer)
        : narrow(new BigInt64Array(buffer), new Int32Array(count), "i32", file, name);
    case "uint":
      if (type.bytes === 1) return Uint32Array.from(copy);
      if (type.bytes === 2) return Uint32Array.from(new Uint16Array(buffer));
      return type.bytes === 4
        ? new Uint32Array(buffer)
        : narrow(new BigUint64Array(buffer), new Uint32Array(count), "u32", file, name);
    case "bool":
      return copy.map((byte) => (byte === 0 ? 0 : 1));
    default:
      return type.kind satisfies never;
  }
}

function narrow<T extends Int32Array | Uint32Array>(
  wide: BigInt64Array | BigUint64Array,
  out: T,
  dtype: string,
  file: string,
  name: string,
): T {
  for (let i = 0; i < wide.length; i++) {
    const value = Number(wide[i]);
    out[i] = value;
    if (out[i] !== value)
      failFile("EIN2004", file, `element ${i} of ${name} is ${wide[i]}, which does not fit ${dtype}`);
  }
  return out;
}

function reverseElements(bytes: Uint8Array, size: number): void {
  if (size === 1) return;
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

/** The little-endian bytes of an array as files hold them (bool one byte each), sharing memory where possible. */
export function encodeElements(array: HostArray): Uint8Array {
  const { dtype, data } = array;
  const plain = dtype === "f32" && data instanceof Float64Array ? Float32Array.from(data) : data;
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
}

/** Fortran order (first axis fastest) to row-major. Works on any of the data types; `data` has the product of `shape`. */
export function fromFortran<T extends HostArray["data"]>(data: T, shape: readonly number[]): T {
  if (shape.filter((extent) => extent > 1).length < 2) return data;
  const out = data.slice() as T;
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((a, b) => a * b, 1));
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
