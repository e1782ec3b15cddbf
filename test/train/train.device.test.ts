/** Training on the software adapter, at small sizes: resumed training, parts of batches, and the interpreter beside it. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Digits, loadDigits } from "../../examples/digits.ts";
import { leastSquares, solve } from "../../examples/train/lsq.ts";
import { epochOrder } from "../../examples/train/order.ts";
import { Trainer, type TrainerOptions } from "../../examples/train/trainer.ts";
import { verifyStep } from "../../examples/train/verify.ts";
import { errorBounds } from "../../ir/bounds.ts";
import type { Device } from "../../runtime/device.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { toInputs } from "../../src/api/interpret.ts";
import { compile, type Program, shapesOf } from "../../src/index.ts";
import { readArrays, writeArrays } from "../../src/io/index.ts";
import { compileFile, openDevice } from "../../src/node/index.ts";
import { defuse } from "../../src/schedule/defuse.ts";

let device: Device;
let program: Program;
const [data] = loadDigits([40]) as [Digits];
const options: TrainerOptions = { data, batch: 8, parts: 1, rate: 0.05, seed: 3, every: 4 };

beforeAll(async () => {
  device = await openDevice({ adapter: "software", quiet: true });
  program = await compileFile(new URL("../../examples/train/mlp.ein", import.meta.url).pathname);
});
afterAll(() => device.close());

const bits = (a: HostArray): readonly number[] => [...new Uint32Array(a.data.slice().buffer)];

test("training that goes on from a checkpoint has the same bits as training that was not interrupted", async () => {
  const whole = await Trainer.create(device, program, options);
  for (let i = 0; i < 9; i++) whole.advance();
  const expected = await whole.state();
  whole.destroy();
  // Six steps are more than an epoch of five.
  const first = await Trainer.create(device, program, options);
  for (let i = 0; i < 6; i++) first.advance();
  const file = join(mkdtempSync(join(tmpdir(), "fusum-train-")), "state.safetensors");
  writeArrays(file, await first.state());
  first.destroy();
  const second = await Trainer.create(device, program, { ...options, state: readArrays(file) });
  expect(second.step).toBe(6);
  for (let i = 0; i < 3; i++) second.advance();
  const got = await second.state();
  second.destroy();
  expect([...got.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, a] of expected) expect(bits(got.get(name)!), name).toEqual(bits(a));
  expect(bits(expected.get("w1")!).some((b) => b !== 0)).toBe(true);
});

test("the loss falls", async () => {
  const trainer = await Trainer.create(device, program, options);
  for (let i = 0; i < 4; i++) trainer.advance();
  const early = await trainer.losses(4);
  for (let i = 0; i < 16; i++) trainer.advance();
  const late = await trainer.losses(4);
  trainer.destroy();
  expect(Math.max(...late)).toBeLessThan(Math.min(...early));
});

test("gradients of parts of a batch add up to that of the batch, within its bound", async () => {
  const trainer = await Trainer.create(device, program, options);
  const given = await trainer.arguments();
  trainer.destroy();
  const whole = { batch: 8, parts: 1 };
  const names = program.functions
    .find((f) => f.name === "gradient")!
    .parameters.filter((p) => !p.isConst)
    .map((p) => p.name);
  const inputs = Object.fromEntries(names.map((n) => [n, given[n]!]));
  const { fused } = program.compiled("gradient", { consts: whole, shapes: shapesOf(inputs), adapter: device.info });
  const bounds = errorBounds(defuse(fused), toInputs(inputs));
  const parts = { batch: 2, parts: 4 };
  const kernel = await device.load(program, "gradient", { consts: parts, shapes: shapesOf(inputs) });
  let now: Record<string, HostArray> = inputs;
  for (let part = 0; part < 4; part++) {
    const results = await kernel.run({ ...now, part: { dtype: "i32", shape: [], data: Int32Array.of(part) } });
    now = { ...now, ...Object.fromEntries(Object.entries(results).map(([n, a]) => [n.slice("next_".length), a])) };
  }
  for (const b of bounds) {
    const { data: got } = now[b.name.slice("next_".length)]!;
    expect(got.length).toBe(b.low.length);
    let outside = 0;
    got.forEach((v, i) => {
      if (!(v >= b.low[i]! && v <= b.high[i]!)) outside++;
    });
    expect(outside, b.name).toBe(0);
  }
});

test.each([1, 4])(
  "losses are the interpreter's, within the bound, from the state of each step; %i parts",
  async (parts) => {
    const trainer = await Trainer.create(device, program, { ...options, parts });
    for (let i = 0; i < 2; i++) {
      const { loss, exact, share } = await verifyStep(trainer, program, options, device);
      expect(share).toBeLessThanOrEqual(1);
      expect(Math.abs(loss - exact)).toBeGreaterThan(0);
    }
    trainer.destroy();
  },
);

test("least squares by descent comes to rest at the normal equations' solution", async () => {
  const lsq = await compileFile(new URL("../../examples/train/lsq.ein", import.meta.url).pathname);
  const fit = await leastSquares(device, lsq, { seed: 5, steps: 300, every: 50 });
  expect(fit.largestDifference).toBeLessThanOrEqual(fit.bound);
  expect(fit.bound).toBeLessThan(0.01);
  expect(fit.losses.at(-1)!).toBeLessThan(fit.losses[0]!);
  expect(solve([2, 1, 1, 4], [3, 5], 2)).toEqual([1, 1]);
});

test("an epoch's order is a permutation, and another one each time", () => {
  const orders = [0, 1].map((epoch) => epochOrder(50, 1, epoch));
  for (const o of orders) expect([...o].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect([...orders[0]!]).not.toEqual([...orders[1]!]);
});

test("the optimisers, by their formulas", async () => {
  const optimise = readFileSync(new URL("../../examples/train/optimise.ein", import.meta.url), "utf8");
  const own = `${optimise}
    export fn momentum(p: f32[N], g: f32[N], m: f32[N]) { sgd(p, g, m, 0.5) }
    export fn averaged(p: f32[N], g: f32[N], m: f32[N], v: f32[N], n: i32) { adam(p, g, m, v, n, 0.5) }`;
  const module = compile(own);
  const one = (x: number): HostArray => ({ dtype: "f32", shape: [1], data: Float32Array.of(x) });
  const [p, g, m, v] = [0.5, 0.25, -1, 2] as const;
  const sgd = module.interpret("momentum", { p: one(p), g: one(g), m: one(m) });
  expect(sgd["m"]?.data[0]).toBeCloseTo(0.9 * m + g, 6);
  expect(sgd["p"]?.data[0]).toBeCloseTo(p - 0.5 * (0.9 * m + g), 6);
  const n: HostArray = { dtype: "i32", shape: [], data: Int32Array.of(2) };
  const adam = module.interpret("averaged", { p: one(p), g: one(g), m: one(m), v: one(v), n });
  const [m2, v2] = [0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g];
  const expected = p - (0.5 * (m2 / (1 - 0.9 ** 3))) / (Math.sqrt(v2 / (1 - 0.999 ** 3)) + 1e-8);
  expect(adam["p"]?.data[0]).toBeCloseTo(expected, 5);
  expect(adam["v"]?.data[0]).toBeCloseTo(v2, 5);
});
