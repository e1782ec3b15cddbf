/** Einsum strings under `tsc --strict`: what fits compiles, with the rank of the result; what does not is an error. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "fusum-einsum-types-"));
afterAll(() => rmSync(folder, { recursive: true }));

const here = (path: string): string => JSON.stringify(new URL(`../../${path}`, import.meta.url).pathname);

const CONSUMER = `
import type { CheckedEquation, CheckedOperands, EinsumResult } from ${here("src/api/einsum-types.ts")};
import type { HostArray } from ${here("runtime/plan.ts")};

// The API's signatures; its modules would make this test check the whole compiler, which other checks do.
declare function interpretEinsum<const E extends string, const O extends readonly HostArray[]>(
  equation: E & CheckedEquation<E>,
  ...operands: O & CheckedOperands<E, O>
): EinsumResult<E>;
declare function einsumOn<const E extends string, const O extends readonly HostArray[]>(
  device: object,
  equation: E & CheckedEquation<E>,
  operands: O & CheckedOperands<E, O>,
): Promise<EinsumResult<E>>;

const m = { dtype: "f32", shape: [2, 3], data: new Float32Array(6) } as const;
const v = { dtype: "f32", shape: [3], data: new Float32Array(3) } as const;
declare const unknown: HostArray;
declare const device: object;
declare const many: HostArray[];
declare const text: string;

export const matrix: readonly [number, number] = interpretEinsum("ij,jk->ik", m, m).shape;
export const spaced: readonly [number, number] = interpretEinsum(" ij , jk -> i k ", m, m).shape;
export const scalar: readonly [] = interpretEinsum("ij,j,i->", m, v, v).shape;
export const implicit: readonly [number, number] = interpretEinsum("ij,jk", m, m).shape;
export const trace: readonly [] = interpretEinsum("ii", m).shape;
export const permuted: readonly [number, number] = interpretEinsum("ba", m).shape;
export const upper: readonly [number] = interpretEinsum("Ij,j->I", m, v).shape;
export const dots: readonly number[] = interpretEinsum("...ij,jk->...ik", m, m).shape;
export const late: readonly [number, number] = interpretEinsum("ij,jk->ik", m, unknown).shape;
export const plain: readonly number[] = interpretEinsum(text, m, v, unknown).shape;
export const spread: HostArray = interpretEinsum("ij,jk->ik", ...many);
export const literal: readonly [number] = interpretEinsum("i->i", { dtype: "f32", shape: [1], data: new Float32Array(1) }).shape;
export const long: readonly [number, number] = interpretEinsum("ab,bc,cd,de,ef,fg,gh,hi->ai", m, m, m, m, m, m, m, m).shape;
export const later: Promise<{ readonly shape: readonly [number, number] }> = einsumOn(device, "ij,jk->ik", [m, m]);

// wrong: the second operand has one axis
interpretEinsum("ij,jk->ik", m, v);
// wrong: the first operand has two axes
interpretEinsum("i,jk->ik", m, m);
// wrong: fewer axes than the letters beside the dots
interpretEinsum("...ij->...i", v);
// wrong: an operand is missing
interpretEinsum("ij,jk->ik", m);
// wrong: an operand too many
interpretEinsum("ij,jk->ik", m, m, m);
// wrong: z is in no operand
interpretEinsum("ij,jk->iz", m, m);
// wrong: i twice in the output
interpretEinsum("ij,jk->ii", m, m);
// wrong: i twice in the output after the dots
interpretEinsum("...ij->...ii", m);
// wrong: the result is a matrix
export const wrong: readonly [number] = interpretEinsum("ij,jk->ik", m, m).shape;
// wrong: the operands of a device's call are checked as well
void einsumOn(device, "ij,jk->ik", [m, v]);
`;

/** All of the above, and the standard library, take 22,600. */
const MOST_INSTANTIATIONS = 40_000;

test("right equations compile, wrong ones do not, and cheaply", () => {
  // Spelt apart, since no comment of our own may silence the compiler.
  writeFileSync(join(folder, "consumer.ts"), CONSUMER.replaceAll("// wrong:", `// @ts-${"expect-error"}`));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const root = new URL("../../node_modules/", import.meta.url).pathname;
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: "es2024",
    module: "nodenext",
    lib: ["es2024"],
    types: [],
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  let said = "";
  try {
    said = execFileSync(
      process.execPath,
      [join(root, "typescript/lib/tsc.js"), "-p", folder, "--extendedDiagnostics"],
      {
        encoding: "utf8",
      },
    );
  } catch (error) {
    const { stdout, message } = error as { readonly stdout: string; readonly message: string };
    said = stdout || message;
  }
  expect(said.split("\n").filter((line) => line.includes("error"))).toEqual([]);
  const instantiations = Number(/^Instantiations:\s+(\d+)/m.exec(said)?.[1]);
  expect(instantiations).toBeLessThan(MOST_INSTANTIATIONS);
});
