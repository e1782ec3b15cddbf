import { describe, expect, test } from "vitest";
import { size } from "../../ir/extent.ts";
import { addMonoid } from "../../ir/monoid.ts";
import { apply as applySchedule } from "../../src/schedule/apply/index.ts";
import type { ContractionRegion } from "../../src/schedule/region.ts";
import type { ContractionSchedule } from "../../src/schedule/schedule.ts";
import { ScheduleError } from "../../src/schedule/schedule.ts";
import type { Target } from "../../src/schedule/target.ts";
import {
  type Axis,
  add,
  arg,
  axis,
  axisRef,
  constant,
  i32,
  input,
  mapDef,
  mul,
  read,
  reduce,
  type TensorExpr,
} from "./build.ts";
import { clone, contraction, matmul, PLAIN, refs, type Shape } from "./contraction-support.ts";
import { check, checkAll, extents, GPU, programOf, refOf, SOFT4, SOFT8, TARGETS } from "./support.ts";

const SIZES: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [2, 3, 5],
  [7, 5, 3],
  [5, 8, 4],
  [16, 16, 16],
  [33, 31, 7],
  [20, 36, 12],
  [3, 4, 0],
  [0, 3, 4],
  [4, 0, 3],
  [1, 40, 9],
  [40, 1, 8],
];

