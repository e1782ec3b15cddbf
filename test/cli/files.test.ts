/** Files and folders that are named on the command line: which command they mean, and what becomes of those that cannot be read or written. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fusumIn, type Outcome } from "./captured.ts";

const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fusum-files-"));
  writeFileSync(join(folder, "m.ein"), "export fn twice(x: f32[N]) { 2 * x }\n");
  for (const name of ["src", "empty", "run", "folder.ein"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "src", "a.ein"), "export fn thrice(x: f32[N]) { 3 * x }\n");
  writeFileSync(join(folder, "plain"), "");
  writeFileSync(join(folder, "latin.ein"), Uint8Array.of(0xe9));
  writeFileSync(join(folder, "broken.json"), "[1, 2");
  writeFileSync(join(folder, "broken.npy"), "no array");
});
afterEach(() => process.chdir(home));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fusum = (...args: readonly string[]): Promise<Outcome> => fusumIn(folder, args);

describe("without a command", () => {
  test.each([
    ["a folder", ["src"], "src/a.ein.d.ts\nsrc/a.ein.js\n"],
    ["a folder by its path", ["./src", "--noEmit"], ""],
    ["a file after an option with a word of its own", ["--pretty", "never", "m.ein", "--noEmit"], ""],
    ["a file after an option without one", ["--pretty", "m.ein", "--noEmit"], ""],
  ])("%s is built", async (_, args, out) => {
    expect(await fusum(...args)).toEqual({ code: 0, out, err: "" });
    if (out) for (const path of out.trim().split("\n")) expect(existsSync(join(folder, path))).toBe(true);
  });
  test("a command is one even where a folder has its name", async () => {
    const { code, err } = await fusum("run");
    expect(code).toBe(2);
    expect(err).toContain("missing required argument 'file'");
  });
  test("any other word is no command", async () => {
    const { code, err } = await fusum("buidl");
    expect(code).toBe(2);
    expect(err).toContain("unknown command 'buidl'");
  });
});

const input = (file: string): readonly string[] => ["run", "m.ein", "twice", "--interpret", "-i", `x=${file}`];

test.each([
  ["a path that is not there", ["./none"], 2, "no such file or folder: ./none"],
  ["a source that is not there", ["run", "none.ein", "f"], 2, "cannot read none.ein: no such file or directory"],
  ["a folder for a source", ["explain", "src"], 2, "src is a folder"],
  ["a folder without sources", ["build", "empty"], 2, "no .ein files found"],
  ["a folder with a source's name", ["folder.ein"], 2, "no .ein files found"],
  ["a source that is no UTF-8", ["latin.ein", "--noEmit"], 1, "EIN1006: the file is not valid UTF-8"],
  ["an array that is not there", input("none.npy"), 1, "EIN2001: none.npy cannot be read: no such file or directory"],
  ["JSON that is cut off", input("broken.json"), 1, "EIN2002: the file is not valid JSON"],
  ["a file that is no array", input("broken.npy"), 1, "EIN2002: this is not a .npy file"],
  ["an output folder that is a file", ["m.ein", "--outDir", "plain/x"], 1, "cannot be written: not a directory"],
  [
    "an output folder that nobody can make",
    ["m.ein", "--outDir", "/proc/none/x"],
    1,
    "cannot be written: no such file",
  ],
  [
    "a configuration's folder that is a file",
    ["build", "--init", "-p", "plain"],
    1,
    "EIN2007: plain/fusum.config.json",
  ],
  ["a cache in a file", ["tune", "m.ein", "-o", "plain/c.json"], 2, "plain/c.json cannot be written: not a directory"],
  ["a result in a file", [...input("[1]"), "-o", "plain/y.npy"], 1, "EIN2007: plain/y.npy cannot be written"],
])("%s ends with a message and its exit code", async (_, args, code, message) => {
  const outcome = await fusum(...args);
  expect(outcome.err).toContain(message);
  expect(outcome.code).toBe(code);
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test.each([
  [["-"], "fn f(x:f32) {x}", 0, "fn f(x: f32) { x }\n"],
  [["-"], "fn f(x:f32) {", 1, "fn f(x:f32) {"],
  [["--check", "-"], "fn f(x:f32) {x}", 1, ""],
  [["--check", "-"], "fn f(x: f32) { x }\n", 0, ""],
])("fmt %s of %j ends with %i", (args, input, code, out) => {
  const command = [join(home, "src/cli/main.ts"), "fmt", ...args];
  const { status, stdout } = spawnSync(process.execPath, command, { input, encoding: "utf8" });
  expect([status, stdout]).toEqual([code, out]);
});

test.skipIf(!existsSync("/dev/full"))("a standard output that is full is said to be so", () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(home, "src/cli/main.ts"), "build", join(folder, "m.ein"), "--emit", "wgsl"],
    { stdio: ["ignore", openSync("/dev/full", "w"), "pipe"], encoding: "utf8" },
  );
  expect(stderr).toContain("standard output cannot be written: no space left on device");
  expect(status).toBe(1);
});
