import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeviceError } from "../../runtime/errors.ts";
import { fromDeviceBytes, halfBits, halfValue, toDeviceBytes } from "../../runtime/host-array.ts";
import type { PlanSize } from "../../runtime/plan.ts";
import { aliasedResults, makeRecipe } from "../../runtime/recipe.ts";
import { evaluateSize, sizeText } from "../../runtime/size.ts";
import { readTar } from "../../runtime/tar.ts";
import { array, buffer, chain, dispatch, N, plan } from "./plans.ts";

describe("half precision", () => {
  it("every half comes back from its value", () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = halfValue(bits);
      if (Number.isNaN(value)) expect(halfBits(value) & 0x7c00).toBe(0x7c00);
      else if (halfBits(value) !== bits) expect.fail(`${bits.toString(16)}: ${value}`);
    }
  });
  it("numbers between two halves go to the nearer one, to the even one in the middle", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [halfValue(bits), halfValue(bits + 1)];
      const middle = (low + high) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      // A double this close to the middle rounds to the middle in single precision: rounding twice would go wrong.
      const step = (high - low) * 2 ** -30;
      const found = [halfBits(middle), halfBits(middle - step), halfBits(middle + step), halfBits(-middle)];
      if (found.join() !== [even, bits, bits + 1, 0x8000 | even].join()) expect.fail(`${middle}: ${found}`);
    }
    expect([65519.99, 65520, 1e9, Number.POSITIVE_INFINITY, -70000].map(halfBits)).toEqual([
      0x7bff, 0x7c00, 0x7c00, 0x7c00, 0xfc00,
    ]);
    expect([2 ** -25, 2 ** -25 + 2 ** -40, 1e-30, -0].map(halfBits)).toEqual([0, 1, 0, 0x8000]);
  });
});

describe("host arrays", () => {
  it("come back from device bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), (list) => {
        const bool = { dtype: "bool", shape: [list.length], data: Uint8Array.from(list, Number) } as const;
        const bytes = toDeviceBytes(bool, "x");
        expect(bytes.byteLength).toBe(4 * list.length);
        expect(fromDeviceBytes("bool", bool.shape, bytes.buffer, bytes.byteOffset)).toEqual(bool);
        const half = {
          dtype: "f16",
          shape: [list.length],
          data: Uint16Array.from(list, (b, i) => (b ? i : 0)),
        } as const;
        const halves = toDeviceBytes(half, "x");
        expect(halves.byteLength % 4).toBe(0);
        expect(fromDeviceBytes("f16", half.shape, halves.buffer, halves.byteOffset)).toEqual(half);
      }),
    );
  });
});

describe("sizes", () => {
  const sizes = new Map([
    ["N", 7],
    ["D", 4],
  ]);
  const op = (
    name: "add" | "sub" | "mul" | "div" | "ceildiv" | "mod" | "min" | "max",
    left: PlanSize,
    right: PlanSize,
  ): PlanSize => ({ op: name, left, right });
  it("are evaluated with floors", () => {
    const minus = op("sub", 0, N);
    const cases: readonly (readonly [PlanSize, number, string])[] = [
      [op("div", N, 2), 3, "N div 2"],
      [op("ceildiv", N, 2), 4, "ceil(N / 2)"],
      [op("mod", N, 4), 3, "N % 4"],
      [op("div", minus, 2), -4, "(0 - N) div 2"],
      [op("ceildiv", minus, 2), -3, "ceil((0 - N) / 2)"],
      [op("mod", minus, 4), 1, "(0 - N) % 4"],
      [op("mul", op("add", N, 1), { symbol: "D" }), 32, "(N + 1) * D"],
      [op("sub", N, op("sub", { symbol: "D" }, 1)), 4, "N - (D - 1)"],
      [op("min", op("max", N, 3), 5), 5, "min(max(N, 3), 5)"],
    ];
    for (const [size, value, text] of cases) {
      expect(evaluateSize(size, sizes)).toBe(value);
      expect(sizeText(size)).toBe(text);
    }
  });
  it("division by zero and unknown symbols are errors", () => {
    for (const name of ["div", "ceildiv", "mod"] as const)
      expect(() => evaluateSize(op(name, N, 0), sizes)).toThrow(DeviceError);
    expect(() => evaluateSize({ symbol: "__proto__" }, sizes)).toThrow("the extent __proto__ is not known");
  });
});

