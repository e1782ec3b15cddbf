/** Gives each reader of some scores copies of them for itself, with what lies between substituted: what is fused then stays apart. */
import {
  type Axis,
  axisRef,
  type Definition,
  type MapDef,
  mapDef,
  type Program,
  read,
  reduce,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { substitute } from "../passes/inline.ts";
import { reductionOf } from "../passes/lift.ts";
import { dropDead } from "../passes/merge.ts";
import { freshAxes, mapReads, rewriteProgram, slotsOf } from "../passes/rewrite.ts";

/** A weighted sum, or an online kernel's maximum, sums and weighted sum, with what lies between them and the scores substituted. */
export interface Reader {
  readonly name: string;
  readonly values: ReadonlyMap<MapDef, TensorExpr>;
  readonly scores: ReadonlySet<Definition>;
}
/** Scores that share readers, directly or by others, and all readers of those. */
export interface Component {
  readonly scores: ReadonlySet<Definition>;
  readonly readers: readonly Reader[];
}
export interface Copied {
  readonly program: Program;
  /** Names of the copies. */
  readonly copies: readonly string[];
}

/** The program with copies of the scores for each reader, beside it, and no originals. */
export function withCopies(p: Program, c: Component): Copied {
  const readers = new Map<Definition, Reader>(c.readers.flatMap((r) => [...r.values.keys()].map((d) => [d, r])));
  const copies = new Map<Reader, ReadonlyMap<Definition, Definition>>();
  const stands = new Map<Definition, readonly TensorRef[]>();
  const used = new Set(p.steps.flatMap((d) => (d.kind === "loop" ? [] : [d.name])));
  const fresh = (name: string): string => {
    for (let i = 2; ; i++) {
      const made = `${name}_${i}`;
      if (used.has(made)) continue;
      used.add(made);
      return made;
    }
  };
  const moved = (e: TensorExpr, own: ReadonlyMap<Definition, Definition>): TensorExpr =>
    mapReads(e, (r) => {
      const copy = own.get(r.tensor);
      if (copy) return read(copy, r.slot, r.at, r.fill);
      const to = stands.get(r.tensor)?.[r.slot];
      return to && to.tensor !== r.tensor ? read(to.tensor, to.slot, r.at, r.fill) : r;
    });
  const none = new Map<Definition, Definition>();
  const made = rewriteProgram(
    p,
    (d, emit, original) => {
      const reader = readers.get(original);
      const value = original.kind === "map" ? reader?.values.get(original) : undefined;
      const root = reductionOf(original);
      if (!reader || !value || !root) {
        emit(d);
        return slotsOf(d);
      }
      let own = copies.get(reader);
      if (!own) {
        own = new Map(
          [...reader.scores].map((x) => [x, copyOf(x, fresh(x.name), original.epoch, (e) => moved(e, none))]),
        );
        copies.set(reader, own);
        for (const copy of own.values()) emit(copy);
      }
      const whole = reduce(root.monoid, root.axes, [moved(value, own)], 0);
      const again = mapDef(original.axes, [whole], { name: original.name, span: original.span, epoch: original.epoch });
      emit(again);
      return slotsOf(again);
    },
    undefined,
    stands,
  );
  return { program: dropDead(made), copies: [...copies.values()].flatMap((m) => [...m.values()].map((d) => d.name)) };
}

function copyOf(d: Definition, name: string, epoch: number, f: (e: TensorExpr) => TensorExpr): Definition {
  if (d.kind !== "map") throw new Error(`${d.name} is no map`);
  const to = new Map<Axis, Axis>();
  const axes = freshAxes(d.axes, to);
  const bind = new Map([...to].map(([a, x]) => [a, axisRef(x)]));
  const results = d.results.map((e) => substitute(f(e), bind));
  return mapDef(axes, results, { name, span: d.span, epoch });
}
