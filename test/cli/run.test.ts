/** What `fusum run`, `check` and `explain` refuse before anything runs, and the results of `run` as JSON. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fusumIn, type Outcome } from "./captured.ts";

const SOURCE = `export fn scale(x: f32[M, N], g: f32[M]) -> (y: f32[M, N], total: f32) {
  y[m, n] = x[m, n] * g[m]
  { y, total: sum(y) }
}

export fn constructor(__proto__: f32[N], valueOf: f32[N]) { __proto__ / valueOf }

export fn tail(x: f32[..., N], k: const int = 1) { x[..., k:] }
`;
const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fusum-cli-"));
  writeFileSync(join(folder, "m.ein"), SOURCE);
});
afterEach(() => process.chdir(home));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fusum = (...args: readonly string[]): Promise<Outcome> => fusumIn(folder, args);

/** The function's arguments are small and random unless the options say something else. */
const scale = (...options: readonly string[]): ReturnType<typeof fusum> =>
  fusum("run", "m.ein", "scale", "--random", "x=2x3", "--random", "g=2", ...options);

describe("fusum run refuses, before it opens a device,", () => {
  test.each([
    [
      "a function that is not there",
      () => fusum("run", "m.ein", "scael"),
      "no exported function scael; did you mean scale?",
    ],
    [
      "a shape that is none",
      () => fusum("run", "m.ein", "scale", "--random", "x=2x"),
      'needs a shape like 4x5, not "2x"',
    ],
    ["an argument that is given twice", () => scale("--input", "g=[1, 2]"), "g is given by --input and by --random"],
    ["no seed", () => scale("--seed", ""), '--seed must be an integer, not ""'],
    [
      "an extent that the function does not have",
      () => scale("--extent", "Q=2"),
      "--extent Q: no function here has it",
    ],
    ["an extent that is no number", () => scale("--extent", "N=three"), 'not "three"'],
    [
      "an extent that the arguments do not have",
      () => scale("--extent", "N=4"),
      "--extent N=4, but axis 1 of x has extent 3",
    ],
    [
      "the same behind leading axes",
      () => fusum("run", "m.ein", "tail", "--random", "x=2x2x3", "--extent", "N=2"),
      "axis 2 of x has extent 3",
    ],
    ["a constant that the function does not have", () => scale("--const", "k=2"), "--const k: no function here has it"],
    [
      "a result that the function does not have",
      () => scale("--out", "z=z.npy"),
      "scale has no result z; it gives y, total",
    ],
    ["a file of no known kind", () => scale("--out", "y=y.txt"), "arrays are written as .npy"],
  ])("%s", async (_, run, message) => {
    const { code, out, err } = await run();
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });
});

describe("fusum run", () => {
  test("takes extents that agree, and prints numbers as JSON that JSON has none for", async () => {
    const inputs = ["--input", 'x=[["-0", "NaN"]]', "--input", "g=[2]"];
    const { code, out } = await fusum("run", "m.ein", "scale", ...inputs, "--extent", "N=2", "--interpret", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      y: { dtype: "f32", shape: [1, 2], data: ["-0", "NaN"] },
      total: { dtype: "f32", shape: [], data: ["NaN"] },
    });
  });

  test("writes one result to a file, and says then what it was", async () => {
    const { code, out } = await scale("--interpret", "--out", "total=t.json", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ y: { dtype: "f32", shape: [2, 3] }, total: { dtype: "f32", shape: [] } });
    expect(readFileSync(join(folder, "t.json"), "utf8")).toContain("total");
  });

  test("names of JavaScript's prototypes", async () => {
    const inputs = ["--input", "__proto__=[6, 8]", "--input", "valueOf=[2, 4]"];
    const { code, out } = await fusum("run", "m.ein", "constructor", ...inputs, "--interpret");
    expect({ code, out }).toEqual({ code: 0, out: "result: f32[2] = [3, 2]\n" });
    expect(await fusum("check", "m.ein", "--gradients", "--function", "constructor")).toMatchObject({ code: 0 });
    expect(await fusum("build", "m.ein", "--outDir", "out")).toMatchObject({ code: 0, err: "" });
  });
});

test("tune does not replace what is no cache", async () => {
  writeFileSync(join(folder, "package.json"), "{}");
  for (const [out, message] of [
    ["m.ein", "--out needs a .json file, not m.ein"],
    ["package.json", "package.json is not a cache of schedules"],
  ] as const) {
    const { code, err } = await fusum("tune", "m.ein", "scale", "--budget", "1s", "--out", out);
    expect(code).toBe(2);
    expect(err).toContain(message);
  }
  expect(readFileSync(join(folder, "package.json"), "utf8")).toBe("{}");
});

test("check and explain refuse functions, extents and constants that are not there", async () => {
  for (const [args, message] of [
    [["check", "m.ein", "--function", "scal"], "no exported function scal; did you mean scale?"],
    [["check", "m.ein", "--gradients", "--extent", "Q=1"], "--extent Q: no function here has it; there are M, N"],
    [["explain", "m.ein", "tial"], "no exported function tial; did you mean tail?"],
    [["explain", "m.ein", "scale", "--const", "k=1"], "--const k: no function here has it; there are none"],
  ] as const) {
    const { code, err } = await fusum(...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  }
});
