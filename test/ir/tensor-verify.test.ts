import { describe, expect, test } from "vitest";
import { size, sizeSymbol } from "../../ir/extent.ts";
import { addMonoid } from "../../ir/monoid.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import {
  apply,
  applyTyped,
  arg,
  axis,
  axisRef,
  constant,
  type Definition,
  i32,
  input,
  mapDef,
  type Program,
  read,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { unprovedReads, verifyProgram } from "../../ir/verify-tensor.ts";

const N = sizeSymbol("N");
const x = input("x", "f32", [axis("i", N)]);
function program(...steps: Step[]): Program {
  const last = steps.at(-1) as Definition;
  return { name: "p", inputs: [x], steps, results: [{ name: "y", tensor: last, slot: 0 }], facts: [] };
}
/** Problems of a map over i:N with this result. */
function ofMap(result: (i: TensorExpr) => TensorExpr): readonly string[] {
  const i = axis("i", N);
  return verifyProgram(program(mapDef([i], [result(axisRef(i))], { name: "y" })));
}

test("a good program has no problems", () => {
  const p = parseProgram(`
    input x: f32[n:N, k:K]
    s, j[n:N] = argmax(k:K) x[n, k], k
    p[n:N, k:K] = exp(x[n, k] - s[n])
    c[n:N, k:K] = scan add along k p[n, k]
    u[n:N] = scatter add(k:N) at [j[k]] c[k, 0] into s
    loop index t count 4 {
      carry v: f32[n:N] = u
      stack k: f32[t:4, n:N]
      w[n:N] = v[n] + 1.0
      next v = w
      push k = v
    }
    y[n:N] = (k[0, n] ?? 0.0) + (v[n - 1] ?? 0.0)
    result y = y`);
  expect(verifyProgram(p)).toEqual([]);
  expect(unprovedReads(p).map((u) => `${u.definition.name} ${u.axis} ${u.interval}`)).toEqual(["u 1 0 … 0"]);
});

