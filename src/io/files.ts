/** Arrays in files, the format chosen by the extension: .npy .npz .safetensors .json .png. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { extname } from "node:path";
import type { HostArray } from "../../runtime/plan.ts";
import { reasonOf } from "../system-error.ts";
import { failFile } from "./fail.ts";
import { type DTypeHint, readJson, writeJson, writeJsonMap } from "./json.ts";
import { readNpy, writeNpy } from "./npy.ts";
import { readNpz, writeNpz } from "./npz.ts";
import { decodePng, encodePng } from "./png.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

/** Node reads files below 2 GiB in one piece. */
const MAX_FILE = 2 ** 31 - 1;
const MAX_JSON = 64 * 1024 * 1024;

interface Format {
  /** Arrays by name; the one array of a format that has no names is "". */
  read(bytes: Uint8Array, file: string, hint: DTypeHint | undefined): Map<string, HostArray>;
  write(arrays: ReadonlyMap<string, HostArray>, file: string): Uint8Array;
  /** Whether it holds arrays by name. */
  readonly named: boolean;
  /** What an array is called that comes without a name. */
  readonly loneName: string;
  readonly maxBytes: number;
}

const single = (array: HostArray): Map<string, HostArray> => new Map([["", array]]);
const only = (arrays: ReadonlyMap<string, HostArray>): HostArray => arrays.values().next().value!;

const FORMATS: ReadonlyMap<string, Format> = new Map<string, Format>([
  [
    ".npy",
    {
      read: (b, f) => single(readNpy(b, f)),
      write: (a) => writeNpy(only(a)),
      named: false,
      loneName: "",
      maxBytes: MAX_FILE,
    },
  ],
  [
    ".npz",
    { read: (b, f) => readNpz(b, f), write: (a) => writeNpz(a), named: true, loneName: "y", maxBytes: MAX_FILE },
  ],
  [
    ".safetensors",
    {
      read: (b, f) => readSafetensors(b, f),
      write: (a) => writeSafetensors(a),
      named: true,
      loneName: "y",
      maxBytes: MAX_FILE,
    },
  ],
  [
    ".json",
    {
      read: (b, f, hint) => readJson(decodeText(b, f), f, hint),
      write: (a) => new TextEncoder().encode(a.size === 1 && a.has("") ? writeJson(only(a)) : writeJsonMap(a)),
      named: true,
      loneName: "",
      maxBytes: MAX_JSON,
    },
  ],
  [
    ".png",
    {
      read: (b, f) => single(decodePng(b, f)),
      write: (a, f) => encodePng(only(a), f),
      named: false,
      loneName: "",
      maxBytes: MAX_FILE,
    },
  ],
]);

/** The extensions that can be read and written. */
export const ARRAY_EXTENSIONS: readonly string[] = [...FORMATS.keys()];

/**
 * All arrays of a file by name; the one array of a .npy, .png or plain .json file has the name "". `hint` decides the element type of JSON lists. Fails with a
 * DiagnosticError EIN20xx, within memory in proportion to the file's size.
 */
export function readArrays(path: string, hint?: DTypeHint): Map<string, HostArray> {
  const format = formatOf(path);
  let bytes: Uint8Array;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) failFile("EIN2001", path, `${path} is not a file`);
    if (stat.size > format.maxBytes) {
      failFile("EIN2005", path, `${path} has ${stat.size} bytes; at most ${format.maxBytes} are read`);
    }
    bytes = readFileSync(path);
  } catch (error) {
    return failSystem(error, "EIN2001", path, "read");
  }
  return format.read(bytes, path, hint);
}

/** The only array of a file, or the one called `name`. Fails as readArrays, and with EIN2008 if there is no such array. */
export function readArray(path: string, name?: string, hint?: DTypeHint): HostArray {
  const arrays = readArrays(path, hint);
  const found =
    name === undefined ? (arrays.size === 1 ? only(arrays) : undefined) : (arrays.get(name) ?? arrays.get(""));
  if (found) return found;
  const wanted = name === undefined ? "exactly one array" : `an array ${JSON.stringify(name)}`;
  const listed = [...arrays.keys()].slice(0, 20).map((n) => JSON.stringify(n));
  return failFile("EIN2008", path, `${path} does not hold ${wanted}`, 0, [
    listed.length > 0 ? `it holds ${listed.join(", ")}` : "it holds none",
  ]);
}

/** Writes one array; in a format with names it is called `name`. Fails with a DiagnosticError EIN20xx. */
export function writeArray(path: string, array: HostArray, name?: string): void {
  writeArrays(path, new Map([[name ?? formatOf(path).loneName, array]]));
}

/** Writes arrays by name; .npy and .png take exactly one. Fails with a DiagnosticError EIN20xx. */
export function writeArrays(path: string, arrays: ReadonlyMap<string, HostArray>): void {
  const format = formatOf(path);
  if (!format.named && arrays.size !== 1) {
    failFile("EIN2008", path, `a ${extname(path)} file holds exactly one array, not ${arrays.size}`, 0, [
      "a .npz or .safetensors file holds several",
    ]);
  }
  save(path, format.write(arrays, path));
}

/** Writes an image (see encodePng), whatever the path's extension. Fails with a DiagnosticError EIN20xx. */
export function writePng(path: string, image: HostArray): void {
  save(path, encodePng(image, path));
}

function save(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    failSystem(error, "EIN2007", path, "written");
  }
}

function formatOf(path: string): Format {
  const extension = extname(path).toLowerCase();
  const format = FORMATS.get(extension);
  if (format) return format;
  return failFile("EIN2006", path, extension ? `${extension} files are not known` : `${path} has no extension`, 0, [
    `arrays are read and written as ${ARRAY_EXTENSIONS.join(", ")}`,
  ]);
}

function decodeText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return failFile("EIN2002", file, "the file is not valid UTF-8");
  }
}

/** Errors of the system become diagnostics; diagnostics pass. */
function failSystem(error: unknown, code: "EIN2001" | "EIN2007", path: string, verb: string): never {
  if (error instanceof Error && "code" in error) failFile(code, path, `${path} cannot be ${verb}: ${reasonOf(error)}`);
  throw error;
}
