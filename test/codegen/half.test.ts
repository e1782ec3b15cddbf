/** f16 on devices that have it; on the others, that the kernels say they need it. Operands and results are f16 in memory. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { HelperLibrary } from "../../codegen/helpers/index.ts";
import { legalise } from "../../codegen/legalise.ts";
import { printWgsl } from "../../codegen/wgsl.ts";
import { compilePrim } from "../../ir/evaluate.ts";
import { size } from "../../ir/extent.ts";
import { FORMATS, f16round } from "../../ir/float.ts";
import {
  iadd,
  imul,
  type Kernel,
  type KernelExpr,
  kapply,
  kapplyTyped,
  kint,
  kvar,
  load,
  loop,
  storageBuffer,
  store,
  variable,
} from "../../ir/kernel.ts";
import { PRIM_TYPES, PRIMS, type Prim, type PrimType } from "../../ir/prim.ts";
import { verifyKernel } from "../../ir/verify-kernel.ts";
import { type Device, halfBits, halfValue } from "../../runtime/index.ts";
import { randomFrom } from "../kernel/samples.ts";
import { bytesOf, makePipeline, openNull, openSoftware, runDispatch } from "./device.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
let device: Device;
let nothing: Device;
beforeAll(async () => {
  device = await openSoftware();
  nothing = await openNull();
});
afterAll(() => {
  device.close();
  nothing.close();
});

const SPECIAL = [
  0,
  -0,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
  65504,
  -65504,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -1.5,
  2.5,
  -2.5,
  3,
  -3,
  2,
  4,
  11,
  -17.5,
  2 ** -14,
  0.1,
  100,
  -1000,
].map(f16round);
const LENGTH = 1024;
const random = randomFrom(5);
const column = (stride: number): number[] =>
  Array.from({ length: LENGTH }, (_, i) =>
    i < 625 ? SPECIAL[Math.floor(i / stride) % 25]! : f16round((random() * 2 - 1) * 2 ** Math.floor(random() * 16 - 8)),
  );
const OPERANDS = [column(1), column(25)];

const cases: Prim[] = PRIMS.filter((prim) => {
  const t: PrimType = PRIM_TYPES[prim];
  return t.result === "same" && t.arity <= 2 && (t.operands === "float" || t.operands === "number");
});

function kernelFor(prim: Prim, lanes: 1 | 2 | 4): Kernel {
  const count = LENGTH / lanes;
  const inputs = OPERANDS.slice(0, PRIM_TYPES[prim].arity).map((_, i) =>
    storageBuffer(`x${i}`, "read", "f16", size(count), lanes),
  );
  const output = storageBuffer("y", "write", "f16", size(count), lanes);
  const [g, t] = [variable("g"), variable("t")];
  const i = iadd(imul(kvar(g), kint(16)), kvar(t));
  const body = [
    store(
      output,
      i,
      kapplyTyped(
        prim,
        inputs.map((b) => load(b, i)),
        "f16",
      ),
    ),
  ];
  return {
    name: "half",
    buffers: [...inputs, output],
    facts: [],
    origin: [],
    subgroupSize: undefined,
    body: [loop(g, kint(count / 16), [loop(t, kint(16), body, "thread.x")], "grid.x")],
  };
}

/** As llvmpipe gets them too: vectors in words, rounded by their bits. */
const FORMS = [
  [1, false],
  [1, true],
  [2, true],
  [4, true],
] as const;

