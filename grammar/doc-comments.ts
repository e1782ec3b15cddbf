/** The comment that documents a declaration: the block of `///` or `//` lines directly above it. */
import type { Comment } from "./tokens.ts";

/**
 * Text of the line comments that end on the line above `at`, each on a line of its own; without their slashes and one space.
 * Where `///` lines are among them, only those count. Undefined if there are none.
 */
export function documentation(comments: readonly Comment[], source: string, at: number): string | undefined {
  let index = lastBefore(comments, at);
  let below = at;
  const lines: string[] = [];
  for (; index >= 0; index--) {
    const c = comments[index]!;
    const gap = source.slice(c.end, below);
    if (!c.text.startsWith("//") || !/^\r?\n?[ \t]*$/.test(gap) || !startsLine(source, c.start)) break;
    lines.unshift(c.text);
    below = c.start;
  }
  const documented = lines.filter((l) => l.startsWith("///") && !l.startsWith("////"));
  const chosen = documented.length > 0 ? documented : lines;
  return chosen.length === 0 ? undefined : chosen.map((l) => l.replace(/^\/\/\/? ?/, "").trimEnd()).join("\n");
}

/** Position of the last comment that ends at or before `at`. */
function lastBefore(comments: readonly Comment[], at: number): number {
  let low = 0;
  let high = comments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comments[middle]!.end <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function startsLine(source: string, at: number): boolean {
  for (let i = at - 1; i >= 0; i--) {
    const c = source[i]!;
    if (c === "\n" || c === "\r") return true;
    if (c !== " " && c !== "\t" && c !== "\uFEFF") return false;
  }
  return true;
}
