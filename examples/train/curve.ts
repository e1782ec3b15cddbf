/** Losses as a picture: the values in grey, their running mean in black, on a logarithmic scale. */
import type { HostArray } from "../../runtime/plan.ts";

const WIDTH = 640;
const HEIGHT = 360;
const MARGIN = 20;

/** An image f32[360, 640, 3]. Losses must be positive; others are left out. */
export function lossCurve(losses: readonly number[]): HostArray {
  const data = new Float32Array(WIDTH * HEIGHT * 3).fill(1);
  const logs = losses.map((v) => (v > 0 && Number.isFinite(v) ? Math.log(v) : undefined));
  const known = logs.filter((v) => v !== undefined);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const point = (x: number, y: number, shade: readonly [number, number, number]): void => {
    if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT) return;
    data.set(shade, 3 * (y * WIDTH + x));
  };
  const column = (i: number): number =>
    MARGIN + Math.round((i / Math.max(1, losses.length - 1)) * (WIDTH - 2 * MARGIN - 1));
  const row = (v: number): number =>
    MARGIN + Math.round(((high - v) / Math.max(high - low, 1e-9)) * (HEIGHT - 2 * MARGIN - 1));
  // A line for each power of ten.
  for (let p = Math.ceil(low / Math.LN10); p * Math.LN10 <= high; p++)
    for (let x = MARGIN; x < WIDTH - MARGIN; x += 4) point(x, row(p * Math.LN10), [0.8, 0.8, 0.8]);
  for (let y = MARGIN; y < HEIGHT - MARGIN; y++) point(MARGIN, y, [0.4, 0.4, 0.4]);
  for (let x = MARGIN; x < WIDTH - MARGIN; x++) point(x, HEIGHT - MARGIN, [0.4, 0.4, 0.4]);
  const draw = (values: readonly (number | undefined)[], shade: readonly [number, number, number]): void => {
    let last: readonly [number, number] | undefined;
    values.forEach((v, i) => {
      if (v === undefined) return;
      const here = [column(i), row(v)] as const;
      const [x0, y0] = last ?? here;
      const steps = Math.max(Math.abs(here[0] - x0), Math.abs(here[1] - y0), 1);
      for (let s = 0; s <= steps; s++)
        point(Math.round(x0 + ((here[0] - x0) * s) / steps), Math.round(y0 + ((here[1] - y0) * s) / steps), shade);
      last = here;
    });
  };
  draw(logs, [0.75, 0.8, 0.9]);
  const span = Math.max(1, Math.round(losses.length / 50));
  const means = logs.map((_, i) => {
    const near = logs.slice(Math.max(0, i - span), i + span + 1).filter((v) => v !== undefined);
    return near.length === 0 ? undefined : near.reduce((a, b) => a + b, 0) / near.length;
  });
  draw(means, [0.1, 0.2, 0.5]);
  return { dtype: "f32", shape: [HEIGHT, WIDTH, 3], data };
}
