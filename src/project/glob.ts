/** `include` and `exclude`: patterns as in tsconfig.json (`*`, `?`, double star), for finding files and for files that appear later. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Patterns {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Whether a path, relative to the root with forward slashes, is a source of the project. */
export type Matcher = (path: string) => boolean;

/** `src/./a/../b/` as `src/b`; the root itself is the empty text. */
export function normalised(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.replaceAll("\\", "/").split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

const isPattern = (text: string): boolean => /[*?]/.test(text);

/** The folder, or file, in which everything lies that a pattern can match. */
export function baseOf(pattern: string): string {
  const parts = normalised(pattern).split("/");
  const at = parts.findIndex(isPattern);
  return (at < 0 ? parts : parts.slice(0, at)).join("/");
}

/** A pattern without a wildcard in its last part stands for the folder of that name too. */
function regexOf(pattern: string): RegExp {
  const text = normalised(pattern);
  if (text === "") return /^/;
  const source = text
    .split("/")
    .map((part, i, parts) => {
      if (part === "**") return i === parts.length - 1 ? ".*" : "(?:[^/]+/)*";
      const one = part
        .replace(/[.+^${}()|[\]\\]/g, "\\$&")
        .replaceAll("*", "[^/]*")
        .replaceAll("?", "[^/]");
      return i === parts.length - 1 ? one : `${one}/`;
    })
    .join("");
  return new RegExp(`^${source}${isPattern(text.split("/").at(-1)!) ? "" : "(?:/.*)?"}$`);
}

/** `node_modules` and dot folders are never searched, unless a pattern names them before its first wildcard. */
export function hidden(path: string, base: string): boolean {
  const below = base === "" ? path : path.slice(base.length + 1);
  return path.startsWith(base) && below.split("/").some((part) => part === "node_modules" || part.startsWith("."));
}

export function matcher(p: Patterns): Matcher {
  const include = p.include.map((text) => ({ regex: regexOf(text), base: baseOf(text) }));
  const exclude = p.exclude.map(regexOf);
  return (path) =>
    path.endsWith(".ein") &&
    include.some((i) => i.regex.test(path) && !hidden(path, i.base)) &&
    !exclude.some((e) => e.test(path));
}

/** Folders and files, none within another, in which sources may lie. */
export function basesOf(include: readonly string[]): string[] {
  const bases = [...new Set(include.map(baseOf))].sort();
  return bases.filter((b) => !bases.some((other) => other !== b && (other === "" || b.startsWith(`${other}/`))));
}

/** The project's sources, relative to the root with forward slashes, in the order of their names. */
export function discover(root: string, p: Patterns): string[] {
  const matches = matcher(p);
  const excluded = p.exclude.map(regexOf);
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        const mayHold = entry.name !== "node_modules" && !entry.name.startsWith(".");
        if (mayHold && !excluded.some((e) => e.test(path))) visit(path);
      } else if (entry.isFile() && matches(path)) found.push(path);
    }
  };
  const named = new Set(p.include.map(baseOf));
  for (const base of named) {
    const stat = statSync(join(root, base), { throwIfNoEntry: false });
    if (stat?.isDirectory()) visit(base);
    else if (stat?.isFile() && matches(base)) found.push(base);
  }
  return [...new Set(found)].sort();
}
