/** `fusum build` as it is typed: which project or files are meant, what is printed, and the exit code. */
import { afterEach, expect, test } from "vitest";
import { fusumIn, type Outcome } from "../cli/captured.ts";
import { type Folder, makeFolder } from "./folder.ts";

const FINE = "export fn total(x: f32[N]) { sum(x) }\n";
const WRONG = "export fn f(x: f32[3], y: f32[4]) { x + y }\n";
const home = process.cwd();
afterEach(() => process.chdir(home));

const fusum = (folder: Folder, ...args: readonly string[]): Promise<Outcome> => fusumIn(folder.path, args);

test("without a command: the project of this folder or above, or a file; help where there is neither", async () => {
  const folder = makeFolder({ "a.ein": FINE });
  const help = await fusum(folder);
  expect(help).toMatchObject({ code: 2, out: expect.stringContaining("Usage: fusum") });
  expect(await fusum(folder, "build")).toMatchObject({ code: 2, err: expect.stringContaining("fusum.config.json") });
  expect(await fusum(folder, "a.ein", "--noEmit")).toEqual({ code: 0, out: "", err: "" });
  expect(await fusum(folder, "build", "--init")).toEqual({ code: 0, out: "fusum.config.json\n", err: "" });
  expect(await fusum(folder, "build", "--init")).toMatchObject({ code: 2 });
  expect(await fusum(folder)).toEqual({ code: 0, out: "", err: "" });
  expect([...folder.outputs().keys()]).toContain("dist/a.ein.js");
  expect(await fusum(folder, "--json")).toMatchObject({ code: 0, out: expect.stringContaining('"unchanged": 1') });
});

test("files that are named say what was written, under the folders that they have in common", async () => {
  const folder = makeFolder({ "src/a.ein": FINE, "src/deep/b.ein": FINE });
  const { code, out } = await fusum(folder, "build", "src", "--outDir", "out", "--emit", "plans");
  expect(code).toBe(0);
  expect(out.trim().split("\n")).toEqual([
    "out/a.total.plan.json",
    "out/a.total.wgsl",
    "out/deep/b.total.plan.json",
    "out/deep/b.total.wgsl",
  ]);
  expect([...folder.outputs().keys()]).toEqual(out.trim().split("\n"));
});

test("errors give exit code 1 and their places as seen from here, also as JSON", async () => {
  const folder = makeFolder({ "src/bad.ein": WRONG, "src/a.ein": FINE, "sub/x.txt": "" }, { include: ["src"] });
  expect(await fusum(folder)).toEqual({
    code: 1,
    out: "",
    err: expect.stringMatching(/^src\/bad\.ein\(1,13\): error EIN1203: [^\n]+\n\nFound 1 error\.\n$/),
  });
  process.chdir(home);
  const json = await fusum({ ...folder, path: `${folder.path}/sub` }, "--json");
  expect(json.code).toBe(1);
  const { diagnostics } = JSON.parse(json.out) as {
    readonly diagnostics: readonly { readonly labels: readonly object[] }[];
  };
  expect(diagnostics[0]?.labels[0]).toMatchObject({ file: "../src/bad.ein", line: 1, column: 13 });
});

test.each([
  [["build", "nowhere.ein"], 2, "no such file or folder"],
  [["build", "-p", "nowhere"], 2, "there is no fusum.config.json in nowhere"],
  [["build", "-p", ".", "a.ein"], 2, "exclude each other"],
  [["build", "a.ein", "--threads", "0"], 2, "--threads"],
  [["build", "a.ein", "--function", "total"], 2, "--function"],
  [["build", "a.ein", "--emit", "wasm"], 2, "Allowed choices"],
  [["buidl"], 2, "Did you mean build"],
])("%j ends with %i: %s", async (args, code, words) => {
  const folder = makeFolder({ "a.ein": FINE });
  const outcome = await fusum(folder, ...args);
  expect(outcome.code).toBe(code);
  expect(outcome.err).toContain(words);
});

test("stages are printed, of a project as well", async () => {
  const folder = makeFolder({ "a.ein": FINE }, {});
  expect((await fusum(folder, "build", "--emit", "tensor")).out).toContain("total");
  expect((await fusum(folder, "build", "a.ein", "--emit", "wgsl", "--function", "total")).out).toContain("@compute");
  expect([...folder.outputs().keys()]).toEqual([]);
});

test("times of passes: once, or also when the code is warm", async () => {
  const folder = makeFolder({ "a.ein": FINE });
  const once = await fusum(folder, "build", "a.ein", "--time-passes");
  expect(once).toMatchObject({ code: 0, out: "", err: expect.stringMatching(/^total\n {2}elaborate +[\d.]+ ms\n/) });
  const { code, out } = await fusum(folder, "build", "a.ein", "--time-passes", "--repeat", "5", "--json");
  expect(code).toBe(0);
  const { times } = JSON.parse(out);
  expect(times[0].passes.map((p: { pass: string }) => p.pass)).toContain("emit");
  for (const p of times[0].passes) expect(p.warm).toBeGreaterThanOrEqual(0);
  expect(await fusum(folder, "build", "a.ein", "--repeat", "5")).toMatchObject({ code: 2 });
  expect(await fusum(folder, "build", "a.ein", "--time-passes", "--repeat", "0")).toMatchObject({ code: 2 });
});
