/** Reads ustar archives: just enough for the one that the software adapter comes in, and strict about it. */

export interface TarFile {
  readonly name: string;
  readonly data: Uint8Array;
}

const BLOCK = 512;

/** The regular files of an archive, sharing its memory. Throws RangeError where the archive is damaged. */
export function readTar(archive: Uint8Array): readonly TarFile[] {
  const files: TarFile[] = [];
  let at = 0;
  while (at + BLOCK <= archive.length) {
    const header = archive.subarray(at, at + BLOCK);
    at += BLOCK;
    if (header.every((byte) => byte === 0)) break;
    checkSum(header);
    const size = octal(header, 124, 12);
    if (at + size > archive.length) throw new RangeError("tar: a file leaves the archive");
    const type = header[156];
    if (type === 0 || type === 0x30) {
      const prefix = text(header, 257, 5) === "ustar" && header[262] === 0 ? text(header, 345, 155) : "";
      const name = text(header, 0, 100);
      files.push({ name: prefix ? `${prefix}/${name}` : name, data: archive.subarray(at, at + size) });
    }
    at += Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

/** The sum of all bytes, the sum's own field counted as spaces. */
function checkSum(header: Uint8Array): void {
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  if (sum !== octal(header, 148, 8)) throw new RangeError("tar: a header's checksum is wrong");
}

function text(header: Uint8Array, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function octal(header: Uint8Array, start: number, length: number): number {
  const digits = text(header, start, length).trim();
  if (!/^[0-7]+$/.test(digits)) throw new RangeError("tar: a number is not octal");
  return Number.parseInt(digits, 8);
}
