/** Measured costs: of a device, in the cache folder, and in the model. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { AdapterCosts } from "../../runtime/plan.ts";
import { compile } from "../../src/index.ts";
import { choose, scheduleText } from "../../src/schedule/choose.ts";
import { contractionPrice } from "../../src/schedule/choose-contraction.ts";
import { type Target, unmeasured } from "../../src/schedule/target.ts";
import { openTestDevice } from "../device.ts";
import { SOFT8 } from "../schedule/support.ts";

vi.setConfig({ testTimeout: 120_000 });

const before = process.env["XDG_CACHE_HOME"];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fusum-costs-"));
  process.env["XDG_CACHE_HOME"] = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = before;
  rmSync(folder, { recursive: true });
});

/** An adapter of the machine's own has no folder before something is kept for it. */
const files = (): string[] => {
  const cache = join(folder, "fusum");
  return existsSync(cache) ? readdirSync(cache).filter((f) => f.startsWith("costs-")) : [];
};

test("a device is measured when asked, once; what the cache holds is taken the next time", async () => {
  const plain = await openTestDevice();
  expect(plain.info.costs).toBeUndefined();
  plain.close();
  expect(files()).toEqual([]);
  const first = await openTestDevice({ measure: true });
  const costs = first.info.costs!;
  first.close();
  for (const n of ["fma", "scalar", "vector", "iteration", "group", "dispatch", "bandwidth"] as const)
    expect(costs[n], n).toBeGreaterThan(0);
  // Far apart on every adapter, however busy the machine is.
  expect(costs.group).toBeGreaterThan(costs.fma);
  expect(costs.dispatch).toBeGreaterThan(costs.group);
  expect(files()).toHaveLength(1);

  const path = join(folder, "fusum", files()[0]!);
  const kept = { ...(JSON.parse(readFileSync(path, "utf8")) as AdapterCosts), fma: 12345 };
  writeFileSync(path, JSON.stringify(kept));
  const again = await openTestDevice({ measure: true });
  expect(again.info.costs?.fma).toBe(12345);
  again.close();
  for (const odd of ["{", JSON.stringify({ ...kept, group: "x" })]) {
    writeFileSync(path, odd);
    const anew = await openTestDevice({ measure: true });
    expect(anew.info.costs?.fma, odd).toBeLessThan(12345);
    anew.close();
  }
});

const COSTS: AdapterCosts = {
  fma: 0.5,
  scalar: 5,
  vector: 16,
  shared: 15,
  barrier: 30,
  broadcast: 0.5,
  iteration: 2,
  group: 100,
  dispatch: 15_000,
  bandwidth: 10,
};

test("the model prices by measured costs, and by the tables without them", () => {
  const program = compile("export fn f(x: f32[N, I], w: f32[I, O]) { x @ w }");
  const [region] = program.compiled("f", { extents: { N: 256, I: 256, O: 256 }, adapter: SOFT8 }).fused.regions;
  if (region?.kind !== "contraction") throw new Error("no contraction");
  const choice = (costs: AdapterCosts | undefined): string =>
    scheduleText(choose(region, costs ? { ...SOFT8, costs } : SOFT8));
  // The tables' own numbers choose as the tables do.
  expect(choice(COSTS)).toBe(choice(undefined));
  const priced: Target = { ...SOFT8, costs: { ...COSTS, broadcast: 50 } };
  expect(scheduleText(choose(region, unmeasured(priced)))).toBe(choice(undefined));
  const s = choose(region, SOFT8);
  if (s.kind !== "contraction") throw new Error("no contraction");
  expect(s.subgroup).toBe("broadcast");
  expect(contractionPrice(region, s, priced)).toBeGreaterThan(contractionPrice(region, s, SOFT8)!);
  // Where a broadcast is dear, it is not what is chosen.
  expect(choice({ ...COSTS, broadcast: 50 })).toContain("subgroup none");
});
