/** The example of docs/modules.md: its JavaScript runs with the module of its source and prints what its comments say. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { politeWait } from "../../runtime/polite.ts";
import { openTestDevice } from "../device.ts";
import { emit, load, textOf } from "./support.ts";

test("the example runs", async () => {
  const page = readFileSync(new URL("../../docs/modules.md", import.meta.url), "utf8");
  const block = (language: string): string => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(page)![1]!;
  const javascript = block("js");
  const imported = /^import \{ (.*) \} from "\.\/scale\.ein\.js";$/m.exec(javascript)!;
  const said = [...javascript.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((m) => m[1]);
  const module = await load(textOf(emit(block("ein")), ".ein.js"));
  const lines: string[] = [];
  const log = { log: (value: unknown) => lines.push(String(value)) };
  const names = imported[1]!.split(", ");
  const body = javascript.replace(imported[0], "");
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: readonly string[]
  ) => (...values: readonly unknown[]) => Promise<void>;
  const device = await openTestDevice();
  try {
    const run = new AsyncFunction("device", "console", ...names, body);
    await politeWait(run(device.gpu, log, ...names.map((n) => module[n])));
  } finally {
    device.close();
  }
  expect(said.length).toBeGreaterThan(2);
  expect(lines).toEqual(said);
});
