import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

it("the lock file has every package that another one names: npm ci refuses it otherwise", () => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Record<string, Locked>;
  };
  const names = new Set(Object.keys(lock.packages).map((path) => path.split("node_modules/").at(-1)));
  const missing = Object.values(lock.packages).flatMap((p) =>
    [...Object.keys(p.dependencies ?? {}), ...Object.keys(p.optionalDependencies ?? {})].filter(
      (name) => !names.has(name),
    ),
  );
  expect(missing).toEqual([]);
});
