import { describe, expect, it } from "vitest";
import type { HostArray } from "../../runtime/plan.ts";
import { readJson, writeJson, writeJsonMap } from "../../src/io/json.ts";
import { diagnosticOf, hostile } from "./diagnostics.ts";

const one = (text: string): HostArray | undefined => readJson(text, "x.json").get("");

describe("json", () => {
  it("nested lists: the elements decide the type", () => {
    expect(one("[[1, 2], [3, 4]]")).toEqual({ dtype: "i32", shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) });
    expect(one("[1, 2.5]")).toEqual({ dtype: "f32", shape: [2], data: Float32Array.of(1, 2.5) });
    expect(one("[true, false]")).toEqual({ dtype: "bool", shape: [2], data: Uint8Array.of(1, 0) });
    expect(one("[3000000000]")).toEqual({ dtype: "f32", shape: [1], data: Float32Array.of(3e9) });
    expect(one("7")).toEqual({ dtype: "i32", shape: [], data: Int32Array.of(7) });
    expect(one("[[], []]")).toEqual({ dtype: "f32", shape: [2, 0], data: new Float32Array(0) });
    expect(one('["NaN", "-Infinity", "-0"]')).toEqual({
      dtype: "f32",
      shape: [3],
      data: Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY, -0),
    });
  });
  it("a hint decides first", () => {
    expect(readJson("[1, 2]", "x.json", () => "f32").get("")).toEqual({
      dtype: "f32",
      shape: [2],
      data: Float32Array.of(1, 2),
    });
    const arrays = readJson('{"a": [1], "b": [1]}', "x.json", (name) => (name === "b" ? "u32" : undefined));
    expect(arrays.get("a")?.dtype).toBe("i32");
    expect(arrays.get("b")).toEqual({ dtype: "u32", shape: [1], data: Uint32Array.of(1) });
    expect(diagnosticOf(() => readJson("[1.5]", "x.json", () => "i32")).code).toBe("EIN2004");
    expect(diagnosticOf(() => readJson("[-1]", "x.json", () => "u32")).code).toBe("EIN2004");
    expect(diagnosticOf(() => readJson("[2]", "x.json", () => "bool")).code).toBe("EIN2004");
  });
  const arrays: readonly HostArray[] = [
    {
      dtype: "f32",
      shape: [2, 3],
      data: Float32Array.of(0.1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3.4028234e38),
    },
    { dtype: "f16", shape: [2], data: Uint16Array.of(0x3555, 0x7c00) },
    { dtype: "i32", shape: [], data: Int32Array.of(-5) },
    { dtype: "u32", shape: [0], data: new Uint32Array(0) },
    { dtype: "bool", shape: [2], data: Uint8Array.of(1, 0) },
  ];
  it.each(arrays)("$dtype $shape comes back to the bit", (array) => {
    expect(readJson(writeJson(array), "x.json").get("")).toEqual(array);
    expect(readJson(writeJsonMap(new Map([["__proto__", array]])), "x.json").get("__proto__")).toEqual(array);
  });
  it("f32 is written in as few digits as give it back", () => {
    expect(writeJson({ dtype: "f32", shape: [2], data: Float32Array.of(0.1, 1 / 3) })).toBe(
      '{"dtype":"f32","shape":[2],"data":[0.1,0.33333334]}\n',
    );
  });
});

describe("hostile json", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["nothing", "", "EIN2002"],
    ["a megabyte of brackets", "[".repeat(1 << 20), "EIN2002"],
    ["deep but closed", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, "EIN2005"],
    ["ragged lists", "[[1, 2], [3]]", "EIN2002"],
    ["ragged ranks", "[[1], 2]", "EIN2002"],
    ["strings", '["x"]', "EIN2002"],
    ["null", "null", "EIN2002"],
    ["an unknown dtype", '{"dtype": "f64", "shape": [], "data": [1]}', "EIN2003"],
    ["an extent of 2^60", '{"dtype": "f32", "shape": [1152921504606846976], "data": []}', "EIN2002"],
    ["a negative extent", '{"dtype": "f32", "shape": [-1], "data": []}', "EIN2002"],
    ["too few elements", '{"dtype": "f32", "shape": [3], "data": [1]}', "EIN2002"],
    ["a shape that is no list", '{"dtype": "f32", "shape": 3, "data": [1]}', "EIN2002"],
    ["an integer that does not fit", '{"dtype": "i32", "shape": [1], "data": [2147483648]}', "EIN2004"],
  ];
  it.each(cases)("%s", (_, text, code) => {
    expect(hostile(() => readJson(text, "hostile.json")).code).toBe(code);
  });
});
