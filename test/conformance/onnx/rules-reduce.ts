/** Reductions, running results, orders. */
import { type Call, fail, front, list, type Rule, type RuleTable, range } from "./call.ts";
import { literal, type Val } from "./emitter.ts";

/** Axes are an attribute in old opsets and an input, part of the program's shape, in new ones; none means all, or nothing if so told. */
function axesOf(n: Call, x: Val): readonly number[] {
  const given = n.steer("axes", 1)?.map((a) => front(a, x.rank)) ?? [];
  return given.length > 0 ? given : n.num("noop_with_empty_axes", 0) ? [] : range(x.rank);
}

/** `f` over the axes; of no elements the reduction's `empty`, where the language has none. */
function reduction(
  f: string,
  o: { before?: (x: string) => string; after?: (x: string) => string; empty?: number; float?: boolean } = {},
): Rule {
  return (n) => {
    const x = n.x(0);
    const axes = axesOf(n, x);
    const keep = n.num("keepdims", 1) !== 0;
    const made = o.float && !x.isFloat ? n.let(`${x} as f32`) : x;
    const inner = o.before ? n.let(o.before(`${made}`)) : made;
    const shape = x.shape.flatMap((d, k) => (axes.includes(k) ? (keep ? [1] : []) : [d]));
    if (o.empty !== undefined && axes.some((k) => x.shape[k] === 0))
      return n.let(`full(${list(shape)}, ${literal(o.empty, x.dtype)})`, x.file);
    const total =
      axes.length === 0 && (x.rank > 0 || f === "")
        ? `${inner}`
        : x.rank === 0
          ? `${f}(${inner})`
          : `${f}(${inner}, axis: ${list(axes)}, keepdims: ${keep})`;
    const done = o.after ? o.after(total) : total;
    return n.let(o.float && !x.isFloat ? `(${done}) as ${x.dtype}` : done, x.file);
  };
}

const LOWEST: Readonly<Record<string, number>> = { f32: Number.NEGATIVE_INFINITY, i32: -2147483648 };
function extreme(which: "max" | "min"): Rule {
  return (n) => {
    const x = n.x(0);
    if (x.dtype === "bool") return reduction(which === "max" ? "any" : "all")(n);
    const lowest = LOWEST[x.dtype] ?? 0;
    return reduction(which, { empty: which === "max" ? lowest : -lowest - (x.isFloat ? 0 : 1) })(n);
  };
}

function argument(which: "argmax" | "argmin"): Rule {
  return (n) => {
    const x = n.x(0);
    const axis = front(n.num("axis", 0), x.rank);
    const keep = n.num("keepdims", 1) !== 0;
    if (!n.num("select_last_index", 0)) return n.let(`${which}(${x}, axis: ${axis}, keepdims: ${keep})`, "int64");
    return n.let(`${x.shape[axis]! - 1} - ${which}(flip(${x}, ${axis}), axis: ${axis}, keepdims: ${keep})`, "int64");
  };
}

const running =
  (f: string): Rule =>
  (n) => {
    const [x, axis] = [n.x(0), n.x(1).number];
    return n.let(
      `${f}(${x}, axis: ${front(axis, x.rank)}, reverse: ${n.num("reverse", 0) !== 0}, exclusive: ${n.num("exclusive", 0) !== 0})`,
      x.file,
    );
  };

function topK(n: Call): readonly Val[] {
  const x = n.x(0);
  const k = n.steer("k", 1)?.[0] ?? fail("no k");
  const r = n.e.record(
    `top_k(${x}, ${k}, axis: ${front(n.num("axis", -1), x.rank)}, largest: ${n.num("largest", 1) !== 0})`,
  );
  return [n.let(`${r}.value`, x.file), n.let(`${r}.index`, "int64")];
}

/** Before opset 13 the axes from `axis` on were one. */
export function overAxis(f: string): Rule {
  return (n) => {
    const x = n.x(0);
    if (n.opset >= 13) return n.let(`${f}(${x}, ${front(n.num("axis", -1), x.rank)})`, x.file);
    const axis = front(n.num("axis", 1), x.rank);
    const rows = x.shape.slice(0, axis).reduce((a, b) => a * b, 1);
    return n.let(`reshape(${f}(reshape(${x}, [${rows}, -1]), 1), ${list(x.shape)})`, x.file);
  };
}

export const REDUCE: RuleTable = {
  ReduceSum: reduction("sum"),
  ReduceProd: reduction("prod"),
  ReduceMax: extreme("max"),
  ReduceMin: extreme("min"),
  ReduceMean: reduction("mean", { float: true }),
  ReduceL1: reduction("sum", { before: (x) => `abs(${x})` }),
  ReduceL2: reduction("sum", { before: (x) => `${x} * ${x}`, after: (x) => `sqrt(${x})`, float: true }),
  ReduceSumSquare: reduction("sum", { before: (x) => `${x} * ${x}` }),
  ReduceLogSum: reduction("sum", { after: (x) => `log(${x})`, float: true }),
  ReduceLogSumExp: reduction("logsumexp", { float: true, empty: Number.NEGATIVE_INFINITY }),
  ArgMax: argument("argmax"),
  ArgMin: argument("argmin"),
  CumSum: running("cumsum"),
  CumProd: running("cumprod"),
  TopK: topK,
  Softmax: overAxis("softmax"),
  LogSoftmax: overAxis("log_softmax"),
  Hardmax: overAxis("hardmax"),
};
