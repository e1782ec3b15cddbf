import { describe, expect, test } from "vitest";
import { mulExtent, size, sizeSymbol } from "../../ir/extent.ts";
import { argMonoid } from "../../ir/monoid.ts";
import {
  axis,
  axisRef,
  cast,
  constant,
  type Definition,
  i32,
  read,
  scanDef,
  scatterDef,
  sizeOf,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { normalise } from "../../src/passes/normalise.ts";
import { fuse } from "../../src/schedule/fuse.ts";
import { type PlaceCosts, placeCosts } from "../../src/schedule/fuse-place.ts";
import type { FusedProgram, Region } from "../../src/schedule/region.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import { ADD, at, check, type Draft, draft, f, MAX, op, or } from "./helpers.ts";

type E = TensorExpr;

const kinds = (x: FusedProgram): string[] => x.regions.map((r: Region) => r.kind);

const gelu = (x: E): E => op("mul", op("mul", f(0.5), x), op("add", f(1), op("erf", op("mul", x, f(Math.SQRT1_2)))));
const relu = (x: E): E => op("max", x, f(0));

function matmul(
  p: Draft,
  name: string,
  a: Definition,
  b: Definition,
  n: string | number,
  d: string | number,
  k: string | number,
) {
  return p.fold(name, ADD, [n, d], [k], (i, j, q) => op("mul", at(a, i as E, q as E), at(b, q as E, j as E)));
}
function softmax(p: Draft, x: Definition, n: string | number, d: string | number) {
  const m = p.fold("m", MAX, [n], [d], (i, k) => at(x, i as E, k as E));
  const e = p.map("e", [n, d], (i, k) => op("exp", op("sub", at(x, i as E, k as E), at(m, i as E))));
  const z = p.fold("z", ADD, [n], [d], (i, k) => at(e, i as E, k as E));
  return p.map("p", [n, d], (i, k) => op("div", at(e, i as E, k as E), at(z, i as E)));
}
const SIZES = { N: 3, D: 5, K: 4, I: 3, O: 2, Q: 3, T: 4, E: 2, B: 2, H: 2, M: 3 };

test("what several contractions read is stored sooner where tiles are narrow", () => {
  const p = draft();
  const [x, g, c] = [p.input("x", [256, 64]), p.input("g", [64]), p.input("c", [64])];
  const y = p.map("y", [256, 64], (i, k) =>
    op("add", op("mul", at(x, i as E, k as E), at(g, k as E)), op("exp", at(c, k as E))),
  );
  const results = ["q", "k", "v"].map((name) => matmul(p, name, y, p.input(`w${name}`, [64, 64]), 256, 64, 64));
  const n = normalise(p.done(...results));
  const stored = (costs: PlaceCosts): boolean => [...fuse(n, { costs }).stored].some((d) => d.name === "y");
  expect(stored(placeCosts(DEFAULT_TARGET))).toBe(false);
  expect(stored(placeCosts({ ...DEFAULT_TARGET, kind: "software" }))).toBe(true);
});

describe("kernel counts", () => {
  test("an elementwise chain is one", () => {
    const p = draft();
    const [a, b] = [p.input("a", ["N"]), p.input("b", ["N"])];
    const t = p.map("t", ["N"], (i) => op("mul", at(a, i as E), at(b, i as E)));
    const u = p.map("u", ["N"], (i) => op("tanh", at(t, i as E)));
    const v = p.map("v", ["N"], (i) => op("add", at(u, i as E), f(1)));
    const w = p.map("w", ["N"], (i) => op("mul", at(v, i as E), f(2)));
    const r = check(p.done(w), SIZES);
    expect(kinds(r)).toEqual(["elementwise"]);
    expect(r.stored.size).toBe(1);
  });
  test("matmul + bias + gelu is one", () => {
    const p = draft();
    const [x, w, b] = [p.input("x", ["N", "I"]), p.input("w", ["I", "D"]), p.input("b", ["D"])];
    const z = matmul(p, "z", x, w, "N", "D", "I");
    const s = p.map("s", ["N", "D"], (n, d) => op("add", at(z, n as E, d as E), at(b, d as E)));
    const h = p.map("h", ["N", "D"], (n, d) => gelu(at(s, n as E, d as E)));
    const r = check(p.done(h), SIZES);
    expect(kinds(r)).toEqual(["contraction"]);
    const [c] = r.regions;
    if (c?.kind !== "contraction") throw new Error("no contraction");
    expect([c.m, c.n, c.k].map((l) => l.map((a) => a.extent.text))).toEqual([["N"], ["D"], ["I"]]);
    expect(c.epilogue).toHaveLength(1);
    expect(c.stores.map((q) => q.tensor.name)).toEqual(["h"]);
  });
  test("softmax is one", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const r = check(p.done(softmax(p, x, "N", "D")), SIZES);
    expect(kinds(r)).toEqual(["row"]);
    const [row] = r.regions;
    if (row?.kind !== "row") throw new Error("no row");
    expect(row.phases.map((q) => q.kind)).toEqual(["reduce", "reduce", "store"]);
  });
  test("layer_norm is one, written with nested means", () => {
    const p = draft();
    const [x, g, b] = [p.input("x", ["N", "D"]), p.input("g", ["D"]), p.input("b", ["D"])];
    const D = op("div", f(1), constantSize("D"));
    const mu = p.fold("mu", ADD, ["N"], ["D"], (n, k) => at(x, n as E, k as E));
    const mean = p.map("mean", ["N", 1], (n) => op("mul", at(mu, n as E), D));
    const sq = p.map("sq", ["N", "D"], (n, k) =>
      op("pow", op("sub", at(x, n as E, k as E), at(mean, n as E, 0)), f(2)),
    );
    const va = p.fold("va", ADD, ["N"], ["D"], (n, k) => at(sq, n as E, k as E));
    const vr = p.map("var", ["N", 1], (n) => op("mul", at(va, n as E), D));
    const y = p.map("y", ["N", "D"], (n, k) =>
      op(
        "add",
        op(
          "mul",
          op(
            "mul",
            op("sub", at(x, n as E, k as E), at(mean, n as E, 0)),
            op("rsqrt", op("add", at(vr, n as E, 0), f(1e-5))),
          ),
          at(g, k as E),
        ),
        at(b, k as E),
      ),
    );
    const r = check(p.done(y), SIZES);
    expect(kinds(r)).toEqual(["row"]);
  });
  test("attention is three, the scores scaled as they are stored and 1/z outside the sum", () => {
    const p = draft();
    const [q, k, v] = [p.input("q", ["B", "Q", "D"]), p.input("k", ["B", "T", "D"]), p.input("v", ["B", "T", "E"])];
    const qk = p.fold("qk", ADD, ["B", "Q", "T"], ["D"], (b, i, j, d) =>
      op("mul", at(q, b as E, i as E, d as E), at(k, b as E, j as E, d as E)),
    );
    const s = p.map("s", ["B", "Q", "T"], (b, i, j) =>
      op("div", at(qk, b as E, i as E, j as E), op("sqrt", constantSize("D"))),
    );
    const m = p.fold("m", MAX, ["B", "Q"], ["T"], (b, i, j) => at(s, b as E, i as E, j as E));
    const e = p.map("e", ["B", "Q", "T"], (b, i, j) =>
      op("exp", op("sub", at(s, b as E, i as E, j as E), at(m, b as E, i as E))),
    );
    const z = p.fold("z", ADD, ["B", "Q"], ["T"], (b, i, j) => at(e, b as E, i as E, j as E));
    const w = p.map("w", ["B", "Q", "T"], (b, i, j) => op("div", at(e, b as E, i as E, j as E), at(z, b as E, i as E)));
    const o = p.fold("o", ADD, ["B", "Q", "E"], ["T"], (b, i, d, j) =>
      op("mul", at(w, b as E, i as E, j as E), at(v, b as E, j as E, d as E)),
    );
    const r = check(p.done(o), SIZES);
    expect(kinds(r)).toEqual(["contraction", "row", "contraction"]);
    const last = r.regions[2];
    if (last?.kind !== "contraction") throw new Error("no contraction");
    expect(last.epilogue).toHaveLength(1);
    expect(r.regions[0]?.stores.map((x) => x.tensor.name)).toEqual(["s"]);
  });
  test("convolution + bias + relu is one contraction", () => {
    const [H, W] = [sizeSymbol("H"), sizeSymbol("W")];
    const p = draft();
    const [x, w, b] = [p.input("x", ["N", "K", "H", "W"]), p.input("w", ["O", "K", 3, 3]), p.input("b", ["O"])];
    const y = p.fold("y", ADD, ["N", "O", H, W], ["K", 3, 3], (n, o, i, j, c, rr, ss) =>
      op(
        "mul",
        or(
          x,
          0,
          n as E,
          c as E,
          op("sub", op("add", i as E, rr as E), i32(1)),
          op("sub", op("add", j as E, ss as E), i32(1)),
        ),
        at(w, o as E, c as E, rr as E, ss as E),
      ),
    );
    const h = p.map("h", ["N", "O", H, W], (n, o, i, j) =>
      relu(op("add", at(y, n as E, o as E, i as E, j as E), at(b, o as E))),
    );
    const r = check(p.done(h), { ...SIZES, H: 3, W: 4 });
    expect(kinds(r)).toEqual(["contraction"]);
    const [c] = r.regions;
    if (c?.kind !== "contraction") throw new Error("no contraction");
    // The innermost axis of the result is on the N side.
    expect(c.n.map((a) => a.extent.text)).toEqual(["N", "H", "W"]);
    expect(c.m.map((a) => a.extent.text)).toEqual(["O"]);
  });
  test("a grouped convolution is one: o is split into group and channel, the result is stored whole", () => {
    const p = draft();
    const [x, w, b] = [p.input("x", ["N", 4, 5]), p.input("w", [6, 2, 3]), p.input("b", [6])];
    // Two groups: two channels in, three out.
    const y = p.fold("y", ADD, ["N", 6, 3], [2, 3], (n, o, i, c, r) =>
      op(
        "mul",
        at(x, n as E, op("add", op("mul", op("floordiv", o as E, i32(3)), i32(2)), c as E), op("add", i as E, r as E)),
        at(w, o as E, c as E, r as E),
      ),
    );
    const h = p.map("h", ["N", 6, 3], (n, o, i) => relu(op("add", at(y, n as E, o as E, i as E), at(b, o as E))));
    const r = check(p.done(h), { N: 2 });
    expect(kinds(r)).toEqual(["contraction"]);
    const [c] = r.regions;
    if (c?.kind !== "contraction") throw new Error("no contraction");
    expect(c.batch.map((a) => a.extent.value)).toEqual([2]);
    expect(c.epilogue[0]?.point).toHaveLength(3);
  });
  test("cross-entropy is one over rows, and one for the mean", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const t = p.input("t", ["N"], "i32");
    const m = p.fold("m", MAX, ["N"], ["D"], (n, k) => at(x, n as E, k as E));
    const z = p.fold("z", ADD, ["N"], ["D"], (n, k) => op("exp", op("sub", at(x, n as E, k as E), at(m, n as E))));
    const l = p.map("l", ["N"], (n) =>
      op("sub", op("add", op("log", at(z, n as E)), at(m, n as E)), or(x, 0, n as E, at(t, n as E))),
    );
    const s = p.fold("s", ADD, [], ["N"], (n) => at(l, n as E));
    const y = p.map("y", [], () => op("div", at(s), constantSize("N")));
    const r = check(p.done(y), SIZES);
    expect(kinds(r)).toEqual(["row", "row"]);
  });
  test("several results of one domain are one", () => {
    const p = draft();
    const [a, b] = [p.input("a", ["N"]), p.input("b", ["N"])];
    const s = p.map("s", ["N"], (i) => op("add", at(a, i as E), at(b, i as E)));
    const d = p.map("d", ["N"], (i) => op("sub", at(a, i as E), at(b, i as E)));
    const t = p.map("t", ["N"], (i) => op("mul", at(s, i as E), f(3)));
    const r = check(p.done(s, d, t), SIZES);
    expect(kinds(r)).toEqual(["elementwise"]);
    expect(r.regions[0]?.stores).toHaveLength(3);
  });
  test("pairwise distances by subtraction are a contraction; argmin is a row", () => {
    const p = draft();
    const [a, b] = [p.input("a", ["N", "K"]), p.input("b", ["M", "K"])];
    const diff = p.map("diff", ["N", "M", "K"], (n, m, k) => op("sub", at(a, n as E, k as E), at(b, m as E, k as E)));
    const d = p.fold("d", ADD, ["N", "M"], ["K"], (n, m, k) =>
      op("mul", at(diff, n as E, m as E, k as E), at(diff, n as E, m as E, k as E)),
    );
    const arg = argMonoid("min", "f32");
    const y = p.fold("y", arg, ["N"], ["M"], (n, m) => [at(d, n as E, m as E), m as E]);
    const r = check(p.done(y), SIZES);
    expect(kinds(r)).toEqual(["contraction", "row"]);
  });
  test("group norm: two-dimensional rows, groups out of a split axis", () => {
    const p = draft();
    const x = p.input("x", ["N", 6, "H"]);
    const L = mulExtent(size(3), sizeSymbol("H"));
    const part = (n: E, g: E, k: E): E =>
      at(x, n, op("add", op("mul", g, i32(3)), op("floordiv", k, constantI("H"))), op("mod", k, constantI("H")));
    const s = p.fold("s", ADD, ["N", 2], [L], (n, g, k) => part(n as E, g as E, k as E));
    const v = p.fold("v", ADD, ["N", 2], [L], (n, g, k) =>
      op("pow", op("sub", part(n as E, g as E, k as E), op("mul", at(s, n as E, g as E), f(0.125))), f(2)),
    );
    const y = p.map("y", ["N", 6, "H"], (n, c, h) => {
      const g = op("floordiv", c as E, i32(3));
      return op(
        "mul",
        op("sub", at(x, n as E, c as E, h as E), op("mul", at(s, n as E, g), f(0.125))),
        op("rsqrt", op("add", at(v, n as E, g), f(1))),
      );
    });
    const r = check(p.done(y), { N: 2, H: 4 });
    expect(kinds(r)).toEqual(["row"]);
  });
  test("a transposed epilogue stores where it belongs", () => {
    const p = draft();
    const [x, w] = [p.input("x", ["N", "I"]), p.input("w", ["I", "D"])];
    const z = matmul(p, "z", x, w, "N", "D", "I");
    const t = p.map("t", ["D", "N"], (d, n) => relu(at(z, n as E, d as E)));
    const r = check(p.done(t), SIZES);
    expect(kinds(r)).toEqual(["contraction"]);
    const [c] = r.regions;
    if (c?.kind !== "contraction") throw new Error("no contraction");
    expect(c.n.map((a) => a.extent.text)).toEqual(["N"]);
  });
  test("scan with prologue and epilogue is one", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const e = p.map("e", ["N", "D"], (n, d) => op("mul", at(x, n as E, d as E), f(2)));
    const [n, d] = [axis("n", sizeSymbol("N")), axis("d", sizeSymbol("D"))];
    const s = p.add(scanDef([n, d], d, ADD, [read(e, 0, [axisRef(n), axisRef(d)])], { name: "s" }));
    const y = p.map("y", ["N", "D"], (i, j) => relu(at(s, i as E, j as E)));
    const r = check(p.done(y), SIZES);
    expect(kinds(r)).toEqual(["scan"]);
  });
  test("scatter takes its prologue in", () => {
    const p = draft();
    const [x, ids] = [p.input("x", ["N", "D"]), p.input("ids", ["N"], "i32")];
    const e = p.map("e", ["N", "D"], (n, d) => op("neg", at(x, n as E, d as E)));
    const [r0, d0] = [axis("r", size(4)), axis("d", sizeSymbol("D"))];
    const [n, d] = [axis("n", sizeSymbol("N")), axis("e", sizeSymbol("D"))];
    const s = p.add(
      scatterDef(
        [r0, d0],
        ADD,
        [n, d],
        [read(ids, 0, [axisRef(n)]), axisRef(d)],
        [read(e, 0, [axisRef(n), axisRef(d)])],
        [constant("f32", 0)],
        undefined,
        { name: "s" },
      ),
    );
    const r = check(p.done(s), SIZES);
    expect(kinds(r)).toEqual(["scatter"]);
  });
});

