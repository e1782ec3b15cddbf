/** Chained contractions: gradients of attention in its forms write nothing as large as the scores, and are right with every schedule. */
import { describe, expect, test } from "vitest";
import type { Definition } from "../../ir/tensor.ts";
import { candidates, scheduleText } from "../../src/schedule/choose.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import type { FusedProgram, OnlineRegion } from "../../src/schedule/region.ts";
import type { Target } from "../../src/schedule/target.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";
import { difference, inputsFor, programOf, type Shapes, SLACK } from "./online-support.ts";
import { GPU, SOFT4, SOFT8 } from "./support.ts";

interface Form {
  readonly source: string;
  readonly shapes: Shapes;
  /** Storage buffers of a kernel; 8 without it. */
  readonly buffers?: number;
  /** Kernels that make scores for themselves; 4 without it: forward, and a gradient for each argument. */
  readonly chained?: number;
  /** Found with known extents only. */
  readonly symbolic?: false;
}

/** The gradients of Σ f·w by q, k and v. */
function gradients(parameters: string, body: string, wrt = "q, k, v"): string {
  const names = [...parameters.matchAll(/(\w+):/g)].map((m) => m[1]).join(", ");
  return `import { softmax, grouped_query_attention } from "std/nn"
    export fn back(${parameters}) {
      let d = grad(loss, wrt: [${wrt}])(${names})
      { ${wrt.replaceAll(/\w+/g, (n) => `d_${n}: d.${n}`)} }
    }
    fn loss(${parameters}) -> f32 {
      ${body}
    }`;
}

const FORMS: Readonly<Record<string, Form>> = {
  plain: {
    source: gradients(
      "q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E], w: f32[B, H, Q, E]",
      `let p = softmax(einsum("bhqd,bhkd->bhqk", q, k) / sqrt(D), -1)
       sum(einsum("bhqk,bhke->bhqe", p, v) * w)`,
    ),
    shapes: { q: [1, 2, 18, 4], k: [1, 2, 21, 4], v: [1, 2, 21, 8], w: [1, 2, 18, 8] },
  },
  "causal, no batch": {
    source: gradients(
      "q: f32[T, D], k: f32[T, D], v: f32[T, E], w: f32[T, E]",
      `let s = einsum("qd,kd->qk", q, k)
       let p = softmax(for[i, j] j <= i ? s[i, j] : -inf, -1)
       sum(einsum("qk,ke->qe", p, v) * w)`,
    ),
    shapes: { q: [17, 3], k: [17, 3], v: [17, 5], w: [17, 5] },
  },
  "additive mask, the letters in another order": {
    source: gradients(
      "q: f32[Q, B, D], k: f32[D, K, B], v: f32[E, K, B], mask: f32[K, Q], w: f32[B, E, Q]",
      `let s = einsum("qbd,dkb->kbq", q, k) + mask[:, None, :]
       sum(einsum("kbq,ekb->beq", softmax(s, 0), v) * w)`,
    ),
    shapes: { q: [9, 2, 4], k: [4, 20, 2], v: [8, 20, 2], mask: [20, 9], w: [2, 8, 9] },
    buffers: 9,
  },
  "boolean mask": {
    source: gradients(
      "q: f32[H, Q, D], k: f32[H, K, D], v: f32[H, K, E], seen: bool[Q, K], w: f32[H, Q, E]",
      `let s = where(seen, einsum("hqd,hkd->hqk", q, k) * 0.5, -1e9)
       sum(einsum("hqk,hke->hqe", softmax(s, -1), v) * w)`,
    ),
    shapes: { q: [2, 9, 4], k: [2, 11, 4], v: [2, 11, 4], seen: [9, 11], w: [2, 9, 4] },
    buffers: 9,
  },
  "grouped queries": {
    source: gradients(
      "q: f32[B, H, Q, D], k: f32[B, G, K, D], v: f32[B, G, K, E], w: f32[B, H, Q, E]",
      "sum(grouped_query_attention(q, k, v, causal: true) * w)",
    ),
    shapes: { q: [1, 4, 9, 4], k: [1, 2, 10, 4], v: [1, 2, 10, 4], w: [1, 4, 9, 4] },
    // That (h % r) < r is not proved for an r that is not known.
    symbolic: false,
  },
  "weights without a maximum": {
    source: gradients(
      "q: f32[H, Q, D], k: f32[H, K, D], v: f32[H, K, E], w: f32[H, Q, E]",
      `sum(einsum("hqk,hke->hqe", tanh(einsum("hqd,hkd->hqk", q, k)), v) * w)`,
    ),
    shapes: { q: [2, 19, 3], k: [2, 23, 3], v: [2, 23, 4], w: [2, 19, 4] },
    chained: 3,
    // Without a maximum, scores must be known to be larger than what they are made of.
    symbolic: false,
  },
};

