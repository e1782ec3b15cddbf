/** Host arrays to and from the bytes that device buffers hold. */
import { DeviceError } from "./errors.ts";
import type { HostArray, PlanDType } from "./plan.ts";

/** A Float16Array where the engine has one; TypeScript's ES2024 library does not name it. */
export interface HalfArray extends ArrayBufferView {
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
  readonly [Symbol.toStringTag]: "Float16Array";
}

/** What callers may hand in: as HostArray, and also Float16Array for f16. */
export interface HostInput {
  readonly dtype: PlanDType;
  readonly shape: readonly number[];
  readonly data: HostArray["data"] | HalfArray;
}

/** Bytes an element takes in a device buffer. */
export function elementBytes(dtype: PlanDType): 2 | 4 {
  return dtype === "f16" ? 2 : 4;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/**
 * The bytes to upload, a multiple of 4 long. Shares the caller's memory where the layout already fits. `name` is for
 * errors: DeviceError "shape" if the data's length or type does not fit shape and dtype.
 */
export function toDeviceBytes(array: HostInput, name: string): ArrayBufferView<ArrayBuffer> {
  const { data, dtype, shape } = array;
  for (const [axis, extent] of shape.entries()) {
    if (!Number.isSafeInteger(extent) || extent < 0) {
      throw new DeviceError(
        "shape",
        `axis ${axis} of ${name} has extent ${extent}; it must be a whole number of at least 0`,
        {
          argument: { parameter: name, axis, found: extent },
        },
      );
    }
  }
  // Callers need not be TypeScript.
  if (!ArrayBuffer.isView(data)) {
    throw new DeviceError("shape", `${name} has no typed array as its data`, { argument: { parameter: name } });
  }
  const count = elementCount(shape);
  if (data.length !== count) {
    throw new DeviceError(
      "shape",
      `${name} has ${data.length} elements, but its shape [${shape.join(", ")}] needs ${count}`,
      { argument: { parameter: name, expected: count, found: data.length } },
    );
  }
  const converted = convert(data, dtype, name);
  if (converted.byteLength % 4 === 0) return converted;
  const padded = new Uint8Array(roundUp(converted.byteLength, 4));
  padded.set(new Uint8Array(converted.buffer, converted.byteOffset, converted.byteLength));
  return padded;
}

/** The mirror of toDeviceBytes. `bytes` starts at the array's first byte and may be longer than needed; it is copied. */
export function fromDeviceBytes(
  dtype: PlanDType,
  shape: readonly number[],
  bytes: ArrayBuffer,
  offset: number,
): HostArray {
  const count = elementCount(shape);
  const copy = bytes.slice(offset, offset + count * elementBytes(dtype));
  switch (dtype) {
    case "f32":
      return { dtype, shape, data: new Float32Array(copy) };
    case "i32":
      return { dtype, shape, data: new Int32Array(copy) };
    case "u32":
      return { dtype, shape, data: new Uint32Array(copy) };
    case "f16":
      return { dtype, shape, data: new Uint16Array(copy) };
    case "bool": {
      const words = new Uint32Array(copy);
      const data = new Uint8Array(count);
      for (let i = 0; i < count; i++) data[i] = words[i] === 0 ? 0 : 1;
      return { dtype, shape, data };
    }
    default:
      return dtype satisfies never;
  }
}

/** WebGPU refuses shared memory; such arrays are copied. */
function unshared(data: HostArray["data"] | HalfArray): ArrayBufferView<ArrayBuffer> {
  if (data.buffer instanceof ArrayBuffer) return data as ArrayBufferView<ArrayBuffer>;
  const copy = new Uint8Array(data.byteLength);
  copy.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return copy;
}

function convert(data: HostInput["data"], dtype: PlanDType, name: string): ArrayBufferView<ArrayBuffer> {
  switch (dtype) {
    case "f32":
      if (data instanceof Float32Array) return unshared(data);
      if (data instanceof Float64Array) return Float32Array.from(data);
      break;
    case "i32":
      if (data instanceof Int32Array) return unshared(data);
      break;
    case "u32":
      if (data instanceof Uint32Array) return unshared(data);
      break;
    case "f16":
      if (data instanceof Uint16Array || data[Symbol.toStringTag] === "Float16Array") return unshared(data);
      if (data instanceof Float32Array || data instanceof Float64Array) return Uint16Array.from(data, halfBits);
      break;
    case "bool":
      if (data instanceof Uint8Array) return Uint32Array.from(data, (v) => (v === 0 ? 0 : 1));
      break;
    default:
      return dtype satisfies never;
  }
  throw new DeviceError("shape", `${name} is ${dtype}, which a ${data[Symbol.toStringTag]} cannot hold`, {
    argument: { parameter: name, expected: dtype, found: data[Symbol.toStringTag] },
  });
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of the nearest half-precision number to a double, ties to even, overflow to infinity; rounded once. */
export function halfBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Spacing of halves around the magnitude: 2^-24 for subnormals, else 2^(exponent - 10).
  const exponent = magnitude < 2 ** -14 ? -14 : binaryExponent(magnitude);
  const units = roundEven(magnitude / 2 ** (exponent - 10));
  // A carry out of the fraction runs into the exponent's field, as it should.
  return sign | (exponent === -14 ? units : ((exponent + 14) << 10) + units);
}

/** floor(log2 x) of a half's normal range: a double in that range is a normal single once it is truncated. */
function binaryExponent(magnitude: number): number {
  const single = Math.fround(magnitude);
  scratch.setFloat32(0, single);
  const exponent = (scratch.getUint32(0) >>> 23) - 127;
  return single > magnitude && single === 2 ** exponent ? exponent - 1 : exponent;
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The number that half-precision bits stand for. */
export function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
