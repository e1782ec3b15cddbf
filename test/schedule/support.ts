import { type Extent, evaluateExtent, size, sizeSymbol } from "../../ir/extent.ts";
import { type ArrayInput, interpret } from "../../ir/interpret.ts";
import { bindSizes } from "../../ir/sizes.ts";
import { type Definition, type Input, type Program, type Step, shapeOf, type TensorRef } from "../../ir/tensor.ts";
import { apply } from "../../src/schedule/apply/index.ts";
import { choose, considered, scheduleText } from "../../src/schedule/choose.ts";
import type { Region } from "../../src/schedule/region.ts";
import { type Schedule, ScheduleError } from "../../src/schedule/schedule.ts";
import { newStore, putTensor, runKernel, takeTensor } from "../../src/schedule/simulate.ts";
import { DEFAULT_TARGET, type Target } from "../../src/schedule/target.ts";

export const GPU: Target = { ...DEFAULT_TARGET, name: "a GPU", kind: "gpu" };
/** A GPU that lists subgroup matrices, or without a list has none, with subgroups of `low` to `high` invocations. */
export function withMatrices(list: Target["subgroupMatrices"], low = 32, high: number = low): Target {
  return {
    ...GPU,
    limits: {
      ...GPU.limits,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
      maxComputeWorkgroupStorageSize: 49152,
    },
    features: ["chromium-experimental-subgroup-matrix", "shader-f16", "subgroups"],
    subgroupMinSize: low,
    subgroupMaxSize: high,
    ...(list ? { subgroupMatrices: list } : {}),
  };
}

export const SOFT8: Target = {
  ...DEFAULT_TARGET,
  name: "eight lanes",
  kind: "software",
  features: ["subgroups"],
  subgroupMinSize: 8,
  subgroupMaxSize: 8,
};
export const SOFT4: Target = { ...SOFT8, name: "four lanes", subgroupMinSize: 4, subgroupMaxSize: 4 };
export const SOFT: Target = { ...DEFAULT_TARGET, name: "software", kind: "software" };
export const TARGETS: readonly Target[] = [DEFAULT_TARGET, GPU, SOFT, SOFT4, SOFT8];

export function programOf(inputs: readonly Input[], steps: readonly Step[], results: readonly TensorRef[]): Program {
  return {
    name: "test",
    inputs,
    steps,
    facts: [],
    results: results.map((r, i) => ({ name: `r${i}`, tensor: r.tensor, slot: r.slot })),
  };
}

/** A repeatable stream of small integers: sums of them are exact in every order. */
export function integers(seed: number, low = -4, high = 4): () => number {
  let s = (seed * 2654435761 + 12345) >>> 0;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return low + Math.floor((s / 2 ** 32) * (high - low + 1));
  };
}

/** An extent as a literal, or as a size symbol with the value to be bound. */
export function extents(symbolic: boolean): {
  readonly of: (name: string, n: number) => Extent;
  readonly sizes: Map<string, number>;
} {
  const sizes = new Map<string, number>();
  return {
    sizes,
    of: (name, n) => {
      if (!symbolic) return size(n);
      sizes.set(name, n);
      return sizeSymbol(name);
    },
  };
}

export interface Case {
  readonly program: Program;
  readonly regions: readonly Region[];
  readonly sizes: ReadonlyMap<string, number>;
  readonly data?: (d: Input, count: number) => ArrayLike<number>;
  /** How far apart two values may be; 0 where the arithmetic is exact. */
  readonly apart?: (expected: number, got: number) => boolean;
}

function inputsOf(c: Case): Map<string, ArrayInput> {
  return new Map(
    c.program.inputs.map((d, i) => {
      const shape = shapeOf(d).map((e) => evaluateExtent(e, c.sizes));
      const count = shape.reduce((p, n) => p * n, 1);
      const next = integers(i + 1);
      const data =
        c.data?.(d, count) ??
        Float64Array.from({ length: count }, () =>
          d.types[0] === "bool" ? Number(next() > 0) : d.types[0] === "u32" ? Math.abs(next()) : next(),
        );
      return [d.name, { shape, data }];
    }),
  );
}

/** Throws unless the schedules' kernels store what the tensor interpreter computes. */
export function check(c: Case, target: Target, schedule: (r: Region) => Schedule): void {
  const inputs = inputsOf(c);
  const expected = interpret(c.program, inputs, { mode: "exact", sizes: c.sizes });
  const sizes = bindSizes(c.program, new Map([...inputs].map(([n, a]) => [n, a.shape])), c.sizes);
  const store = newStore();
  for (const d of c.program.inputs) putTensor(store, { tensor: d, slot: 0 }, inputs.get(d.name)?.data ?? []);
  const texts: string[] = [];
  for (const r of c.regions) {
    const s = schedule(r);
    texts.push(scheduleText(s));
    for (const k of apply(r, s, target)) runKernel(store, k, sizes, "rounded");
  }
  c.program.results.forEach((r, i) => {
    const got = takeTensor(store, { tensor: r.tensor, slot: r.slot }, sizes);
    const want = expected[i]?.data ?? new Float64Array(0);
    const same = c.apart
      ? (a: number, b: number) => !c.apart?.(a, b)
      : (a: number, b: number) => Object.is(a, b) || a === b;
    for (let e = 0; e < want.length; e++)
      if (!same(want[e] ?? 0, got[e] ?? 0))
        throw new Error(
          `${texts.join(" | ")} on ${target.name}: ${r.name}[${e}] is ${got[e]}, not ${want[e]} (sizes ${[...sizes].join(" ")})`,
        );
  });
}

/** Checks schedules of every region (one region varied at a time), at most `most` of what is considered, spread evenly. */
export function checkAll(c: Case, target: Target, most = 200): number {
  let done = 0;
  for (const r of c.regions) {
    // The first, then the others in an order that spreads evenly over the list.
    const place = (i: number): number => (i === 0 ? -1 : (i * 0.6180339887498949) % 1);
    const all = considered(r, target)
      .map((s, i) => ({ s, at: place(i) }))
      .sort((x, y) => x.at - y.at);
    let tried = 0;
    for (const { s } of all) {
      if (tried >= most) break;
      try {
        check(c, target, (x) => (x === r ? s : choose(x, target)));
      } catch (e) {
        if (e instanceof ScheduleError) continue;
        throw new Error(`${scheduleText(s)} on ${target.name}: ${e instanceof Error ? e.message : String(e)}`, {
          cause: e,
        });
      }
      tried++;
    }
    if (tried === 0) throw new Error(`no schedule for ${r.name} on ${target.name}`);
    done += tried;
  }
  return done;
}

export function refOf(d: Definition, slot = 0): TensorRef {
  return { tensor: d, slot };
}