describe("shapes at the edge", () => {
  test("constants, inputs, views, repeated results and scalars as results", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const c = p.map("c", [3], () => f(7));
    const t = p.map("t", ["D", "N"], (d, n) => at(x, n as E, d as E));
    const one = p.map("one", [], () => f(1));
    const s = p.fold("s", ADD, [], ["N", "D"], (n, d) => at(x, n as E, d as E));
    const r = check(p.done(c, x, t, one, s, s, t), SIZES);
    expect(new Set(r.program.results.map((q) => `${q.tensor.id}.${q.slot}`)).size).toBe(7);
  });
  test("extent 0 and extent 1", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const s = softmax(p, x, "N", "D");
    const q = p.done(s);
    check(q, { N: 0, D: 3 });
    check(q, { N: 2, D: 0 });
    const one = draft();
    const y = one.input("x", [1, 5]);
    expect(kinds(check(one.done(softmax(one, y, 1, 5)), {}))).toEqual(["row"]);
  });
  test("keepdims results of a reduction are one kernel", () => {
    const p = draft();
    const x = p.input("x", ["N", "D"]);
    const s = p.fold("s", ADD, ["N"], ["D"], (n, d) => at(x, n as E, d as E));
    const y = p.map("y", ["N", 1], (n) => at(s, n as E));
    expect(check(p.done(y), SIZES).regions).toHaveLength(1);
  });
});

function _fail(): never {
  throw new Error("unreachable");
}
function constantI(name: string): E {
  return sizeOf(sizeSymbol(name));
}
function constantSize(name: string): E {
  return cast(constantI(name), "f32");
}
