/** Counting how often values are needed, block by block, in the order in which codegen/place.ts will write them. */
import type { Flat } from "./flat.ts";
import type { LegalStatement } from "./legal.ts";
import { type Value, valueChildren } from "./value.ts";

/** A block while it is written. */
export interface Scope {
  readonly depth: number;
  readonly loop: boolean;
  readonly parent: Scope | undefined;
  readonly out: LegalStatement[];
  /** Values that have a name here. */
  readonly named: Map<Value, string>;
  /** How often values are needed in this block and those inside it. */
  readonly uses: Map<Value, number>;
}

/** The blocks of a function with their uses, and names that values were given. */
export class Uses {
  readonly scopes: Map<readonly Flat[], Scope> = new Map();
  readonly hints: Map<Value, string> = new Map();
  readonly root: Scope;
  /** Values that were met in the blocks that are open now. */
  private readonly met = new Set<Value>();

  constructor(body: readonly Flat[]) {
    this.root = this.scope(undefined, false);
    this.count(body, this.root);
  }

  of(body: readonly Flat[]): Scope {
    const found = this.scopes.get(body);
    if (!found) throw new RangeError("a block that was not counted");
    return found;
  }

  private scope(parent: Scope | undefined, loop: boolean): Scope {
    return { depth: parent ? parent.depth + 1 : 0, loop, parent, out: [], named: new Map(), uses: new Map() };
  }

  /** Counts a block; gives the values that were met in it first. */
  private count(body: readonly Flat[], scope: Scope): Set<Value> {
    this.scopes.set(body, scope);
    const seen = new Set<Value>();
    const need = (v: Value): void => {
      // These are written out wherever they stand.
      if (v.kind === "const" || v.kind === "size") return;
      addUse(scope, v, 1);
      // A splat and a lane have no names: what they are made from is written, or named, wherever they stand.
      if (this.met.has(v) && v.kind !== "splat" && v.kind !== "extract") return;
      this.met.add(v);
      seen.add(v);
      for (const c of valueChildren(v)) need(c);
    };
    for (const s of body) {
      switch (s.kind) {
        case "force":
          this.hints.set(s.value, this.hints.get(s.value) ?? s.hint);
          break;
        case "bind":
        case "assign":
          need(s.value);
          break;
        case "store":
          need(s.index);
          need(s.value);
          break;
        case "atomic":
          need(s.index);
          need(s.value);
          break;
        case "if":
          need(s.condition);
          this.count(s.body, this.scope(scope, false));
          this.count(s.otherwise, this.scope(scope, false));
          break;
        case "loop":
          need(s.from);
          need(s.to);
          this.count(s.body, this.scope(scope, true));
          break;
        case "while": {
          const inside = this.scope(scope, true);
          const at = this.count(s.body, inside);
          // The condition is written inside, after the body; its uses count here too, as the body's have done.
          const again = (v: Value): void => {
            if (v.kind === "const" || v.kind === "size") return;
            addUse(inside, v, 1);
            addUse(scope, v, 1);
            if (at.has(v)) return;
            at.add(v);
            for (const c of valueChildren(v)) again(c);
          };
          addUse(inside, s.condition, 1);
          addUse(scope, s.condition, 1);
          for (const c of valueChildren(s.condition)) again(c);
          break;
        }
        case "barrier":
          break;
        case "matrix":
          if (s.op === "load" || s.op === "store") {
            need(s.offset);
            need(s.stride);
          }
          break;
        default:
          s satisfies never;
      }
    }
    for (const v of seen) this.met.delete(v);
    // What a block needs its surroundings need, once it is closed.
    if (scope.parent) for (const [v, n] of scope.uses) addUse(scope.parent, v, n);
    return seen;
  }
}

function addUse(scope: Scope, v: Value, times: number): void {
  scope.uses.set(v, (scope.uses.get(v) ?? 0) + times);
}
