/** Contractions on subgroup matrices: schedules on the kernel interpreter beside the tensor interpreter, and what Tint says of the WGSL. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emitKernel } from "../../codegen/emit.ts";
import { compareWithin, errorBounds } from "../../ir/bounds.ts";
import type { ArrayInput } from "../../ir/interpret.ts";
import type { Device } from "../../runtime/index.ts";
import type { Compiled } from "../../src/compile.ts";
import { compile } from "../../src/index.ts";
import { apply } from "../../src/schedule/apply/index.ts";
import { choose, considered, isLegal, scheduleText } from "../../src/schedule/choose.ts";
import { defuse } from "../../src/schedule/defuse.ts";
import type { Region } from "../../src/schedule/region.ts";
import type { ContractionSchedule, Schedule } from "../../src/schedule/schedule.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import type { Target } from "../../src/schedule/target.ts";
import { makePipeline, openNull } from "../codegen/device.ts";
import { integers, withMatrices } from "./support.ts";

const HALF = { component: "f16", result: "f32", m: 16, n: 16, k: 16 };
const LONG = { component: "f16", result: "f32", m: 8, n: 16, k: 16 };
const PURE = { component: "f16", result: "f16", m: 8, n: 8, k: 8 };
const SINGLE = { component: "f32", result: "f32", m: 8, n: 8, k: 8 };
const BYTES = { component: "i8", result: "i32", m: 16, n: 16, k: 32 };

const ALL = withMatrices([BYTES, SINGLE, HALF, LONG, PURE]);
/** Subgroups of a size that is known when the kernel runs. */
const VARIED = withMatrices([HALF, SINGLE], 8, 64);

