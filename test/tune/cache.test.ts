import { describe, expect, test } from "vitest";
import { compile } from "../../src/index.ts";
import { choose } from "../../src/schedule/choose.ts";
import type { Region } from "../../src/schedule/region.ts";
import type { Target } from "../../src/schedule/target.ts";
import { DEFAULT_TARGET } from "../../src/schedule/target.ts";
import {
  keyOf,
  lookup,
  mergeCaches,
  readCache,
  type ScheduleCache,
  type ScheduleEntry,
  scheduleFrom,
  writeCache,
} from "../../src/tune/cache.ts";
import { bucketOf } from "../../src/tune/key.ts";
import { GPU, SOFT8 } from "../schedule/support.ts";

const ADAPTER: Target = { ...GPU, driver: "1.2.3" };
const dense = (n: number | undefined, names = ["x", "w"]): Region => {
  const [x, w] = names;
  const program = compile(`export fn dense(${x}: f32[N, I], ${w}: f32[I, O]) { relu(${x} @ ${w}) }`);
  const extents: Record<string, number> = n === undefined ? {} : { N: n, I: 64, O: 128 };
  const [region] = program.compiled("dense", { extents, adapter: ADAPTER }).fused.regions;
  if (!region) throw new Error("no region");
  return region;
};

function entryOf(region: Region, target: Target = ADAPTER, sizes?: ReadonlyMap<string, number>): ScheduleEntry {
  const key = keyOf(region, target, sizes);
  return {
    ...key,
    adapter: key.adapter ?? "",
    schedule: choose(region, target),
    name: region.name,
    ns: 10,
    defaultNs: 20,
  };
}
const cacheOf = (...entries: ScheduleEntry[]): ScheduleCache => ({ entries });

describe("keys", () => {
  test("names do not matter, the program does", () => {
    expect(keyOf(dense(64, ["a", "b"]), ADAPTER)).toEqual(keyOf(dense(64), ADAPTER));
    const program = compile("export fn f(x: f32[N, I], w: f32[I, O]) { abs(x @ w) }");
    const [other] = program.compiled("f", { extents: { N: 64, I: 64, O: 128 }, adapter: ADAPTER }).fused.regions;
    expect(keyOf(other!, ADAPTER).region).not.toBe(keyOf(dense(64), ADAPTER).region);
  });
  test("extents are buckets, with the alignment of those that are fixed", () => {
    expect([7, 16, 17, 500, 512, 625].map((n) => bucketOf(n, true))).toEqual([
      "7",
      "16",
      "32/1",
      "512/4",
      "512/16",
      "1024/1",
    ]);
    expect(bucketOf(625, false)).toBe("1024");
    expect(keyOf(dense(500), ADAPTER).extents).toContain("512/4");
    expect(keyOf(dense(undefined), ADAPTER).extents).toEqual(["?", "?", "?"]);
    const sizes = new Map([
      ["N", 300],
      ["I", 64],
      ["O", 100],
    ]);
    expect(keyOf(dense(undefined), ADAPTER, sizes).extents.toSorted()).toEqual(["128", "512", "64"]);
  });
});

