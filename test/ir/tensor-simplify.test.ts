import { describe, expect, test } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { assumptionsOf } from "../../ir/interval.ts";
import { parseProgram } from "../../ir/parse-tensor.ts";
import { printExpr, printProgram } from "../../ir/print-tensor.ts";
import { RULES, simplifier, simplifyProgram } from "../../ir/simplify.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";

/** Around an expression: i:N, j:M, k:4, o:1 and tensors of every type. */
function around(text: string): string {
  return `input x: f32[i:N]
    input d: i32[i:N]
    input u: u32[i:N]
    input b: bool[i:N]
    input h: f16[i:N]
    fact M >= 1 "m"
    y[i:N, j:M, k:4, o:1] = ${text}
    result y = y`;
}
const fired = new Set<string>();

/** What the expression becomes; every rule that fires must keep the value, and doing it again changes nothing. */
function simplified(text: string): string {
  const p = parseProgram(around(text));
  const definition = p.steps[0];
  if (definition?.kind !== "map" || !definition.results[0]) throw new Error("no map");
  const a = assumptionsOf(p);
  const once = simplifier(a, (rule) => fired.add(rule))(definition.results[0]);
  expect(simplifier(a)(once)).toBe(once);
  const q = simplifyProgram(p);
  expect(simplifyProgram(q)).toBe(q);
  expect(verifyProgram(q)).toEqual(verifyProgram(p));
  const inputs = new Map([
    ["x", { shape: [5], data: [0, -0, 1.5, Number.NaN, Number.NEGATIVE_INFINITY] }],
    ["d", { shape: [5], data: [0, -1, 2147483647, -2147483648, 7] }],
    ["u", { shape: [5], data: [0, 1, 4294967295, 2147483648, 7] }],
    ["b", { shape: [5], data: [0, 1, 1, 0, 1] }],
    ["h", { shape: [5], data: [0, -0, 0.5, Number.NaN, 65504] }],
  ]);
  const sizes = new Map([["M", 3]]);
  expect([...interpret(q, inputs, { sizes })[0]!.data]).toEqual([...interpret(p, inputs, { sizes })[0]!.data]);
  return printExpr(once);
}

