/** Long rows in one pass on a device, within the bounds of their programs. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Device } from "../../runtime/node.ts";
import { checkResults } from "../../src/check.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";

let device: Device;
beforeAll(async () => {
  device = await openTestDevice();
});
afterAll(() => device.close());

/** Interpreter steps before results are sampled: always. */
const BUDGET = 1_000_000;

/** So many that a kernel has a row for each of its workgroups: fewer are cut into parts instead. */
const ROWS = 32;

/** In turn: any numbers; rising to the end; with a NaN and -∞ among them; -∞ everywhere but at one place. */
function rows(length: number): { dtype: "f32"; shape: number[]; data: Float32Array } {
  const data = new Float32Array(ROWS * length);
  for (let r = 0; r < ROWS; r++)
    for (let i = 0; i < length; i++) {
      const drawn = ((i * 7919 + r) % 1013) / 50 - 10;
      const hidden = i % 1000 === 7 ? Number.NEGATIVE_INFINITY : drawn;
      const one = i === length - 3 ? 2 : Number.NEGATIVE_INFINITY;
      data[r * length + i] = [drawn, (20 * i) / length - 10, i === 5000 && r > ROWS / 2 ? Number.NaN : hidden, one][
        r % 4
      ]!;
    }
  return { dtype: "f32", shape: [ROWS, length], data };
}

const FORMS: Readonly<Record<string, string>> = {
  softmax: `import { softmax } from "std/nn"
    export fn f(x: f32[N, D]) { softmax(x) }`,
  logsumexp: "export fn f(x: f32[N, D]) { logsumexp(x, axis: -1) }",
  variance: "export fn f(x: f32[N, D]) { var(x, axis: -1) }",
};

for (const [title, source] of Object.entries(FORMS))
  it(title, async () => {
    const program = compile(source);
    // A length that takes vectors, and one that does not.
    for (const length of [32768, 33001]) {
      const inputs = { x: rows(length) };
      const options = { shapes: { x: [ROWS, length] } };
      const { schedules } = program.compiled("f", { ...options, provided: ["x"], adapter: device.info });
      const kernel = await device.load(program, "f", options);
      const results = await kernel.run(inputs);
      kernel.dispose();
      // Where there is another choice on an adapter the results count all the same.
      if (device.info.kind === "software")
        expect([...schedules.values()].some((s) => s.kind === "row" && s.pass === "online")).toBe(true);
      for (const r of checkResults(program, "f", inputs, results, { budget: BUDGET, adapter: device.info })) {
        expect({ length, outside: r.outside, first: r.first }).toEqual({ length, outside: 0, first: undefined });
        expect(r.checked).toBeGreaterThan(0);
      }
    }
  });