describe("contractions", () => {
  for (const form of ["nn", "nt", "tn", "out-nm"] as const)
    for (const sym of [false, true])
      test(`${form}, ${sym ? "symbolic" : "literal"}`, () => {
        let count = 0;
        SIZES.forEach(([m, n, k], i) => {
          // Every target meets every form; not every size on each.
          TARGETS.forEach((target, t) => {
            if ((i + t) % 3 === 0) count += checkAll(matmul(sym, m, n, k, form, "product", form === "nn"), target, 3);
          });
        });
        expect(count).toBeGreaterThan(30);
      });
  test("tiles that fill workgroups", () => {
    TARGETS.forEach((target, t) => {
      (["nn", "nt", "tn", "out-nm"] as const).forEach((form, f) => {
        const [m, n, k] = (t + f) % 2 === 0 ? [64, 64, 32] : [48, 100, 20];
        expect(checkAll(matmul(false, m, n, k, form, "product", false), target, 2)).toBeGreaterThan(1);
      });
    });
  });
  test("other operations and monoids", () => {
    for (const target of TARGETS)
      for (const body of ["difference", "max"] as const) {
        checkAll(matmul(false, 33, 36, 20, "nn", body, true), target, 3);
        checkAll(matmul(true, 17, 12, 9, "nt", body, true), target, 3);
      }
  });
  test("batches, several axes a side, broadcast operands", () => {
    for (const sym of [false, true])
      for (const target of TARGETS) {
        const { of, sizes } = extents(sym);
        const [b, h, q, t, d] = [
          axis("b", of("B", 2)),
          axis("h", of("H", 3)),
          axis("q", of("Q", 6)),
          axis("t", of("T", 8)),
          axis("d", of("D", 4)),
        ];
        checkAll(
          {
            ...contraction(
              { batch: [b, h], m: [q], n: [t], k: [d], a: [b, h, q, d], b: [b, h, t, d], out: [b, h, q, t] },
              "product",
              false,
            ),
            sizes,
          },
          target,
          3,
        );
        checkAll(
          {
            ...contraction(
              { batch: [b], m: [h, q], n: [t], k: [d], a: [b, h, q, d], b: [b, t, d], out: [b, h, q, t] },
              "product",
              true,
            ),
            sizes,
          },
          target,
          3,
        );
        checkAll(
          {
            ...contraction(
              { batch: [h], m: [q], n: [t, d], k: [b], a: [b, h, q], b: [b, h, t, d], out: [q, h, t, d] },
              "product",
              false,
            ),
            sizes,
          },
          target,
          3,
        );
        checkAll(
          {
            ...contraction(
              { batch: [], m: [q, h], n: [t], k: [b, d], a: [q, b, d, h], b: [t, b, d], out: [q, h, t] },
              "product",
              true,
            ),
            sizes,
          },
          target,
          3,
        );
      }
  });
  test("a padded, strided convolution is an implicit product", () => {
    for (const sym of [false, true])
      for (const target of TARGETS)
        for (const [stride, pad, H, W] of [
          [1, 1, 6, 8],
          [2, 1, 7, 5],
          [3, 2, 9, 4],
        ] as const) {
          const { of, sizes } = extents(sym);
          const [R, S] = [3, 3];
          const oh = Math.floor((H + 2 * pad - R) / stride) + 1;
          const ow = Math.floor((W + 2 * pad - S) / stride) + 1;
          const [n, c, o] = [axis("n", of("N", 2)), axis("c", of("C", 3)), axis("o", of("O", 5))];
          // Output extents and input extents are independent symbols here; the fill makes any combination right.
          const [i, j, r, s] = [
            axis("i", of("I", oh)),
            axis("j", of("J", ow)),
            axis("r", of("R", R)),
            axis("s", of("S", S)),
          ];
          const x = input("x", "f32", [
            axis("n", n.extent),
            axis("c", c.extent),
            axis("h", of("H", H)),
            axis("w", of("W", W)),
          ]);
          const w = input("w", "f32", clone([o, c, r, s]));
          const shift = (p: Axis, q: Axis): TensorExpr => add(add(mul(axisRef(p), i32(stride)), axisRef(q)), i32(-pad));
          const a = read(x, 0, [axisRef(n), axisRef(c), shift(i, r), shift(j, s)], constant("f32", 0));
          const b = read(w, 0, refs([o, c, r, s]));
          const red = reduce(addMonoid("f32"), [c, r, s], [mul(a, b)]);
          const def = mapDef([n, o, i, j], [red], { name: "conv" });
          const region: ContractionRegion = {
            kind: "contraction",
            name: "conv",
            def,
            reduce: red,
            batch: [],
            m: [n, i, j],
            n: [o],
            k: [c, r, s],
            a,
            b,
            body: mul(arg(0, "f32"), arg(1, "f32")),
            epilogue: [],
            stores: [refOf(def)],
            reads: [refOf(x), refOf(w)],
          };
          // Symbols that only the output has are bound beforehand.
          expect(
            checkAll(
              { program: programOf([x, w], [def], [refOf(def)]), regions: [region], sizes },
              target,
              sym ? 1 : 2,
            ),
          ).toBeGreaterThan(0);
        }
  });

  const fields: readonly (readonly [string, Partial<ContractionSchedule>, Target?])[] = [
    ["plain", {}],
    ["unrolled", { tileK: 8 }],
    ["vectors", { vector: 4, reg: [2, 8] }],
    ["vectors of two", { vector: 2, reg: [3, 4] }],
    ["split K", { splitK: 3 }],
    ["K among invocations", { threads: [2, 2, 4] }],
    ["batches", { batches: 2 }],
    ["staged a", { stage: "a" }],
    ["staged b", { stage: "b", pad: 1 }],
    ["staged", { stage: "both", pad: 1, tileK: 8 }],
    ["staged, doubled", { stage: "both", pad: 4, tileK: 8, buffers: 2 }],
    ["staged in vectors", { stage: "both", pad: 1, tileK: 8, vector: 4, reg: [4, 4] }],
    ["staged in vectors, doubled", { stage: "both", pad: 1, tileK: 16, vector: 4, reg: [4, 8], buffers: 2 }],
    ["staged, doubled, split", { stage: "both", tileK: 4, buffers: 2, splitK: 3 }],
    ["along m", { vector: 4, along: "m", reg: [2, 4] }],
    ["along k", { vector: 4, along: "k" }],
    ["columns turned", { vector: 4, along: "n", reg: [2, 8] }],
    ["columns turned, broadcast", { subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 4], vector: 4, along: "n" }],
    ["along k, staged", { vector: 4, along: "k", stage: "both", tileK: 8 }],
    ["broadcast", { subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 2] }],
    ["broadcast in vectors", { subgroup: "broadcast", threads: [1, 8, 1], reg: [16, 4], vector: 4 }],
    ["broadcast along k", { subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 2], vector: 4, along: "k" }],
    ["swizzled", { swizzle: 1, reg: [1, 1], threads: [2, 2, 1] }],
    ["swizzled by four", { swizzle: 2, reg: [2, 1], threads: [2, 1, 1], splitK: 2 }],
    ["results in a loop, split", { epilogue: "loop", reg: [4, 2], threads: [2, 2, 1], splitK: 2 }],
    ["results in a loop, along k", { epilogue: "loop", reg: [4, 4], vector: 4, along: "k" }],
    ["looped epilogue", { epilogue: "loop", reg: [3, 2], threads: [2, 3, 1] }],
    [
      "looped epilogue of a broadcast",
      { epilogue: "loop", subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 4], vector: 4 },
    ],
    ["looped epilogue of a staged tile", { epilogue: "loop", stage: "both", tileK: 4, vector: 4, reg: [4, 4] }],
    ["swapped", { subgroup: "swap", threads: [1, 4, 1], reg: [8, 2] }, SOFT4],
    ["swapped in vectors", { subgroup: "swap", threads: [1, 4, 1], reg: [8, 8], vector: 4 }, SOFT4],
    ["swapped, two steps", { subgroup: "swap", threads: [1, 4, 1], reg: [4, 4], vector: 4, tileK: 6 }, SOFT4],
    ["swapped, in vectors of two", { subgroup: "swap", threads: [1, 4, 1], reg: [4, 4], vector: 2 }, SOFT4],
    ["swapped along k", { subgroup: "swap", threads: [1, 4, 1], reg: [8, 2], vector: 4, along: "k" }, SOFT4],
    ["swapped along m", { subgroup: "swap", threads: [1, 4, 1], reg: [4, 8], vector: 4, along: "m" }, SOFT4],
    ["swapped, columns turned", { subgroup: "swap", threads: [1, 4, 1], reg: [4, 8], vector: 4, along: "n" }, SOFT4],
    ["swapped in parts of a subgroup", { subgroup: "swap", threads: [1, 4, 1], batches: 2, reg: [8, 4], vector: 4 }],
    ["swapped, split", { subgroup: "swap", threads: [1, 4, 1], reg: [8, 4], vector: 4, splitK: 4 }, SOFT4],
    [
      "looped epilogue of a swap",
      { epilogue: "loop", subgroup: "swap", threads: [1, 4, 1], reg: [8, 4], vector: 4 },
      SOFT4,
    ],
    ["broadcast, split", { subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 4], vector: 4, splitK: 4 }],
    ["aligned", { align: 4, vector: 4, reg: [2, 8] }],
    ["aligned to pairs", { align: 2, vector: 2 }],
    ["aligned, broadcast", { align: 4, subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 4], vector: 4 }],
    ["aligned, swapped", { align: 4, subgroup: "swap", threads: [1, 4, 1], reg: [8, 4], vector: 4 }, SOFT4],
    [
      "aligned, broadcast, in a loop",
      { align: 4, subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 4], vector: 4, epilogue: "loop" },
    ],
    ["aligned beyond the vectors", { align: 4, vector: 2, reg: [2, 4] }],
    ["aligned along k", { align: 4, vector: 4, along: "k", reg: [2, 2] }],
    ["aligned, staged, split", { align: 4, stage: "both", pad: 1, tileK: 8, vector: 4, reg: [4, 4], splitK: 2 }],
  ];
  test("aligned: axes in groups, of which an operand may have some", () => {
    const [b, i, j] = [axis("b", size(2)), axis("i", size(3)), axis("j", size(5))];
    const [n1, n2, k1, k2] = [axis("n1", size(3)), axis("n2", size(5)), axis("k1", size(3)), axis("k2", size(7))];
    const shapes: readonly Shape[] = [
      {
        batch: [b],
        m: [i, j],
        n: [n1, n2],
        k: [k1, k2],
        a: [b, k1, i, j, k2],
        b: [b, n1, k2, k1, n2],
        out: [b, i, n1, j, n2],
      },
      { batch: [], m: [i], n: [n1, n2], k: [k2], a: [k2, i], b: [n2, k2, n1], out: [n2, n1, i] },
      { batch: [b], m: [j], n: [], k: [k1, k2], a: [b, j, k2, k1], b: [k1, b, k2], out: [j, b] },
    ];
    for (const shape of shapes)
      for (const epilogue of [false, true])
        for (const s of [
          { ...PLAIN, align: 4, vector: 4, reg: [2, 4] } as const,
          { ...PLAIN, align: 2, vector: 1 } as const,
        ]) {
          if (shape.n.length === 0 && s.vector > 1) continue;
          check({ ...contraction(shape, "product", epilogue), sizes: new Map() }, SOFT8, () => s);
        }
  });
  test("alignment is for sums of products, and of sizes that are known", () => {
    const s: ContractionSchedule = { ...PLAIN, align: 4, vector: 4, reg: [2, 4] };
    for (const c of [matmul(true, 5, 7, 9, "nn", "product", false), matmul(false, 8, 8, 8, "nn", "product", false)]) {
      const [region] = c.regions;
      expect(() => region && applySchedule(region, s, SOFT8)).toThrow(/align/);
    }
    expect(() => {
      const [region] = matmul(false, 5, 7, 9, "nn", "max", false).regions;
      if (region) applySchedule(region, s, SOFT8);
    }).toThrow(/align/);
    const [region] = matmul(false, 5, 7, 9, "nn", "product", false).regions;
    const small = { ...SOFT8, limits: { ...SOFT8.limits, maxStorageBufferBindingSize: 5 * 12 * 4 - 1 } };
    expect(() => region && applySchedule(region, s, small)).toThrow(/align: a copy of 60 elements/);
    const along = { ...s, along: "m" } as const;
    const [flat] = matmul(false, 8, 7, 9, "tn", "product", false).regions;
    expect(() => flat && applySchedule(flat, along, SOFT8)).toThrow(/along: N is what/);
    expect(() => region && applySchedule(region, { ...s, subgroup: "matrix" }, SOFT8)).toThrow(/align: matrices/);
  });
  for (const [name, f, target = SOFT8] of fields)
    test(`schedule: ${name}`, () => {
      const s: ContractionSchedule = { ...PLAIN, ...f };
      let done = 0;
      for (const sym of [false, true])
        for (const form of ["nn", "nt", "tn", "out-nm"] as const)
          for (const [m, n, k] of [
            [16, 16, 16],
            [12, 20, 8],
            [20, 12, 24],
            [5, 7, 9],
            [1, 3, 0],
            [17, 33, 21],
          ] as const) {
            try {
              check(matmul(sym, m, n, k, form, "product", form === "tn"), target, () => s);
              done++;
            } catch (e) {
              if (!(e instanceof ScheduleError)) throw e;
            }
          }
      expect(done).toBeGreaterThan(4);
    });
  test("what is not legal names its field", () => {
    const c = matmul(false, 16, 16, 16, "nn", "product", false);
    const region = c.regions[0];
    if (!region) throw new Error("no region");
    const wrong: readonly (readonly [Partial<ContractionSchedule>, string])[] = [
      [{ reg: [16, 8] }, "reg"],
      [{ reg: [0, 1] }, "reg"],
      [{ threads: [32, 32, 1] }, "threads"],
      [{ threads: [2, 2, 3] }, "threads"],
      [{ pad: 1 }, "stage"],
      [{ stage: "both", tileK: 64, reg: [8, 8], threads: [8, 8, 1], buffers: 2 }, "threads"],
      [{ subgroup: "broadcast" }, "subgroup"],
      [{ subgroup: "swap" }, "subgroup"],
      [{ epilogue: "loop", threads: [2, 2, 2] }, "epilogue"],
      [{ subgroup: "matrix" }, "config"],
      [{ rowFrom: "workgroup" }, "rowFrom"],
      [{ vector: 4, reg: [2, 2] }, "reg"],
      [{ splitK: 0 }, "splitK"],
    ];
    for (const [f, field] of wrong) {
      let got = "nothing";
      try {
        applySchedule(region, { ...PLAIN, ...f }, GPU);
      } catch (e) {
        if (!(e instanceof ScheduleError)) throw e;
        got = e.field;
      }
      expect([f, got]).toEqual([f, field]);
    }
    expect(() =>
      applySchedule(region, { ...PLAIN, subgroup: "broadcast", threads: [1, 8, 1], reg: [8, 2] }, SOFT4),
    ).toThrow(ScheduleError);
  });
});
