/** npm run filetests -- [--bless] [PART OF A PATH]: runs the filetests; with --bless, writes what they now give as expected. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { readArguments } from "../../src/cli/script.ts";

const USAGE = "usage: npm run filetests -- [--bless] [PART OF A PATH]";

const { values, positionals } = readArguments(USAGE, {
  options: { bless: { type: "boolean", default: false } },
  allowPositionals: true,
});
const root = resolve(import.meta.dirname, "../..");
const done = spawnSync(process.execPath, ["test/run.ts", "test/filetests.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ...(values.bless ? { FUSUM_BLESS: "1" } : {}), FUSUM_FILETESTS: positionals[0] ?? "" },
});
process.exitCode = done.status ?? 1;
