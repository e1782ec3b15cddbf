import { describe, expect, test } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { allStatements } from "../../ir/visit-kernel.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { apply } from "../../src/schedule/apply/index.ts";
import { candidates, choose, scheduleText } from "../../src/schedule/choose.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import { runFused } from "../../src/schedule/simulate.ts";
import { ADD, at, draft, f, MAX, op, or, valuesFor } from "../fuse/helpers.ts";
import { i32, type Program, type TensorExpr } from "./build.ts";
import { GPU, SOFT4, SOFT8, TARGETS } from "./support.ts";

type E = TensorExpr;

const programs: Readonly<Record<string, () => Program>> = {
  matmul: () => {
    const p = draft();
    const [a, b] = [p.input("a", [64, 64]), p.input("b", [64, 64])];
    return p.done(
      p.fold("c", ADD, [64, 64], [64], (i, j, k) => op("mul", at(a, i as E, k as E), at(b, k as E, j as E))),
    );
  },
  softmax: () => {
    const p = draft();
    const x = p.input("x", [6, 256]);
    const m = p.fold("m", MAX, [6], [256], (i, k) => at(x, i as E, k as E));
    const z = p.fold("z", ADD, [6], [256], (i, k) => op("exp2", op("sub", at(x, i as E, k as E), at(m, i as E))));
    return p.done(
      p.map("y", [6, 256], (i, k) =>
        op("mul", op("exp2", op("sub", at(x, i as E, k as E), at(m, i as E))), at(z, i as E)),
      ),
    );
  },
  depthwise: () => {
    const p = draft();
    const [x, w] = [p.input("x", [3, 8, 12]), p.input("w", [3, 3, 3])];
    const shift = (a: E, b: E): E => op("add", op("add", a, b), i32(-1));
    return p.done(
      p.fold("y", ADD, [3, 8, 12], [3, 3], (c, i, j, r, s) =>
        op("mul", or(x, 0, c as E, shift(i as E, r as E), shift(j as E, s as E)), at(w, c as E, r as E, s as E)),
      ),
    );
  },
  pool: () => {
    const p = draft();
    const x = p.input("x", [3, 8, 12]);
    const two = (a: E, b: E): E => op("add", op("mul", a, i32(2)), b);
    return p.done(
      p.fold("y", MAX, [3, 4, 6], [2, 2], (c, i, j, r, s) => at(x, c as E, two(i as E, r as E), two(j as E, s as E))),
    );
  },
  gather: () => {
    const p = draft();
    const [x, t] = [p.input("x", [9, 64]), p.input("t", [80], "i32")];
    return p.done(p.map("y", [80, 64], (i, j) => op("add", or(x, 0.5, at(t, i as E), j as E), f(1))));
  },
  columns: () => {
    const p = draft();
    const x = p.input("x", [300, 24]);
    return p.done(p.fold("s", ADD, [24], [300], (i, k) => at(x, k as E, i as E)));
  },
};

function fused(make: () => Program): ReturnType<typeof fuse> {
  return fuse(normalise(make()), { limits: { maxStorageBuffers: 8 } });
}

describe("choosing", () => {
  for (const [name, make] of Object.entries(programs))
    test(`${name} is right by default on every target`, () => {
      const program = make();
      const inputs = valuesFor(program, new Map());
      const want = interpret(program, inputs);
      for (const target of TARGETS) {
        const got = runFused(fused(make), target, inputs, { mode: "exact" });
        want.forEach((w, i) => {
          // Multiples of 1/8 and powers of two: exact in float64 in every order, but for the softmax's sums.
          w.data.forEach((v, e) => {
            const x = got[i]?.data[e] ?? Number.NaN;
            expect(Math.abs(x - v)).toBeLessThanOrEqual(name === "softmax" ? 256 * 2 ** -52 * Math.abs(v) : 0);
          });
        });
      }
    });
  test("the first candidate is chosen, each candidate is legal and appears once", () => {
    for (const make of Object.values(programs))
      for (const target of TARGETS)
        for (const r of fused(make).regions) {
          const all = candidates(r, target);
          expect(all.length).toBeLessThanOrEqual(200);
          expect(new Set(all.map(scheduleText)).size).toBe(all.length);
          const first = all[0];
          if (!first) throw new Error(`no schedule for ${r.name}`);
          expect(scheduleText(choose(r, target))).toBe(scheduleText(first));
        }
  });
  test("with subgroups of one size, software adapters get no barriers and no workgroup memory", () => {
    for (const make of Object.values(programs))
      for (const target of [SOFT4, SOFT8])
        for (const r of fused(make).regions)
          for (const k of apply(r, choose(r, target), target)) {
            expect(k.kernel.buffers.filter((b) => b.space === "workgroup")).toEqual([]);
            expect([...allStatements(k.kernel.body)].filter((s) => s.kind === "barrier")).toEqual([]);
          }
  });
  test("a GPU gets tiles through workgroup memory", () => {
    const [r] = fused(programs["matmul"] ?? draft().done).regions;
    if (!r) throw new Error("no region");
    const [k] = apply(r, choose(r, GPU), GPU);
    expect(k?.kernel.buffers.filter((b) => b.space === "workgroup")).toHaveLength(2);
  });
});
