/** `npm test`: runs the tests and says in one plain last line how many passed, failed and were skipped. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { startVitest } from "vitest/node";
import { readArguments } from "../src/cli/script.ts";

const USAGE = `usage: npm test -- [options] [PART OF A PATH ...]
  --fast            leave out the files named *.slow.test.ts
  --device          only files that open a device, but not the slow ones (FUSUM_ADAPTER says which device)
  --name PATTERN    only tests whose name matches
Exit code 1 if anything failed or nothing ran.`;

const root = resolve(import.meta.dirname, "..");
const { values, positionals } = readArguments(USAGE, {
  options: { fast: { type: "boolean" }, device: { type: "boolean" }, name: { type: "string" } },
  allowPositionals: true,
});

/** Whether a file, or a helper beside it that it imports, opens devices through the runtime's entry for Node. */
function opensDevice(path: string, seen = new Set<string>()): boolean {
  if (seen.has(path)) return false;
  seen.add(path);
  const imports = [
    ...readFileSync(path, "utf8").matchAll(/^(?:import|export)\s(?!type\b)[^"]*?from "(\.[^"]+\.ts)"/gm),
  ];
  return imports.some(([, specifier]) => {
    const target = join(dirname(path), specifier!);
    if (target === join(root, "runtime/node.ts")) return true;
    return target.startsWith(join(root, "test")) && opensDevice(target, seen);
  });
}

function selected(): readonly string[] {
  return globSync("test/**/*.test.ts", { cwd: root })
    .sort()
    .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))
    .filter((file) => !values.fast || !file.endsWith(".slow.test.ts"))
    .filter((file) => !values.device || (!file.endsWith(".slow.test.ts") && opensDevice(join(root, file))));
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** What failed, a line each: a log of which only the end is kept says so too. */
  readonly failures: string[];
}

/** What did not come to an end, or could not even be collected, has failed. */
async function run(files: readonly string[]): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const fail = (what: string, error?: { readonly message: string }): void => {
    counts.failed++;
    counts.failures.push([what, error?.message.split("\n", 1)[0]].filter(Boolean).join(": "));
  };
  const vitest = await startVitest(
    "test",
    files.map((file) => join(root, file)),
    {
      root,
      watch: false,
      ...(values.name ? { testNamePattern: values.name } : {}),
    },
  );
  const ran = new Set<string>();
  for (const module of vitest.state.getTestModules()) {
    const file = relative(root, module.moduleId);
    ran.add(file);
    const tests = [...module.children.allTests()];
    // Errors of the file itself, or of a suite's hooks, of which no test knows.
    const around = [...module.errors(), ...[...module.children.allSuites()].flatMap((suite) => suite.errors())];
    for (const error of around) fail(file, error);
    if (tests.length === 0 && around.length === 0) fail(`${file} has no tests`);
    for (const test of tests) {
      const { state, errors } = test.result();
      if (state === "passed" || state === "skipped") counts[state]++;
      else fail(`${file} > ${test.fullName}`, errors?.[0]);
    }
  }
  for (const error of vitest.state.getUnhandledErrors()) fail("unhandled", error as Error);
  for (const file of files) if (!ran.has(file)) fail(`${file} did not run`);
  await vitest.close();
  return counts;
}

const files = selected();
const counts = files.length > 0 ? await run(files) : { passed: 0, failed: 0, skipped: 0, failures: [] };
for (const failure of counts.failures) process.stdout.write(`failed: ${failure}\n`);
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
