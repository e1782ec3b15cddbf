import { expect, test } from "vitest";
import { buildPlan, type PlannedKernel, type PlanValue } from "../../codegen/plan.ts";
import { ONE, size } from "../../ir/extent.ts";

const value = (key: string): PlanValue => ({ key, dtype: "f32", size: size(8) });
const kernel = (name: string, ...values: readonly string[]): PlannedKernel => ({
  kernel: {
    name, wgsl: name, entryPoint: "main", workgroupSize: [1, 1, 1], features: [], bindings: values.map(() => "readwrite" as const),
    uniforms: [], origin: name,
  }, // biome-ignore format: one record
  values: values.map(value),
  groups: [1, 1, 1],
  fills: [],
  copies: [],
});

/** Which buffers share memory, by the keys of their values. */
function shared(kernels: readonly PlannedKernel[], loops: Parameters<typeof buildPlan>[0]["loops"]): string[] {
  const plan = buildPlan({ name: "p", params: [], results: [], facts: [], kernels, ...(loops ? { loops } : {}) });
  const keys = new Map<number, string>();
  let at = 0;
  const starts = new Map((plan.loops ?? []).map((l) => [l.first, l]));
  for (const [i, s] of plan.steps.entries()) {
    const l = starts.get(i);
    if (l)
      for (const [n, k] of l.stacks.entries())
        keys.set(k.stack, `${loops![[...starts.keys()].indexOf(i)]!.stacks[n]!.stack.key}`);
    if ("kernel" in s) {
      for (const [j, b] of s.buffers.entries()) keys.set(b, kernels[at]!.values[j]!.key);
      at++;
    }
  }
  const bySlot = new Map<number, string[]>();
  plan.buffers.forEach((b, i) => {
    if (b.slot !== undefined) bySlot.set(b.slot, [...(bySlot.get(b.slot) ?? []), keys.get(i) ?? "?"]);
  });
  return [...bySlot.values()].map((v) => v.sort().join(" ")).sort();
}

test("what a loop reads from outside lives until its last round", () => {
  // `a` is read by the first kernel of the round, `b` and `c` are made after that.
  const kernels = [
    kernel("k0", "a"),
    kernel("k1", "a", "b"),
    kernel("k2", "b", "c"),
    kernel("k3", "c", "n"),
    kernel("k4", "x"),
  ];
  const carries = [{ carry: value("x"), init: value("a"), next: value("n") }];
  const loop = { first: 1, end: 4, rounds: size(3), carries, stacks: [] };
  for (const set of shared(kernels, [loop]))
    expect(set.split(" ").filter((k) => "axn".includes(k)).length).toBeLessThan(2);
  expect(shared([kernel("k0", "a"), kernel("k1", "a", "b"), kernel("k2", "b", "c")], undefined)).toContain("a c");
});

test("a stack that another loop reads lives until the last round of that", () => {
  const kernels = [
    kernel("k0", "x", "n"),
    kernel("k1", "s", "b"),
    kernel("k2", "b", "c"),
    kernel("k3", "c", "m"),
    kernel("k4", "y"),
  ];
  const one = {
    first: 0, end: 1, rounds: size(3), carries: [{ carry: value("x"), init: value("i"), next: value("n") }],
    stacks: [{ stack: value("s"), value: value("x") }],
  }; // biome-ignore format: one record
  const two = {
    first: 1,
    end: 4,
    rounds: ONE,
    carries: [{ carry: value("y"), init: value("j"), next: value("m") }],
    stacks: [],
  };
  const sets = shared(kernels, [one, two]);
  expect(
    sets
      .find((s) => s.split(" ").includes("s"))
      ?.split(" ")
      .filter((k) => "bcmy".includes(k)),
  ).toEqual([]);
});
