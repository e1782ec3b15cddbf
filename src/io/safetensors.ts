/** Safetensors: https://github.com/huggingface/safetensors. A JSON header with offsets, then the bytes. */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import { checkShape, decodeElements, dtypeOf, type ElementType, encodeElements } from "./elements.ts";
import { failFile } from "./fail.ts";

/** The format allows 100 MB; files of a hundred thousand tensors have less than this. */
const MAX_HEADER = 16 * 1024 * 1024;

const little = (kind: ElementType["kind"], bytes: ElementType["bytes"]): ElementType => ({
  kind,
  bytes,
  littleEndian: true,
});
const TYPES: ReadonlyMap<string, ElementType> = new Map([
  ["F16", little("float", 2)],
  ["BF16", little("bfloat", 2)],
  ["F32", little("float", 4)],
  ["F64", little("float", 8)],
  ["I8", little("int", 1)],
  ["I16", little("int", 2)],
  ["I32", little("int", 4)],
  ["I64", little("int", 8)],
  ["U8", little("uint", 1)],
  ["U16", little("uint", 2)],
  ["U32", little("uint", 4)],
  ["U64", little("uint", 8)],
  ["BOOL", little("bool", 1)],
]);
const NAMES = { f32: "F32", f16: "F16", i32: "I32", u32: "U32", bool: "BOOL" } as const satisfies Record<
  PlanDType,
  string
>;

interface TensorEntry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly count: number;
  readonly begin: number;
}

/** Reads all tensors by name. The tensors must cover the data without gaps or overlaps. Fails with a DiagnosticError EIN20xx. */
export function readSafetensors(bytes: Uint8Array, file: string): Map<string, HostArray> {
  if (bytes.length < 8) failFile("EIN2002", file, "the safetensors file is cut off: it has no header", bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_HEADER)) {
    failFile("EIN2002", file, `the safetensors header claims ${headerBytes} bytes; at most ${MAX_HEADER} are read`);
  }
  const start = 8 + Number(headerBytes);
  if (start > bytes.length) failFile("EIN2002", file, "the safetensors header is cut off", bytes.length);
  const data = bytes.subarray(start);
  const entries = parseHeader(bytes.subarray(8, start), file);
  const arrays = new Map<string, HostArray>();
  let end = 0;
  for (const entry of entries) {
    const length = entry.count * entry.type.bytes;
    if (entry.begin !== end)
      failFile("EIN2002", file, `${entry.name} begins at byte ${entry.begin}, but the tensor before it ends at ${end}`);
    end += length;
    if (end > data.length)
      failFile("EIN2002", file, `${entry.name} ends at byte ${end} of the data, which has ${data.length}`);
    const elements = decodeElements(entry.type, data.subarray(entry.begin), entry.count, file, entry.name);
    arrays.set(entry.name, { dtype: dtypeOf(entry.type), shape: entry.shape, data: elements });
  }
  if (end !== data.length)
    failFile("EIN2002", file, `the tensors end at byte ${end} of the data, which has ${data.length}`);
  return arrays;
}

/** Writes tensors in the order given; the data begins at a multiple of 8 bytes. */
export function writeSafetensors(arrays: ReadonlyMap<string, HostArray>): Uint8Array {
  let end = 0;
  const blocks: Uint8Array[] = [];
  // Larger elements first keep every tensor aligned to its element.
  const ordered = [...arrays].sort(
    ([, a], [, b]) => (TYPES.get(NAMES[b.dtype])?.bytes ?? 0) - (TYPES.get(NAMES[a.dtype])?.bytes ?? 0),
  );
  const header = ordered.map(([name, array]) => {
    const block = encodeElements(array);
    const begin = end;
    end += block.length;
    blocks.push(block);
    return [name, { dtype: NAMES[array.dtype], shape: array.shape, data_offsets: [begin, end] }] as const;
  });
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes + end).fill(0x20, 8, 8 + headerBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(text, 8);
  let at = 8 + headerBytes;
  for (const block of blocks) {
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
}

function parseHeader(bytes: Uint8Array, file: string): readonly TensorEntry[] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return failFile("EIN2002", file, "the safetensors header is not valid JSON", 8);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    return failFile("EIN2002", file, "the safetensors header is not a JSON object", 8);
  }
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => parseEntry(name, value, file));
  return entries.sort((a, b) => a.begin - b.begin || a.count - b.count);
}

function parseEntry(name: string, value: unknown, file: string): TensorEntry {
  const malformed = (what: string): never =>
    failFile("EIN2002", file, `the safetensors header is malformed at ${JSON.stringify(name)}: ${what}`, 8);
  if (typeof value !== "object" || value === null) return malformed("an object is expected");
  const { dtype, shape, data_offsets } = value as {
    readonly dtype?: unknown;
    readonly shape?: unknown;
    readonly data_offsets?: unknown;
  };
  if (typeof dtype !== "string") return malformed("dtype must be a string");
  const type = TYPES.get(dtype);
  if (!type)
    return failFile(
      "EIN2003",
      file,
      `${JSON.stringify(name)} has the type ${JSON.stringify(dtype)}, which cannot be read`,
    );
  if (!Array.isArray(shape)) return malformed("shape must be a list");
  const count = checkShape(shape, file, JSON.stringify(name));
  if (!Array.isArray(data_offsets) || data_offsets.length !== 2) return malformed("data_offsets must be two numbers");
  const [begin, end] = data_offsets as readonly unknown[];
  if (typeof begin !== "number" || !Number.isSafeInteger(begin) || begin < 0)
    return malformed("data_offsets must be sizes");
  if (end !== begin + count * type.bytes)
    return malformed(`its shape needs ${count * type.bytes} bytes, data_offsets say otherwise`);
  return { name, type, shape: shape as readonly number[], count, begin };
}
