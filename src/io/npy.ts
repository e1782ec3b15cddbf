/** NumPy's `.npy`, versions 1 to 3: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
import type { HostArray, PlanDType } from "../../runtime/plan.ts";
import { checkShape, decodeElements, dtypeOf, type ElementType, encodeElements, fromFortran } from "./elements.ts";
import { failFile } from "./fail.ts";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy writes under 200 bytes for everything that can be read here. */
const MAX_HEADER = 65536;

export interface NpyHeader {
  readonly type: ElementType;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  readonly count: number;
  /** Where the elements begin. */
  readonly offset: number;
  /** Bytes that the whole file must have at least. */
  readonly length: number;
}

/** Reads a header; undefined if `bytes` may be the beginning of one but ends too early. Fails with EIN20xx. */
export function readNpyHeader(bytes: Uint8Array, file: string): NpyHeader | undefined {
  for (const [i, byte] of MAGIC.entries()) {
    if (i < bytes.length && bytes[i] !== byte)
      failFile("EIN2002", file, "this is not a .npy file: it does not begin with \\x93NUMPY", i);
  }
  if (bytes.length < 12) return undefined;
  const major = bytes[6]!;
  if (major < 1 || major > 3) failFile("EIN2002", file, `.npy version ${major} is not known; 1 to 3 are`, 6);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = major === 1 ? 10 : 12;
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerBytes > MAX_HEADER)
    failFile("EIN2002", file, `the .npy header claims ${headerBytes} bytes; at most ${MAX_HEADER} are read`, 8);
  const offset = start + headerBytes;
  if (bytes.length < offset) return undefined;
  const text = new TextDecoder(major === 3 ? "utf-8" : "latin1").decode(bytes.subarray(start, offset));
  const { descr, fortranOrder, shape } = parseHeader(text, file, start);
  const type = parseDescr(descr, file);
  const count = checkShape(shape, file, "the array");
  return { type, fortranOrder, shape, count, offset, length: offset + count * type.bytes };
}

/** Reads an array. Fails with a DiagnosticError: EIN2002 malformed or truncated, EIN2003 type, EIN2004 range, EIN2005 size. */
export function readNpy(bytes: Uint8Array, file: string, name = "the array"): HostArray {
  const header = readNpyHeader(bytes, file);
  if (!header) return failFile("EIN2002", file, "the .npy header is cut off", bytes.length);
  if (bytes.length < header.length) {
    failFile(
      "EIN2002",
      file,
      `the .npy file is cut off: ${header.length} bytes are needed, it has ${bytes.length}`,
      bytes.length,
    );
  }
  const data = decodeElements(header.type, bytes.subarray(header.offset), header.count, file, name);
  return {
    dtype: dtypeOf(header.type),
    shape: header.shape,
    data: header.fortranOrder ? fromFortran(data, header.shape) : data,
  };
}

const DESCR = { f32: "<f4", f16: "<f2", i32: "<i4", u32: "<u4", bool: "|b1" } as const satisfies Record<
  PlanDType,
  string
>;

/** Version 1, row-major, elements at a multiple of 64 bytes, as NumPy writes them. */
export function writeNpy(array: HostArray): Uint8Array {
  const shape = array.shape.length === 1 ? `(${array.shape[0]},)` : `(${array.shape.join(", ")})`;
  const dictionary = `{'descr': '${DESCR[array.dtype]}', 'fortran_order': False, 'shape': ${shape}, }`;
  const headerBytes = Math.ceil((dictionary.length + 11) / 64) * 64 - 10;
  const elements = encodeElements(array);
  const bytes = new Uint8Array(10 + headerBytes + elements.length);
  bytes.set(MAGIC);
  bytes[6] = 1;
  new DataView(bytes.buffer).setUint16(8, headerBytes, true);
  bytes.set(new TextEncoder().encode(`${dictionary.padEnd(headerBytes - 1)}\n`), 10);
  bytes.set(elements, 10 + headerBytes);
  return bytes;
}

function parseDescr(descr: string, file: string): ElementType {
  const match = /^([<>=|])([fiub])(\d+)$/.exec(descr);
  const kind = match && ({ f: "float", i: "int", u: "uint", b: "bool" } as const)[match[2] as "f" | "i" | "u" | "b"];
  const bytes = Number(match?.[3]);
  const known = kind === "float" ? [2, 4, 8] : kind === "bool" ? [1] : [1, 2, 4, 8];
  if (!match || !kind || !known.includes(bytes)) {
    return failFile("EIN2003", file, `elements of type ${JSON.stringify(descr)} cannot be read`, 0, [
      "f2, f4, f8, i1 to i8, u1 to u8 and b1 are read, in either byte order",
    ]);
  }
  return { kind, bytes: bytes as ElementType["bytes"], littleEndian: match[1] !== ">" };
}

/** The header is a Python dictionary with three keys: strings, True or False, and a tuple of integers. */
function parseHeader(
  text: string,
  file: string,
  start: number,
): { descr: string; fortranOrder: boolean; shape: number[] } {
  const tokens = /\s*(?:('[^'\\]*'|"[^"\\]*")|(-?\d+)L?|(True|False)\b|([{}():,[\]]))/y;
  let at = 0;
  const next = (): { string?: string; number?: string; boolean?: string; sign?: string; at: number } => {
    tokens.lastIndex = at;
    const match = tokens.exec(text);
    if (!match) return malformed(at);
    at = tokens.lastIndex;
    const [, string, number, boolean, sign] = match;
    return { string: string?.slice(1, -1), number, boolean, sign, at: match.index };
  };
  const malformed = (where: number): never =>
    failFile("EIN2002", file, "the .npy header is malformed", start + where, [
      "expected {'descr': …, 'fortran_order': True or False, 'shape': (…)}",
    ]);
  const expect = (sign: string): void => {
    const token = next();
    if (token.sign !== sign) malformed(token.at);
  };

  const found: { descr?: string; fortranOrder?: boolean; shape?: number[] } = {};
  expect("{");
  for (;;) {
    const key = next();
    if (key.sign === "}") break;
    if (key.string === undefined) malformed(key.at);
    expect(":");
    const value = next();
    if (key.string === "descr" && found.descr === undefined) {
      if (value.sign === "[") failFile("EIN2003", file, "structured elements cannot be read", start + value.at);
      found.descr = value.string ?? malformed(value.at);
    } else if (key.string === "fortran_order" && found.fortranOrder === undefined) {
      if (value.boolean === undefined) malformed(value.at);
      found.fortranOrder = value.boolean === "True";
    } else if (key.string === "shape" && found.shape === undefined) {
      if (value.sign !== "(") malformed(value.at);
      found.shape = [];
      for (let item = next(); item.sign !== ")"; ) {
        if (item.number === undefined) malformed(item.at);
        found.shape.push(Number(item.number));
        item = next();
        if (item.sign === ",") item = next();
        else if (item.sign !== ")") malformed(item.at);
      }
    } else {
      malformed(key.at);
    }
    const after = next();
    if (after.sign === "}") break;
    if (after.sign !== ",") malformed(after.at);
  }
  const { descr, fortranOrder, shape } = found;
  if (descr === undefined || fortranOrder === undefined || !shape || text.slice(at).trim() !== "") return malformed(at);
  return { descr, fortranOrder, shape };
}