describe("each invariant", () => {
  test("1: definition before use", () => {
    const i = axis("i", N);
    const later = mapDef([axis("j", N)], [constant("f32", 1)], { name: "later" });
    expect(verifyProgram(program(mapDef([i], [read(later, 0, [axisRef(i)])], { name: "y" }), later))).toEqual([
      "y: later is not defined before it",
    ]);
    expect(verifyProgram(program(later, later))).toEqual(["later is defined twice"]);
  });
  test("1: a loop's body is not visible after it", () => {
    const p = parseProgram(`input x: f32[n:N]
      loop count 2 {
        carry c: f32[n:N] = x
        w[n:N] = c[n] * 2.0
        next c = w
      }
      y[n:N] = w[n]
      result y = y`);
    expect(verifyProgram(p)).toEqual(["y: w is not defined before it"]);
  });
  test("2: axes in scope, bound once", () => {
    const j = axis("j", N);
    expect(ofMap(() => axisRef(j))).toEqual(["y: axis j is not in scope"]);
    const k = axis("k", N);
    const inner = reduce(addMonoid("i32"), [k], [axisRef(k)]);
    expect(ofMap(() => reduce(addMonoid("i32"), [k], [apply("mul", axisRef(k), inner)]))).toEqual([
      "y: axis k is bound twice",
    ]);
    expect(ofMap(() => apply("add", inner, apply("neg", inner)))).toEqual([]);
    expect(verifyProgram(program(mapDef([k, k], [i32(0)], { name: "y" })))).toEqual(["y: axis k is bound twice"]);
  });
  test("3: operands fit", () => {
    expect(ofMap((i) => applyTyped("exp", [i], "i32"))).toEqual(["y: exp(i32) is no i32"]);
    expect(ofMap((i) => applyTyped("bitcast", [i], "f16"))).toEqual(["y: bitcast(i32) is no f16"]);
    expect(ofMap(() => read(x, 0, [constant("f32", 1)]))).toEqual(["y: the index 1.0 of x is f32"]);
    expect(ofMap((i) => read(x, 0, [i], constant("i32", 1)))).toEqual(["y: the fill of x[i] ?? 1 is i32"]);
  });
  test("4: monoid's slots", () => {
    const i = axis("i", N);
    expect(verifyProgram(program(scanDef([i], i, addMonoid("f32"), [axisRef(i)], { name: "y" })))).toEqual([
      "y: add combines f32, not i32",
    ]);
  });
  test("5: a monoid's laws", () => {
    const of = (body: string): readonly string[] =>
      verifyProgram(parseProgram(`monoid m: ${body}\ninput x: f32[i:N]\ny[] = m(i:N) x[i]\nresult y = y`));
    expect(of("f32 = $0 + $1 identity 0.0 commutative")).toEqual([]);
    expect(of("f32 = $0 - $1 identity 0.0 commutative").length).toBeGreaterThan(0);
    expect(of("f32 = $0 * $1 identity 0.0")[0]).toBe("monoid m: the identity changes 1");
    expect(of("f32 = ($0 + $1) / 1.0 identity 0.0 commutative exact").length).toBe(0);
    expect(of("f32 = max($0, $1) identity 0.0 commutative exact")[0]).toBe("monoid m: the identity changes -2.5");
  });
  test("6: slots outside monoids", () => {
    expect(ofMap(() => arg(0, "f32"))).toEqual(["y: the slot $0 stands outside a monoid"]);
  });
  test("7: reads that leave, and reads that may", () => {
    expect(ofMap((i) => read(x, 0, [apply("sub", i, i32(0))]))).toEqual([]);
    const p = parseProgram("input x: f32[i:N]\ny[i:N] = x[i + N]\nz[i:N] = x[i + 1]\nresult z = z");
    expect(verifyProgram(p)).toEqual(["y: x[i + N] reads outside: N … 2 * N - 1 against N"]);
    expect(unprovedReads(p).map((u) => `${u.definition.name} ${u.axis} ${u.interval}`)).toEqual(["z 0 1 … N"]);
  });
  test("8: scans and scatters", () => {
    const [i, j] = [axis("i", N), axis("j", N)];
    expect(verifyProgram(program(scanDef([i], j, addMonoid("i32"), [axisRef(i)], { name: "y" })))).toEqual([
      "y: scans along j, which is not its axis",
    ]);
    expect(
      verifyProgram(program(scatterDef([i], "set", [j], [axisRef(j)], [axisRef(j)], [], undefined, { name: "y" }))),
    ).toEqual(["y: `set` needs an initial value for each result"]);
    expect(
      verifyProgram(program(scatterDef([i], addMonoid("i32"), [j], [], [axisRef(j)], [], undefined, { name: "y" }))),
    ).toEqual(["y: 0 indices for 1 axes"]);
    expect(
      verifyProgram(
        program(
          scatterDef([i], addMonoid("i32"), [j], [axisRef(j)], [axisRef(j)], [], [{ tensor: x, slot: 0 }], {
            name: "y",
          }),
        ),
      ),
    ).toEqual(["y: into x, which has another shape or type"]);
  });
  test("9: sizes", () => {
    expect(verifyProgram(program(mapDef([axis("i", sizeSymbol("Q"))], [i32(0)], { name: "y" })))).toEqual([
      "y: axis i: nothing tells the size Q",
    ]);
    expect(verifyProgram(program(mapDef([axis("i", size(-1))], [i32(0)], { name: "y" })))).toEqual([
      "y: axis i: the extent -1 is negative",
    ]);
  });
  test("10: loops", () => {
    const of = (text: string): readonly string[] =>
      verifyProgram(parseProgram(`input x: f32[n:N]\nz[] = 1.0\n${text}\nresult y = x`));
    expect(of("loop {\n}")).toEqual(["a loop has neither count nor max"]);
    expect(of("loop count 2 {\ncarry c: f32[n:N] = z\n}")[0]).toBe("loop: c starts from another shape or type");
    expect(of("loop count 2 {\ncarry c: f32[n:N] = x\nnext c = z\n}")).toEqual([
      "loop: c goes on with another shape or type",
    ]);
    expect(of("loop max 2 {\nuntil z\n}")).toEqual(["loop: until is no bool scalar"]);
    expect(of("loop max 2 {\nstack s: f32[t:3, n:N]\npush s = x\n}")).toEqual([
      "loop: s does not stack x over the rounds",
    ]);
  });
  test("11: names", () => {
    expect(verifyProgram({ ...program(mapDef([], [i32(0)])), inputs: [x, input("x", "f32", [])] })).toEqual([
      "two inputs are called x",
    ]);
  });
  test("12: normalised", () => {
    const of = (text: string): readonly string[] =>
      verifyProgram(parseProgram(`input x: f32[n:N]\n${text}\nresult y = x`), { normalised: true });
    expect(of("y[] = add(n:N) x[n]\nz, j[] = argmax(n:N) x[n], n")).toEqual([]);
    expect(of("y[] = 1.0 + add(n:N){x[n]}")).toEqual(["y: a reduction does not stand at the root"]);
    expect(of("y[] = add(n:N) x[n] * max(k:N){x[k]}")).toEqual(["y: a reduction stands inside another"]);
    expect(of("y[i:N] = scan add along i add(n:N){x[n]}")).toEqual(["y: a reduction stands inside a scan"]);
  });
});
