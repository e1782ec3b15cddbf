/** Command lines of the project's own scripts (`npm run fuzz` and the like): `--help` or `-h`, and exit code 2 for what is not understood. */
import { type ParseArgsConfig, parseArgs } from "node:util";

/** Says what is wrong with a command line and how it should be, and ends the process. */
export function misuse(usage: string, message: string): never {
  process.stderr.write(`${message}\n${usage}\n`);
  process.exit(2);
}

/** The process's arguments. Ends the process after `--help`, and if they are not as `config` has them. */
export function readArguments<T extends ParseArgsConfig>(usage: string, config: T): ReturnType<typeof parseArgs<T>> {
  if (process.argv.slice(2).some((a) => a === "--help" || a === "-h")) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    return misuse(usage, String(error instanceof Error ? error.message : error).split(". ", 1)[0]!);
  }
}

/** One of a few values; `name` is what the user calls it, such as `--adapter`. */
export function oneOf<T extends string>(usage: string, name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((a) => a === value);
  return found ?? misuse(usage, `${name} is one of ${allowed.join(", ")}, not ${value}`);
}

/** A whole number that is at least `least`. */
export function wholeNumber(usage: string, name: string, value: string, least = 0): number {
  const n = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(n) && n >= least) return n;
  return misuse(usage, `${name} is a whole number from ${least} on, not ${value}`);
}
