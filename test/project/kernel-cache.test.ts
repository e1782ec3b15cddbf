/** What a build keeps of kernels changes nothing of what comes out, and is used. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { KernelMemo } from "../../src/compile.ts";
import { KernelCache } from "../../src/project/kernel-cache.ts";
import type { UnitSettings } from "../../src/project/project.ts";
import { compileUnit } from "../../src/project/unit.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import { manySources, writeProject } from "./generate.ts";

const root = mkdtempSync(join(tmpdir(), "fusum-kernels-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const settings: UnitSettings = {
  root,
  rootDir: "src",
  outDir: "out",
  emit: ["module", "plans"],
  sourceMap: false,
  arbitraryExtensions: false,
  targets: [DEFAULT_TARGET, { ...DEFAULT_TARGET, features: ["subgroups"] }],
  extents: {},
  consts: {},
  specialise: {},
  schedules: undefined,
  strict: false,
  fastMath: false,
};

/** Counts what it is asked for and what it makes. */
class Counted implements KernelMemo {
  readonly cache = new KernelCache();
  asked = 0;
  made = 0;
  scheduled: KernelMemo["scheduled"] = (region, target, asked, make) => {
    this.asked++;
    return this.cache.scheduled(region, target, asked, () => {
      this.made++;
      return make();
    });
  };
  emitted: KernelMemo["emitted"] = (target) => this.cache.emitted(target);
}

test("the same bytes with kernels that other sources have left, in any order", () => {
  const files = [...manySources(36).keys()];
  writeProject(root, 36);
  const outputs = (file: string, memo?: KernelMemo): string =>
    JSON.stringify(compileUnit(file, settings, memo ? { memo } : {}).outputs);
  const alone = new Map(files.map((f) => [f, outputs(f)]));
  const memo = new Counted();
  for (const f of files) expect(outputs(f, memo)).toBe(alone.get(f));
  expect(memo.made).toBeLessThan(memo.asked);
  const backwards = new Counted();
  for (const f of files.toReversed()) expect(outputs(f, backwards)).toBe(alone.get(f));
});

test("after an edit, only what it changes is made again; comments tell the new lines", () => {
  const file = "src/edited.ein";
  const write = (above: string, factor: number): void =>
    writeFileSync(
      join(root, file),
      `${above}export fn first(x: f32[N]) -> f32 { sum(x * ${factor}.0) }\nexport fn second(x: f32[N, M], y: f32[M]) -> f32[N] { tanh(x @ y) }\n`,
    );
  const compiled = (memo?: KernelMemo): string => {
    const { outputs, diagnostics } = compileUnit(file, settings, memo ? { memo } : {});
    expect(diagnostics).toEqual([]);
    return JSON.stringify(outputs);
  };
  const memo = new Counted();
  write("", 2);
  compiled(memo);
  const once = memo.made;
  write("// One more line.\n", 3);
  expect(compiled(memo)).toBe(compiled());
  expect(compiled(memo)).toContain("edited.ein:3");
  // `first` for each of two targets.
  expect(memo.made - once).toBe(2);
});