describe("recipes", () => {
  const limits = {
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBufferBindingSize: 134217728,
    maxBufferSize: 268435456,
    minStorageBufferOffsetAlignment: 256,
  };
  it("share slots, keep bindings to whole vectors, store equal uniforms once", () => {
    const recipe = makeRecipe(chain, new Map([["N", 5]]), limits);
    expect(recipe.slots).toEqual([32, 32]);
    expect(recipe.buffers.map((b) => b.slot)).toEqual([undefined, undefined, 0, 1, 0]);
    expect(recipe.buffers[0]).toEqual({ bytes: 20, bound: 32, slot: undefined });
    expect(recipe.uniforms.byteLength).toBe(256);
    expect(new Int32Array(recipe.uniforms)[0]).toBe(5);
    expect(recipe.steps).toHaveLength(4);
  });
  it("a slot is as large as its largest user; temporaries without one share with nobody", () => {
    const temporary = (size: PlanSize, slot?: number) => buffer("temporary", size, { slot });
    const p = plan("slots", {
      buffers: [buffer("param"), buffer("result"), temporary(N, 3), temporary(100, 3), temporary(N), temporary(N)],
    });
    const recipe = makeRecipe(p, new Map([["N", 4]]), limits);
    expect(recipe.buffers.map((b) => b.slot)).toEqual([undefined, undefined, 0, 0, 1, 2]);
    expect(recipe.slots).toEqual([400, 16, 16]);
  });
  it("skip what is empty and bind something all the same", () => {
    const p = plan("empty", {
      steps: [dispatch(0, [0, 1]), { fill: 1, pattern: 0 }, { copyFrom: 0, copyTo: 1 }],
      kernels: chain.kernels,
    });
    const recipe = makeRecipe(p, new Map([["N", 0]]), limits);
    expect(recipe.steps).toEqual([]);
    expect(recipe.buffers.map((b) => b.bound)).toEqual([16, 16]);
    expect(recipe.resultShapes).toEqual([[0]]);
  });
  it("results without a buffer of their own are known", () => {
    expect(aliasedResults(chain)).toEqual([]);
    expect(aliasedResults(plan("p", { results: [array("a", 1), array("b", 1), array("c", 0)] }))).toEqual([1, 2]);
  });
});

describe("tar", () => {
  const header = (name: string, size: string, type = "0"): Uint8Array => {
    const block = Buffer.alloc(512);
    block.write(name, 0);
    block.write(size, 124);
    block.write(type, 156);
    block.fill(0x20, 148, 156);
    const sum = block.reduce((a, b) => a + b, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return block;
  };
  const body = Buffer.alloc(512);
  body.write("hello");
  it("gives regular files only", () => {
    const archive = Buffer.concat([
      header("folder/", "0", "5"),
      header("folder/a.txt", "5"),
      body,
      header("empty", "0"),
      Buffer.alloc(1024),
      body,
    ]);
    const files = readTar(archive).map((f) => [f.name, new TextDecoder().decode(f.data)]);
    expect(files).toEqual([
      ["folder/a.txt", "hello"],
      ["empty", ""],
    ]);
  });
  it("is strict", () => {
    const bad = header("a", "5");
    bad[0] = 0x62;
    expect(() => readTar(Buffer.concat([bad, body]))).toThrow("checksum");
    expect(() => readTar(Buffer.concat([header("a", "77777777777"), body]))).toThrow("leaves the archive");
    expect(() => readTar(Buffer.concat([header("a", "x5"), body]))).toThrow("octal");
  });
});
