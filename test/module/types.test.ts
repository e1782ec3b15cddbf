/** The emitted types under `tsc --strict`: a consumer that uses a module rightly compiles, and each wrong use is an error. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ATTENTION, emit } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "fusum-types-"));
afterAll(() => rmSync(folder, { recursive: true }));

const MORE = `
/// The rows' largest element and where it is.
export fn largest(x: f32[..., N]) -> (value: f32[...], index: i32[...]) {
  { value: max(x, axis: -1), index: argmax(x, axis: -1) }
}
export fn mix(x: f16[4, N], m: bool[N], t: f32, k: const int = 2) { where(m, x, x * (t as f16) * k) }
export fn delete(x: u32[2 * 3]) { x }
export fn power(w: f32[N, N], v: f32[N], rounds: f32[T]) { iterate t in 0..T from v as u { w @ u * rounds[t] } }
export let back = vjp(power, wrt: [v])
`;

const CONSUMER = `import { attention, back, delete as remove, type EinError, type Kernel, largest, mix, power } from "./test.ein.js";
import type * as bare from "./test.ein";

export async function use(device: GPUDevice, buffer: GPUBuffer, target: GPUCommandEncoder, pass: GPUComputePassEncoder) {
  const a = new Float32Array(12);
  const k = await attention(device, { B: 1, H: 8 });
  const buffers = { q: buffer, k: { buffer, offset: 256 }, v: { buffer, offset: 512, size: 64 }, out: buffer };
  k.encode(target, buffers, { Q: 1, D: 2, K: 3, E: 4 });
  k.encode(pass, buffers, { Q: 1, D: 2, K: 3, E: 4, B: 1 }, [buffer, { buffer, offset: 256 }]);
  const { out } = await k.run({ q: a, k: a, v: { data: a, shape: [1, 8, 3, 4] } }, { Q: 1, D: 2, K: 3, E: 4 });
  const first: number | undefined = out[0];
  const [b, h]: readonly [number, number, number, number] = out.shape;
  const bytes: readonly number[] = k.workspace({ Q: 1, D: 2, K: 3, E: 4 });
  const again = await k.run({ q: out, k: out, v: out });
  k.dispose();
  const all = await attention(device, { B: 1, H: 1, Q: 1, D: 1, K: 1, E: 1 });
  all.encode(target, buffers);
  const free: Kernel<attention.Inputs, attention.Results, attention.Extents, Pick<attention.Extents, never>> = await attention(device);
  const { value, index } = await (await largest(device)).run({ x: { data: a, shape: [2, 2, 3] } });
  const i: Int32Array = index;
  const m = await (await mix(device)).run({ x: new Uint16Array(8), m: new Uint8Array(2), t: 0.5 });
  const h16: Uint16Array = m.out;
  const four: 4 = m.out.shape[0];
  await (await remove(device)).run({ x: new Uint32Array(6) });
  const eigen = await (await power(device, { T: 9 })).run({ w: { data: a, shape: [2, 2] }, v: a, rounds: a });
  const two: readonly [N: number] = eigen.out.shape;
  const { out: pulled } = await (await back(device)).run({ w: { data: a, shape: [2, 2] }, v: a, rounds: a, cotangent: eigen.out });
  const error: EinError = Object.assign(new Error(""), { name: "EinError" as const, kind: "shape" as const });

  // WRONG: no such extent
  await attention(device, { X: 1 });
  // WRONG: no such extent beside one that there is
  await attention(device, { B: 1, X: 1 });
  // WRONG: extents are numbers
  await attention(device, { B: "1" });
  // WRONG: free extents must be given
  k.encode(target, buffers);
  // WRONG: one of them is missing
  k.encode(target, buffers, { Q: 1, D: 2, K: 3 });
  // WRONG: the result's buffer is missing
  all.encode(target, { q: buffer, k: buffer, v: buffer });
  // WRONG: no such buffer
  all.encode(target, { ...buffers, w: buffer, x: 3 } satisfies Parameters<typeof all.encode>[1]);
  // WRONG: a typed array is no buffer
  all.encode(target, { ...buffers, q: a });
  // WRONG: another element type
  await k.run({ q: new Int32Array(12), k: a, v: a });
  // WRONG: another rank
  await k.run({ q: { data: a, shape: [3, 4] }, k: a, v: a });
  // WRONG: an argument is missing
  await k.run({ q: a, k: a });
  // WRONG: a constant extent
  await (await mix(device)).run({ x: { data: new Uint16Array(6), shape: [3, 2] }, m: new Uint8Array(2), t: 1 });
  // WRONG: no cotangent
  await (await back(device)).run({ w: { data: a, shape: [2, 2] }, v: a, rounds: a });
  // WRONG: the results are integers
  const wrong: Float32Array<ArrayBuffer> & { readonly shape: readonly [1, 2] } = index;
  return { first, b, h, bytes, again, free, value, i, h16, four, two, pulled, error, wrong };
}
export type Same = bare.attention.Inputs;
`;

test("right uses compile, wrong ones do not", () => {
  for (const f of emit(ATTENTION + MORE, { arbitraryExtensions: true })) writeFileSync(join(folder, f.path), f.text);
  // The directive is put together here: no source of ours may have it.
  const directive = ["// @ts", "expect", "error "].join("-");
  writeFileSync(join(folder, "consumer.ts"), CONSUMER.replaceAll("// WRONG: ", directive));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: "es2024",
    module: "nodenext",
    lib: ["es2024", "dom"],
    types: [],
    allowArbitraryExtensions: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  const tsc = new URL("../../node_modules/typescript/lib/tsc.js", import.meta.url).pathname;
  let said = "";
  try {
    execFileSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
  } catch (error) {
    const { stdout, message } = error as { readonly stdout: string; readonly message: string };
    said = stdout || message;
  }
  expect(said).toBe("");
});
