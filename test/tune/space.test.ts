/** What the tuner tries: legal, each once, and right on the kernel interpreter. */
import { describe, expect, test, vi } from "vitest";
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import { toInputs } from "../../src/api/interpret.ts";
import { fuseProgram, optimise } from "../../src/compile.ts";
import { compile } from "../../src/index.ts";
import { choose, considered, isLegal, scheduleText } from "../../src/schedule/choose.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import type { FusedProgram } from "../../src/schedule/region.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import type { Target } from "../../src/schedule/target.ts";
import { inputsFor, sizesFor } from "../../src/tune/inputs.ts";
import { neighbours } from "../../src/tune/mutate.ts";
import { readSchedule } from "../../src/tune/schedule-json.ts";
import { Space } from "../../src/tune/space.ts";
import { GPU, SOFT, SOFT4, SOFT8, TARGETS, withMatrices } from "../schedule/support.ts";

vi.setConfig({ testTimeout: 240_000 });

const PROGRAMS: Readonly<Record<string, string>> = {
  matmul: "export fn f(x: f32[9, 20], w: f32[20, 12], b: f32[12]) { relu(x @ w + b) }",
  batched: 'export fn f(x: f32[2, 5, 10], y: f32[2, 6, 10]) { einsum("bik,bjk->bij", x, y) }',
  free: "export fn f(x: f32[N, K], w: f32[K, M]) { x @ w }",
  softmax: 'import { softmax } from "std/nn"\nexport fn f(x: f32[6, 48]) { softmax(x, axis: 1) }',
  columns: "export fn f(x: f32[40, 24]) { sum(x, axis: 0) }",
  total: "export fn f(x: f32[130, 40]) -> f32 { sum(x * x) }",
  chain: "export fn f(x: f32[37, 24]) { tanh(x * 2 + 1) }",
  transpose: "export fn f(x: f32[40, 36]) { transpose(x) + 1 }",
  scan: "export fn f(x: f32[5, 70]) { cumsum(x, axis: 1) }",
  gather: "export fn f(x: f32[9, 64], t: i32[30]) { x[t] ?? 0 }",
};

interface Made {
  readonly fused: FusedProgram;
  readonly right: (schedule: (name: string) => Schedule | undefined, target: Target) => void;
}

/** The program fused for a target, with a check of schedules on the kernel interpreter within the derived bound. */
function made(source: string, target: Target): Made {
  const options = { target };
  const sizes = { N: 7, K: 12, M: 9 };
  const fused = fuseProgram(optimise(compile(source).tensorProgram("f"), options), options);
  const found = sizesFor(fused.program, sizes)!;
  const inputs = toInputs(
    Object.fromEntries([...inputsFor(fused.program, found, 1)].map(([d, a]) => [d.name, a] as const)),
  );
  const bounds = errorBounds(defuse(fused), inputs, { sizes: found });
  return {
    fused,
    right: (schedule, on) => {
      const results = runFused(fused, on, inputs, {
        sizes: found,
        schedule: (r) => schedule(r.name) ?? choose(r, on),
      });
      bounds.forEach((b, i) => {
        const { outside, first } = compareWithin(b, results[i]!.data);
        if (outside > 0) throw new Error(`${b.name}[${first}] is ${results[i]!.data[first!]}, not ${b.exact[first!]}`);
      });
    },
  };
}

test("sizes that nobody gives are 256, or less where arrays were large", () => {
  const sizes = (source: string, given: Record<string, number> = {}): object =>
    Object.fromEntries(sizesFor(compile(source).tensorProgram("f"), given) ?? []);
  expect(sizes("export fn f(x: f32[A, B]) { x + 1 }")).toEqual({ A: 256, B: 256 });
  expect(sizes("export fn f(x: f32[A, B, C, D]) { x + 1 }")).toEqual({ A: 64, B: 64, C: 64, D: 64 });
  expect(sizes("export fn f(x: f32[A, B, C, D]) { x + 1 }", { A: 1, B: 1 })).toEqual({ A: 1, B: 1, C: 256, D: 256 });
  expect(sizes("export fn f(x: f32[A]) { x + 1 }", { A: 1e9 })).toEqual({ A: 1e9 });
});

describe("what is tried", () => {
  for (const [name, source] of Object.entries(PROGRAMS))
    test(`${name}: legal, each once, and right`, () => {
      for (const target of [GPU, SOFT, SOFT4, SOFT8]) {
        const { fused, right } = made(source, target);
        for (const region of fused.regions) {
          const space = new Space(region, target, 7);
          const tried: Schedule[] = [space.first()];
          while (tried.length < 8) {
            // The last ones as the best: the search wanders off.
            const s = space.next(tried.slice(-2).reverse());
            if (!s) break;
            tried.push(s);
          }
          expect(new Set(tried.map(scheduleText)).size).toBe(tried.length);
          for (const s of tried) {
            expect(isLegal(region, s, target), scheduleText(s)).toBe(true);
            expect(readSchedule(JSON.parse(JSON.stringify(s)))).toEqual(s);
            try {
              right((r) => (r === region.name ? s : undefined), target);
            } catch (cause) {
              throw new Error(
                `${scheduleText(s)} on ${target.name}: ${cause instanceof Error ? cause.message : cause}`,
                {
                  cause,
                },
              );
            }
          }
        }
      }
    });

  test("tiles of subgroup matrices: legal neighbours of a tile, and right", () => {
    const target = withMatrices([{ component: "f32", result: "f32", m: 8, n: 8, k: 8 }]);
    const { fused, right } = made(PROGRAMS["matmul"]!, target);
    const [region] = fused.regions;
    const from = considered(region!, target).find((s) => s.kind === "contraction" && s.subgroup === "matrix");
    const space = new Space(region!, target, 3);
    const legal = neighbours(from!).filter((s) => space.take(s));
    expect(legal.length).toBeGreaterThan(8);
    for (const s of legal) {
      expect(readSchedule(JSON.parse(JSON.stringify(s)))).toEqual(s);
      if (s.kind === "contraction" && s.reg[0] * s.reg[1] <= 1024) right(() => s, target);
    }
  });

  test("a small space comes to its end", () => {
    const { fused } = made("export fn f(x: f32[3]) { x + 1 }", GPU);
    const space = new Space(fused.regions[0]!, GPU, 1);
    const first = space.first();
    let n = 1;
    while (n < 3000 && space.next([first])) n++;
    expect(n).toBeGreaterThan(5);
    expect(n).toBeLessThan(200);
  });

  test("neighbours differ from where they come from, and more than one field of each kind is changed", () => {
    for (const target of TARGETS)
      for (const source of Object.values(PROGRAMS))
        for (const region of made(source, target).fused.regions) {
          const s = choose(region, target);
          const near = neighbours(s);
          expect(near.length).toBeGreaterThan(3);
          for (const n of near) expect(scheduleText(n)).not.toBe(scheduleText(s));
        }
  });
});
