import { describe, expect, it } from "vitest";
import { halfBits, halfValue } from "../../runtime/host-array.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { readNpy, writeNpy } from "../../src/io/npy.ts";
import { diagnosticOf, hostile } from "./diagnostics.ts";
import numpy from "./numpy.json" with { type: "json" };

/** Files that NumPy 2.4 wrote: mostly [[1, 2, 3], [4, 5, -6]], unsigned without the sign, in the type of the key. */
const files = numpy as Readonly<Record<string, string>>;
const file = (name: string): Uint8Array => Buffer.from(files[name]!, "base64");
const values = (array: HostArray): number[] =>
  Array.from(array.data, (x) => (array.dtype === "f16" ? halfValue(x) : x));

/** A version 1 file with this header and these many bytes of data. */
function npy(header: string, dataBytes = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(10 + text.length + dataBytes);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  bytes.set(text, 10);
  return bytes;
}

describe("files written by NumPy", () => {
  const signed: readonly (readonly [string, string])[] = [
    ["<f2", "f16"],
    [">f2", "f16"],
    ["<f4", "f32"],
    [">f4", "f32"],
    ["<f8", "f32"],
    [">f8", "f32"],
    ["|i1", "i32"],
    ["<i2", "i32"],
    [">i2", "i32"],
    ["<i4", "i32"],
    [">i4", "i32"],
    ["<i8", "i32"],
    [">i8", "i32"],
    ["v2", "f32"],
    ["v3", "f32"],
    ["fortran", "f32"],
  ];
  it.each(signed)("%s becomes %s", (name, dtype) => {
    const array = readNpy(file(name), name);
    expect(array.dtype).toBe(dtype);
    expect(array.shape).toEqual([2, 3]);
    expect(values(array)).toEqual([1, 2, 3, 4, 5, -6]);
  });
  it.each(["|u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8"])("%s becomes u32", (name) => {
    const array = readNpy(file(name), name);
    expect([array.dtype, ...array.data]).toEqual(["u32", 1, 2, 3, 4, 5, 6]);
  });
  it("booleans", () => {
    expect(readNpy(file("b1"), "b1")).toEqual({ dtype: "bool", shape: [2, 3], data: Uint8Array.of(0, 0, 1, 1, 1, 0) });
  });
  it("Fortran order in three axes", () => {
    expect(readNpy(file("fortran3"), "f")).toEqual({
      dtype: "i32",
      shape: [2, 3, 4],
      data: Int32Array.from({ length: 24 }, (_, i) => i),
    });
  });
  it("scalars and empty arrays", () => {
    expect(readNpy(file("scalar"), "s")).toEqual({ dtype: "f32", shape: [], data: Float32Array.of(2.5) });
    expect(readNpy(file("empty"), "e")).toEqual({ dtype: "f32", shape: [3, 0], data: new Float32Array(0) });
  });
  it("is at any alignment in memory", () => {
    const source = file("<f8");
    const shifted = new Uint8Array(source.length + 3);
    shifted.set(source, 3);
    expect(values(readNpy(shifted.subarray(3), "x"))).toEqual([1, 2, 3, 4, 5, -6]);
  });
});

describe("writing", () => {
  const arrays: readonly HostArray[] = [
    { dtype: "f32", shape: [2, 2], data: Float32Array.of(1.5, -0, Number.POSITIVE_INFINITY, Number.NaN) },
    { dtype: "f16", shape: [3], data: Uint16Array.from([1, -2, 65504], halfBits) },
    { dtype: "i32", shape: [], data: Int32Array.of(-(2 ** 31)) },
    { dtype: "u32", shape: [1, 1], data: Uint32Array.of(2 ** 32 - 1) },
    { dtype: "bool", shape: [0, 4], data: new Uint8Array(0) },
  ];
  it.each(arrays)("$dtype $shape comes back", (array) => {
    expect(readNpy(writeNpy(array), "x")).toEqual(array);
  });
  it("gives the bytes that NumPy gives", () => {
    const array: HostArray = { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, -6) };
    expect(Buffer.from(writeNpy(array)).toString("base64")).toBe(files["<f4"]);
    const vector: HostArray = { dtype: "f32", shape: [5], data: Float32Array.of(0, 1, 2, 3, 4) };
    expect(Buffer.from(writeNpy(vector)).toString("base64")).toBe(files["vector"]);
  });
  it("rounds doubles to single precision", () => {
    const array: HostArray = { dtype: "f32", shape: [1], data: Float64Array.of(0.1) };
    expect(readNpy(writeNpy(array), "x").data).toEqual(Float32Array.of(Math.fround(0.1)));
  });
});

