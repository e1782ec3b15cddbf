/** The functions that need no import, by name. */
import type { Builtin } from "../value.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { REDUCTIONS } from "./reductions.ts";

export { REDUCERS, reduceIndexed } from "./reductions.ts";

function merge(...tables: readonly ReadonlyMap<string, Builtin>[]): ReadonlyMap<string, Builtin> {
  const all = new Map<string, Builtin>();
  for (const t of tables)
    for (const [name, f] of t) {
      if (all.has(name)) throw new RangeError(`two builtins are called ${name}`);
      all.set(name, f);
    }
  return all;
}

export const BUILTINS: ReadonlyMap<string, Builtin> = merge(ELEMENTWISE, REDUCTIONS);
