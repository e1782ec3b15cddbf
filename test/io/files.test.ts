import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import type { HostArray } from "../../runtime/plan.ts";
import { readArray, readArrays, writeArray, writeArrays } from "../../src/io/files.ts";
import { decodePng } from "../../src/io/png.ts";
import { diagnosticOf, hostile } from "./diagnostics.ts";

const folder = mkdtempSync(join(tmpdir(), "fusum-io-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
const array: HostArray = { dtype: "f32", shape: [2, 2], data: Float32Array.of(0, 0.2, 0.4, 1) };

describe("files", () => {
  it.each(["a.npy", "a.npz", "a.safetensors", "a.json", "A.NPY"])("%s comes back", (name) => {
    writeArray(path(name), array);
    expect(readArray(path(name))).toEqual(array);
  });
  it.each(["m.npz", "m.safetensors", "m.json"])("%s holds several by name", (name) => {
    const arrays = new Map([
      ["x", array],
      ["y", array],
    ]);
    writeArrays(path(name), arrays);
    expect(readArrays(path(name))).toEqual(arrays);
    expect(readArray(path(name), "y")).toEqual(array);
    expect(diagnosticOf(() => readArray(path(name))).code).toBe("EIN2008");
    expect(diagnosticOf(() => readArray(path(name), "z")).code).toBe("EIN2008");
  });
  it("says what is wrong with a path", () => {
    expect(diagnosticOf(() => readArrays(path("none.npy"))).code).toBe("EIN2001");
    expect(diagnosticOf(() => readArrays("/dev/zero.npy")).code).toBe("EIN2001");
    expect(diagnosticOf(() => readArrays(path("x.csv"))).code).toBe("EIN2006");
    expect(diagnosticOf(() => readArrays(path("x"))).code).toBe("EIN2006");
    expect(diagnosticOf(() => writeArray(path("no/such/folder/x.npy"), array)).code).toBe("EIN2007");
    expect(
      diagnosticOf(() =>
        writeArrays(
          path("two.npy"),
          new Map([
            ["a", array],
            ["b", array],
          ]),
        ),
      ).code,
    ).toBe("EIN2008");
    writeFileSync(path("text.json"), Uint8Array.of(0x5b, 0xff, 0x5d));
    expect(diagnosticOf(() => readArrays(path("text.json"))).code).toBe("EIN2002");
  });
  it("a folder is no file", () => {
    expect(diagnosticOf(() => readArrays(`${folder}/.npy/../../${folder.split("/").at(-1)}.npy`)).code).toBe("EIN2001");
  });
});

describe("png", () => {
  it("grey and colour come back", () => {
    writeArray(path("grey.png"), array);
    expect(readArray(path("grey.png"))).toEqual(array);
    const colour: HostArray = { dtype: "f32", shape: [1, 2, 3], data: Float32Array.of(0, 0.2, 0.4, 0.6, 0.8, 1) };
    writeArray(path("colour.png"), colour);
    expect(readArray(path("colour.png"))).toEqual(colour);
  });
  it("values are clamped", () => {
    writeArray(path("clamped.png"), {
      dtype: "f32",
      shape: [1, 4],
      data: Float32Array.of(-1, 2, Number.NaN, Number.POSITIVE_INFINITY),
    });
    expect([...readArray(path("clamped.png")).data]).toEqual([0, 1, 0, 1]);
  });
  it("what is no image is refused", () => {
    expect(diagnosticOf(() => writeArray(path("x.png"), { ...array, shape: [4] })).code).toBe("EIN2003");
    expect(
      diagnosticOf(() => writeArray(path("x.png"), { dtype: "i32", shape: [1, 1], data: Int32Array.of(1) })).code,
    ).toBe("EIN2003");
  });

  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const png = (width: number, height: number, data: Uint8Array, interlace = 0): Buffer => {
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head.set([8, 0, 0, 0, interlace], 8);
    const signature = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
    return Buffer.concat([
      signature,
      chunk("IHDR", head),
      chunk("IDAT", deflateSync(data)),
      chunk("IEND", new Uint8Array(0)),
    ]);
  };
  const hostileImages: readonly (readonly [string, Uint8Array, string])[] = [
    ["enormous", png(2 ** 31, 2 ** 31, new Uint8Array(4)), "EIN2005"],
    ["too little data", png(100, 100, new Uint8Array(4)), "EIN2002"],
    ["an interlaced bomb", png(1, 1, new Uint8Array(16 << 20), 1), "EIN2003"],
    ["a bomb", png(1, 1, new Uint8Array(16 << 20)), "EIN2002"],
    ["no image", new Uint8Array(100), "EIN2002"],
    ["cut off", png(1, 1, new Uint8Array(2)).subarray(0, 40), "EIN2002"],
    ["no pixels", png(0, 5, new Uint8Array(2)), "EIN2002"],
  ];
  it.each(hostileImages)("hostile: %s", (_, bytes, code) => {
    expect(hostile(() => decodePng(bytes, "x.png")).code).toBe(code);
  });
  it("a pixel", () => {
    expect(decodePng(png(1, 1, Uint8Array.of(0, 255)), "x.png")).toEqual({
      dtype: "f32",
      shape: [1, 1],
      data: Float32Array.of(1),
    });
  });
});
