/** The code blocks of README.md and docs/. */
import { globSync, readFileSync } from "node:fs";

export interface CodeBlock {
  readonly page: string;
  readonly name: string;
  /** What follows the language on the opening line: `fragment`, `error`. */
  readonly mark: string;
  readonly source: string;
}

export const ROOT: URL = new URL("../../", import.meta.url);

export function codeBlocks(language: string): readonly CodeBlock[] {
  return ["README.md", ...globSync("docs/**/*.md", { cwd: ROOT })].flatMap((page) => {
    const text = readFileSync(new URL(page, ROOT), "utf8");
    const blocks = [...text.matchAll(/^```(\w+)(?: (\w+))?\n(.*?)^```$/gms)].filter((m) => m[1] === language);
    return blocks.map((m, i) => ({ page, name: `${page} example ${i + 1}`, mark: m[2] ?? "", source: m[3]! }));
  });
}
