/** What programs of one region get by default. */
import { expect } from "vitest";
import { compile } from "../../src/index.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import type { Target } from "../../src/schedule/target.ts";

export const SOFTMAX = 'import { softmax } from "std/nn"\nexport fn f(x: f32[R, D]) { softmax(x) }';

export function chosen(source: string, shapes: Readonly<Record<string, readonly number[]>>, adapter: Target): Schedule {
  const all = compile(source).compiled("f", { shapes, provided: Object.keys(shapes), adapter }).schedules;
  expect(all.size).toBe(1);
  return [...all.values()][0]!;
}
