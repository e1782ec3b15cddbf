/** Hand-written kernels on the embedded software adapter: what they compute, and that null-backend Dawn accepts all that we emit. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { emitKernel } from "../../codegen/emit.ts";
import { legalise } from "../../codegen/legalise.ts";
import { printWgsl } from "../../codegen/wgsl.ts";
import { evaluateExtent } from "../../ir/extent.ts";
import type { Kernel } from "../../ir/kernel.ts";
import { parseKernel } from "../../ir/parse-kernel.ts";
import { verifyKernel } from "../../ir/verify-kernel.ts";
import type { Device } from "../../runtime/index.ts";
import { cellsFor, randomFrom, SAMPLES } from "../kernel/samples.ts";
import { bytesOf, makePipeline, openNull, openSoftware, runDispatch } from "./device.ts";

// Drivers compile on the processor that everything else runs on.
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

/** Runs a kernel on the device over inputs by buffer name; buffers not named begin as zeros. */
async function runKernel(
  kernel: Kernel,
  sizes: ReadonlyMap<string, number>,
  inputs: Record<string, readonly number[]>,
): Promise<Map<string, number[]>> {
  const printed = printWgsl(legalise(verifyKernel(kernel)));
  const groups = printed.groups.map((g) => evaluateExtent(g, sizes)) as [number, number, number];
  const data = printed.bufferOrder.map((b) => {
    const n = evaluateExtent(b.size, sizes) * b.lanes;
    return bytesOf(cellsFor(b.dtype, inputs[b.name] ?? new Array<number>(n).fill(0)) as Float32Array<ArrayBuffer>);
  });
  if (printed.uniforms.length > 0)
    data.push(bytesOf(Int32Array.from(printed.uniforms.map((u) => evaluateExtent(u, sizes)))));
  const out = await runDispatch(device.gpu, { ...printed, groups }, data);
  return new Map(
    printed.bufferOrder.map((b, i) => {
      const bytes = out[i]!.slice();
      const Cells = b.dtype === "i32" ? Int32Array : b.dtype === "f32" ? Float32Array : Uint32Array;
      return [b.name, [...new Cells(bytes.buffer)]];
    }),
  );
}

describe("on the device", () => {
  test.each(SAMPLES.map((s) => [s.name, s] as const))("%s", async (_, s) => {
    const sizes = new Map(Object.entries(s.sizes));
    const inputs = s.inputs(randomFrom(7));
    const got = await runKernel(parseKernel(s.text), sizes, inputs);
    for (const [name, wanted] of Object.entries(s.expected(inputs))) {
      const values = got.get(name);
      const scale = wanted.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const worst = wanted.reduce((m, v, i) => Math.max(m, Math.abs(v - (values?.[i] ?? Number.NaN))), 0);
      expect(worst).toBeLessThanOrEqual(scale * s.roundings * 2 ** -24);
    }
  });

  test.each(SAMPLES.map((s) => [s.name, s] as const))("with literal extents: %s", async (_, s) => {
    // The same with every size written in: static arrays, constants folded through the index arithmetic.
    let text = s.text.replace(/; [A-Za-z, ]+: uniform/, "");
    for (const [name, value] of Object.entries(s.sizes))
      text = text.replace(new RegExp(`\\b${name}\\b(?!:)`, "g"), String(value));
    const inputs = s.inputs(randomFrom(8));
    const got = await runKernel(parseKernel(text), new Map(), inputs);
    for (const [name, wanted] of Object.entries(s.expected(inputs))) {
      const values = got.get(name);
      const scale = wanted.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const worst = wanted.reduce((m, v, i) => Math.max(m, Math.abs(v - (values?.[i] ?? Number.NaN))), 0);
      expect(worst).toBeLessThanOrEqual(scale * s.roundings * 2 ** -24);
    }
  });
});

