/** Weighted sums in one pass: found in programs, not by name, and right on every target with every schedule. */
import { describe, expect, test } from "vitest";
import { candidates, considered, scheduleText } from "../../src/schedule/choose.ts";
import { onePassPays } from "../../src/schedule/choose-online.ts";
import { DEFAULT_TARGET, type Target } from "../../src/schedule/target.ts";
import { difference, fuseOnline, inputsFor, programOf, type Shapes, SLACK } from "./online-support.ts";
import { GPU, SOFT, SOFT4, SOFT8 } from "./support.ts";

interface Form {
  readonly source: string;
  readonly shapes: Shapes;
  readonly kernels?: number;
}
const softmax = (s: string, axis = -1): string =>
  `{ let e = exp(${s} - max(${s}, axis: ${axis}, keepdims: true))\n e / sum(e, axis: ${axis}, keepdims: true) }`;

const FORMS: Readonly<Record<string, Form>> = {
  plain: {
    source: `export fn f(q: f32[B, H, Q, D], k: f32[B, H, K, D], v: f32[B, H, K, E]) {
      let s = einsum("bhqd,bhkd->bhqk", q, k) / sqrt(D)
      let p = ${softmax("s")}
      einsum("bhqk,bhke->bhqe", p, v)
    }`,
    shapes: { q: [1, 2, 18, 4], k: [1, 2, 21, 4], v: [1, 2, 21, 8] },
  },
  "causal, no batch": {
    source: `export fn f(q: f32[T, D], k: f32[T, D], v: f32[T, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let m = for[i, j] j <= i ? s[i, j] : -inf
      let p = ${softmax("m")}
      einsum("qk,ke->qe", p, v)
    }`,
    shapes: { q: [17, 3], k: [17, 3], v: [17, 5] },
  },
  "additive mask, the letters in another order": {
    source: `export fn f(q: f32[Q, B, D], k: f32[D, K, B], v: f32[E, K, B], mask: f32[K, Q]) {
      let s = einsum("qbd,dkb->kbq", q, k) + mask[:, None, :]
      let p = ${softmax("s", 0)}
      einsum("kbq,ekb->beq", p, v)
    }`,
    shapes: { q: [9, 2, 4], k: [4, 20, 2], v: [8, 20, 2], mask: [20, 9] },
  },
  "boolean mask": {
    source: `export fn f(q: f32[H, Q, D], k: f32[H, K, D], v: f32[H, K, E], seen: bool[Q, K]) {
      let s = where(seen, einsum("hqd,hkd->hqk", q, k) * 0.5, -inf)
      let p = ${softmax("s")}
      einsum("hqk,hke->hqe", p, v)
    }`,
    shapes: { q: [2, 9, 4], k: [2, 11, 4], v: [2, 11, 4], seen: [9, 11] },
  },
  "grouped queries": {
    source: `import { grouped_query_attention } from "std/nn"
      export fn f(q: f32[B, H, Q, D], k: f32[B, G, K, D], v: f32[B, G, K, E]) {
        grouped_query_attention(q, k, v, causal: true)
      }`,
    shapes: { q: [1, 4, 9, 4], k: [1, 2, 10, 4], v: [1, 2, 10, 4] },
  },
  "on halves": {
    source: `import { softmax } from "std/nn"
      export fn f(q: f16[H, Q, D], k: f16[H, K, D], v: f16[H, K, E]) {
        let s = einsum("hqd,hkd->hqk", q, k) * 0.5
        einsum("hqk,hke->hqe", softmax(s), v)
      }`,
    shapes: { q: [2, 9, 4], k: [2, 11, 4], v: [2, 11, 4] },
  },
  "an output projection after it, a bias before": {
    source: `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E], c: f32[E]) {
      let s = tanh(einsum("qd,kd->qk", q + 1, k)) * 3
      let p = ${softmax("s")}
      relu(einsum("qk,ke->qe", p, v) + c)
    }`,
    shapes: { q: [8, 6], k: [13, 6], v: [13, 12], c: [12] },
  },
  "the logarithm of the sum is a result too": {
    source: `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let m = max(s, axis: -1, keepdims: true)
      let e = exp(s - m)
      let z = sum(e, axis: -1, keepdims: true)
      { o: einsum("qk,ke->qe", e / z, v), l: squeeze(log(z) + m, -1) }
    }`,
    shapes: { q: [9, 4], k: [10, 4], v: [10, 8] },
    kernels: 2,
  },
  "one position": {
    source: `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let p = ${softmax("s")}
      einsum("qk,ke->qe", p, v)
    }`,
    shapes: { q: [3, 4], k: [2, 4], v: [2, 2] },
  },
  "values of many columns, and the sums themselves": {
    source: `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let e = exp(s - max(s, axis: -1, keepdims: true))
      let z = sum(e, axis: -1)
      { y: for[i, c] (sum[j] e[i, j] * v[j, c]) / z[i], z }
    }`,
    shapes: { q: [10, 4], k: [6, 4], v: [6, 48] },
  },
  "weights of more than the maximum": {
    source: `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E], kept: f32[Q, K]) {
      let s = einsum("qd,kd->qk", q, k)
      let e = exp(s - max(s, axis: -1, keepdims: true))
      for[i, c] (sum[j] e[i, j] * kept[i, j] * v[j, c]) / sum[j] e[i, j]
    }`,
    shapes: { q: [10, 4], k: [21, 4], v: [21, 8], kept: [10, 21] },
  },
};

