/**
 * Hash-consing of expressions: of equal ones only one is made, and none is kept longer than what it is made of. The table is spread over
 * the nodes themselves: a node is listed at the youngest of its children, which is likely to be gone first. One without such a child is
 * listed here, weakly; a reference and a finalizer for each of a program's nodes would take a twelfth of the compiler's time.
 */
import type { Axis, AxisRef, Definition, TensorExpr } from "./tensor-types.ts";

/** By key, the nodes whose youngest child this is. */
const PARENTS: unique symbol = Symbol("parents");
/** By the number of the question, what was found of this node. */
const NOTES: unique symbol = Symbol("notes");
const REFERENCE: unique symbol = Symbol("reference");
type Parents = Map<string, TensorExpr>;
type Listed = TensorExpr & { [PARENTS]?: Parents | undefined; [NOTES]?: unknown[] | undefined };

const table = new Map<string, WeakRef<TensorExpr>>();
const cleaner = new FinalizationRegistry<string>((key) => {
  if (table.get(key)?.deref() === undefined) table.delete(key);
});
/** Definitions are copied with changes, expressions never are. */
const readers = new WeakMap<Definition, Parents>();

let nextId = 1;
/** Of nodes, axes and definitions: a younger one has the higher number. */
export function freshId(): number {
  return nextId++;
}

/** Constants, sizes and arguments belong to no program. */
function youngest(children: readonly TensorExpr[]): TensorExpr | undefined {
  let found: TensorExpr | undefined;
  for (const c of children)
    if (c.kind !== "const" && c.kind !== "size" && c.kind !== "arg" && (!found || c.id > found.id)) found = c;
  return found;
}

function parentsOf(children: readonly TensorExpr[], tensor: Definition | undefined): Parents | undefined {
  const child = youngest(children);
  if (tensor && (!child || tensor.id > child.id)) {
    let of = readers.get(tensor);
    if (!of) {
      of = new Map();
      readers.set(tensor, of);
    }
    return of;
  }
  if (!child) return undefined;
  const listed: Listed = child;
  listed[PARENTS] ??= new Map();
  return listed[PARENTS];
}

function make<T extends TensorExpr>(build: (id: number) => T): T {
  const made: T & Listed = build(freshId());
  // All nodes of a kind have one shape, whether anything is made of them or not.
  made[PARENTS] = undefined;
  made[NOTES] = undefined;
  return made;
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

/** The one reference to an axis, which is kept as long as the axis. */
export function internAxis(a: Axis & { [REFERENCE]?: AxisRef }): AxisRef {
  a[REFERENCE] ??= make((id) => ({ kind: "axis", id, dtype: "i32", axis: a }));
  return a[REFERENCE];
}

/** The node with this key, made if there is none. `children` and `tensor` are what it refers to; equal keys have equal ones. */
export function intern<T extends TensorExpr>(
  key: string,
  build: (id: number) => T,
  children: readonly TensorExpr[] = [],
  tensor?: Definition,
): T {
  const parents = parentsOf(children, tensor);
  const old = parents ? parents.get(key) : table.get(key)?.deref();
  if (old) return old as T;
  const made = make(build);
  if (parents) parents.set(key, made);
  else {
    table.set(key, new WeakRef<TensorExpr>(made));
    cleaner.register(made, key);
  }
  return made;
}