describe("looking up", () => {
  test("an entry is found again after a round trip through text", () => {
    const region = dense(512);
    const { cache, warnings } = readCache(writeCache(cacheOf(entryOf(region))));
    expect(warnings).toEqual([]);
    expect(lookup(cache, keyOf(dense(512, ["p", "q"]), ADAPTER))).toEqual(choose(region, ADAPTER));
    expect(scheduleFrom(cache, region, ADAPTER)).toEqual(choose(region, ADAPTER));
    expect(writeCache(cache)).toBe(writeCache(cacheOf(entryOf(region))));
  });
  test("an entry of another adapter, of other limits, or of another compiler is not taken", () => {
    const region = dense(512);
    const cache = cacheOf(entryOf(region));
    expect(lookup(cache, keyOf(region, { ...ADAPTER, driver: "1.2.4" }))).toBeUndefined();
    expect(lookup(cache, keyOf(region, { ...ADAPTER, features: ["subgroups"] }))).toBeUndefined();
    expect(lookup(cache, { ...keyOf(region, ADAPTER), compiler: "0.0.0" })).toBeUndefined();
    expect(lookup(cache, keyOf(region, { ...ADAPTER, features: ["timestamp-query"] }))).toBeDefined();
  });
  test("without a device, any adapter's entries of the same limits will do", () => {
    const region = dense(512);
    expect(DEFAULT_TARGET.limits).toEqual(ADAPTER.limits);
    expect(scheduleFrom(cacheOf(entryOf(region)), region, DEFAULT_TARGET)).toEqual(choose(region, ADAPTER));
  });
  test("the nearest extents win, far ones and other alignments are not taken", () => {
    const near: ScheduleEntry = { ...entryOf(dense(300)), schedule: { ...choose(dense(300), ADAPTER), swizzle: 1 } };
    const far = entryOf(dense(4096 + 4));
    const cache = cacheOf(far, near);
    expect(lookup(cache, keyOf(dense(604), ADAPTER))?.swizzle).toBe(1);
    expect(lookup(cache, keyOf(dense(8 * 4096 + 4), ADAPTER))?.swizzle).toBe(0);
    expect(lookup(cache, keyOf(dense(601), ADAPTER))).toBeUndefined();
    expect(lookup(cacheOf(near), keyOf(dense(1e6 + 4), ADAPTER))).toBeUndefined();
  });
  test("an illegal schedule is never used: the next one is, or none", () => {
    const region = dense(512);
    const good = entryOf(region);
    const bad: ScheduleEntry = {
      ...entryOf(dense(1024)),
      extents: good.extents,
      schedule: choose(dense(1024), SOFT8),
    };
    expect(scheduleFrom(cacheOf(bad), region, ADAPTER)).toBeUndefined();
    expect(scheduleFrom(cacheOf(bad, good), region, ADAPTER)).toEqual(good.schedule);
  });
  test("merging keeps the newer of two entries with a key", () => {
    const region = dense(512);
    const merged = mergeCaches(cacheOf(entryOf(region)), cacheOf({ ...entryOf(region), ns: 5 }));
    expect(merged.entries.map((e) => e.ns)).toEqual([5]);
  });
});

describe("files that anybody may have written", () => {
  const good = (): Record<string, unknown> =>
    JSON.parse(JSON.stringify(entryOf(dense(512)))) as Record<string, unknown>;
  const file = (...entries: unknown[]): string => JSON.stringify({ format: "fusum schedules 1", entries });
  const codes = (text: string): string[] => readCache(text).warnings.map((w) => w.code);

  test("what is no cache is a warning", () => {
    for (const text of [
      "",
      "{",
      "null",
      "[]",
      "{}",
      '{"format":"fusum schedules 1"}',
      '{"entries":[]}',
      "1e999",
      '"x"',
    ])
      expect(codes(text), text).toEqual(["EIN3001"]);
    expect(readCache("\u0000").cache.entries).toEqual([]);
    expect(codes("[".repeat(100_000))).toEqual(["EIN3001"]);
  });
  test("an entry that is not whole is left out, the others stay", () => {
    const odd = [null, 1, [], {}, { ...good(), region: 5 }, { ...good(), extents: ["a"] }, { ...good(), ns: -1 }];
    const { cache, warnings } = readCache(file(...odd, good()));
    expect(cache.entries).toHaveLength(1);
    expect(warnings.map((w) => [w.code, w.severity])).toEqual([["EIN3002", "warning"]]);
  });
  test("schedules have known fields and sane values only", () => {
    const schedule = good()["schedule"] as Record<string, unknown>;
    const odd: unknown[] = [
      { ...schedule, kind: "constructor" },
      { ...schedule, kind: "__proto__" },
      { ...schedule, extra: 1 },
      { ...schedule, reg: [4] },
      { ...schedule, reg: [4, 1e9] },
      { ...schedule, reg: { 0: 4, 1: 4, length: 2 } },
      { ...schedule, threads: [16, 16, 0.5] },
      { ...schedule, vector: "4" },
      { ...schedule, tileK: Number.MAX_SAFE_INTEGER },
      JSON.parse('{"__proto__": {"kind": "row"}}'),
    ];
    const { cache, warnings } = readCache(file(...odd.map((s) => ({ ...good(), schedule: s }))));
    expect(cache.entries).toEqual([]);
    expect(warnings[0]?.message).toContain(`${odd.length} of ${odd.length} entries`);
    expect(({} as Record<string, unknown>)["kind"]).toBeUndefined();
  });
});