describe("rules", () => {
  const rows: [rule: string, before: string, after: string][] = [
    ["foldConstants", "3 * 4 + i", "i + 12"],
    ["foldConstants", "2147483647 + 1", "-2147483648"],
    ["foldConstants", "-7 div 2", "-4"],
    ["foldConstants", "1.5 + 2.25", "3.75"],
    ["foldConstants", "0.1 + 0.2", "0.1 + 0.2"],
    ["foldConstants", "1.0 / 3.0", "1.0 / 3.0"],
    ["foldConstants", "1e30 * 1e30", "1e+30 * 1e+30"],
    ["foldConstants", "16777216.0 + 1.0", "16777216.0 + 1.0"],
    ["foldConstants", "max(1.0, nan)", "nan"],
    ["foldConstants", "f32(3)", "3.0"],
    ["foldConstants", "f32(16777217)", "f32(16777217)"],
    ["foldConstants", "i32(2.5)", "2"],
    ["foldConstants", "1.0 < 2.0", "true"],
    ["foldConstants", "threefry0(1u, 2u, 3u, 4u)", `${printExprOf("threefry0(1u, 2u, 3u, 4u)")}`],
    ["foldSizes", "N + 1 - N div 2 + i", "i + size(N - N div 2 + 1)"],
    ["foldSizes", "N % 2", "size(N % 2)"],
    ["integerIdentities", "u[i] * 0u + u[i]", "u[i]"],
    ["integerIdentities", "d[i] - d[i]", "0"],
    ["integerIdentities", "bitand(d[i], 0)", "0"],
    ["integerIdentities", "bitxor(d[i], d[i])", "0"],
    ["integerIdentities", "shl(d[i], 0u == 0u ? 0 : 1)", "d[i]"],
    ["floatIdentities", "1.0 * x[i]", "x[i]"],
    ["floatIdentities", "x[i] * 1.0 / 1.0", "x[i]"],
    ["floatIdentities", "x[i] - 0.0", "x[i]"],
    ["floatIdentities", "h[i] * f16(1.0)", "h[i]"],
    ["involutions", "-(-x[i])", "x[i]"],
    ["involutions", "abs(abs(x[i]))", "abs(x[i])"],
    ["involutions", "max(x[i], x[i])", "x[i]"],
    ["involutions", "bitnot(bitnot(u[i]))", "u[i]"],
    ["selectRules", "true ? x[i] : 0.0", "x[i]"],
    ["selectRules", "b[i] ? d[i] : d[i]", "d[i]"],
    ["selectRules", "!b[i] ? 1 : 2", "b[i] ? 2 : 1"],
    ["selectRules", "b[i] ? true : false", "b[i]"],
    ["selectRules", "b[i] ? false : true", "!b[i]"],
    ["selectRules", "b[i] ? (b[i] ? 1 : 2) : 3", "b[i] ? 1 : 3"],
    ["booleanLogic", "b[i] && true || false", "b[i]"],
    ["booleanLogic", "b[i] && !b[i]", "false"],
    ["booleanLogic", "d[i] < 3 || d[i] >= 3", "true"],
    ["booleanLogic", "!(d[i] < 3)", "d[i] >= 3"],
    ["booleanLogic", "!(x[i] < 3.0)", "!(x[i] < 3.0)"],
    ["booleanLogic", "!(x[i] == 3.0)", "x[i] != 3.0"],
    ["booleanLogic", "x[i] < 3.0 || x[i] >= 3.0", "x[i] < 3.0 || x[i] >= 3.0"],
    ["trivialComparisons", "d[i] <= d[i]", "true"],
    ["trivialComparisons", "x[i] == x[i]", "x[i] == x[i]"],
    ["trivialComparisons", "b[i] == false", "!b[i]"],
    ["trivialComparisons", "i32(b[i]) != 0", "b[i]"],
    ["trivialComparisons", "f32(b[i]) == 7.0", "f32(b[i]) == 7.0"],
    ["castRules", "i32(u32(d[i]))", "d[i]"],
    ["castRules", "f16(f32(h[i]))", "h[i]"],
    ["castRules", "f32(f16(x[i]))", "f32(f16(x[i]))"],
    ["castRules", "i32(f32(k))", "k"],
    ["castRules", "i32(f32(d[i]))", "i32(f32(d[i]))"],
    ["castRules", "f32(i32(b[i]))", "f32(b[i])"],
    ["castRules", "bool(f32(b[i]))", "b[i]"],
    ["castRules", "bitcast f32(bitcast u32(x[i]))", "x[i]"],
    ["collectTerms", "i + i + i", "i * 3"],
    ["collectTerms", "i + 1 - 1", "i"],
    ["collectTerms", "N - 1 - (N - 1 - i)", "i"],
    ["collectTerms", "d[i] + d[i] - d[i]", "d[i]"],
    ["recompose", "(i div 4) * 4 + i % 4", "i"],
    ["recompose", "(d[i] div 3) * 3 + d[i] % 3 + 1", "d[i] + 1"],
    ["recompose", "(i div 4) * 8 + i % 4", "i div 4 * 8 + i % 4"],
    ["divisions", "(i * 4 + k) div 4", "i"],
    ["divisions", "(i * 4 + k) % 4", "k"],
    ["divisions", "(i * 8 + k) div 4", "i * 2"],
    ["divisions", "(i * 4 + j + 9) % 4", "(j + 1) % 4"],
    ["divisions", "(i * M + j) div M", "i"],
    ["divisions", "(i * M + j) % M", "j"],
    ["divisions", "k div 4", "0"],
    ["divisions", "i % N", "i"],
    ["divisions", "i div 4 div 3", "i div 12"],
    ["divisions", "i % 12 % 4", "i % 4"],
    ["divisions", "i % 4 % 12", "i % 4"],
    ["divisions", "rem(i, 3)", "i % 3"],
    ["divisions", "(d[i] * 4 + k) div 4", "(d[i] * 4 + k) div 4"],
    ["divisions", "(d[i] * 4 + k) % 4", "(d[i] * 4 + k) % 4"],
    ["divisions", "d[i] div 65536 div 65536", "d[i] div 65536 div 65536"],
    ["comparisons", "i < N", "true"],
    ["comparisons", "i >= N", "false"],
    ["comparisons", "i - 1 < i", "true"],
    ["comparisons", "d[i] - 1 < d[i]", "d[i] - 1 < d[i]"],
    ["comparisons", "i * 4 + k < N * 4", "true"],
    ["comparisons", "i + 1 == i", "false"],
    ["comparisons", "d[i] + 1 == d[i]", "false"],
    ["comparisons", "k == 9", "false"],
    ["comparisons", "i < 3", "i < 3"],
    ["comparisons", "d[i] % 4 >= 0", "true"],
    ["extremes", "min(i, N - 1)", "i"],
    ["extremes", "max(i, 0)", "i"],
    ["extremes", "min(max(i - 1, 0), N)", "max(i - 1, 0)"],
    ["extremes", "max(max(d[i], 0), d[i])", "max(d[i], 0)"],
    ["extremes", "abs(i)", "i"],
    ["extremes", "abs(d[i])", "abs(d[i])"],
    ["unitAxis", "i + o", "i"],
    ["fills", "x[i] ?? 0.0", "x[i]"],
    ["fills", "x[i + 1] ?? 0.0", "x[i + 1] ?? 0.0"],
    ["fills", "x[i + N] ?? 0.0", "0.0"],
    ["fills", "x[i * 4 div 4] ?? 7.0", "x[i]"],
    ["trivialReduction", "max(q:1){x[i] + f32(q)}", "x[i] + 0.0"],
    ["trivialReduction", "add(q:1, r:4){x[i] * f32(r + q)}", "add(r:4){x[i] * f32(r)}"],
    ["trivialReduction", "add(q:1){x[i]}", "add(){x[i]}"],
    ["trivialReduction", "argmax(q:1){x[i], q}.1", "0"],
    ["trivialReduction", "mul(q:N, r:0){x[i]}", "1.0"],
  ];
  test.each(rows)("%s: %s → %s", (_, before, after) => {
    expect(simplified(before)).toBe(after);
  });
  test("float algebra is left alone", () => {
    for (const text of [
      "x[i] * 0.0",
      "x[i] - x[i]",
      "x[i] + 0.0",
      "x[i] / x[i]",
      "x[i] * 2.0 / 2.0",
      "x[i] == x[i]",
      "x[i] + x[i]",
    ])
      expect(simplified(text)).toBe(text);
  });
  test("every rule has fired", () => {
    for (const [, before] of rows) simplified(before);
    expect([...fired].sort()).toEqual([...Object.keys(RULES), "unitAxis", "fills", "trivialReduction"].sort());
  });
});

