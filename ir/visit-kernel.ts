/** Walking over kernels: children of expressions and statements, and rebuilding them. */
import {
  type Bind,
  type ForStatement,
  type Kernel,
  type KernelExpr,
  kapplyTyped,
  type LetStatement,
  type MatrixPlace,
  type MatrixStatement,
  type Statement,
} from "./kernel.ts";

const NONE: readonly KernelExpr[] = [];

export function exprChildren(e: KernelExpr): readonly KernelExpr[] {
  switch (e.kind) {
    case "const":
    case "size":
    case "var":
      return NONE;
    case "apply":
    case "vector":
      return e.args;
    case "load":
      return [e.index];
    case "subgroup":
      return e.value ? (e.from ? [e.value, e.from] : [e.value]) : NONE;
    case "dot":
      return [e.left, e.right];
    case "matvec":
      return [...e.columns, e.vector];
    case "splat":
    case "extract":
      return [e.value];
    default:
      return e satisfies never;
  }
}

/** Replaces the children by `f` of them; the same object if nothing changed. Lanes follow the new children. */
export function mapExprChildren(e: KernelExpr, f: (child: KernelExpr) => KernelExpr): KernelExpr {
  switch (e.kind) {
    case "const":
    case "size":
    case "var":
      return e;
    case "apply": {
      const args = mapList(e.args, f);
      return args === e.args ? e : kapplyTyped(e.prim, args, e.dtype);
    }
    case "vector": {
      const args = mapList(e.args, f);
      return args === e.args ? e : { ...e, args };
    }
    case "dot": {
      const left = f(e.left);
      const right = f(e.right);
      return left === e.left && right === e.right ? e : { ...e, left, right };
    }
    case "matvec": {
      const columns = mapList(e.columns, f);
      const vector = f(e.vector);
      return columns === e.columns && vector === e.vector ? e : { ...e, columns, vector };
    }
    case "load": {
      const index = f(e.index);
      return index === e.index ? e : { ...e, index };
    }
    case "subgroup": {
      const value = e.value && f(e.value);
      const from = e.from && f(e.from);
      return value === e.value && from === e.from ? e : { ...e, value, from };
    }
    case "splat":
    case "extract": {
      const value = f(e.value);
      return value === e.value ? e : { ...e, value };
    }
    default:
      return e satisfies never;
  }
}

function mapList(list: readonly KernelExpr[], f: (e: KernelExpr) => KernelExpr): readonly KernelExpr[] {
  let changed = false;
  const out = list.map((e) => {
    const n = f(e);
    if (n !== e) changed = true;
    return n;
  });
  return changed ? out : list;
}

/** The expressions that a statement itself evaluates, in order; not those of its blocks. */
export function statementExprs(s: Statement): readonly KernelExpr[] {
  switch (s.kind) {
    case "for":
      return [s.from, s.to];
    case "if":
    case "while":
      return [s.condition];
    case "let":
      return [s.value];
    case "store":
    case "atomic":
      return [s.index, s.value];
    case "barrier":
      return NONE;
    case "matrix":
      return matrixExprs(s);
    default:
      return s satisfies never;
  }
}

function matrixExprs(s: MatrixStatement): readonly KernelExpr[] {
  const places = matrixPlaces(s).map((p) => p.index);
  return s.op === "load" || s.op === "store" ? [...places, s.offset, s.stride] : places;
}
/** The matrices that a statement works on: first the one that is loaded, stored, filled or added to. */
export function matrixPlaces(s: MatrixStatement): readonly MatrixPlace[] {
  return s.op === "multiply" ? [s.place, s.left, s.right] : [s.place];
}

export function statementBlocks(s: Statement): readonly (readonly Statement[])[] {
  switch (s.kind) {
    case "for":
    case "while":
      return [s.body];
    case "if":
      return s.otherwise.length > 0 ? [s.then, s.otherwise] : [s.then];
    default:
      return [];
  }
}

const flattened = new WeakMap<readonly Statement[], readonly Statement[]>();

/** Every statement, outermost first; kept, as many passes ask for it. */
export function allStatements(body: readonly Statement[]): readonly Statement[] {
  const old = flattened.get(body);
  if (old) return old;
  const out: Statement[] = [];
  for (const s of body) {
    out.push(s);
    for (const block of statementBlocks(s)) for (const inner of allStatements(block)) out.push(inner);
  }
  flattened.set(body, out);
  return out;
}

/** Calls `f` once for every distinct node, children before parents. */
export function visitExpr(e: KernelExpr, f: (e: KernelExpr) => void, seen: Set<KernelExpr> = new Set()): void {
  if (seen.has(e)) return;
  seen.add(e);
  for (const c of exprChildren(e)) visitExpr(c, f, seen);
  f(e);
}

export type Axis3<T> = readonly [T, T, T];

/**
 * The outer nest of a kernel taken apart. `body` is what one invocation runs: the `let`s that stand before and between the
 * grid and thread loops, then the innermost body. The grid and thread variables are bound before it.
 */
export interface Launch {
  readonly grid: Axis3<ForStatement | undefined>;
  readonly thread: Axis3<ForStatement | undefined>;
  readonly body: readonly Statement[];
  /** What is wrong with the nest, if anything; the rest is then meaningless. */
  readonly problem: string | undefined;
}

const DIMENSIONS = ["x", "y", "z"] as const;

export function isOuter(bind: Bind): boolean {
  return bind.startsWith("grid.") || bind.startsWith("thread.");
}

const launches = new WeakMap<Kernel, Launch>();

export function launchOf(kernel: Kernel): Launch {
  const old = launches.get(kernel);
  if (old) return old;
  const made = takenApart(kernel);
  launches.set(kernel, made);
  return made;
}

function takenApart(kernel: Kernel): Launch {
  const grid: [ForStatement | undefined, ForStatement | undefined, ForStatement | undefined] = [
    undefined,
    undefined,
    undefined,
  ];
  const thread: typeof grid = [undefined, undefined, undefined];
  const lets: LetStatement[] = [];
  let problem: string | undefined;
  let block = kernel.body;
  for (;;) {
    const at = block.findIndex((s) => s.kind === "for" && isOuter(s.bind));
    const s = block[at];
    if (s?.kind !== "for") break;
    for (const before of block.slice(0, at)) {
      if (before.kind === "let") lets.push(before);
      else problem ??= `a ${before.kind} stands before loop ${s.variable.name} @${s.bind}`;
    }
    if (at !== block.length - 1) problem ??= `statements follow loop ${s.variable.name} @${s.bind}`;
    const slot = DIMENSIONS.findIndex((d) => s.bind.endsWith(d)) as 0 | 1 | 2;
    const isGrid = s.bind.startsWith("grid.");
    const into = isGrid ? grid : thread;
    if (into[slot]) problem ??= `two loops @${s.bind}`;
    if (isGrid && thread.some((t) => t)) problem ??= `grid loop ${s.variable.name} stands inside a thread loop`;
    into[slot] = s;
    block = s.body;
  }
  for (const s of allStatements(block))
    if (s.kind === "for" && isOuter(s.bind)) problem ??= `loop ${s.variable.name} @${s.bind} is not outermost`;
  return { grid, thread, body: [...lets, ...block], problem };
}

/** Invocations a workgroup along x, y and z; 1 where there is no thread loop or its extent is not constant. */
export function workgroupSizeOf(launch: Launch): Axis3<number> {
  const [x, y, z] = launch.thread.map((s) => (s?.to.kind === "const" ? s.to.value : 1));
  return [x ?? 1, y ?? 1, z ?? 1];
}
