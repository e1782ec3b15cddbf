/** PNG images as arrays of f32 from 0 to 1: grey [height, width], colour [height, width, 3]. */
import { inflateSync } from "node:zlib";
import { PNG } from "pngjs";
import type { HostArray } from "../../runtime/plan.ts";
import { failFile } from "./fail.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_PIXELS = 2 ** 24;

/** Reads an image; transparency is dropped, grey stays grey. Fails with EIN2002, EIN2003 or EIN2005. */
export function decodePng(bytes: Uint8Array, file: string): HostArray {
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte)) failFile("EIN2002", file, "this is not a PNG file");
  if (bytes.length < 33) failFile("EIN2002", file, "the PNG file is cut off", bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const colourType = bytes[25]!;
  if (width * height === 0) failFile("EIN2002", file, "the image has no pixels", 16);
  if (width * height > MAX_PIXELS)
    failFile("EIN2005", file, `the image has ${width} by ${height} pixels; at most ${MAX_PIXELS} are read`);
  // Only for these does the decoder know how much there is to unpack.
  if (bytes[28] !== 0) failFile("EIN2003", file, "interlaced PNG images are not read");
  checkData(view, width, height, file);
  let image: PNG;
  try {
    image = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), { checkCRC: true });
  } catch (error) {
    return failFile("EIN2002", file, "the PNG file is damaged", 0, [
      error instanceof Error ? error.message : String(error),
    ]);
  }
  const channels = colourType === 0 || colourType === 4 ? 1 : 3;
  const data = new Float32Array(width * height * channels);
  for (let i = 0; i < data.length; i++) data[i] = image.data[4 * Math.floor(i / channels) + (i % channels)]! / 255;
  return { dtype: "f32", shape: channels === 1 ? [height, width] : [height, width, 3], data };
}

/** Samples a pixel by colour type. */
const CHANNELS: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
]);

/** The decoder takes whatever memory holds where an image's data is too short: its length is checked before. */
function checkData(view: DataView, width: number, height: number, file: string): void {
  const row = Math.ceil((width * view.getUint8(24) * (CHANNELS.get(view.getUint8(25)) ?? 0)) / 8);
  const needed = (row + 1) * height;
  const pieces: Uint8Array[] = [];
  for (let at = 8; at + 12 <= view.byteLength; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > view.byteLength) failFile("EIN2002", file, "the PNG file is cut off", at);
    if (view.getUint32(at + 4) === 0x49444154)
      pieces.push(new Uint8Array(view.buffer, view.byteOffset + at + 8, length));
    at += 12 + length;
  }
  let found: number;
  try {
    found = inflateSync(Buffer.concat(pieces), { maxOutputLength: needed }).length;
  } catch {
    found = -1;
  }
  if (row === 0 || found !== needed)
    failFile("EIN2002", file, "the PNG file is damaged: its data is not what the image needs");
}

/** Writes f32 values from 0 to 1 (clamped, NaN as 0) of shape [height, width], [height, width, 1] or [height, width, 3]. */
export function encodePng(array: HostArray, file: string): Uint8Array {
  const [height, width, channels = 1] = array.shape;
  const fits = array.shape.length === 2 || (array.shape.length === 3 && (channels === 1 || channels === 3));
  if (array.dtype !== "f32" || !fits || !height || !width || height * width > MAX_PIXELS) {
    return failFile("EIN2003", file, `${array.dtype}[${array.shape.join(", ")}] is no image`, 0, [
      "an image is f32[height, width] or f32[height, width, 3] with values from 0 to 1",
    ]);
  }
  const colourType = channels === 3 ? 2 : 0;
  const image = new PNG({
    width,
    height,
    colorType: colourType,
    inputColorType: colourType,
    inputHasAlpha: false,
    bitDepth: 8,
  });
  const pixels = Uint8Array.from(array.data as Float32Array, (x) => Math.round(255 * Math.min(1, Math.max(0, x || 0))));
  image.data = Buffer.from(pixels.buffer);
  return PNG.sync.write(image, {
    colorType: colourType,
    inputColorType: colourType,
    inputHasAlpha: false,
    bitDepth: 8,
  });
}
