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

/** self[index[i,j,k], j, k] op= src[i, j, k] */
export function scatterInto(a: Bound, how: "+=" | "set=" | "*=" | "max=" | "min="): string {
  const x = a["input"]!;
  const index = a["index"]!;
  if (x.rank === 0 || index.rank !== x.rank) throw new UnsupportedCall("a scatter into a scalar");
  const axis = axisAt(a["dim"]!, x.rank);
  const names = x.shape.map((_, i) => `i${i}`);
  const target = names.map((n, i) => (i === axis ? `${index}[${names.join(", ")}]` : n));
  const over = names.map((n, i) => `${n} in 0..${index.shape[i]}`);
  const src = a["src"]!;
  const value = src.isTensor ? `${src}[${names.join(", ")}]` : String(src);
  return `let y = ${x} * 1.0\n  y[${target.join(", ")}] ${how} ${value} over [${over.join(", ")}]\n  y`;
}

export function scatterReduce(a: Bound): string {
  const how = { sum: "+=", prod: "*=", amax: "max=", amin: "min=" }[a["reduce"]!.string()] as
    | "+="
    | "*="
    | "max="
    | "min="
    | undefined;
  if (!how || !a["include_self"]!.boolean(true))
    throw new UnsupportedCall(`reduce ${a["reduce"]}, include_self ${a["include_self"]}`);
  return scatterInto(a, how);
}
