/** Tensors of the conformance files and what it means that two agree. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";

/** As the files have them: `data` a flat row-major list (non-finite numbers as strings) or `b64` little-endian bytes. */
export interface FileTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data?: readonly (number | string | boolean)[];
  readonly b64?: string;
}

/** Values in float64 whatever the dtype: what the interpreter takes and what results are compared in. */
export interface Values {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

const BYTES: Readonly<Record<string, readonly [number, (v: DataView, at: number) => number]>> = {
  float64: [8, (v, i) => v.getFloat64(i, true)],
  float32: [4, (v, i) => v.getFloat32(i, true)],
  float16: [2, (v, i) => v.getFloat16(i, true)],
  int64: [8, (v, i) => Number(v.getBigInt64(i, true))],
  uint64: [8, (v, i) => Number(v.getBigUint64(i, true))],
  int32: [4, (v, i) => v.getInt32(i, true)],
  uint32: [4, (v, i) => v.getUint32(i, true)],
  int16: [2, (v, i) => v.getInt16(i, true)],
  uint16: [2, (v, i) => v.getUint16(i, true)],
  int8: [1, (v, i) => v.getInt8(i)],
  uint8: [1, (v, i) => v.getUint8(i)],
  bool: [1, (v, i) => (v.getUint8(i) ? 1 : 0)],
};

function toNumber(x: number | string | boolean): number {
  if (typeof x === "number") return x;
  if (typeof x === "boolean") return x ? 1 : 0;
  return x === "NaN" ? Number.NaN : Number(x);
}

/** Throws TypeError for a dtype that has no numbers (strings, sequences). */
export function decode(t: FileTensor): Values {
  if (t.data) return { dtype: t.dtype, shape: t.shape, data: Float64Array.from(t.data, toNumber) };
  const reader = BYTES[t.dtype];
  if (!reader || t.b64 === undefined) throw new TypeError(`tensor of dtype ${t.dtype}`);
  const bytes = Buffer.from(t.b64, "base64");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, get] = reader;
  return {
    dtype: t.dtype,
    shape: t.shape,
    data: Float64Array.from({ length: bytes.byteLength / width }, (_, i) => get(view, i * width)),
  };
}

/** The element type of the language that stands for a file's dtype; undefined if there is none. */
export function languageType(dtype: string): PlanDType | undefined {
  switch (dtype) {
    case "float64":
    case "float32":
    case "bfloat16":
    case "float16":
      return "f32";
    case "int64":
    case "int32":
    case "int16":
    case "int8":
    case "uint8":
    case "uint16":
      return "i32";
    case "uint32":
      return "u32";
    case "bool":
      return "bool";
    default:
      return undefined;
  }
}

/** An argument for the API. On the interpreter floats stay float64, so that exact cases stay exact. */
export function toHost(v: Values, dtype: PlanDType, exact: boolean): HostArray {
  const shape = v.shape;
  switch (dtype) {
    case "f32":
    case "f16":
      return { dtype, shape, data: exact ? v.data : Float32Array.from(v.data) };
    case "i32":
      return { dtype, shape, data: Int32Array.from(v.data) };
    case "u32":
      return { dtype, shape, data: Uint32Array.from(v.data) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from(v.data) };
  }
}

/** The default is the conformance README's; a case's own numbers win. */
export interface Tolerance {
  readonly exact: boolean;
  readonly atol: number;
  readonly rtol: number;
}

/** What else is accepted of element i, given ours and the expected number. */
export type Excuse = (i: number, got: number, want: number) => boolean;

/** undefined if `got` agrees with `want`, else one line that says where it does not. */
export function disagreement(
  got: { shape: readonly number[]; data: ArrayLike<number> },
  want: Values,
  t: Tolerance,
  excused?: Excuse,
): string | undefined {
  if (got.shape.length !== want.shape.length || got.shape.some((n, i) => n !== want.shape[i]))
    return `shape [${got.shape.join(", ")}], expected [${want.shape.join(", ")}]`;
  for (let i = 0; i < want.data.length; i++) {
    const [a, b] = [got.data[i] ?? Number.NaN, want.data[i] ?? Number.NaN];
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const allowed = t.exact ? 0 : t.atol + t.rtol * Math.abs(b);
    if (!(Math.abs(a - b) <= allowed) && !excused?.(i, a, b)) return `element ${i} is ${a}, expected ${b}`;
  }
  return undefined;
}
