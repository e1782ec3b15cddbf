import { expect, test } from "vitest";
import { size } from "../../ir/extent.ts";
import { choose } from "../../src/schedule/choose.ts";
import type { ContractionSchedule } from "../../src/schedule/schedule.ts";
import { axis } from "./build.ts";
import { contraction, PLAIN, type Shape } from "./contraction-support.ts";
import { type Case, check, extents, SOFT4, SOFT8 } from "./support.ts";

test("several small matrices a subgroup", () => {
  for (const sym of [false, true])
    for (const [lanes, target] of [
      [4, SOFT4],
      [8, SOFT8],
    ] as const)
      for (const [n, m, k, count] of [
        [16, 16, 16, 6],
        [7, 5, 9, 5],
        [4, 12, 3, 4],
      ] as const) {
        const { of, sizes } = extents(sym);
        const [h, q, t, d] = [
          axis("h", of("H", count)),
          axis("q", of("Q", m)),
          axis("t", of("T", n)),
          axis("d", of("D", k)),
        ];
        const shape: Shape = { batch: [h], m: [q], n: [t], k: [d], a: [h, q, d], b: [h, d, t], out: [h, q, t] };
        const c: Case = { ...contraction(shape, "product", true), sizes };
        for (const [columns, beside] of [
          [1, 1],
          [2, 1],
          [lanes / 2, 1],
          // Several subgroups a workgroup, whole ones and divided ones.
          [2, 3],
          [lanes, 3],
        ] as const)
          for (const vector of [1, 4] as const) {
            if (vector === 4 && (sym || n % 4 !== 0)) continue;
            const s: ContractionSchedule = {
              ...PLAIN,
              subgroup: "broadcast",
              threads: [1, columns, 1],
              batches: (lanes / columns) * beside,
              reg: [Math.max(4, columns), 4],
              vector,
            };
            check(c, target, () => s);
          }
      }
  // Sixteen columns are four vectors: the default deals eight lanes to two matrices.
  const [h, q, t, d] = [axis("h", size(64)), axis("q", size(16)), axis("t", size(16)), axis("d", size(16))];
  const shape: Shape = { batch: [h], m: [q], n: [t], k: [d], a: [h, q, d], b: [h, d, t], out: [h, q, t] };
  const [region] = contraction(shape, "product", false).regions;
  expect(region && choose(region, SOFT8)).toMatchObject({ subgroup: "broadcast", threads: [1, 4, 1], batches: 2 });
  // A thousand of them are eight subgroups a workgroup.
  const many: Shape = { ...shape, batch: [axis("h", size(1024))] };
  const [h2] = many.batch;
  if (!h2) throw new Error("no batch");
  const [more] = contraction({ ...many, a: [h2, q, d], b: [h2, d, t], out: [h2, q, t] }, "product", false).regions;
  expect(more && choose(more, SOFT8)).toMatchObject({ subgroup: "broadcast", threads: [1, 4, 1], batches: 16 });
  expect(more && choose(more, SOFT4)).toMatchObject({ subgroup: "swap", threads: [1, 4, 1], batches: 8 });
});

test("many small matrices are an invocation's each, where they have no more rows than a subgroup has lanes", () => {
  for (const [rows, columns, form] of [
    [4, 4, { threads: [1, 1, 1], batches: 64, subgroup: "none", reg: [4, 4] }],
    [3, 3, { threads: [1, 1, 1], batches: 64, subgroup: "none", reg: [3, 3] }],
    [16, 4, { subgroup: "broadcast" }],
  ] as const) {
    const [h, q, t, d] = [axis("h", size(1024)), axis("q", size(rows)), axis("t", size(columns)), axis("d", size(3))];
    const shape: Shape = { batch: [h], m: [q], n: [t], k: [d], a: [h, q, d], b: [h, d, t], out: [h, q, t] };
    const [region] = contraction(shape, "product", true).regions;
    const s = region && choose(region, SOFT8);
    expect(s).toMatchObject(form);
    // Fewer of them, by the same schedule.
    const few = { ...shape, batch: [axis("h", size(70))] };
    const [h2] = few.batch;
    if (!h2 || s?.kind !== "contraction") throw new Error("no contraction");
    const c: Case = {
      ...contraction({ ...few, a: [h2, q, d], b: [h2, d, t], out: [h2, q, t] }, "product", true),
      sizes: new Map(),
    };
    for (const target of [SOFT4, SOFT8]) if (s.subgroup === "none") check(c, target, () => s);
  }
});
