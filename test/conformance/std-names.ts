/** Which functions of the standard library a program uses: its import lines. */
import { readdirSync, readFileSync } from "node:fs";

const STD = new URL("../../src/std/", import.meta.url);

const moduleOf: ReadonlyMap<string, string> = new Map(
  readdirSync(STD)
    .filter((f) => f.endsWith(".ein"))
    .flatMap((f) =>
      [...readFileSync(new URL(f, STD), "utf8").matchAll(/^export fn (\w+)/gm)].map(
        (m) => [m[1]!, f.slice(0, -4)] as const,
      ),
    ),
);

/** `import { softmax } from "std/nn"` for every library function that the text calls or names. */
export function importsFor(text: string): string {
  const used = new Map<string, Set<string>>();
  for (const [name] of text.matchAll(/\b[A-Za-z_]\w*(?=\()/g)) {
    const from = moduleOf.get(name);
    if (from === undefined) continue;
    const names = used.get(from) ?? new Set<string>();
    names.add(name);
    used.set(from, names);
  }
  return [...used].map(([from, names]) => `import { ${[...names].join(", ")} } from "std/${from}"\n`).join("");
}