test("names that mean something to WGSL, to helpers or to nobody", async () => {
  const kernel = parseKernel(
    `
kernel Sizes(vec4f: read f32[4], __b: read f32[4], größe: write f32[K], is_nan: write f32[4]; K: uniform)
  let: private f32[1]
  for struct:1 @grid.x
    for texture:4 @thread.x
      let sizes = vec4f[texture]
      let group = __b[min(texture, K)]
      let local = isnan(sizes)
      let max = max(sizes, group)
      größe[texture] = select(local, 1.0, max)
      is_nan[texture] = min(sizes, group)
`
      .replace("let: private", "return_: private")
      .replace("let max =", "let max_ =")
      .replace("local, 1.0, max)", "local, 1.0, max_)"),
  );
  const got = await runKernel(kernel, new Map([["K", 4]]), { vec4f: [1, 2, 3, Number.NaN], __b: [4, 1, 3, 1] });
  expect(got.get("größe")).toEqual([4, 2, 3, 1]);
});

test("an expression as deep as programs get", async () => {
  let deep = "x[t]";
  for (let i = 0; i < 600; i++) deep = `abs(${deep} * 1.0001 - 0.5)`;
  const kernel = parseKernel(`
kernel deep(x: read f32[4], y: write f32[4])
  for t:4 @thread.x
    y[t] = ${deep}
`);
  const got = await runKernel(kernel, new Map(), { x: [1, 2, 3, 4] });
  const wanted = [1, 2, 3, 4].map((x) => {
    let v = x;
    for (let i = 0; i < 600; i++) v = Math.abs(Math.fround(Math.fround(v * Math.fround(1.0001)) - 0.5));
    return v;
  });
  for (const [i, v] of wanted.entries()) expect(Math.abs(got.get("y")![i]! - v)).toBeLessThan(1200 * 2 ** -24 * 4);
});

test("what one statement shares is computed once", () => {
  const kernel = parseKernel(`
kernel share(x: read f32[64], y: write f32[64])
  for t:64 @thread.x
    let a = exp(x[t])
    y[t] = a * a + a
`);
  const { code } = printWgsl(legalise(verifyKernel(kernel)));
  expect(code.match(/exp_ieee\(x\[t\]\)/g)?.length).toBe(1);
  expect(code).toContain("a * a + a");
});

test("arithmetic that a loop does not change stands before it", () => {
  const { code } = printWgsl(legalise(verifyKernel(parseKernel(SAMPLES[3]!.text))));
  const loop = code.slice(code.indexOf("for (var i: i32"));
  expect(loop.slice(0, loop.indexOf("}"))).not.toMatch(/min\(|\* 4/);
});

test("everything is accepted by the null backend, f16 and subgroups too", async () => {
  const target = { ...nothing.info };
  for (const s of SAMPLES)
    await makePipeline(nothing.gpu, { ...emitKernel(parseKernel(s.text), target), groups: [1, 1, 1] });
  const half = parseKernel(`
kernel half(x: read f16x4[N], b: read boolx4[N], y: write f16x4[N], z: write f16[N]; N: uniform)
  w: workgroup f16x4[32]
  acc: private f16x4[1]
  for g:ceil(N/32) @grid.x
    for t:32 @thread.x
      let i = min(g * 32 + t, N - 1)
      w[t] = x[i]
      barrier
      acc[0] = w[31 - t] * 2.0h + max(x[i], 0.0h) - select(b[i], x[i], splat(infh)) * tanh(x[i]) + 0.0h
      let s = subgroup.add(acc[0])
      let m = subgroup.max(s) + subgroup.min(s.x)
      let any = subgroup.or(s.x > 1.0h)
      let all = subgroup.and(b[i])
      let c = subgroup.broadcast(all, 3)
      let width = subgroup.size()
      if width > 2
        barrier storage
      if g * 32 + t < N
        y[i] = select(c, m, cast<f16>(cast<i32>(s)))
        z[i] = select(any, m.x, pow(m.y, 2.0h)) + cast<f16>(subgroup.id())
`);
  const emitted = emitKernel(half, target);
  expect(emitted.features).toEqual(["shader-f16", "subgroups"]);
  await makePipeline(nothing.gpu, { ...emitted, groups: [1, 1, 1] });
});
