import { describe, expect, it } from "vitest";
import type { HostArray } from "../../runtime/plan.ts";
import { readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { diagnosticOf, hostile } from "./diagnostics.ts";

function file(header: unknown, data: Uint8Array = new Uint8Array(0), claim?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claim ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

describe("safetensors", () => {
  it("comes back, whatever the names", () => {
    const arrays = new Map<string, HostArray>([
      ["w", { dtype: "f32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
      ["__proto__", { dtype: "i32", shape: [1], data: Int32Array.of(-7) }],
      ["empty", { dtype: "u32", shape: [0, 3], data: new Uint32Array(0) }],
      ["h", { dtype: "f16", shape: [3], data: Uint16Array.of(0x3c00, 0x4000, 0x4200) }],
      ["mask", { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) }],
    ]);
    const back = readSafetensors(writeSafetensors(arrays), "x.safetensors");
    expect([...back.keys()].sort()).toEqual([...arrays.keys()].sort());
    for (const [name, array] of arrays) expect(back.get(name)).toEqual(array);
  });
  it("converts the types that programs do not have", () => {
    const data = new Uint8Array(2 + 8 + 8 + 1);
    const view = new DataView(data.buffer);
    view.setUint16(0, 0x3fc0, true);
    view.setFloat64(2, 0.1, true);
    view.setBigInt64(10, -5n, true);
    view.setInt8(18, -3);
    const arrays = readSafetensors(
      file(
        {
          __metadata__: { made: "by hand" },
          b: { dtype: "BF16", shape: [1], data_offsets: [0, 2] },
          d: { dtype: "F64", shape: [], data_offsets: [2, 10] },
          l: { dtype: "I64", shape: [1], data_offsets: [10, 18] },
          c: { dtype: "I8", shape: [1], data_offsets: [18, 19] },
        },
        data,
      ),
      "x",
    );
    expect(arrays.get("b")).toEqual({ dtype: "f32", shape: [1], data: Float32Array.of(1.5) });
    expect(arrays.get("d")).toEqual({ dtype: "f32", shape: [], data: Float32Array.of(0.1) });
    expect(arrays.get("l")).toEqual({ dtype: "i32", shape: [1], data: Int32Array.of(-5) });
    expect(arrays.get("c")).toEqual({ dtype: "i32", shape: [1], data: Int32Array.of(-3) });
  });
});

describe("hostile files", () => {
  const four = new Uint8Array(4);
  const entry = (shape: unknown, data_offsets: unknown, dtype: unknown = "F32"): unknown => ({
    a: { dtype, shape, data_offsets },
  });
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["nothing", new Uint8Array(3), "EIN2002"],
    ["a header of 2^60 bytes", file({}, four, 2n ** 60n), "EIN2002"],
    ["a header past the end", file({}, four, 1000n), "EIN2002"],
    ["no JSON", file("{nope"), "EIN2002"],
    ["invalid UTF-8", file("\u0000"), "EIN2002"],
    ["a list", file([]), "EIN2002"],
    ["an entry that is null", file({ a: null }), "EIN2002"],
    ["an unknown type", file(entry([1], [0, 4], "C64"), four), "EIN2003"],
    ["a type that is no string", file(entry([1], [0, 4], 4), four), "EIN2002"],
    ["a negative extent", file(entry([-1], [0, 4]), four), "EIN2002"],
    ["an extent of 2^60", file(entry([2 ** 60], [0, 4]), four), "EIN2002"],
    ["too many elements", file(entry([2 ** 20, 2 ** 20], [0, 4]), four), "EIN2005"],
    ["offsets that disagree with the shape", file(entry([2], [0, 4]), four), "EIN2002"],
    ["offsets past the end", file(entry([2], [0, 8]), four), "EIN2002"],
    ["a gap at the beginning", file(entry([1], [4, 8]), new Uint8Array(8)), "EIN2002"],
    ["bytes left over", file(entry([1], [0, 4]), new Uint8Array(8)), "EIN2002"],
    ["negative offsets", file(entry([1], [-4, 0]), four), "EIN2002"],
    ["deep nesting", file("[".repeat(1_000_000)), "EIN2002"],
    [
      "an overlap",
      file(
        {
          a: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
          b: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
        },
        four,
      ),
      "EIN2002",
    ],
  ];
  it.each(cases)("%s", (_, bytes, code) => {
    expect(hostile(() => readSafetensors(bytes, "hostile.safetensors")).code).toBe(code);
  });
  it("a 64-bit integer that does not fit", () => {
    const data = new Uint8Array(8).fill(255);
    const bytes = file({ a: { dtype: "U64", shape: [1], data_offsets: [0, 8] } }, data);
    expect(diagnosticOf(() => readSafetensors(bytes, "x")).code).toBe("EIN2004");
  });
});