function printExprOf(text: string): string {
  const p = parseProgram(`y[] = ${text}\nresult y = y`);
  return `${interpret(p, new Map())[0]!.data[0]}u`;
}

describe("programs", () => {
  const both = (before: string, after: string): void => {
    const p = parseProgram(`program p\n${before}\n`);
    const q = simplifyProgram(p);
    expect(printProgram(q)).toBe(`program p\n${after.trim()}\n`);
    expect(simplifyProgram(q)).toBe(q);
    expect(verifyProgram(q)).toEqual([]);
  };
  test("equal definitions merge up to axis names, dead ones go", () => {
    both(
      `input x: f32[n:N, k:K]
       a[n:N] = add(k:K) x[n, k]
       dead[n:N] = exp(a[n])
       b[m:N] = add(l:K) x[m, l]
       c[m:N] = add(l:K) x[m, l] * 2.0
       y[n:N] = a[n] / b[n] + c[n]
       result y = y
       result b = b`,
      `
input x: f32[n:N, k:K]
a[n:N] = add(k:K) x[n, k]
c[m:N] = add(l:K) x[m, l] * 2.0
y[n:N] = a[n] / a[n] + c[n]
result y = y
result b = a`,
    );
  });
  test("epochs keep apart", () => {
    both(
      "input x: f32[n:N]\na[n:N] = exp(x[n])\nb[n:N] @1 = exp(x[n])\nresult a = a\nresult b = b",
      "input x: f32[n:N]\na[n:N] = exp(x[n])\nb[n:N] @1 = exp(x[n])\nresult a = a\nresult b = b",
    );
  });
  test("equal reductions inside one definition become one", () => {
    both(
      "input x: f32[n:N, k:K]\ny[n:N] = add(k:K){exp(x[n, k])} / (1.0 + add(l:K){exp(x[n, l])})\nresult y = y",
      "input x: f32[n:N, k:K]\ny[n:N] = add(k:K){exp(x[n, k])} / (1.0 + add(k:K){exp(x[n, k])})\nresult y = y",
    );
  });
  test("scans, scatters and loops", () => {
    both(
      `input x: f32[n:N]
       s[n:N] = scan add along n x[n]
       t[m:N] = scan add along m x[m]
       u[n:N] = scatter add(i:N) at [i] s[i]
       v[n:N] = scatter add(i:N) at [i + 0] t[i]
       loop count 2 {
         carry c: f32[n:N] = v
         w[n:N] = c[n] + exp(u[n])
         z[n:N] = c[n] + exp(v[n])
         gone[n:N] = exp(z[n])
         next c = z
       }
       result u = u
       result c = c`,
      `
input x: f32[n:N]
s[n:N] = scan add along n x[n]
u[n:N] = scatter add(i:N) at [i] s[i]
loop count 2 {
  carry c: f32[n:N] = u
  w[n:N] = c[n] + exp(u[n])
  next c = w
}
result u = u
result c = c`,
    );
  });
});
