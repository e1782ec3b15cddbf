/**
 * ONNX models of workloads, as bytes: the few messages and fields of onnx.proto that a static graph of named nodes needs, in protobuf's
 * wire format (https://protobuf.dev/programming-guides/encoding). Numbers of fields are those of onnx.proto, named beside each.
 */
import type { HostArray } from "../../runtime/plan.ts";
import type { OnnxConstant, OnnxNode, OnnxPeer } from "../workload.ts";

/** The operators' version (the first with Gelu), and the oldest format that allows it. */
const OPSET = 20;
const IR_VERSION = 9;
/** Operators beyond the standard: of ONNX Runtime, in the only version there is. */
const CONTRIB_VERSION = 1;

/** TensorProto.DataType */
const DATA_TYPES: Readonly<Record<"f32" | "i32" | "i64", number>> = { f32: 1, i32: 6, i64: 7 };

type Message = readonly Uint8Array[];

/** The last node's output is the result. Throws if an input is neither f32 nor i32. */
export function onnxModel(onnx: OnnxPeer, inputs: Readonly<Record<string, HostArray>>): Uint8Array<ArrayBuffer> {
  const weights = Object.entries(inputs).filter(([name]) => onnx.weights?.includes(name));
  const given = Object.entries(inputs).filter(([name]) => !onnx.weights?.includes(name));
  const result = onnx.nodes.at(-1)!.output;
  const domains = new Set(onnx.nodes.flatMap((n) => n.domain ?? []));
  const graph: Message = [
    ...onnx.nodes.flatMap((n) => nested(1, node(n))), // node
    ...text(2, "main"), // name
    ...weights.flatMap(([name, a]) => nested(5, tensor(name, a.shape, dataType(a), bytesOf(a.data)))), // initializer
    ...Object.entries(onnx.constants ?? {}).flatMap(([name, c]) => nested(5, constant(name, c))),
    ...given.flatMap(([name, a]) => nested(11, value(name, dataType(a), a.shape))), // input
    ...nested(12, value(result, DATA_TYPES.f32)), // output
  ];
  return joined([
    ...integer(1, IR_VERSION), // ir_version
    ...nested(7, graph), // graph
    ...nested(8, integer(2, OPSET)), // opset_import; version
    ...[...domains].flatMap((d) => nested(8, [...text(1, d), ...integer(2, CONTRIB_VERSION)])), // domain, version
  ]);
}

/** NodeProto */
function node(n: OnnxNode): Message {
  return [
    ...n.inputs.flatMap((name) => text(1, name)), // input
    ...text(2, n.output), // output
    ...text(4, n.op), // op_type
    ...Object.entries(n.attributes ?? {}).flatMap(([name, v]) =>
      nested(5, attribute(name, v, n.floats?.includes(name))),
    ), // attribute
    ...text(7, n.domain ?? ""), // domain
  ];
}

/** AttributeProto: its name, its value in the field of its type, and that type. Numbers that are not whole are floats. */
function attribute(name: string, v: number | string | readonly number[], isFloat = false): Message {
  if (typeof v === "string") return [...text(1, name), ...text(4, v), ...integer(20, 3)]; // s, STRING
  if (typeof v !== "number") return [...text(1, name), ...v.flatMap((x) => integer(8, x)), ...integer(20, 7)]; // ints, INTS
  if (Number.isInteger(v) && !isFloat) return [...text(1, name), ...integer(3, v), ...integer(20, 2)]; // i, INT
  return [...text(1, name), tag(2, FIXED_32), bytesOf(Float32Array.of(v)), ...integer(20, 1)]; // f, FLOAT
}

/** TensorProto */
function tensor(name: string, shape: readonly number[], type: number, raw: Uint8Array): Message {
  return [
    ...shape.flatMap((n) => integer(1, n)), // dims
    ...integer(2, type), // data_type
    ...text(8, name), // name
    ...bytes(9, raw), // raw_data
  ];
}
function constant(name: string, c: OnnxConstant): Message {
  return "f32" in c
    ? tensor(name, c.shape, DATA_TYPES.f32, bytesOf(Float32Array.from(c.f32)))
    : tensor(name, c.shape, DATA_TYPES.i64, bytesOf(BigInt64Array.from(c.int64, BigInt)));
}

/** ValueInfoProto of a tensor; the shape of what is left without one is inferred. */
function value(name: string, type: number, shape?: readonly number[]): Message {
  const dimensions = shape?.flatMap((n) => nested(1, integer(1, n))); // TensorShapeProto: dim; dim_value
  const tensorType = [...integer(1, type), ...(dimensions ? nested(2, dimensions) : [])]; // elem_type, shape
  return [...text(1, name), ...nested(2, nested(1, tensorType))]; // name, type; TypeProto: tensor_type
}

function dataType(a: HostArray): number {
  if (a.dtype !== "f32" && a.dtype !== "i32") throw new Error(`no ONNX type for arguments of ${a.dtype}`);
  return DATA_TYPES[a.dtype];
}

const [VARINT, LENGTH_DELIMITED, FIXED_32] = [0, 2, 5];

function tag(field: number, wireType: number): Uint8Array {
  return varint((field << 3) | wireType);
}
function integer(field: number, v: number): Message {
  return [tag(field, VARINT), varint(v)];
}
function bytes(field: number, data: Uint8Array): Message {
  return [tag(field, LENGTH_DELIMITED), varint(data.length), data];
}
function text(field: number, s: string): Message {
  return s === "" ? [] : bytes(field, new TextEncoder().encode(s));
}
function nested(field: number, message: Message): Message {
  return bytes(field, joined(message));
}

/** Seven bits a byte, the lowest first; what is negative counts as 64 bits in two's complement. */
function varint(v: number): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(v));
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.of(...out, Number(rest));
}

/** Memory as it lies, which is little-endian as the format is on everything that has WebGPU. */
function bytesOf(a: ArrayBufferView): Uint8Array {
  return new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
}

function joined(parts: Message): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
