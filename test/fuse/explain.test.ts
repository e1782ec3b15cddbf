import { expect, test } from "vitest";
import type { TensorExpr } from "../../ir/tensor.ts";
import { explain, renderExplain } from "../../src/explain.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import { ADD, at, draft, MAX, op } from "./helpers.ts";

type E = TensorExpr;

test("a matrix product: 2·M·N·K flops, each buffer's bytes once, sizes given or taken as 256", () => {
  const p = draft("mm");
  const [a, b] = [p.input("a", ["M", "K"]), p.input("b", ["K", "N"])];
  const c = p.fold("c", ADD, ["M", "N"], ["K"], (m, n, k) => op("mul", at(a, m as E, k as E), at(b, k as E, n as E)));
  const fused = fuse(normalise(p.done(c)));
  const e = explain(fused, { M: 8, N: 16, K: 32 });
  expect(e.flops).toBe(2 * 8 * 16 * 32);
  expect(e.elementwise).toBe(0);
  expect(e.bytes).toBe(4 * (8 * 32 + 32 * 16 + 8 * 16));
  expect(e.intensity).toBe(e.flops / e.bytes);
  expect(e.peakBytes).toBe(e.bytes);
  expect(e.intermediates).toEqual([]);
  expect(e.assumed).toEqual([]);
  const unknown = explain(fused, { M: 8 });
  expect(unknown.assumed).toEqual(["K", "N"]);
  expect(unknown.flops).toBe(2 * 8 * 256 * 256);
  expect(explain(fused, { M: 0 }).flops).toBe(0);
});

test("intermediates live from their kernel to their last reader", () => {
  const p = draft("chain");
  const x = p.input("x", [16, 16]);
  const mm = (name: string, from: typeof x | ReturnType<typeof p.fold>) =>
    p.fold(name, ADD, [16, 16], [16], (i, j, k) => op("mul", at(from, i as E, k as E), at(x, k as E, j as E)));
  const y = mm("y3", mm("y2", mm("y1", x)));
  const e = explain(fuse(normalise(p.done(y))));
  const one = 16 * 16 * 4;
  expect(e.kernels).toHaveLength(3);
  expect(e.intermediates.map((t) => t.name)).toEqual(["y1", "y2"]);
  // x and the result throughout, y1 and y2 at once in the second kernel.
  expect(e.peakBytes).toBe(4 * one);
  expect(e.decisions.filter((d) => d.kind === "chain").map((d) => d.edge)).toEqual([
    ["y1", "y2"],
    ["y2", "y3"],
  ]);
});

test("the text says what was fused and why the rest was not", () => {
  const p = draft("attend");
  const [q, k] = [p.input("q", ["Q", "D"]), p.input("k", ["T", "D"])];
  const s = p.fold("s", ADD, ["Q", "T"], ["D"], (i, j, d) => op("mul", at(q, i as E, d as E), at(k, j as E, d as E)));
  const m = p.fold("m", MAX, ["Q"], ["T"], (i, j) => at(s, i as E, j as E));
  const e = p.map("e", ["Q", "T"], (i, j) => op("exp", op("sub", at(s, i as E, j as E), at(m, i as E))));
  const z = p.fold("z", ADD, ["Q"], ["T"], (i, j) => at(e, i as E, j as E));
  const y = p.map("y", ["Q", "T"], (i, j) => op("div", at(e, i as E, j as E), at(z, i as E)));
  const text = renderExplain(explain(fuse(normalise(p.done(y))), { Q: 64, T: 128, D: 32 }));
  expect(text).toMatchInlineSnapshot(`
    "attend: 2 kernels, 540.67 k flops, 180.22 k elementwise, 120.00 KiB moved, 5.9 operations a byte
      s (contraction): 524.29 k flops, 0 elementwise, reads 24.00 KiB, writes 32.00 KiB, 9.1 operations a byte
        reads q f32[Q, D], k f32[T, D]
        writes s f32[Q, T]
      y (row): 16.38 k flops, 180.22 k elementwise, reads 32.00 KiB, writes 32.00 KiB, 3.0 operations a byte
        reads s f32[Q, T]
        writes y f32[Q, T]
        on chip: m, z
      fused (savings for sizes of 256)
        m → e: row, saves 1.00 KiB
        e → z: row, saves 256.00 KiB
        e → y: row, saves 257.00 KiB
      kept apart
        s → e: would need its own result [cycle]
        s → y: a row of it does not fit one tile [size]
      intermediates: s f32[Q, T] 32.00 KiB
      peak memory: 88.00 KiB
    "
  `);
});

test("every decision has its words, and names that are no sizes are ignored", () => {
  const p = draft("f");
  const x = p.input("x", ["N"]);
  const y = p.map("y", ["N"], (i) => op("exp", at(x, i as E)));
  const e = explain(fuse(normalise(p.done(y))), { constructor: 3 } as never);
  expect(e.assumed).toEqual(["N"]);
  expect(renderExplain(e)).toContain("f: 1 kernel,");
});
