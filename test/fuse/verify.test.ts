/** The verifier of regions says what is wrong, of programs that fusion would never make. */
import { expect, test } from "vitest";
import { size } from "../../ir/extent.ts";
import { axis, axisRef, read, type TensorExpr } from "../../ir/tensor.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import type { FusedProgram, Region } from "../../src/schedule/region.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";
import { ADD, at, draft, f, op } from "./helpers.ts";

type E = TensorExpr;

function fused(): FusedProgram {
  const p = draft();
  const [x, w] = [p.input("x", ["N", "K"]), p.input("w", ["K", "D"])];
  const z = p.fold("z", ADD, ["N", "D"], ["K"], (n, d, k) => op("mul", at(x, n as E, k as E), at(w, k as E, d as E)));
  const h = p.map("h", ["N", "D"], (n, d) => op("max", at(z, n as E, d as E), f(0)));
  const s = p.fold("s", ADD, ["N"], ["D"], (n, d) => at(h, n as E, d as E));
  const y = p.map("y", ["N", "D"], (n, d) => op("div", at(h, n as E, d as E), at(s, n as E)));
  return fuse(normalise(p.done(y)));
}
const first = (x: FusedProgram): Region => {
  const [r] = x.regions;
  if (!r) throw new Error("no region");
  return r;
};

test("a fused program is right", () => {
  expect(verifyRegions(fused(), 8)).toEqual([]);
});

test.each<[string, (x: FusedProgram) => FusedProgram, RegExp]>([
  ["the wrong order", (x) => ({ ...x, regions: [...x.regions].reverse() }), /which nobody stored before/],
  ["a region twice", (x) => ({ ...x, regions: [...x.regions, first(x)] }), /stores h again/],
  ["a missing region", (x) => ({ ...x, regions: x.regions.slice(0, 1) }), /result .* is not stored/],
  [
    "an unlisted read",
    (x) => ({ ...x, regions: x.regions.map((r) => ({ ...r, reads: [] })) }),
    /neither in memory nor on chip/,
  ],
  ["an unlisted store", (x) => ({ ...x, stored: new Set() }), /not listed/],
  [
    "another point of what is on chip",
    (x) => ({
      ...x,
      regions: x.regions.map((r): Region => {
        if (r.kind !== "contraction") return r;
        const at0 = r.def.axes.map((a, i) =>
          i === 0 ? op("add", axisRef(a), read(r.def, 0, r.def.axes.map(axisRef)).at[0] as E) : axisRef(a),
        );
        return { ...r, epilogue: r.epilogue.map((m) => ({ ...m, results: [read(r.def, 0, at0)] })) };
      }),
    }),
    /on chip at another point/,
  ],
  [
    "an axis from nowhere",
    (x) => ({
      ...x,
      regions: x.regions.map((r): Region => (r.kind === "row" ? { ...r, axes: [axis("other", size(3))] } : r)),
    }),
    /is not bound/,
  ],
])("%s", (_, broken, message) => {
  expect(verifyRegions(broken(fused()), 8).join("\n")).toMatch(message);
});

test("the binding limit", () => {
  expect(verifyRegions(fused(), 2).join("\n")).toMatch(/binds 3 buffers/);
});