describe("every form, on every target", () => {
  for (const [title, form] of Object.entries(FORMS))
    test(title, () => {
      for (const target of [GPU, SOFT4, SOFT8])
        for (const literal of [true, false]) {
          const p = programOf(form.source, target, literal ? form.shapes : undefined);
          const fused = fuseOnline(p);
          expect(fused.regions.filter((r) => r.kind === "online")).toHaveLength(1);
          expect(fused.regions).toHaveLength(form.kernels ?? 1);
          expect(difference(p, fused, target, inputsFor(form.shapes, 1))).toBeLessThan(SLACK);
        }
    });
});

describe("schedules", () => {
  const some = (target: Target, form: Form, most: number, specials: boolean): void => {
    const p = programOf(form.source, target, form.shapes);
    const fused = fuseOnline(p);
    const region = fused.regions.find((r) => r.kind === "online");
    if (!region) throw new Error("not found");
    const all = candidates(region, target);
    expect(all.length).toBeGreaterThan(0);
    const step = Math.max(1, Math.floor(all.length / most));
    for (let i = 0; i < all.length; i += step) {
      const s = all[i];
      if (!s) continue;
      try {
        expect(
          difference(p, fused, target, inputsFor(form.shapes, i + 2, specials), (r) => (r === region ? s : undefined)),
        ).toBeLessThan(SLACK);
      } catch (e) {
        throw new Error(`${scheduleText(s)} on ${target.name}: ${String(e)}`, { cause: e });
      }
    }
  };
  for (const target of [GPU, SOFT4, SOFT8])
    test(`of ${target.name}, with infinities and NaN`, () => {
      const forms = Object.values(FORMS);
      forms.forEach((form, i) => {
        some(target, form, 3, i % 2 === 0);
      });
    });
});

test("lanes that have rows of their own and exchange positions, with infinities and NaN", () => {
  let done = 0;
  Object.values(FORMS).forEach((form, i) => {
    const p = programOf(form.source, SOFT4, i % 2 === 0 ? form.shapes : undefined);
    const fused = fuseOnline(p);
    const region = fused.regions.find((r) => r.kind === "online");
    if (!region) return;
    const quads = candidates(region, SOFT4).filter((s) => s.kind === "online" && s.share === "quad");
    for (const s of quads) {
      const inputs = inputsFor(form.shapes, i, i % 3 > 0);
      const worst = difference(p, fused, SOFT4, inputs, (r) => (r === region ? s : undefined));
      expect(worst, `${form.source} ${scheduleText(s)}`).toBeLessThan(SLACK);
      done++;
    }
  });
  expect(done).toBeGreaterThan(Object.keys(FORMS).length);
});

