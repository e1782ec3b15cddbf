/** Loops over memory that Mesa would unroll are hidden from it on llvmpipe, and nowhere else. */
import { describe, expect, test } from "vitest";
import { emitKernel } from "../../codegen/emit.ts";
import { parseKernel } from "../../ir/parse-kernel.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";

const LLVMPIPE = { ...DEFAULT_TARGET, name: "llvmpipe (LLVM 15.0.6, 256 bits)" };

function loopOf(rounds: number | string, line: string, target = LLVMPIPE): string {
  const code = emitKernel(
    parseKernel(`
kernel end1(x: read f32[4096], y: write f32[64]; N: uniform)
  a: private f32[1]
  for g:8 @grid.x
    for t:8 @thread.x
      a[0] = 0.0
      for k:${rounds} @loop
        ${line}
      y[g * 8 + t] = a[0]
`),
    target,
  ).code;
  return /( *let end\d+ = .*\n)?.*for \(.*\{/.exec(code)?.[0].replace(/^ */gm, "") ?? code;
}
const SUM = "a[0] = a[0] + x[k * 64 + g * 8 + t]";

describe("loops on llvmpipe", () => {
  test("a short one over memory has its last round in a name that nothing else has", () => {
    expect(loopOf(16, SUM)).toBe("let end2 = 16 + i32(group.x >> 31u);\nfor (var k: i32 = 0; k < end2; k++) {");
  });
  test.each([
    ["more rounds than Mesa unrolls", 33, SUM],
    ["few accesses", 4, SUM],
    ["no accesses", 16, "a[0] = a[0] * 0.5 + 1.0"],
    ["a bound that is not known", "N", "a[0] = a[0] + x[min(k, 4095)]"],
  ])("not one with %s", (_, rounds, line) => {
    expect(loopOf(rounds, line)).toBe(`for (var k: i32 = 0; k < ${rounds === "N" ? "sizes.N" : rounds}; k++) {`);
  });
  test("other adapters see what there is", () => {
    expect(loopOf(16, SUM, DEFAULT_TARGET)).toBe("for (var k: i32 = 0; k < 16; k++) {");
  });
});
