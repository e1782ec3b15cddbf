import { describe, expect, test } from "vitest";
import { size, sizeSymbol } from "../../ir/extent.ts";
import { parseProgram, TensorTextError } from "../../ir/parse-tensor.ts";
import { printExpr, printProgram } from "../../ir/print-tensor.ts";
import { apply, axis, axisRef, constant, input, mapDef, type Program, read } from "../../ir/tensor.ts";

/** Text in printed form prints as it is. */
function same(text: string): void {
  const whole = `program p\n${text.trim()}\n`;
  expect(printProgram(parseProgram(whole))).toBe(whole);
}

describe("round trips", () => {
  test("maps, reductions, scans, scatters", () => {
    same(`
input x: f32[n:N, i:I]
input w: f32[i:I, d:D]
z[n:N, d:D] = add(i:I) x[n, i] * w[i, d]
h[n:N, d:D] = max(z[n, d] + 1.0, 0.0)
v, v_1[n:N] = argmax(k:I) x[n, k], k
c[i:N] = scan add along i v[i]
u[r:N] = scatter add(i:N) at [v_1[i] - 1] v[i] into v
s[r:N] = scatter set(i:N) at [v_1[i] - 1] v[i] initial 7.0
a, a_1[i:N] = v[i] < 1.0 ? v[i] : -v[i], i
result h = h
result j = v_1`);
  });
  test("nested reductions with slots, custom monoids", () => {
    same(`
monoid both: f32, f32 = max($0, $2), $1 + $3 identity -inf, 0.0 commutative
input x: f32[n:N]
y[] = 1.0 - add(i:N){x[i]} + both(k:N){x[k], 1.0}.1
e[] = add() x[0] ?? 0.0
f[] = -add(){x[0] ?? 0.0}
result y = y`);
  });
  test("constants of every type", () => {
    same(`
input x: f32[]
input u: u32[]
input h: f16[]
a[] = x[] * 1e-7 + -0.0 - -inf + nan / 3.0 + 1e+21
b[] = h[] * 1.5h + nanh + infh
c[] = bitxor(u[], 4294967295u) % 3u
d[] = (true || false) && !(x[] == 0.0)
e[] = --x[] - neg(1.0)
f[] = f16(x[]) + h[]
g[] = bitcast u32(x[])
i[] = -7 div 2 + size(2 * N - 1) * N
result a = a`);
  });
  test("extents", () => {
    same(
      `
fact H + 2 * P - R >= 0 "the window fits \\"somewhere\\""
input x: f32[i:(H + 2 * P - R) div S + 1, j:min(H, P), k:(H div 3) * R, l:-H div 2 + 9]
result x = x`,
    );
  });
  test("odd names and words are quoted", () => {
    same("input `a b`: f32[i:`x.0`, j:N]\ninput `let`: f32[]\ny[i:`x.0`] = `a b`[i, 0] * `let`[]\nresult `result` = y");
  });
  test("loops", () => {
    same(`
input x: f32[n:N]
loop index t count N max 100 {
  carry c: f32[n:N] = x
  stack s: f32[t:N, n:N]
  w[n:N] = c[n] * f32(t[])
  done[] = w[0] > 1.0
  next c = w
  push s = c
  until done
}
result c = c`);
  });
  test("epochs", () => {
    same("input x: f32[n:N]\ny[n:N] @2 = x[n]\nresult y = y");
  });
  test("shared subexpressions are named where they may stand", () => {
    same(`
input x: f32[n:N, k:K]
y[n:N] = let v = exp(x[n, 0] * 2.0) + 1.0; v * v + add(k:K){let v_1 = exp(x[n, k] * 2.0) + v; v_1 * v_1}
result y = y`);
  });
});

test("printing a graph with 2^80 paths is short", () => {
  const i = axis("i", sizeSymbol("N"));
  const x = input("x", "f32", [axis("i", sizeSymbol("N"))]);
  let e = apply("exp", read(x, 0, [axisRef(i)]));
  for (let k = 0; k < 80; k++) e = apply("add", apply("sin", e), e);
  const y = mapDef([i], [e], { name: "y" });
  const p: Program = { name: "p", inputs: [x], steps: [y], results: [{ name: "y", tensor: y, slot: 0 }], facts: [] };
  const text = printProgram(p);
  expect(text.length).toBeLessThan(5000);
  expect(printProgram(parseProgram(text))).toBe(text);
});
test("equal names are told apart, canonically by number", () => {
  const make = (a: string, b: string): Program => {
    const i = axis(a, size(3));
    const j = axis(a, size(4));
    const x = input(b, "f32", [axis(a, size(3))]);
    const y = mapDef([i, j], [read(x, 0, [axisRef(i)])], { name: b });
    return { name: b, inputs: [x], steps: [y], results: [{ name: b, tensor: y, slot: 0 }], facts: [] };
  };
  expect(printProgram(make("i", "x"))).toBe("program x\ninput x: f32[i:3]\nx_1[i:3, i_1:4] = x[i]\nresult x = x_1\n");
  expect(printProgram(make("i", "x"), { canonical: true })).toBe(printProgram(make("q", "zz"), { canonical: true }));
});
test("an axis never has a size symbol's name", () => {
  const n = axis("N", sizeSymbol("N"));
  const y = mapDef([n], [axisRef(n)], { name: "y" });
  const p: Program = { name: "p", inputs: [], steps: [y], results: [], facts: [] };
  expect(printProgram(p)).toBe("program p\ny[N_1:N] = N_1\n");
});
test("expressions print alone", () => {
  expect(
    printExpr(apply("mul", apply("add", axisRef(axis("i", size(3))), constant("i32", 1)), constant("i32", -2))),
  ).toBe("(i + 1) * -2");
});

describe("errors say where", () => {
  const at = (text: string): string => {
    try {
      parseProgram(text);
    } catch (error) {
      if (error instanceof TensorTextError) return error.message;
      throw error;
    }
    return "no error";
  };
  test("one of each kind", () => {
    expect(at("y[i:3] = x[i]")).toBe("1:10: `x` is not defined");
    expect(at("input x: f32[]\ny[] = x[] + 1")).toBe("2:11: add(f32, i32)");
    expect(at("input x: f64[]")).toBe("1:10: expected a type, found `f64`");
    expect(at("y[i:3] = foo(i)")).toBe("1:10: `foo` is no primitive");
    expect(at("y[i:3] = constructor(i)")).toBe("1:10: `constructor` is no primitive");
    expect(at("y[i:3] = i #")).toBe('1:12: unexpected "#"');
    expect(at("y[i:3] = i\ny[i:3] = i")).toBe("2:1: `y` is defined twice");
    expect(at("y[] = and(i:3) i")).toBe("1:7: `and` is no monoid on i32");
    expect(at("a, b[] = 1")).toBe("1:1: 2 names for 1 results");
    expect(at("y[i:3 = 1")).toBe("1:7: expected `]`, found `=`");
  });
});
