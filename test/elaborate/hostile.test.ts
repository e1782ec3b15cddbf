import { describe, expect, it } from "vitest";
import { errorsOf } from "./helper.ts";

/** Exponential work would pass the runner's timeout. */
function codes(source: string): readonly string[] {
  return errorsOf(source).map((e) => e.code);
}

describe("hostile modules end soon with a diagnostic", () => {
  it("calls that double", () => {
    const lines = Array.from({ length: 60 }, (_, k) => `fn g${k + 1}(x: f32) { g${k}(x) + g${k}(x) }`);
    const found = codes(["fn g0(x: f32) { x }", ...lines].join("\n"));
    expect(found).toEqual(["EIN1003"]);
  });
  it("indices whose ranges hide in each other", () => {
    let e = "x[0]";
    for (let k = 0; k < 30; k++) e = `(for[i${k}] ${e} * 1)[i${k + 1}]`;
    expect(codes(`export fn f(x: f32[4]) { for[i30] ${e} }`).length).toBeGreaterThan(0);
  });
  it("extents that grow", () => {
    const lets = Array.from({ length: 60 }, (_, k) => `let n${k + 1} = n${k} * (n${k} + M)`).join("\n");
    expect(codes(`export fn f(x: f32[N], y: f32[M]) { let n0 = N\n${lets}\n x * n60 }`)).toContain("EIN1206");
    const squares = Array.from({ length: 60 }, (_, k) => `let n${k + 1} = n${k} * n${k}`).join("\n");
    expect(codes(`export fn f(x: f32[N]) { let n0 = N\n${squares}\n x * n60 }`)).toContain("EIN1206");
    expect(codes(`export fn f(x: f32[N]) { let n0 = 3\n${squares}\n x * n60 }`)).toContain("EIN1206");
  });
  it("extents beyond 2^31 and 2^53", () => {
    expect(codes("export fn f(x: f32[2147483648]) { x }")).toEqual(["EIN1206"]);
    expect(codes("export fn f(x: f32[9007199254740993]) { x }")).toEqual(["EIN1004"]);
    expect(codes("export fn f() { zeros([100000, 100000]) }")).toEqual(["EIN1206"]);
    expect(codes("export fn f(x: f32[N]) { x + zeros([N * 9007199254740991 * 3])[0] }")).toEqual(["EIN1206"]);
    expect(codes("export fn f(x: f32[N]) { for[i in 0..3000000000] x[0] }")).toContain("EIN1206");
  });
  it("deep nesting", () => {
    expect(codes(`export fn f(x: f32) { ${"-".repeat(200)}x }`)).toEqual([]);
    expect(codes(`export fn f(x: f32) { ${"-".repeat(1990)}x }`)).toEqual(["EIN1003"]);
    expect(codes(`export fn f(x: f32[N]) { ${"x.T".padEnd(6000, ".T")} }`).length).toBeLessThan(2);
    const chain = Array.from({ length: 1900 }, () => "x").join(" ** ");
    expect(codes(`export fn f(x: f32) { ${chain} }`).every((c) => c === "EIN1003")).toBe(true);
  });
});
