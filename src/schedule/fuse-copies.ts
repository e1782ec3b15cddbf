/** Gives each reader of some scores copies of them for itself, with what lies between substituted: what is fused then stays apart. */
import { size } from "../../ir/extent.ts";
import {
  type Axis,
  apply,
  axis,
  axisRef,
  type Definition,
  i32,
  type MapDef,
  mapDef,
  type Program,
  type Read,
  read,
  reduce,
  type TensorExpr,
  type TensorRef,
} from "../../ir/tensor.ts";
import { substitute } from "../passes/inline.ts";
import { reductionOf } from "../passes/lift.ts";
import { dropDead } from "../passes/merge.ts";
import { type Emit, freshAxes, mapReads, readsIn, rewriteProgram, slotsOf } from "../passes/rewrite.ts";
import { elementsOf } from "./cost.ts";

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

/**
 * The program with copies of the scores for each reader, beside it, and no originals. With `pack`, several values a row that a reader has
 * at one point come from one tensor of them all: a storage buffer for three.
 */
export function withCopies(p: Program, c: Component, pack: boolean): Copied {
  const readers = new Map<Definition, Reader>(c.readers.flatMap((r) => [...r.values.keys()].map((d) => [d, r])));
  const copies = new Map<Reader, ReadonlyMap<Definition, Definition>>();
  const packs = new Map<string, Definition>();
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
      const unpacked = moved(value, own);
      const term = pack && reader.values.size === 1 ? packed(unpacked, original, packs, fresh, emit) : unpacked;
      const whole = reduce(root.monoid, root.axes, [term], 0);
      const again = mapDef(original.axes, [whole], { name: original.name, span: original.span, epoch: original.epoch });
      emit(again);
      return slotsOf(again);
    },
    undefined,
    stands,
  );
  return { program: dropDead(made), copies: [...copies.values()].flatMap((m) => [...m.values()].map((d) => d.name)) };
}

/** `e` with reads of smaller tensors of one shape at one point redirected to a tensor that has them side by side. */
function packed(
  e: TensorExpr,
  reader: Definition,
  packs: Map<string, Definition>,
  fresh: (name: string) => string,
  emit: Emit,
): TensorExpr {
  const groups = new Map<string, Read[]>();
  for (const r of readsIn(e)) {
    const t = r.tensor;
    if (t.kind !== "map" || r.fill || t.types.length !== 1 || elementsOf(t) >= elementsOf(reader)) continue;
    const at = r.at.map((x) => idOf(x)).join(",");
    const key = `${r.dtype} ${t.axes.map((a) => a.extent.text).join(",")} at ${at}`;
    groups.set(key, [...(groups.get(key) ?? []), r]);
  }
  const to = new Map<Read, TensorExpr>();
  for (const group of groups.values()) {
    const [first] = group;
    if (!first || group.length < 2) continue;
    const members = group.map((r) => r.tensor).sort((x, y) => x.id - y.id);
    const key = members.map((t) => t.id).join(",");
    let made = packs.get(key);
    if (!made) {
      const which = axis("i", size(members.length));
      const axes = freshAxes(first.tensor.axes, new Map());
      const point = axes.map(axisRef);
      const values = members.map((t): TensorExpr => read(t, 0, point));
      const value = values.reduceRight((rest, x, i) => apply("select", apply("eq", axisRef(which), i32(i)), x, rest));
      made = mapDef([which, ...axes], [value], { name: fresh("rows"), span: reader.span, epoch: reader.epoch });
      emit(made);
      packs.set(key, made);
    }
    for (const r of group) to.set(r, read(made, 0, [i32(members.indexOf(r.tensor)), ...r.at]));
  }
  return to.size === 0 ? e : mapReads(e, (r) => to.get(r) ?? r);
}

const ids = new WeakMap<TensorExpr, number>();
let lastId = 0;
/** Equal expressions are one object: a number for it. */
function idOf(e: TensorExpr): number {
  const id = ids.get(e) ?? ++lastId;
  ids.set(e, id);
  return id;
}

function copyOf(d: Definition, name: string, epoch: number, f: (e: TensorExpr) => TensorExpr): Definition {
  if (d.kind !== "map") throw new Error(`${d.name} is no map`);
  const to = new Map<Axis, Axis>();
  const axes = freshAxes(d.axes, to);
  const bind = new Map([...to].map(([a, x]) => [a, axisRef(x)]));
  const results = d.results.map((e) => substitute(f(e), bind));
  return mapDef(axes, results, { name, span: d.span, epoch });
}
