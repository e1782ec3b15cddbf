/**
 * Hash-consing of expressions: of equal ones only one is made, and none is kept longer than what it is made of. The table is spread over
 * the nodes themselves: a node is listed at the youngest of its children, which is likely to be gone first. One without such a child is
 * listed here, weakly; a reference and a finalizer for each of a program's nodes would take a twelfth of the compiler's time.
 */
import type { Axis, AxisRef, Definition, Monoid, TensorExpr } from "./tensor-types.ts";

/** The nodes whose youngest child this is: the last of a list, or all of them by key where they are many. */
const PARENTS: unique symbol = Symbol("parents");
/** In the list that a node is on, the one before it. */
const BEFORE: unique symbol = Symbol("before");
/** By the number of the question, what was found of this node. */
const NOTES: unique symbol = Symbol("notes");
/** Of an axis, the node that refers to it. */
const REFERENCE: unique symbol = Symbol("reference");

interface Owner {
  [PARENTS]?: Listed | Map<string, Listed> | undefined;
}
type Listed = TensorExpr & Owner & { [BEFORE]?: Listed | undefined; [NOTES]?: unknown[] | undefined };

/** Most nodes have few parents: going through them is faster than a table and takes no memory. */
const LONGEST_LIST = 12;

const table = new Map<string, WeakRef<TensorExpr>>();
const cleaner = new FinalizationRegistry<string>((key) => {
  if (table.get(key)?.deref() === undefined) table.delete(key);
});
/** Definitions are copied with changes, expressions never are. */
const readers = new WeakMap<Definition, Owner>();

let nextId = 1;
/** Of nodes, axes and definitions: a younger one has the higher number. */
export function freshId(): number {
  return nextId++;
}

/** Constants, sizes and arguments belong to no program. */
function youngest(children: readonly TensorExpr[]): Listed | undefined {
  let found: Listed | undefined;
  for (const c of children)
    if (c.kind !== "const" && c.kind !== "size" && c.kind !== "arg" && (!found || c.id > found.id)) found = c;
  return found;
}

function ownerOf(children: readonly TensorExpr[], tensor: Definition | undefined): Owner | undefined {
  const child = youngest(children);
  if (!tensor || (child && child.id >= tensor.id)) return child;
  let of = readers.get(tensor);
  if (!of) {
    of = {};
    readers.set(tensor, of);
  }
  return of;
}

/** `node` itself, numbered, or the one that was made before and is equal to it. */
export function intern<T extends TensorExpr>(node: T): T {
  const owner =
    node.kind === "apply"
      ? ownerOf(node.args, undefined)
      : node.kind === "read"
        ? ownerOf(node.at, node.tensor)
        : node.kind === "reduce"
          ? ownerOf(node.values, undefined)
          : undefined;
  return (owner ? listed(owner, node) : tabled(node)) as T;
}

/** Shaped as every node of its kind, whether anything is made of it or not. */
function numbered(node: TensorExpr): Listed {
  const made: Listed = node;
  (made as { id: number }).id = freshId();
  made[PARENTS] = undefined;
  made[BEFORE] = undefined;
  made[NOTES] = undefined;
  return made;
}

function listed(owner: Owner, node: TensorExpr): TensorExpr {
  let of = owner[PARENTS];
  if (of && !(of instanceof Map)) {
    let length = 0;
    for (let x: Listed | undefined = of; x; x = x[BEFORE]) {
      if (isSame(x, node)) return x;
      length++;
    }
    if (length >= LONGEST_LIST) {
      const all = new Map<string, Listed>();
      for (let x: Listed | undefined = of; x; x = x[BEFORE]) all.set(keyOf(x), x);
      owner[PARENTS] = of = all;
    }
  }
  if (of instanceof Map) {
    const key = keyOf(node);
    const old = of.get(key);
    if (old) return old;
    const made = numbered(node);
    of.set(key, made);
    return made;
  }
  const made = numbered(node);
  made[BEFORE] = of;
  owner[PARENTS] = made;
  return made;
}

function tabled(node: TensorExpr): TensorExpr {
  const key = keyOf(node);
  const old = table.get(key)?.deref();
  if (old) return old;
  const made = numbered(node);
  table.set(key, new WeakRef<TensorExpr>(made));
  cleaner.register(made, key);
  return made;
}

function isSame(a: TensorExpr, b: TensorExpr): boolean {
  switch (a.kind) {
    case "apply":
      return b.kind === "apply" && a.prim === b.prim && a.dtype === b.dtype && areSame(a.args, b.args);
    case "read":
      return (
        b.kind === "read" && a.tensor === b.tensor && a.slot === b.slot && a.fill === b.fill && areSame(a.at, b.at)
      );
    case "reduce":
      return (
        b.kind === "reduce" &&
        a.monoid === b.monoid &&
        a.slot === b.slot &&
        areSame(a.values, b.values) &&
        areSame(a.axes, b.axes)
      );
    default:
      return a === b;
  }
}
function areSame(a: readonly object[], b: readonly object[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The same for equal nodes alone. */
function keyOf(e: TensorExpr): string {
  switch (e.kind) {
    case "const":
      return `c${e.dtype}${bitKey(e.value)}`;
    case "size":
      return `s${e.extent.text}`;
    case "axis":
      return `a${e.axis.id}`;
    case "arg":
      return `g${e.index}${e.dtype}`;
    case "apply":
      return `p${e.prim}:${e.dtype}(${e.args.map((a) => a.id).join(",")})`;
    case "read":
      return `r${e.tensor.id}.${e.slot}[${e.at.map((a) => a.id).join(",")}]${e.fill ? e.fill.id : ""}`;
    case "reduce":
      return `R${monoidId(e.monoid)}/${e.axes.map((a) => a.id).join(",")}/${e.values.map((v) => v.id).join(",")}/${e.slot}`;
    default:
      return e satisfies never;
  }
}

const bitsOf = new DataView(new ArrayBuffer(8));
function bitKey(value: number): string {
  bitsOf.setFloat64(0, value);
  return `${bitsOf.getUint32(0).toString(36)}.${bitsOf.getUint32(4).toString(36)}`;
}

const monoidIds = new WeakMap<Monoid, number>();
function monoidId(m: Monoid): number {
  const old = monoidIds.get(m);
  if (old !== undefined) return old;
  const made = freshId();
  monoidIds.set(m, made);
  return made;
}

/** The one reference to an axis, which is kept as long as the axis. */
export function internAxis(a: Axis & { [REFERENCE]?: AxisRef }): AxisRef {
  a[REFERENCE] ??= numbered({ kind: "axis", id: 0, dtype: "i32", axis: a }) as AxisRef;
  return a[REFERENCE];
}

let questions = 0;
/**
 * The function with its answers kept at the nodes themselves: each node is asked once, and what was found is gone with it. Tables that hold
 * their keys weakly do the same for all but the collector, which has to go through every one. `find` may `note` another node's answer.
 */
export function perNode<T extends {}>(
  find: (e: TensorExpr, note: (e: TensorExpr, answer: T) => void) => T,
): (e: TensorExpr) => T {
  const question = questions++;
  const note = (e: Listed, answer: T): void => {
    e[NOTES] ??= new Array(questions);
    e[NOTES][question] = answer;
  };
  return (e: Listed) => {
    const known = e[NOTES]?.[question] as T | undefined;
    if (known !== undefined) return known;
    const found = find(e, note);
    note(e, found);
    return found;
  };
}
