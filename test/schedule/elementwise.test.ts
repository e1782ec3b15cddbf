import { describe, expect, test } from "vitest";
import { add, apply, axis, axisRef, constant, i32, input, mapDef, read, type TensorExpr } from "./build.ts";
import { type Case, check, checkAll, extents, programOf, refOf, SOFT8, TARGETS } from "./support.ts";

function mapCase(shape: readonly number[], symbolic: boolean, body: "chain" | "transpose" | "shift" | "two"): Case {
  const { of, sizes } = extents(symbolic);
  const axes = shape.map((n, d) => axis(`i${d}`, of(`N${d}`, n)));
  const at = axes.map((a) => axisRef(a));
  const x = input(
    "x",
    "f32",
    axes.map((a) => axis(a.name, a.extent)),
  );
  const last = axes.length > 0 ? axes[axes.length - 1] : undefined;
  const bias = input("bias", "f32", last ? [axis("b", last.extent)] : []);
  const flipped = input(
    "flipped",
    "f32",
    [...axes].reverse().map((a) => axis(a.name, a.extent)),
  );
  const plain = read(x, 0, at);
  const b = read(bias, 0, last ? [axisRef(last)] : []);
  let results: TensorExpr[];
  if (body === "chain") results = [apply("max", add(apply("mul", plain, b), constant("f32", 1)), constant("f32", 0))];
  else if (body === "transpose") results = [add(plain, read(flipped, 0, [...at].reverse()))];
  else if (body === "shift")
    results = [
      read(
        x,
        0,
        at.map((a, d) => (d === at.length - 1 ? add(a, i32(-2)) : apply("sub", a, i32(1)))),
        constant("f32", 7),
      ),
    ];
  else results = [plain, apply("gt", plain, b), apply("mul", at[0] ?? i32(3), at[at.length - 1] ?? i32(5))];
  const d = mapDef(axes, results, { name: "y" });
  const inputs = [x, bias, flipped];
  const stores = results.map((_, i) => refOf(d, i));
  return {
    program: programOf(inputs, [d], stores),
    regions: [
      { kind: "elementwise", name: "r", axes, maps: [{ def: d, results }], stores, reads: inputs.map((i) => refOf(i)) },
    ],
    sizes,
  };
}

const SHAPES: readonly (readonly number[])[] = [
  [],
  [0],
  [1],
  [5],
  [64],
  [3, 4],
  [7, 33],
  [33, 32],
  [0, 4],
  [4, 0],
  [2, 3, 8],
  [5, 1, 7],
];

describe("elementwise regions", () => {
  for (const body of ["chain", "transpose", "shift", "two"] as const)
    for (const symbolic of [false, true])
      test(`${body}, ${symbolic ? "symbolic" : "literal"} extents`, () => {
        let count = 0;
        for (const shape of SHAPES)
          for (const target of TARGETS) count += checkAll(mapCase(shape, symbolic, body), target, 3);
        expect(count).toBeGreaterThan(100);
      });
  test("units in a loop, whatever remains", () => {
    for (const symbolic of [false, true])
      for (const shape of [[5], [3, 4], [7, 33], [2, 3, 8], [16, 64]])
        for (const [vector, each, repeat] of [
          [1, 1, 4],
          [1, 2, 3],
          [4, 1, 4],
        ] as const) {
          if ((shape.at(-1) ?? 1) % vector > 0 || (symbolic && vector > 1)) continue;
          check(mapCase(shape, symbolic, "two"), SOFT8, () => ({
            kind: "elementwise",
            vector,
            swizzle: 0,
            variants: "guarded",
            threads: 8,
            each,
            repeat,
          }));
        }
  });
  test("a large transpose takes the transpose template", () => {
    for (const shape of [
      [32, 64],
      [36, 44],
      [37, 41],
    ])
      for (const target of TARGETS) expect(checkAll(mapCase(shape, false, "transpose"), target, 4)).toBeGreaterThan(2);
  });
});