test.each(cases.flatMap((prim) => FORMS.map(([lanes, halfByBits]) => ({ prim, lanes, halfByBits }))))(
  "$prim in $lanes lanes, by bits: $halfByBits",
  async ({ prim, lanes, halfByBits }) => {
    const printed = printWgsl(legalise(verifyKernel(kernelFor(prim, lanes)), { halfByBits }));
    expect(printed.features).toEqual(["shader-f16"]);
    const dispatch = { ...printed, groups: [LENGTH / lanes / 16, 1, 1] as const };
    await makePipeline(nothing.gpu, dispatch);
    if (!device.info.features.includes("shader-f16")) return;
    const inputs = OPERANDS.slice(0, PRIM_TYPES[prim].arity);
    const packed = inputs.map((c) => new Uint16Array(c.map(halfBits)));
    const data = packed.map((a) => bytesOf(new Uint32Array(a.buffer)));
    const out = await runDispatch(device.gpu, dispatch, [...data, new Uint8Array(LENGTH * 2)]);
    const bits = new Uint16Array(out[inputs.length]!.slice().buffer);
    const types = inputs.map(() => "f16" as const);
    const [exact, rounded] = [compilePrim(prim, types, "f16", "exact"), compilePrim(prim, types, "f16", "rounded")];
    const wrong: string[] = [];
    for (let i = 0; i < LENGTH; i++) {
      const [a = 0, b = 0] = inputs.map((c) => c[i]!);
      const [got, wanted, truth] = [halfValue(bits[i]!), rounded(a, b, 0, 0), exact(a, b, 0, 0)];
      // Computed in f32 and rounded once, in either direction; what is exact stays so; subnormals may be flushed.
      const near = Math.abs(got - truth) <= 2.1 * FORMATS.f16.unit * Math.abs(truth) + FORMATS.f16.normal;
      const overflow =
        Math.abs(truth) >= 65504 * (1 - 2 ** -10) && Math.abs(got) >= 65504 && Math.sign(got) === Math.sign(truth);
      if (!Object.is(got, wanted) && !(near && got !== 0) && !(near && truth !== 0) && !overflow)
        wrong.push(`${prim}(${a}, ${b}) = ${got}, not ${wanted}`);
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  },
);

test.each([true, false])("f32 made of f16 are compared so that compilers do not see it, by bits: %s", (halfByBits) => {
  const x = storageBuffer("x", "read", "f16", size(16), 4);
  const y = storageBuffer("y", "write", "f32", size(16), 4);
  const g = variable("g");
  const wide = (at: number): KernelExpr => kapplyTyped("cast", [load(x, iadd(kvar(g), kint(at)))], "f32");
  const body = [store(y, kvar(g), kapply("select", kapply("lt", wide(0), wide(1)), wide(0), wide(1)))];
  const kernel: Kernel = {
    name: "k",
    buffers: [x, y],
    facts: [],
    origin: [],
    subgroupSize: undefined,
    body: [loop(g, kint(15), body, "grid.x")],
  };
  const { code } = printWgsl(legalise(verifyKernel(kernel), { halfByBits }));
  expect(code).toContain(halfByBits ? "x: array<vec2u, 16>" : "x: array<vec4h, 16>");
  expect(/ \* one < /.test(code)).toBe(halfByBits);
});

test("f32 are rounded to the bits of f16, to the nearest and ties to even", async () => {
  // Every f16 that is not negative, the middle to the next, and what is just below and above it; then with the other sign.
  const halves = Array.from({ length: 0x7c00 }, (_, i) => halfValue(i));
  const next = (i: number): number => (i + 1 < halves.length ? halves[i + 1]! : 65536);
  const positive = halves.flatMap((x, i) => {
    const middle = (x + next(i)) / 2;
    return [x, middle, middle * (1 - 2 ** -23), middle * (1 + 2 ** -23)];
  });
  const more = [70000, 2 ** 127, Number.POSITIVE_INFINITY, Number.NaN, 2 ** -30, 2 ** -126];
  const values = new Float32Array([...positive, ...more, ...[...positive, ...more].map((x) => -x)]);
  const library = new HelperLibrary();
  const name = library.use("half_bits", 1);
  const code = `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
${library.emit().join("\n")}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = ${name}(x[id.x]); }
}`;
  const bindings = ["read", "readwrite"] as const;
  const groups = [Math.ceil(values.length / 64), 1, 1] as const;
  const room = new Uint32Array(values.length);
  const out = await runDispatch(device.gpu, { code, entryPoint: "main", bindings, groups }, [
    bytesOf(values),
    bytesOf(room),
  ]);
  const got = new Uint32Array(out[1]!.slice().buffer);
  const wrong = [...values].flatMap((x, i) =>
    got[i] === halfBits(x) || (Number.isNaN(x) && (got[i]! & 0x7fff) === 0x7e00)
      ? []
      : [`${x}: ${got[i]!.toString(16)}`],
  );
  expect(wrong.slice(0, 5)).toEqual([]);
});

test.each([true, false])("f32 that are f16 on the way need f16 too, by bits: %s", async (halfByBits) => {
  const x = storageBuffer("x", "read", "f32", size(16), 1);
  const y = storageBuffer("y", "write", "f32", size(16), 1);
  const g = variable("g");
  const body = [store(y, kvar(g), kapplyTyped("cast", [kapplyTyped("cast", [load(x, kvar(g))], "f16")], "f32"))];
  const kernel: Kernel = {
    name: "through",
    buffers: [x, y],
    facts: [],
    origin: [],
    subgroupSize: undefined,
    body: [loop(g, kint(16), body, "grid.x")],
  };
  const printed = printWgsl(legalise(verifyKernel(kernel), { halfByBits }));
  expect(printed.features).toEqual(["shader-f16"]);
  await makePipeline(nothing.gpu, { ...printed, groups: [16, 1, 1] });
});
