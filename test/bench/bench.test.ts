/** The benchmark's arithmetic, its workloads as programs, and one row measured on the software adapter. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AGREEMENT, difference } from "../../bench/check.ts";
import { median, quantile, race, ratio } from "../../bench/clock.ts";
import { measure } from "../../bench/measure.ts";
import { htmlReport } from "../../bench/report/html.ts";
import { markdownSection } from "../../bench/report/markdown.ts";
import { type BenchResult, geometricMean } from "../../bench/result.ts";
import { openTuner } from "../../bench/tuned.ts";
import { makeInputs, type Workload } from "../../bench/workload.ts";
import { WORKLOADS } from "../../bench/workloads/index.ts";
import type { Device } from "../../runtime/device.ts";
import { politeWait } from "../../runtime/polite.ts";
import { compile } from "../../src/index.ts";
import { openTestDevice } from "../device.ts";

describe("statistics", () => {
  it("interpolates quantiles", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
  });
  it("compares round by round", () => {
    const r = ratio({ name: "a", ms: [1, 2, 4] }, { name: "b", ms: [2, 4, 16] });
    expect(r).toEqual({ median: 2, low: 2, high: 3 });
    // A slow one has fewer rounds.
    expect(ratio({ name: "a", ms: [1, 2] }, { name: "b", ms: [2, 4, 16] }).median).toBe(2);
    expect(ratio({ name: "a", ms: [1, 2, 4] }, { name: "b", ms: [2, 4] }).median).toBe(2);
  });
  it("means geometrically", () => {
    expect(geometricMean([2, 8])).toBeCloseTo(4, 12);
  });
  it("tells another function from another order of additions", () => {
    expect(difference([1, 2], [1, 2 + 2 ** -22])).toBeLessThan(AGREEMENT);
    expect(difference([1, 2], [1, 2.01])).toBeGreaterThan(AGREEMENT);
    expect(difference([1, 2], [1])).toBe(Number.POSITIVE_INFINITY);
  });
  it("runs contenders in turns", async () => {
    const order: string[] = [];
    const contender = (name: string): { name: string; run(times: number): Promise<void> } => ({
      name,
      run: async (times) => {
        order.push(name);
        for (let i = 0; i < times; i++) await new Promise((done) => setTimeout(done, 2));
      },
    });
    const clock = { rounds: 3, sampleMs: 1, slowMs: 1000, wait: politeWait, source: "wall" } as const;
    await race([contender("a"), contender("b")], clock);
    // Two runs each to warm up.
    expect(order.join("")).toBe("aabbababab");
  });
  it("times what is slow less often, and what is hopeless once", async () => {
    const contender = (name: string, ms: number): { name: string; run(times: number): Promise<void> } => ({
      name,
      run: (times) => new Promise((done) => setTimeout(done, times * ms)),
    });
    const clock = { rounds: 5, sampleMs: 1, slowMs: 40, wait: politeWait, source: "wall" } as const;
    const timings = await race([contender("a", 0), contender("b", 80), contender("c", 500)], clock);
    expect(timings.map((t) => t.ms.length)).toEqual([5, 3, 1]);
  });
});

describe("workloads", () => {
  it("have names of their own", () => {
    expect(new Set(WORKLOADS.map((w) => w.name)).size).toBe(WORKLOADS.length);
  });
  it.each(WORKLOADS.map((w) => [w.name, w] as const))("%s is a program", (_, w) => {
    const shapes = Object.fromEntries(Object.entries(w.inputs).map(([n, s]) => [n, s.shape]));
    const program = compile(w.source).tensorProgram(w.fn, { shapes, provided: Object.keys(w.inputs) });
    expect(program.results.length).toBeGreaterThan(0);
  });
  it("have the same arguments every time, each its own", () => {
    const w: Workload = {
      name: "two",
      family: "test",
      source: "",
      fn: "f",
      inputs: { a: { shape: [4], scale: 2 }, b: { shape: [4], scale: 2 }, i: { shape: [2, 2], below: 3 } },
    };
    const { a, b, i } = makeInputs(w);
    expect(makeInputs(w)).toEqual({ a, b, i });
    expect(a!.data).not.toEqual(b!.data);
    expect([...i!.data].every((x) => Number.isInteger(x) && x >= 0 && x < 3)).toBe(true);
  });
});

describe("a row", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openTestDevice();
  });
  afterAll(() => device.close());

  const small: Workload = {
    name: "matmul 8·8·8",
    family: "contractions",
    source: "export fn f(a: f32[M, K], b: f32[K, N]) { a @ b }",
    fn: "f",
    inputs: { a: { shape: [8, 8] }, b: { shape: [8, 8] } },
    flops: 1024,
  };
  const field = (results: (w: Workload) => readonly number[]): Parameters<typeof measure>[1] => ({
    // Nobody asks for a peer's device here.
    arena: { device, peers: undefined as unknown as GPU, wait: politeWait },
    peers: [
      {
        name: "host",
        version: "1",
        prepare: async (w) => ({
          name: "host",
          first: 1,
          results: [results(w)],
          run: async () => {},
          dispose: () => {},
        }),
      },
    ],
    clock: { rounds: 2, sampleMs: 1, slowMs: 1000, wait: politeWait, source: "wall" },
  });
  const product = (w: Workload): readonly number[] => {
    const { a, b } = makeInputs(w);
    return Array.from({ length: 64 }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < 8; k++) sum += a!.data[Math.floor(at / 8) * 8 + k]! * b!.data[k * 8 + (at % 8)]!;
      return sum;
    });
  };

  it("is measured beside a peer that agrees", async () => {
    const r = await measure(small, field(product));
    expect(r.ours.ms).toBeGreaterThan(0);
    expect(r.peers.map((p) => p.name)).toEqual(["host"]);
    const all: BenchResult = {
      adapter: { name: "A", driver: "", kind: "software", features: [] },
      cores: 1,
      node: "v",
      versions: {},
      rounds: 2,
      clock: "wall",
      roofline: { copy: 1e9, flops: 1e9 },
      results: [r],
    };
    expect(markdownSection(all)).toContain("| matmul 8·8·8 |");
    expect(htmlReport([all])).toContain("<svg");
  });
  it("is measured beside itself tuned", async () => {
    const { clock, ...rest } = field(product);
    const r = await measure(small, { ...rest, clock, peers: [], tuner: openTuner(0.2, undefined, clock) });
    expect(r.tuned?.note).toMatch(/contraction/);
    expect(r.tuned?.ratio?.median).toBeGreaterThan(0);
  });
  it("leaves out a peer that computes something else", async () => {
    const r = await measure(
      small,
      field((w) => product(w).map((x) => x + 1)),
    );
    expect(r.peers).toEqual([]);
    expect(r.failed[0]?.reason).toMatch(/differs/);
  });
});
