/** Programs that would take more buffers or more code than a kernel may have. */
import { describe, expect, test } from "vitest";
import { type Definition, i32, type Program, type TensorExpr } from "../../ir/tensor.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import { verifyRegions } from "../../src/schedule/verify-regions.ts";
import { at, check, draft, f, op, or } from "./helpers.ts";

type E = TensorExpr;

const SIZES = { N: 3 };

describe("limits", () => {
  const sum = (count: number, nested: boolean): Program => {
    const p = draft();
    const xs = Array.from({ length: count }, (_, i) => p.input(`x${i}`, ["N"]));
    if (!nested)
      return p.done(p.map("y", ["N"], (i) => xs.map((x) => at(x, i as E)).reduce((a, b) => op("add", a, b))));
    let t: Definition | undefined;
    for (const x of xs) {
      const before = t;
      t = p.map(`t_${x.name}`, ["N"], (i) => (before ? op("add", at(before, i as E), at(x, i as E)) : at(x, i as E)));
    }
    return p.done(t!);
  };
  test.each([9, 20, 100])("a sum of %d tensors, in one expression and step by step", (count) => {
    for (const nested of [false, true]) {
      const r = check(sum(count, nested), { N: 2 });
      expect(r.regions.length).toBeGreaterThanOrEqual(Math.ceil((count - 1) / 6));
      expect(r.regions.length).toBeLessThanOrEqual(Math.ceil((count - 1) / 6) + 1);
    }
  });
  test("other limits", () => {
    expect(check(sum(9, true), { N: 2 }, 10).regions).toHaveLength(1);
    expect(check(sum(9, false), { N: 2 }, 4).regions.length).toBeGreaterThan(2);
  });
  test("a concatenation of twenty is built up in steps", () => {
    const p = draft();
    const xs = Array.from({ length: 20 }, (_, i) => p.input(`x${i}`, [i + 1]));
    const total = 210;
    const y = p.map("y", [total], (i) => {
      let from = total;
      let e: E = f(0);
      for (const x of [...xs].reverse()) {
        const n = x.axes[0]?.extent.value ?? 0;
        from -= n;
        const part = or(x, 0, op("sub", i as E, i32(from)));
        e = e === f(0) ? part : op("select", op("lt", i as E, i32(from + n)), part, e);
      }
      return e;
    });
    check(p.done(y), {});
  });
  test("twelve results of one domain stay within the limit", () => {
    const p = draft();
    const x = p.input("x", ["N"]);
    const ys = Array.from({ length: 12 }, (_, k) => p.map(`y${k}`, ["N"], (i) => op("mul", at(x, i as E), f(k))));
    const r = check(p.done(...ys), SIZES);
    expect(r.regions.length).toBeLessThan(4);
  });
  test("a chain of a thousand is cut where a kernel grows too large", () => {
    const p = draft();
    let t: Definition = p.input("x", ["N"]);
    for (let i = 0; i < 1000; i++) {
      const before = t;
      t = p.map(`t${i}`, ["N"], (n) => op(i % 2 ? "mul" : "add", at(before, n as E), f(i % 7)));
    }
    const program = p.done(t);
    const start = process.cpuUsage();
    const r = fuse(normalise(program));
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(3000);
    expect(verifyRegions(r, 8)).toEqual([]);
    expect(r.regions.length).toBeGreaterThan(3);
    expect(r.regions.length).toBeLessThan(40);
  });
});
