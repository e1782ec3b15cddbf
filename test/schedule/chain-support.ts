/** Gradients of attention in its forms, as programs whose readers of scores all make them for themselves. */
import type { Program } from "../../ir/tensor.ts";
import { considered, isLegal } from "../../src/schedule/choose.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import type { FusedProgram } from "../../src/schedule/region.ts";
import type { Target } from "../../src/schedule/target.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";
import type { Shapes } from "./online-support.ts";

export interface Form {
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

export const GRADIENTS: Readonly<Record<string, Form>> = {
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
  "an output projection: the gradient of the maximum's sum is a sum a row": {
    source: gradients(
      "q: f32[H, Q, D], k: f32[H, K, D], v: f32[H, K, E], wo: f32[H, E, F]",
      `let p = softmax(einsum("hqd,hkd->hqk", q, k), -1)
       mean(einsum("hqk,hke,hef->qf", p, v, wo) ** 2)`,
    ),
    shapes: { q: [2, 15, 3], k: [2, 19, 3], v: [2, 19, 3], wo: [2, 3, 7] },
    chained: 5,
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

/** Fused with scores made anew by each reader wherever that can be scheduled. */
export function fuseChained(p: Program, target: Target): FusedProgram {
  const buffers = target.limits.maxStorageBuffersPerShaderStage;
  const fused = fuse(p, {
    limits: { maxStorageBuffers: buffers },
    online: () => true,
    chain: (regions) => regions.every((r) => considered(r, target).some((s) => isLegal(r, s, target))),
  });
  const problems = verifyRegions(fused, buffers);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return fused;
}