function chained(p: ReturnType<typeof programOf>, buffers = 8): FusedProgram {
  const fused = fuse(p, { limits: { maxStorageBuffers: buffers }, online: () => true, chain: () => true });
  expect(verifyRegions(fused, buffers)).toEqual([]);
  return fused;
}
const wide = (target: Target, buffers = 8): Target => ({
  ...target,
  limits: { ...target.limits, maxStorageBuffersPerShaderStage: buffers },
});
const onlineOf = (f: FusedProgram): readonly OnlineRegion[] => f.regions.filter((r) => r.kind === "online");

/** The largest number of elements that is stored, results aside. */
function largest(f: FusedProgram): number {
  const results = new Set<Definition>(f.program.results.map((r) => r.tensor));
  const sizes = [...f.stored]
    .filter((d) => !results.has(d))
    .map((d) => d.axes.reduce((n, a) => n * (a.extent.value ?? 1), 1));
  return Math.max(...sizes);
}

const TARGETS = [GPU, SOFT4, SOFT8];

describe("every form: nothing as large as the scores is stored", () => {
  Object.entries(FORMS).forEach(([title, form], f) => {
    test(title, () => {
      const { q = [], k = [] } = form.shapes;
      const operands = q.reduce((a, b) => a * b) + k.reduce((a, b) => a * b);
      for (const literal of form.symbolic === false ? [true] : [true, false]) {
        const target = wide(TARGETS[(f + Number(literal)) % TARGETS.length] ?? GPU, form.buffers);
        const p = programOf(form.source, target, literal ? form.shapes : undefined);
        const fused = chained(p, form.buffers);
        expect(onlineOf(fused)).toHaveLength(form.chained ?? 4);
        if (literal) expect(largest(fused)).toBeLessThanOrEqual(2 * operands);
        expect(difference(p, fused, target, inputsFor(form.shapes, 1))).toBeLessThan(SLACK);
      }
    });
  });
});

describe("schedules", () => {
  for (const [n, t] of TARGETS.entries())
    test(`of ${t.name}`, () => {
      Object.values(FORMS).forEach((form, f) => {
        if (f % TARGETS.length !== n) return;
        const target = wide(t, form.buffers);
        const p = programOf(form.source, target, form.shapes);
        const fused = chained(p, form.buffers);
        const regions = onlineOf(fused);
        for (let i = 0; i < 2; i++) {
          // Each kernel gets one of its schedules, another each time.
          const chosen = new Map(
            regions.map((r, x) => {
              const all = candidates(r, target);
              return [r, all[(7 * f + 5 * x + 11 * i) % all.length]];
            }),
          );
          const text = [...chosen.values()].map((s) => (s ? scheduleText(s) : "")).join("\n");
          expect(
            difference(p, fused, target, inputsFor(form.shapes, f + i), (r) =>
              r.kind === "online" ? chosen.get(r) : undefined,
            ),
            text,
          ).toBeLessThan(SLACK);
        }
      });
    });
});
