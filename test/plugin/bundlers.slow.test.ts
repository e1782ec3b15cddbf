/** The same small project through every bundler: what comes out runs, holds no more than it uses, and errors have their place. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../runtime/node.ts";
import { politeWait } from "../../runtime/polite.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";
import { load } from "../module/support.ts";
import { makeFolder } from "../project/folder.ts";
import { BUNDLERS } from "./bundlers.ts";

const SOURCES = {
  "src/lib/scale.ein": "/// k times x.\nexport fn scale(x: f32[...], k: f32) { k * x }\n",
  "src/dense.ein": `import { scale } from "./lib/scale"
export fn dense(x: f32[N, I], w: f32[I, O], b: f32[O]) -> f32[N, O] { scale(relu(x @ w + b), 2.0) }
export fn unused(x: f32[N, D]) { exp(x) / sum(exp(x), axis: -1, keepdims: true) }
`,
};
const ENTRY = `import { dense } from "./dense.ein";
import { scale } from "./lib/scale.ein";
export const layer = (device) => dense(device, { I: 2 });
export const times = (device) => scale(device);
`;

let device: Device;
let finish: () => void;
beforeAll(async () => {
  device = await openTestDevice();
  void politeWait(
    new Promise<void>((resolve) => {
      finish = resolve;
    }),
  );
});
afterAll(() => {
  finish?.();
  device?.close();
});

const x = { data: Float32Array.of(1, 2, -3, 4, 0.5, 6), shape: [3, 2] };
const w = { data: Float32Array.of(1, -2, 0.25, 3), shape: [2, 2] };
const b = Float32Array.of(10, -20);

function expected(): readonly number[] {
  const array = (a: { readonly data: Float32Array; readonly shape: readonly number[] }) => ({
    dtype: "f32" as const,
    ...a,
  });
  const program = compile(SOURCES["src/dense.ein"], {
    fileName: "src/dense.ein",
    resolve: () => ({ fileName: "src/lib/scale.ein", source: SOURCES["src/lib/scale.ein"] }),
  });
  const results = program.interpret("dense", { x: array(x), w: array(w), b: array({ data: b, shape: [2] }) });
  return [...Object.values(results)[0]!.data].map(Number);
}

describe.each(Object.entries(BUNDLERS))("%s", (_name, bundle) => {
  test("makes a module that computes what the interpreter does, without what nobody imports", async () => {
    const folder = makeFolder({ ...SOURCES, "src/main.js": ENTRY });
    const { code, errors, warnings } = await bundle(folder.path, "src/main.js", {});
    expect({ errors, warnings }).toEqual({ errors: [], warnings: [] });
    // One kernel of each function that is used; softmax would have two or more.
    expect(code.match(/@compute/g)).toHaveLength(2);
    expect(code).not.toContain("unused");
    expect(folder.read("src/dense.d.ein.ts")).toContain("export declare function dense");
    const made = await load(code);
    const layer = await made["layer"]!(device.gpu);
    // The values and all partial sums are exact in f32.
    expect([...(await layer.run({ x, w, b }))["out"]!]).toEqual(expected());
    const times = await made["times"]!(device.gpu);
    expect([...(await times.run({ x: b, k: 3 }))["out"]!]).toEqual([30, -60]);
    layer.dispose();
    times.dispose();
  }, 120_000);

  test("shows errors at their place, and warnings", async () => {
    const folder = makeFolder({
      "main.js": `export { f } from "./wrong.ein";\n`,
      "wrong.ein": `import { g } from "./part"\nexport fn f(x: f32[N]) { g(x) }\n`,
      "part.ein": "/// Größe\nexport fn g(x: f32[N]) {\n  x + yy\n}\n",
      "warned.js": `export { h } from "./warned.ein";\n`,
      "warned.ein": "export fn h(x: f32[N]) { x + 1 }\nexport fn k(x: f32[N], n: const int) { x * n }\n",
    });
    const wrong = await bundle(folder.path, "main.js", {});
    expect(wrong.errors).toHaveLength(1);
    expect(wrong.errors[0]).toMatch(/EIN1101\b.*`yy`/);
    // Lines count from 1; some bundlers count columns from 0, others from 1.
    expect(wrong.errors[0]).toMatch(/part\.ein:3:[67]/);
    const warned = await bundle(folder.path, "warned.js", {});
    expect(warned.errors).toEqual([]);
    expect(warned.warnings).toHaveLength(1);
    expect(warned.warnings[0]).toMatch(/EIN1502/);
    expect(warned.code).toContain("@compute");
  }, 120_000);
});
