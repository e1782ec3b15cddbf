import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import type { HostArray } from "../../runtime/plan.ts";
import { writeNpy } from "../../src/io/npy.ts";
import { readNpz, writeNpz } from "../../src/io/npz.ts";
import { diagnosticOf, hostile } from "./diagnostics.ts";
import numpy from "./numpy.json" with { type: "json" };

const vector = (...data: number[]): HostArray => ({
  dtype: "f32",
  shape: [data.length],
  data: Float32Array.from(data),
});

describe("npz", () => {
  it.each(["npz", "npzc"] as const)("reads what NumPy wrote (%s)", (key) => {
    const arrays = readNpz(Buffer.from(numpy[key], "base64"), "x.npz");
    expect([...arrays.keys()]).toEqual(["a", "b"]);
    expect(arrays.get("a")).toEqual({ dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, -6) });
    expect(arrays.get("b")).toEqual({ dtype: "i32", shape: [3], data: Int32Array.of(0, 1, 2) });
  });
  it("comes back, whatever the names", () => {
    const arrays = new Map([
      ["x", vector(1, 2)],
      ["__proto__", vector(3)],
      ["layer/0.weight", vector()],
    ]);
    expect(readNpz(writeNpz(arrays), "x.npz")).toEqual(arrays);
  });
  it("an empty archive holds nothing", () => {
    expect(readNpz(zipSync({}), "x.npz").size).toBe(0);
  });
  it("large arrays arrive in many pieces", () => {
    const data = Float32Array.from({ length: 60_000 }, (_, i) => Math.sin(i));
    const array: HostArray = { dtype: "f32", shape: [300, 200], data };
    const packed = zipSync({ "a.npy": writeNpy(array) }, { level: 6 });
    const found = readNpz(packed, "x.npz").get("a");
    expect(found?.shape).toEqual(array.shape);
    expect(Buffer.from(found!.data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
  });
});

describe("hostile archives", () => {
  it("a bomb of zeros that is no array", () => {
    const bomb = zipSync({ "a.npy": new Uint8Array(4 << 20) }, { level: 1 });
    expect(hostile(() => readNpz(bomb, "x.npz")).code).toBe("EIN2002");
  });
  it("a bomb behind an honest header", () => {
    const small = writeNpy(vector(1));
    const long = new Uint8Array(4 << 20);
    long.set(small);
    const bomb = zipSync({ "a.npy": long }, { level: 1 });
    expect(hostile(() => readNpz(bomb, "x.npz")).code).toBe("EIN2002");
  });
  it("a header that claims more than is unpacked", () => {
    const claim = writeNpy(vector(...new Array<number>(10).fill(0)));
    const text = Buffer.from(claim).toString("latin1").replace("(10,), }         ", "(1000000000,), } ");
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    expect(hostile(() => readNpz(zipSync({ "a.npy": bytes }, { level: 1 }), "x.npz")).code).toBe("EIN2005");
    const less = Uint8Array.from(text.replace("(1000000000,), } ", "(10000000,), }   "), (c) => c.charCodeAt(0));
    expect(hostile(() => readNpz(zipSync({ "a.npy": less }, { level: 1 }), "x.npz")).code).toBe("EIN2002");
  });
  it("many small arrays that claim much together", () => {
    const claim = writeNpy({ dtype: "f32", shape: [1], data: new Float32Array(1) });
    const bytes = Uint8Array.from(
      Buffer.from(claim).toString("latin1").replace("(1,), }       ", "(9000000,), } "),
      (c) => c.charCodeAt(0),
    );
    const archive = zipSync(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`a${i}.npy`, bytes])));
    expect(["EIN2002", "EIN2005"]).toContain(hostile(() => readNpz(archive, "x.npz")).code);
  });
  it("something else inside, no archive, a cut one, a damaged one", () => {
    expect(diagnosticOf(() => readNpz(zipSync({ "a.txt": new Uint8Array(4) }), "x.npz")).code).toBe("EIN2002");
    expect(diagnosticOf(() => readNpz(new Uint8Array(100), "x.npz")).code).toBe("EIN2002");
    const good = zipSync({ "a.npy": writeNpy(vector(...Array.from({ length: 5000 }, (_, i) => i))) }, { level: 6 });
    for (let length = 0; length < good.length - 200; length += 997) {
      expect(diagnosticOf(() => readNpz(good.subarray(0, length), "x.npz")).code).toBe("EIN2002");
    }
    const damaged = good.slice();
    damaged.fill(255, 50, 3000);
    expect(diagnosticOf(() => readNpz(damaged, "x.npz")).code).toBe("EIN2002");
  });
});