describe("random extents", () => {
  for (const target of [GPU, SOFT4, SOFT8])
    test(target.name, () => {
      let s = 7;
      const next = (most: number): number => {
        s = (Math.imul(s, 1103515245) + 12345) >>> 0;
        return 1 + ((s >>> 16) % most);
      };
      for (let round = 0; round < 6; round++) {
        const [h, q, k, d, e] = [next(3), 1 + next(20), 1 + next(30), next(9), 1 + next(20)];
        const form = FORMS.plain;
        if (!form) throw new Error("no form");
        const shapes = { q: [1, h, q, d], k: [1, h, k, d], v: [1, h, k, e] };
        const p = programOf(form.source, target, round % 2 === 0 ? shapes : undefined);
        const fused = fuseOnline(p);
        const region = fused.regions.find((r) => r.kind === "online");
        if (!region) throw new Error(`not found for ${JSON.stringify(shapes)}`);
        const all = candidates(region, target);
        const pick = all[(round * 5) % all.length];
        expect(
          difference(p, fused, target, inputsFor(shapes, round, round % 3 === 0), (r) =>
            r === region ? pick : undefined,
          ),
          `${JSON.stringify(shapes)} ${pick ? scheduleText(pick) : ""}`,
        ).toBeLessThan(SLACK);
      }
    });
});

describe("what is not one pass", () => {
  const kinds = (source: string, shapes?: Shapes, strict = false): readonly string[] =>
    fuseOnline(programOf(source, DEFAULT_TARGET, shapes, strict)).regions.map((r) => r.kind);
  test("weights that do not grow with the maximum as a whole", () => {
    const source = `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let w = exp(s - max(s, axis: -1, keepdims: true)) + 1
      einsum("qk,ke->qe", w, v)
    }`;
    expect(kinds(source)).not.toContain("online");
  });
  test("a maximum of something else", () => {
    const source = `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let w = exp(s - max(2 * s, axis: -1, keepdims: true))
      einsum("qk,ke->qe", w, v)
    }`;
    expect(kinds(source)).not.toContain("online");
  });
  test("scores that are a result are computed once, and read", () => {
    const source = `export fn f(q: f32[Q, D], k: f32[K, D], v: f32[K, E]) {
      let s = einsum("qd,kd->qk", q, k)
      let e = exp(s - max(s, axis: -1, keepdims: true))
      { s: s, o: einsum("qk,ke->qe", e / sum(e, axis: -1, keepdims: true), v) }
    }`;
    expect(kinds(source)).toEqual(["contraction", "online"]);
  });
});

describe("where it pays", () => {
  const region = (e: number, q = 64): Parameters<typeof onePassPays>[0] => {
    const form = FORMS.plain;
    const shapes = { q: [1, 8, q, 64], k: [1, 8, 64, 64], v: [1, 8, 64, e] };
    const found = form && fuseOnline(programOf(form.source, GPU, shapes)).regions[0];
    if (found?.kind !== "online") throw new Error("not found");
    return found;
  };
  test("heads that fit a tile; on software only with a subgroup of fixed size", () => {
    for (const t of [DEFAULT_TARGET, GPU, SOFT4]) expect(onePassPays(region(64), t), t.name).toBe(true);
    expect(onePassPays(region(64), SOFT)).toBe(false);
    // Eight lanes: only scores that no cache holds.
    expect(onePassPays(region(64), SOFT8)).toBe(false);
    expect(onePassPays(region(64, 16384), SOFT8)).toBe(true);
    expect(onePassPays(region(1024), SOFT8)).toBe(false);
    expect(onePassPays(region(64, 2), GPU)).toBe(false);
  });
  test("one invocation's tile has the whole sum of its rows", () => {
    for (const t of [GPU, SOFT4, SOFT8]) {
      const s = considered(region(64), t)[0];
      if (s?.kind !== "online") throw new Error("another kind");
      expect(s.columns * s.threads[1]).toBeGreaterThanOrEqual(64);
    }
  });
});