interface Sample {
  readonly source: string;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

/** With `free` the extents are not known before the kernels run. */
function compiled(s: Sample, target: Target, free = false): Compiled {
  const module = compile(s.source, { fileName: "matrix.ein" });
  const f = module.functions[0]!;
  return module.compiled(f.name, { ...(free ? {} : { shapes: s.shapes }), adapter: target, verify: true });
}

function inputsOf(s: Sample): Map<string, ArrayInput> {
  const next = integers(7, -8, 8);
  return new Map(
    Object.entries(s.shapes).map(([name, shape]) => {
      const count = shape.reduce((p, n) => p * n, 1);
      return [name, { shape, data: Float64Array.from({ length: count }, () => next() / 4) }];
    }),
  );
}

const onMatrices = (s: Schedule): s is ContractionSchedule => s.kind === "contraction" && s.subgroup === "matrix";

function contractionOf(c: Compiled): Region {
  const r = c.fused.regions.find((x) => x.kind === "contraction");
  if (!r) throw new Error("no contraction");
  return r;
}

/** The legal ones of the target's list with at most so many elements a workgroup. */
function legalOnes(region: Region, target: Target, most = Number.POSITIVE_INFINITY): readonly ContractionSchedule[] {
  return considered(region, target)
    .filter(onMatrices)
    .filter((s) => s.reg[0] * s.reg[1] * s.threads[0] * s.threads[1] <= most)
    .filter((s) => isLegal(region, s, target));
}

/** Throws unless the schedules' kernels give what the program's bound allows. */
function agree(
  s: Sample,
  c: Compiled,
  target: Target,
  schedules: readonly Schedule[],
  subgroupSize: number | undefined,
): void {
  const inputs = inputsOf(s);
  const region = contractionOf(c);
  const bounds = errorBounds(defuse(c.fused), inputs);
  for (const schedule of schedules) {
    const got = runFused(c.fused, target, inputs, {
      schedule: (r) => (r === region ? schedule : choose(r, target)),
      ...(subgroupSize ? { subgroupSize } : {}),
    });
    bounds.forEach((b, i) => {
      const data = got[i]?.data ?? [];
      const at = compareWithin(b, data).first;
      if (at !== undefined)
        throw new Error(`${scheduleText(schedule)}: ${b.name}[${at}] is ${data[at]}, not ${b.exact[at]}`);
    });
  }
}

/** Elements of a workgroup's tile that the interpreter takes in its stride. */
const MOST = 48 * 48;

/** The matrix schedules of the contraction, and neighbours of them in fields that candidates do not vary. */
function schedulesOf(c: Compiled, target: Target, most: number): readonly ContractionSchedule[] {
  const region = contractionOf(c);
  const listed = legalOnes(region, target, MOST);
  const step = Math.max(1, listed.length / most);
  const some = Array.from({ length: Math.min(most, listed.length) }, (_, i) => listed[Math.floor(i * step)]!);
  const more = some.flatMap((s, i): ContractionSchedule[] => {
    switch (i % 4) {
      case 0:
        return [{ ...s, splitK: 3 }];
      case 1:
        return [{ ...s, stage: "a", pad: 1 }];
      case 2:
        return [{ ...s, stage: "b", pad: 1, vector: 2 }];
      default:
        return [{ ...s, swizzle: 1, threads: [s.threads[1], s.threads[0], 1] }];
    }
  });
  return [...some, ...more.filter((s) => isLegal(region, s, target))];
}

function checkSome(
  s: Sample,
  target: Target,
  most: number,
  { subgroupSize, free = false }: { readonly subgroupSize?: number; readonly free?: boolean } = {},
): number {
  const c = compiled(s, target, free);
  const list = schedulesOf(c, target, most);
  agree(s, c, target, list, subgroupSize);
  return list.length;
}

const matmul = (dtype: string, m: number, n: number, k: number): Sample => ({
  source: `export fn f(a: ${dtype}[M, K], b: ${dtype}[K, N]) { a @ b }`,
  shapes: { a: [m, k], b: [k, n] },
});

describe("schedules agree with the tensor interpreter", () => {
  test.each([
    ["matrices divide it", 48, 32, 32],
    ["nothing divides it", 37, 29, 23],
    ["whole matrices inside, edges outside", 40, 40, 16],
    ["one row of matrices", 5, 40, 48],
    ["K shorter than a matrix", 18, 20, 3],
  ])("%s", (_, m, n, k) => {
    expect(checkSome(matmul("f16", m, n, k), ALL, 4)).toBeGreaterThan(4);
    expect(checkSome(matmul("f32", m, n, k), ALL, 3)).toBeGreaterThan(3);
  });

  test("an empty K leaves the identity, an empty side nothing", () => {
    // A K that is known to be empty leaves no contraction: it is empty only when it runs.
    for (const [m, n, k] of [
      [20, 20, 0],
      [0, 20, 8],
    ] as const)
      expect(checkSome(matmul("f32", m, n, k), ALL, 2, { free: k === 0 })).toBeGreaterThan(1);
  });

  const FORMS: readonly (readonly [string, Sample])[] = [
    [
      "operands transposed",
      {
        source: `export fn f(a: f16[K, M], b: f16[N, K]) { einsum("km,nk->mn", a, b) }`,
        shapes: { a: [24, 35], b: [33, 24] },
      },
    ],
    [
      "a result transposed, with a batch",
      {
        source: `export fn f(a: f16[B, M, K], b: f16[B, N, K]) { einsum("bmk,bnk->bnm", a, b) }`,
        shapes: { a: [3, 20, 16], b: [3, 40, 16] },
      },
    ],
    [
      "several axes a side",
      {
        source: `export fn f(a: f32[B, I, P, Q], b: f32[Q, J, P]) { einsum("bipq,qjp->bij", a, b) }`,
        shapes: { a: [3, 11, 3, 5], b: [5, 19, 3] },
      },
    ],
    [
      "a bias and a function of the sums",
      {
        source: `export fn f(x: f16[N, I], w: f16[I, O], b: f16[O]) { gelu(x @ w + b) }`,
        shapes: { x: [33, 20], w: [20, 44], b: [44] },
      },
    ],
    [
      "operands that are computed",
      {
        source: `export fn f(x: f32[N, I], w: f32[I, O], s: f32[I]) { relu(x + s) @ (w * 0.5) }`,
        shapes: { x: [19, 12], w: [12, 28], s: [12] },
      },
    ],
    [
      "windows of an image",
      {
        source: `import { conv2d } from "std/nn"\nexport fn f(x: f32[N, C, H, W], w: f32[O, C, 3, 3]) { conv2d(x, w, padding: 1) }`,
        shapes: { x: [2, 3, 6, 7], w: [10, 3, 3, 3] },
      },
    ],
  ];
  test.each(FORMS)("%s", (_, sample) => {
    expect(checkSome(sample, ALL, 4)).toBeGreaterThan(4);
  });

  test("extents that are known when the kernel runs", () => {
    const sample: Sample = {
      source: `export fn f(a: f16[B, M, K], b: f16[B, N, K]) { einsum("bmk,bnk->bmn", a, b) }`,
      shapes: { a: [2, 40, 20], b: [2, 24, 20] },
    };
    for (const target of [ALL, VARIED]) expect(checkSome(sample, target, 4, { free: true })).toBeGreaterThan(4);
  });

  test.each([8, 16, 32, 64])("subgroups of %i where the target has a range of sizes", (size) => {
    expect(checkSome(matmul("f16", 40, 50, 20), VARIED, 3, { subgroupSize: size })).toBeGreaterThan(3);
  });
});

describe("where matrices are taken", () => {
  const scheduleOf = (s: Sample, target: Target): Schedule => {
    const c = compiled(s, target);
    return choose(contractionOf(c), target);
  };
  test("large products, in a type that holds their factors", () => {
    const s = scheduleOf(matmul("f16", 256, 256, 256), ALL);
    expect(onMatrices(s) && ALL.subgroupMatrices?.[s.config ?? 0]).toBe(HALF);
    const f32 = scheduleOf(matmul("f32", 256, 256, 256), ALL);
    expect(onMatrices(f32) && ALL.subgroupMatrices?.[f32.config ?? 0]).toBe(SINGLE);
  });
  test("f32 is never rounded to f16", () => {
    const only = withMatrices([HALF, PURE]);
    const mixed = `export fn f(a: f16[M, K], b: f32[K, N]) { (a as f32) @ b }`;
    const shapes = { a: [64, 32], b: [32, 64] };
    for (const s of [matmul("f32", 64, 64, 32), { source: mixed, shapes }])
      expect(legalOnes(contractionOf(compiled(s, only)), only)).toEqual([]);
  });
  test("not for small products, nor where the adapter lists none", () => {
    expect(onMatrices(scheduleOf(matmul("f16", 16, 16, 16), ALL))).toBe(false);
    expect(onMatrices(scheduleOf(matmul("f16", 256, 256, 256), withMatrices(undefined)))).toBe(false);
    expect(
      onMatrices(scheduleOf(matmul("f16", 256, 256, 256), { ...ALL, features: ["shader-f16", "subgroups"] })),
    ).toBe(false);
  });
  test("sums of anything but products have other schedules", () => {
    const s = {
      source: "export fn f(a: f32[M, K], b: f32[K, N]) -> f32[M, N] {\n  y[i, j] = sum[k] (a[i, k] - b[k, j]) ** 2\n}",
      shapes: { a: [64, 64], b: [64, 64] },
    };
    expect(legalOnes(contractionOf(compiled(s, ALL)), ALL)).toEqual([]);
  });
});

describe("without matrices, where there are subgroups", () => {
  const PLAIN: Target = { ...withMatrices(undefined), features: ["subgroups"] };

  test("few results of a long K take a subgroup each, and parts of K", () => {
    const sample = matmul("f32", 3, 5, 2048);
    const c = compiled(sample, PLAIN);
    const s = choose(contractionOf(c), PLAIN);
    expect(s).toMatchObject({ kind: "reduction", combine: "subgroup", threads: 32 });
    expect(s.kind === "reduction" && s.parts).toBeGreaterThan(1);
    agree(sample, c, PLAIN, [s], undefined);
  });

  test("rows by broadcast are among what the tuner tries", () => {
    const sample = matmul("f32", 40, 140, 20);
    const c = compiled(sample, PLAIN);
    const list = considered(contractionOf(c), PLAIN).filter(
      (s) => s.kind === "contraction" && s.subgroup === "broadcast" && isLegal(contractionOf(c), s, PLAIN),
    );
    expect(list.length).toBeGreaterThan(1);
    agree(sample, c, PLAIN, list.slice(0, 3), undefined);
  });
});

describe("their WGSL", () => {
  let nothing: Device;
  beforeAll(async () => {
    nothing = await openNull();
  });
  afterAll(() => nothing.close());

  /** The null device takes subgroups to have up to 128 invocations. */
  test("compiles", async () => {
    const info: Target = { ...nothing.info, kind: "gpu", subgroupMatrices: [HALF, SINGLE] };
    const fixed: Target = { ...info, subgroupMinSize: 32, subgroupMaxSize: 32 };
    let count = 0;
    for (const target of [info, fixed])
      for (const sample of [FORM("f16", 64), FORM("f32", 61)]) {
        const c = compiled(sample, target);
        for (const s of schedulesOf(c, target, 4))
          for (const k of apply(contractionOf(c), s, target)) {
            const emitted = emitKernel(k.kernel, target);
            // What Dawn asks of a workgroup depends on the device, which here is not the target.
            if (emitted.workgroupSize[0] % 128 !== 0) continue;
            count++;
            await makePipeline(nothing.gpu, { ...emitted, groups: [1, 1, 1] });
          }
      }
    expect(count).toBeGreaterThan(8);
  });
});

const FORM = (dtype: string, n: number): Sample => ({
  source: `export fn f(x: ${dtype}[N, I], w: ${dtype}[I, O], b: ${dtype}[O]) { relu(x @ w + b) }`,
  shapes: { x: [n, 48], w: [48, n], b: [n] },
});