describe("64-bit integers", () => {
  const wide = (descr: string, value: bigint): Uint8Array => {
    const bytes = npy(`{'descr': '${descr}', 'fortran_order': False, 'shape': (1,), }`, 8);
    new DataView(bytes.buffer).setBigInt64(bytes.length - 8, value, true);
    return bytes;
  };
  it("fit or are refused", () => {
    expect(readNpy(wide("<i8", -(2n ** 31n)), "x").data[0]).toBe(-(2 ** 31));
    expect(readNpy(wide("<u8", 2n ** 32n - 1n), "x").data[0]).toBe(2 ** 32 - 1);
    expect(diagnosticOf(() => readNpy(wide("<i8", 2n ** 31n), "x")).code).toBe("EIN2004");
    expect(diagnosticOf(() => readNpy(wide("<i8", -(2n ** 63n)), "x")).code).toBe("EIN2004");
    expect(diagnosticOf(() => readNpy(wide("<u8", 2n ** 32n), "x")).code).toBe("EIN2004");
  });
});

describe("hostile files", () => {
  const header = (shape: string, descr = "<f4"): string =>
    `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["nothing", new Uint8Array(0), "EIN2002"],
    ["other magic", new TextEncoder().encode("PK\x03\x04 and so on, and so on"), "EIN2002"],
    ["version 9", npy("").fill(9, 6, 7), "EIN2002"],
    ["a header of 4 GiB", Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 255, 255, 255, 255, 0, 0), "EIN2002"],
    ["a header past the end", Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 200, 0, 0x7b, 0x7d), "EIN2002"],
    ["an extent of 2^60", npy(header("(1152921504606846976,)")), "EIN2002"],
    ["extents of 2^31 elements", npy(header("(65536, 32768)")), "EIN2005"],
    ["an empty array of absurd extents", npy(header("(0, 4503599627370496)")), "EIN2005"],
    ["a negative extent", npy(header("(-1, 4)")), "EIN2002"],
    ["a fractional extent", npy(header("(1.5,)"), 8), "EIN2002"],
    ["too little data", npy(header("(1000000,)"), 12), "EIN2002"],
    ["65 axes", npy(header(`(${"1, ".repeat(65)})`), 4), "EIN2005"],
    ["Python objects", npy(header("(1,)", "|O"), 8), "EIN2003"],
    ["complex numbers", npy(header("(1,)", "<c8"), 8), "EIN2003"],
    ["strings", npy(header("(1,)", "<U4"), 16), "EIN2003"],
    ["long doubles", npy(header("(1,)", "<f16"), 16), "EIN2003"],
    ["records", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4), "EIN2003"],
    [
      "an expression",
      npy("{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1,)}", 4),
      "EIN2002",
    ],
    ["a missing key", npy("{'descr': '<f4', 'shape': (1,), }", 4), "EIN2002"],
    ["a key twice", npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4), "EIN2002"],
    ["an unknown key", npy("{'descr': '<f4', '__proto__': 1, 'fortran_order': False, 'shape': (1,)}", 4), "EIN2002"],
    ["more after the dictionary", npy(`${header("(1,)")} 7`, 4), "EIN2002"],
    ["open brackets", npy("{".repeat(60000)), "EIN2002"],
    ["an endless tuple", npy(`{'shape': (${"1,".repeat(30000)}`), "EIN2002"],
  ];
  it.each(cases)("%s", (_, bytes, code) => {
    expect(hostile(() => readNpy(bytes, "hostile.npy")).code).toBe(code);
  });
  it("every prefix of a good file", () => {
    const good = file("<f4");
    for (let length = 0; length < good.length; length++) {
      expect(diagnosticOf(() => readNpy(good.subarray(0, length), "cut.npy")).code).toBe("EIN2002");
    }
  });
});
