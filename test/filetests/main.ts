/** npm run filetests -- [--bless] [PART OF A PATH]: runs the filetests; with --bless, writes what they now give as expected. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const USAGE = "npm run filetests -- [--bless] [PART OF A PATH]";

function readArguments(): { readonly values: { readonly bless: boolean }; readonly positionals: readonly string[] } {
  try {
    const options = { bless: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (!values.help) return { values, positionals };
    console.log(USAGE);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

const { values, positionals } = readArguments();
const root = resolve(import.meta.dirname, "../..");
const done = spawnSync(process.execPath, ["test/run.ts", "test/filetests.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ...(values.bless ? { FUSUM_BLESS: "1" } : {}), FUSUM_FILETESTS: positionals[0] ?? "" },
});
process.exitCode = done.status ?? 1;
