/** Writes into a tensor at indices that come from data, as scatter statements of the language. */
import { type Arg, type Bound, UnsupportedCall } from "./call.ts";

/** A dimension that may be negative. */
export const axisAt = (dim: Arg, rank: number): number => (dim.number() < 0 ? dim.number() + rank : dim.number());
/** A scalar as a vector of one element, and back. */
export const asVector = (x: Arg): string => (x.rank === 0 ? `reshape(${x}, [1])` : String(x));
const back = (x: Arg, text: string): string => (x.rank === 0 ? `reshape(${text}, [])` : text);

/** result[…, index[k], …] op= source[…, k, …] */
export function indexInto(a: Bound, how: "+=" | "set=", value: (source: string) => string): string {
  const x = a["input"]!;
  const rank = Math.max(x.rank, 1);
  const axis = axisAt(a["dim"]!, rank);
  const names = Array.from({ length: rank }, (_, i) => `i${i}`);
  const target = names.map((n, i) => (i === axis ? "ids[k]" : n));
  const source = names.map((n, i) => (i === axis ? "k" : n));
  const over = names.map((n, i) =>
    i === axis ? `k in 0..${a["index"]!.shape[0] ?? 1}` : `${n} in 0..${x.shape[i] ?? 1}`,
  );
  const src = a["source"]!;
  const from = src.isTensor && src.rank > 0 ? `s[${source.join(", ")}]` : src.isTensor ? "s[0]" : String(src);
  const setS = src.isTensor ? `let s = ${asVector(src)}\n  ` : "";
  const setIds = `let ids = ${asVector(a["index"]!)}\n  `;
  return `let y = ${asVector(x)} * 1.0\n  ${setS}${setIds}y[${target.join(", ")}] ${how} ${value(from)} over [${over.join(", ")}]\n  ${back(x, "y")}`;
}

interface Scatter {
  /** Statements that bind `y`, `ids` and perhaps `src`. */
  readonly lets: string;
  readonly target: string;
  readonly value: string;
  readonly over: string;
}

/** self[index[i, j, k], j, k] op= src[i, j, k], scalars as vectors; of ranks that differ the compiler says so. */
function scatterOf(a: Bound): Scatter {
  const [x, index, src] = [a["input"]!, a["index"]!, a["src"]!];
  const axis = axisAt(a["dim"]!, Math.max(x.rank, 1));
  const extents = index.rank === 0 ? [1] : index.shape;
  const names = extents.map((_, i) => `i${i}`);
  const at = `[${names.join(", ")}]`;
  return {
    lets: `let ids = ${asVector(index)}\n  ${src.isTensor ? `let src = ${asVector(src)}\n  ` : ""}`,
    target: `[${names.map((n, i) => (i === axis ? `ids${at}` : n)).join(", ")}]`,
    value: src.isTensor ? `src${at}` : String(src),
    over: `over [${names.map((n, i) => `${n} in 0..${extents[i]}`).join(", ")}]`,
  };
}

export function scatterInto(a: Bound, how: "+=" | "set=" | "*="): string {
  const x = a["input"]!;
  const s = scatterOf(a);
  return `let y = ${asVector(x)} * 1.0\n  ${s.lets}y${s.target} ${how} ${s.value} ${s.over}\n  ${back(x, "y")}`;
}

const REDUCTIONS: Readonly<Record<string, readonly [operator: string, identity: string]>> = {
  sum: ["+=", "0.0"],
  mean: ["+=", "0.0"],
  prod: ["*=", "1.0"],
  amax: ["max=", "-inf"],
  amin: ["min=", "inf"],
};

/** Without include_self what was there before counts for nothing where something is written. */
export function scatterReduce(a: Bound): string {
  const x = a["input"]!;
  const reduce = a["reduce"]!.string();
  const [operator, identity] = REDUCTIONS[reduce] ?? [];
  if (operator === undefined) throw new UnsupportedCall(`reduce ${a["reduce"]}`);
  const s = scatterOf(a);
  const self = a["include_self"]!.boolean(true);
  const shape = x.rank === 0 ? [1] : x.shape;
  const count = `let n = zeros([${shape.join(", ")}])\n  n${s.target} += 1.0 ${s.over}\n  `;
  const start = self ? `${asVector(x)} * 1.0` : `where(n > 0, ${identity}, ${asVector(x)})`;
  const mean = reduce === "mean" ? ` / max(n${self ? " + 1" : ""}, 1.0)` : "";
  const y = `${s.lets}${count}let y = ${start}\n  y${s.target} ${operator} ${s.value} ${s.over}\n  `;
  return `${y}${back(x, `(y${mean})`)}`;
}
