/** `fusum check --gradients` from the command line. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const MAIN = resolve(import.meta.dirname, "../../src/cli/main.ts");
const SOURCE = `fn wrong_rule(x: f32[N], cotangent: f32[N]) { cotangent * 2 }

@vjp(wrong_rule)
export fn wrong(x: f32[N]) { sin(x) }

fn right_rule(x: f32[N], cotangent: f32[N]) { cotangent * cos(x) }

@vjp(right_rule)
export fn right(x: f32[N]) { sin(x) }

export fn logarithm(x: f32[N]) { log(x) }

export fn steps(x: f32[N]) { floor(x) }

export fn integers(n: i32[N]) { n + 1 }

export fn corner(x: f32[N]) { abs(x - x[0]) * sign(x[0]) }
`;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fusum-gradients-"));
  writeFileSync(join(folder, "a.ein"), SOURCE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function check(...more: readonly string[]): { readonly code: number | null; readonly out: string } {
  const done = spawnSync(process.execPath, [MAIN, "check", "--gradients", "a.ein", ...more], {
    cwd: folder,
    encoding: "utf8",
  });
  return { code: done.status, out: done.stdout };
}

test("a wrong rule is found", () => {
  const { code, out } = check();
  expect(code).toBe(1);
  const line = (name: string): string => out.split("\n").find((l) => l.startsWith(`a.ein ${name}:`)) ?? "";
  expect(line("wrong")).toMatch(/FAILED, the derivative by x: differences give .*, reverse mode .* \(± .*\) \(N=5\)$/);
  expect(line("right")).toMatch(/ok, derivatives by x, [\d.]+% of the bound used \(N=5\)$/);
  expect(line("logarithm")).toMatch(/ok, derivatives by x/);
  expect(line("steps")).toMatch(/ok, derivatives by x/);
  expect(line("integers")).toMatch(/skipped, no float depends on a float/);
  expect(line("corner")).toMatch(/undecided|ok/);
});

test("as JSON", () => {
  const { code, out } = check("--function", "right", "--json");
  expect(code).toBe(0);
  const [f] = JSON.parse(out).functions;
  expect(f).toMatchObject({ function: "right", status: "checked", extents: { N: 5 } });
  expect(f.gradients.map((g: { verdict: { kind: string } }) => g.verdict.kind)).toEqual(["agrees", "agrees"]);
  expect(f.gradients[0].verdict.share).toBeLessThan(1);
});
