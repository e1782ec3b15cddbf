/** Least squares by gradient descent on the device, beside the normal equations solved in float64. */
import type { Device } from "../../runtime/device.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { numbersOf } from "../../src/api/numbers.ts";
import type { Program } from "../../src/index.ts";

export interface LeastSquares {
  readonly descended: readonly number[];
  readonly solved: readonly number[];
  readonly losses: readonly number[];
  /** Of the two solutions. */
  readonly largestDifference: number;
  /** The most that they may differ: where the step no longer moves w, the slope is at most this far from 0, and XᵀX takes it to w. */
  readonly bound: number;
}

/** 2·10² steps of descent need a rate below N / λ; the largest eigenvalue is bounded by the trace. */
export async function leastSquares(
  device: Device,
  program: Program,
  o: {
    readonly seed: number;
    readonly steps: number;
    readonly every: number;
    readonly onStep?: (n: number, loss: number) => void;
  },
): Promise<LeastSquares> {
  const make = await device.load(program, "problem");
  const { x, y } = (await make.run({ seed: { dtype: "u32", shape: [2], data: Uint32Array.of(0, o.seed) } })) as {
    x: HostArray;
    y: HostArray;
  };
  const [rows, columns] = x.shape as [number, number];
  const equations = await (await device.load(program, "normal_equations")).run({ x, y });
  const a = numbersOf(equations["a"]!);
  const b = numbersOf(equations["b"]!);
  let trace = 0;
  for (let i = 0; i < columns; i++) trace += a[i * columns + i]!;
  const rate = rows / trace;
  const descend = await device.load(program, "descend");
  const fixed = { x: device.upload(x).buffer, y: device.upload(y).buffer, rate: device.upload(scalar(rate)).buffer };
  const turns = [0, 1].map(
    () => device.upload({ dtype: "f32", shape: [columns], data: new Float32Array(columns) }).buffer,
  );
  const lossBuffer = device.upload(scalar(0)).buffer;
  const losses: number[] = [];
  const sizes = Object.fromEntries(descend.plan.symbols.map((s) => [s.name, s.name === "N" ? rows : columns]));
  for (let n = 0; n < o.steps; n++) {
    const encoder = device.gpu.createCommandEncoder();
    descend.encode(encoder, { ...fixed, w: turns[n % 2]!, next_w: turns[(n + 1) % 2]!, loss: lossBuffer }, sizes);
    device.gpu.queue.submit([encoder.finish()]);
    if ((n + 1) % o.every !== 0) continue;
    const loss = Number((await device.download({ dtype: "f32", shape: [], buffer: lossBuffer })).data[0]);
    losses.push(loss);
    o.onStep?.(n + 1, loss);
  }
  const w = await device.download({ dtype: "f32", shape: [columns], buffer: turns[o.steps % 2]! });
  for (const buffer of [...Object.values(fixed), ...turns, lossBuffer]) buffer.destroy();
  const descended = Array.from(numbersOf(w));
  const solved = solve(a, b, columns);
  // XᵀX (w - w*) = N/2 · slope(w), and the slope at rest is what is left of it.
  const slope = numbersOf(program.interpret("slope", { x, y, w })["result"]!);
  const move = solve(
    a,
    Array.from(slope, (s) => (s * rows) / 2),
    columns,
  );
  const rounding = solve(a, b, columns).map((v) => Math.abs(v) * 2 ** -23 * columns * rows);
  return {
    descended,
    solved,
    losses,
    largestDifference: Math.max(...descended.map((v, i) => Math.abs(v - solved[i]!))),
    bound: Math.max(...move.map((m, i) => Math.abs(m) + rounding[i]!)),
  };
}

const scalar = (value: number): HostArray => ({ dtype: "f32", shape: [], data: Float32Array.of(value) });

/** Gaussian elimination with pivots, in float64. */
export function solve(matrix: ArrayLike<number>, right: ArrayLike<number>, n: number): number[] {
  const rows = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (_, j) => matrix[i * n + j]!),
    right[i]!,
  ]);
  for (let k = 0; k < n; k++) {
    const pivot = rows.slice(k).reduce((best, r, i) => (Math.abs(r[k]!) > Math.abs(rows[best]![k]!) ? k + i : best), k);
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const by = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j <= n; j++) rows[i]![j]! -= by * rows[k]![j]!;
    }
  }
  return rows.map((r, i) => r[n]! / r[i]!);
}
