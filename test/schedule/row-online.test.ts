/** Rows in one pass: a maximum and what is relative to it, a sum and the squares about its mean. */
import { describe, expect, test } from "vitest";
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import type { ArrayInput } from "../../ir/interpret.ts";
import { choose, isLegal, scheduleText } from "../../src/schedule/choose.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import type { Region } from "../../src/schedule/region.ts";
import type { RowSchedule, Schedule } from "../../src/schedule/schedule.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import type { Target } from "../../src/schedule/target.ts";
import { fuseOnline, programOf, type Shapes } from "./online-support.ts";
import { GPU, SOFT4, SOFT8 } from "./support.ts";

const FORMS: Readonly<Record<string, string>> = {
  softmax: `import { softmax } from "std/nn"
    export fn f(x: f32[N, D]) { softmax(x) }`,
  "log_softmax down the columns": `import { log_softmax } from "std/nn"
    export fn f(x: f32[D, N]) { log_softmax(x, axis: 0) }`,
  logsumexp: "export fn f(x: f32[N, D]) { logsumexp(x, axis: -1) }",
  "cross-entropy": `import { cross_entropy } from "std/nn"
    export fn f(x: f32[N, D], t: i32[N]) { cross_entropy(x, t, reduction: "none") }`,
  "layer norm": `import { layer_norm } from "std/nn"
    export fn f(x: f32[N, D], g: f32[D], b: f32[D]) { layer_norm(x, g, b) }`,
  variance: "export fn f(x: f32[N, D]) { var(x, axis: -1) }",
  "the maximum is a result, sums of two kinds, the least and the largest difference": `export fn f(x: f32[N, D]) {
      let m = max(x, axis: -1, keepdims: true)
      let e = exp(x - m)
      { m: m, s: sum(e, axis: -1), t: sum(where(x > 0, 2 * e, 0), axis: -1),
        a: min(x - m, axis: -1), b: max(x - m, axis: -1) }
    }`,
  "others are relative to the maximum, which is no result": `export fn f(x: f32[N, D]) {
      let m = max(x, axis: -1, keepdims: true)
      { s: sum(exp(x - m), axis: -1), y: x - m }
    }`,
  "others read the maximum itself": `export fn f(x: f32[N, D]) {
      let m = max(x, axis: -1, keepdims: true)
      { s: sum(exp(x - m), axis: -1), y: x * m }
    }`,
  "two reduced axes, the squares about something else": `export fn f(x: f32[N, A, B]) {
      let g = 0.9 * sum(x, axis: [1, 2], keepdims: true) / (A * B) + 0.5
      sum((x - g) * (x - g), axis: [1, 2])
    }`,
};

function shapesOf(title: string, n: number, d: number): Shapes {
  if (title.startsWith("log_softmax")) return { x: [d, n] };
  if (title === "cross-entropy") return { x: [n, d], t: [n] };
  if (title === "layer norm") return { x: [n, d], g: [d], b: [d] };
  if (title.startsWith("two")) return d % 4 === 0 ? { x: [n, d / 4, 4] } : { x: [n, d, 1] };
  return { x: [n, d] };
}

/** Numbers between -20 and 20, rising in odd rows; a few infinite or NaN where that is asked for, whole rows of -∞ among them. */
function inputsFor(shapes: Shapes, seed: number, specials: boolean): ReadonlyMap<string, ArrayInput> {
  let s = (seed * 2654435761 + 1) >>> 0;
  const next = (): number => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const row = count / (shape[0] ?? 1);
      const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
      const data = Float64Array.from({ length: count }, (_, i) => {
        if (name === "t") return Math.floor(next() * 2);
        const x = next() * 40 - 20;
        const at = Math.floor(i / row);
        if (specials && at === 2) return Number.NEGATIVE_INFINITY;
        if (specials && next() < 2 / row) return odd[(at + Math.floor(next() * 2)) % 4] ?? x;
        return Math.fround(at % 2 === 1 ? (40 * (i % row)) / row - 20 + next() : x);
      });
      return [name, { shape, data }];
    }),
  );
}

const BASE: RowSchedule = {
  kind: "row",
  vector: 1,
  swizzle: 0,
  variants: "guarded",
  rows: 1,
  threads: 1,
  hold: 0,
  pass: "online",
  block: 4,
};
function schedulesFor(target: Target): readonly RowSchedule[] {
  const own: RowSchedule[] = [
    { ...BASE, rows: 3 },
    { ...BASE, rows: 2, threads: 8, block: 2 },
    { ...BASE, vector: 4, rows: 1, threads: 16, block: 3, each: 2 },
    { ...BASE, vector: 4, rows: 4, threads: 2, block: 2, across: true },
  ];
  const sg = target.subgroupMinSize as 4 | 8;
  if (target.kind !== "software") return own;
  return [
    { ...BASE, threads: sg, combine: "subgroup", block: 2, each: 3 },
    { ...BASE, vector: 4, threads: sg, combine: "subgroup", block: 4 },
    ...own,
  ];
}

function compare(title: string, target: Target, n: number, d: number, seed: number): number {
  const source = FORMS[title];
  if (source === undefined) throw new Error("no such form");
  const shapes = shapesOf(title, n, d);
  let done = 0;
  for (const literal of [true, false]) {
    // A reduction of one literal element is none.
    if (literal && d === 1) continue;
    const p = programOf(source, target, literal ? shapes : undefined);
    const fused = fuseOnline(p);
    const online = (r: Region): boolean => r.kind === "row" && r.phases.filter((x) => x.kind === "reduce").length > 1;
    expect(fused.regions.some(online)).toBe(true);
    schedulesFor(target).forEach((s, i) => {
      if (literal !== (i % 2 === 0) && d > 100) return;
      if (!fused.regions.filter(online).every((r) => isLegal(r, s, target))) return;
      done++;
      const specials = i % 2 === 1;
      const inputs = inputsFor(shapes, seed + i, specials);
      const schedule = (r: Region): Schedule => (online(r) ? s : choose(r, target));
      const got = runFused(fused, target, inputs, { mode: "rounded", schedule });
      errorBounds(defuse(fused), inputs).forEach((bounds, r) => {
        const c = compareWithin(bounds, got[r]?.data ?? []);
        const where = `${bounds.name} by ${scheduleText(s)} on ${target.name}, rows of ${d}`;
        expect({ where, outside: c.outside, first: c.first }).toEqual({ where, outside: 0, first: undefined });
        if (!specials) expect(c.unbounded).toBe(0);
      });
    });
  }
  return done;
}

describe("kernels within the bounds of their programs, with infinities and NaN", () => {
  for (const title of Object.keys(FORMS))
    test(title, () => {
      for (const target of [GPU, SOFT4, SOFT8]) {
        let done = 0;
        for (const [n, d] of [
          [5, 1],
          [4, 7],
          [3, 40],
        ] as const)
          done += compare(title, target, n, d, d);
        expect(done).toBeGreaterThanOrEqual(12);
      }
    });
});
