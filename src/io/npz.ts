/** NumPy's `.npz`: a zip archive of `.npy` files. */
import { Unzip, type UnzipFile, UnzipInflate, zipSync } from "fflate";
import type { HostArray } from "../../runtime/plan.ts";
import { failFile } from "./fail.ts";
import { type NpyHeader, readNpy, readNpyHeader, writeNpy } from "./npy.ts";

/** Archives may unpack to so many bytes, or to so many times their size. */
const MAX_INFLATED = 256 * 1024 * 1024;
const MAX_RATIO = 8;
const MAX_ENTRIES = 65536;
/** Deflate grows data by at most a thousand: what comes of one piece is checked before the next. */
const PIECE = 8192;

/**
 * Reads all arrays of an archive, by name without `.npy`. What is unpacked is checked against each array's own header as soon
 * as that has come, so a bomb is found before it has grown. Fails with a DiagnosticError EIN20xx.
 */
export function readNpz(bytes: Uint8Array, file: string): Map<string, HostArray> {
  if (!(bytes[0] === 0x50 && bytes[1] === 0x4b))
    failFile("EIN2002", file, "this is not a .npz file: it is not a zip archive");
  const budget = { left: Math.max(MAX_INFLATED, MAX_RATIO * bytes.length) };
  const entries: Entry[] = [];
  const unzip = new Unzip((part) => {
    if (part.name.endsWith("/")) return;
    if (entries.length >= MAX_ENTRIES) failFile("EIN2005", file, `the archive has more than ${MAX_ENTRIES} entries`);
    if (!part.name.endsWith(".npy"))
      failFile("EIN2002", file, `the archive holds ${JSON.stringify(part.name)}, which is no .npy file`);
    if (entries.some((e) => e.path === part.name))
      failFile("EIN2002", file, `the archive holds ${JSON.stringify(part.name)} twice`);
    entries.push(new Entry(part, file, budget));
  });
  unzip.register(UnzipInflate);
  try {
    for (let at = 0; at < bytes.length; at += PIECE)
      unzip.push(bytes.subarray(at, at + PIECE), at + PIECE >= bytes.length);
  } catch (error) {
    // fflate's own errors have a code; ours pass.
    if (error instanceof Error && "code" in error)
      failFile("EIN2002", file, `the zip archive is damaged: ${error.message}`);
    throw error;
  }
  if (entries.length === 0 && !isEmptyZip(bytes))
    failFile("EIN2002", file, "the zip archive is damaged: no entries are found");
  return new Map(entries.map((e) => [e.name, e.array()]));
}

/** Writes arrays uncompressed, as numpy.savez does. */
export function writeNpz(arrays: ReadonlyMap<string, HostArray>): Uint8Array {
  const entries = [...arrays].map(([name, array]) => [`${name}.npy`, writeNpy(array)] as const);
  // 1980-01-01: the same arrays give the same bytes.
  return zipSync(Object.fromEntries(entries), { level: 0, mtime: new Date(1980, 0, 1) });
}

function isEmptyZip(bytes: Uint8Array): boolean {
  return bytes[2] === 0x05 && bytes[3] === 0x06;
}

/** One entry while it is unpacked. */
class Entry {
  readonly path: string;
  readonly name: string;
  readonly #file: string;
  readonly #budget: { left: number };
  #header: NpyHeader | undefined;
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;
  #complete = false;

  constructor(part: UnzipFile, file: string, budget: { left: number }) {
    this.path = part.name;
    this.name = part.name.slice(0, -4);
    this.#file = `${file}:${part.name}`;
    this.#budget = budget;
    part.ondata = (error, chunk, final) => {
      if (error) throw error;
      this.#append(chunk);
      this.#complete = final;
    };
    part.start();
  }

  array(): HostArray {
    if (!this.#complete) failFile("EIN2002", this.#file, "the entry is cut off or damaged");
    return readNpy(this.#bytes.subarray(0, this.#length), this.#file, this.name);
  }

  #append(chunk: Uint8Array): void {
    if (this.#header) {
      if (this.#length + chunk.length > this.#header.length) {
        failFile(
          "EIN2002",
          this.#file,
          `the entry is longer than the ${this.#header.length} bytes that its header asks for`,
        );
      }
    }
    this.#store(chunk);
    if (this.#header) return;
    this.#header = readNpyHeader(this.#bytes.subarray(0, this.#length), this.#file);
    if (!this.#header) return;
    this.#budget.left -= this.#header.length;
    if (this.#budget.left < 0) {
      failFile("EIN2005", this.#file, "the archive unpacks to too many bytes", 0, [
        `at most ${MAX_INFLATED} bytes or ${MAX_RATIO} times the file's size are unpacked; numpy.savez does not compress`,
      ]);
    }
    this.#append(new Uint8Array(0));
  }

  /** Memory grows as data comes: a header may claim much where little follows. */
  #store(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * length, this.#header?.length ?? 0)));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }
}
