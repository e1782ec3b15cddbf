/** Operators that make, move, join and cut tensors. Shapes, axes, pads and counts are constants of the program. */
import type { FileTensor } from "../arrays.ts";
import { languageType } from "../arrays.ts";
import { type Call, fail, front, indices, list, over, product, type Rule, type RuleTable, range } from "./call.ts";
import { literal, type Val } from "./emitter.ts";
import { dataType } from "./rules-elementwise.ts";

const moved = (n: Call, text: string): Val => n.let(text, n.x(0).file);
const shaped = (n: Call, x: Val, shape: readonly number[]): Val => n.let(`reshape(${x}, ${list(shape)})`, x.file);

function reshape(n: Call): Val {
  const x = n.x(0);
  const given = n.steer("shape", 1) ?? fail("no shape");
  const known = given.map((d, i) => (d === 0 && !n.num("allowzero", 0) ? x.shape[i]! : d));
  const rest = product(known.filter((d) => d !== -1));
  return shaped(
    n,
    x,
    known.map((d) => (d === -1 ? (rest === 0 ? 0 : x.size / rest) : d)),
  );
}

function flatten(n: Call): Val {
  const x = n.x(0);
  const axis = front(n.num("axis", 1), x.rank);
  return shaped(n, x, [product(x.shape.slice(0, axis)), product(x.shape.slice(axis))]);
}

function squeeze(n: Call): Val {
  const x = n.x(0);
  const axes = n.steer("axes", 1)?.map((a) => front(a, x.rank)) ?? range(x.rank).filter((k) => x.shape[k] === 1);
  return shaped(
    n,
    x,
    x.shape.filter((_, k) => !axes.includes(k)),
  );
}

function unsqueeze(n: Call): Val {
  const x = n.x(0);
  const given = n.steer("axes", 1) ?? fail("no axes");
  const axes = given.map((a) => front(a, x.rank + given.length));
  const old = [...x.shape];
  return shaped(
    n,
    x,
    range(x.rank + given.length).map((k) => (axes.includes(k) ? 1 : old.shift()!)),
  );
}

function expand(n: Call): Val {
  const x = n.x(0);
  const target = n.x(1).numbers;
  const rank = Math.max(x.rank, target.length);
  const shape = range(rank).map((k) => {
    const [a, b] = [x.shape[k - (rank - x.rank)] ?? 1, target[k - (rank - target.length)] ?? 1];
    return a === 1 ? b : a;
  });
  return moved(n, `broadcast_to(${x}, ${list(shape)})`);
}

function shape(n: Call): Val {
  const x = n.x(0);
  const clamp = (v: number): number => Math.min(Math.max(front(v, x.rank), 0), x.rank);
  const axes = range(x.rank).slice(clamp(n.num("start", 0)), clamp(n.num("end", x.rank)));
  const data = Float64Array.from(axes, (k) => x.shape[k]!);
  const known = {
    type: { dtype: "i32" as const, shape: [axes.length] },
    values: { dtype: "int64", shape: [axes.length], data },
  };
  return n.e.let(
    axes.length === 0 ? `zeros([0], dtype: "i32")` : `stack(${list(axes.map((k) => `${x}.shape[${k}]`))})`,
    "int64",
    known,
  );
}

function size(n: Call): Val {
  const x = n.x(0);
  const text =
    x.rank === 0
      ? "1"
      : range(x.rank)
          .map((k) => `${x}.shape[${k}]`)
          .join(" * ");
  return n.e.let(text, "int64", {
    type: { dtype: "i32", shape: [] },
    values: { dtype: "int64", shape: [], data: Float64Array.of(x.size) },
  });
}

function transpose(n: Call): Val {
  const x = n.x(0);
  return moved(n, `permute(${x}, ${list(n.ints("perm", range(x.rank).toReversed()))})`);
}

/** Tensors joined along an axis. */
export function joined(n: Call, parts: readonly Val[], axis: number): Val {
  return n.let(parts.length === 1 ? `${parts[0]}` : `cat(${list(parts)}, axis: ${axis})`, parts[0]!.file);
}

function splitSizes(n: Call, total: number): readonly number[] {
  const given = n.steer("split", 1);
  if (given) return given;
  const count = n.num("num_outputs", n.outs.length);
  const chunk = Math.ceil(total / count);
  return range(count).map((k) => Math.max(Math.min(chunk, total - k * chunk), 0));
}
function pieces(n: Call, x: Val, axis: number, sizes: readonly number[]): readonly Val[] {
  let from = 0;
  return sizes.map((size) => {
    const part = n.let(`narrow(${x}, ${axis}, ${from}, ${size})`, x.file);
    from += size;
    return part;
  });
}
function split(n: Call): readonly Val[] {
  const x = n.x(0);
  const axis = front(n.num("axis", 0), x.rank);
  return pieces(n, x, axis, splitSizes(n, x.shape[axis]!));
}

function splitToSequence(n: Call): readonly Val[] {
  const x = n.x(0);
  const axis = front(n.num("axis", 0), x.rank);
  const total = x.shape[axis]!;
  const given = n.opt(1);
  const step = given && given.rank > 0 ? 0 : (given?.number ?? 1);
  const sizes =
    given && given.rank > 0
      ? given.numbers
      : range(Math.ceil(total / step)).map((k) => Math.min(step, total - k * step));
  const parts = pieces(n, x, axis, sizes);
  return given || n.num("keepdims", 1) ? parts : parts.map((p) => n.let(`squeeze(${p}, ${axis})`, x.file));
}

/** NumPy's rule for each axis; the bounds are resolved here since opset 10 has them as inputs. */
function slice(n: Call): Val {
  const x = n.x(0);
  const starts = n.steer("starts", 1) ?? fail("no starts");
  const ends = n.steer("ends", 2) ?? fail("no ends");
  const axes = (n.steer("axes", 3) ?? range(starts.length)).map((a) => front(a, x.rank));
  const steps = n.steer("steps", 4) ?? starts.map(() => 1);
  const items = x.shape.map((total, k) => {
    const i = axes.indexOf(k);
    if (i < 0) return ":";
    const step = steps[i]!;
    const [low, high] = step > 0 ? [0, total] : [-1, total - 1];
    const bound = (v: number): number => Math.min(Math.max(v < 0 ? v + total : v, low), high);
    const [from, to] = [bound(starts[i]!), bound(ends[i]!)];
    if (total === 0 || (step > 0 ? to <= from : from <= to)) return "0:0";
    return step === 1 ? `${from}:${to}` : `${from}:${to < 0 ? "" : to}:${step}`;
  });
  return moved(n, items.length === 0 ? `${x}` : `${x}${list(items)}`);
}

/** A value that is known only when the program runs cannot be the fill of `pad`: then it is chosen where a mask was padded. */
function padded(n: Call, x: Val, widths: string, mode: string, fill: Val | undefined): Val {
  if (mode !== "constant" || !fill) return moved(n, `pad(${x}, ${widths}, mode: ${JSON.stringify(mode)})`);
  const inside = n.let(`pad(full(${list(x.shape)}, true), ${widths}, value: false)`, "bool");
  return moved(n, `where(${inside}, pad(${x}, ${widths}), reshape(${fill}, []))`);
}
function pad(n: Call): Val {
  const x = n.x(0);
  const pads = n.steer("pads", 1) ?? n.steer("paddings", 1) ?? fail("no pads");
  const axes = n.opt(3)?.numbers.map((a) => front(a, x.rank)) ?? range(x.rank);
  const widths = range(x.rank).map((k) => {
    const i = axes.indexOf(k);
    return i < 0 ? "[0, 0]" : `[${pads[i]}, ${pads[i + axes.length]}]`;
  });
  const mode = n.str("mode", "constant");
  const fill = n.opt(2) ?? (n.has("value") ? n.let(literal(n.num("value"), x.dtype)) : undefined);
  return padded(n, x, list(widths), mode === "wrap" || mode === "reflect" || mode === "edge" ? mode : "constant", fill);
}

function centerCropPad(n: Call): Val {
  const x = n.x(0);
  const target = n.x(1).numbers;
  const axes = n.has("axes") ? n.ints("axes").map((a) => front(a, x.rank)) : range(x.rank);
  const widths = range(x.rank).map((k) => {
    const i = axes.indexOf(k);
    if (i < 0) return "[0, 0]";
    const more = target[i]! - x.shape[k]!;
    const before = more >= 0 ? Math.floor(more / 2) : -Math.floor(-more / 2);
    return `[${before}, ${more - before}]`;
  });
  return moved(n, `pad(${x}, ${list(widths)})`);
}

function constantOfShape(n: Call): Val {
  const value: FileTensor = n.tensor("value") ?? { dtype: "float32", shape: [1], data: [0] };
  const dtype = languageType(value.dtype) ?? fail(`tensors of ${value.dtype}`);
  const fill = n.e.constant({ ...value, shape: [] });
  return n.let(`full(${list(n.x(0).numbers)}, ${fill}, dtype: "${dtype}")`, value.dtype);
}

function constant(n: Call): Val {
  const tensor = n.tensor("value");
  if (tensor) return n.e.constant(tensor);
  const [key, raw] = Object.entries(n.attrs)[0] ?? fail("no value");
  if (key.includes("string")) return fail("strings");
  const values = Array.isArray(raw) ? (raw as readonly (number | string)[]) : [raw as number];
  return n.e.constant({
    dtype: key.startsWith("value_float") ? "float32" : "int64",
    shape: Array.isArray(raw) ? [values.length] : [],
    data: values,
  });
}

function rangeRule(n: Call): Val {
  const [start, limit, delta] = [n.x(0), n.x(1), n.x(2)];
  const count = Math.max(Math.ceil((limit.number - start.number) / delta.number), 0);
  const steps = start.isFloat ? `(arange(${count}) as f32)` : `arange(${count})`;
  return n.let(`${start} + ${delta} * ${steps}`, start.file);
}

function eyeLike(n: Call): Val {
  const x = n.x(0);
  const file = n.has("dtype") ? dataType(n.num("dtype")) : x.file;
  return n.let(
    `eye(${x.shape[0]}, ${x.shape[1]}, ${n.num("k", 0)}, dtype: "${languageType(file) ?? fail(`tensors of ${file}`)}")`,
    file,
  );
}

function oneHot(n: Call): Val {
  const [given, depth, values] = [n.x(0), n.x(1).number, n.x(2)];
  const ids = given.isFloat ? n.let(`${given} as i32`) : given;
  const wrap = n.let(`where(${ids} < 0, ${ids} + ${depth}, ${ids})`);
  return n.let(
    `one_hot(${wrap}, ${depth}, axis: ${n.num("axis", -1)}, on: ${values}[1], off: ${values}[0])`,
    values.file,
  );
}

function trilu(n: Call): Val {
  return moved(n, `${n.num("upper", 1) ? "triu" : "tril"}(${n.x(0)}, ${n.opt(1)?.number ?? 0})`);
}

/** Block by block: DCR has the block's axes before the channels, CRD after them. */
const depthToSpace: Rule = (n) => {
  const from = n.str("mode", "DCR") === "DCR" ? "(r s c)" : "(c r s)";
  return moved(
    n,
    `rearrange("n ${from} h w -> n c (h r) (w s)", ${n.x(0)}, r: ${n.num("blocksize")}, s: ${n.num("blocksize")})`,
  );
};

/** The first seq[b] elements of the time axis backwards, the others as they are. */
function reverseSequence(n: Call): Val {
  const [x, lengths] = [n.x(0), n.x(1)];
  const [batch, time] = [n.num("batch_axis", 1), n.num("time_axis", 0)];
  const names = indices(x.rank);
  const [b, t] = [names[batch]!, names[time]!];
  const from = names.map((name, k) =>
    k === time ? `(${t} < ${lengths}[${b}] ? ${lengths}[${b}] - 1 - ${t} : ${t})` : name,
  );
  return moved(n, `for[${over(names, x.shape)}] ${x}${list(from)} ?? 0`);
}

const sequenceAt = (parts: readonly Val[], i: Val | undefined, fallback: number): number =>
  front(i?.number ?? fallback, parts.length);

export const SHAPE: RuleTable = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
  Shape: shape,
  Size: size,
  Transpose: transpose,
  Concat: (n) => joined(n, n.rest(), front(n.num("axis", 1), n.x(0).rank)),
  Split: split,
  Slice: slice,
  Pad: pad,
  CenterCropPad: centerCropPad,
  ConstantOfShape: constantOfShape,
  Constant: constant,
  Range: rangeRule,
  EyeLike: eyeLike,
  OneHot: oneHot,
  Trilu: trilu,
  DepthToSpace: depthToSpace,
  ReverseSequence: reverseSequence,
  SpaceToDepth: (n) =>
    moved(
      n,
      `rearrange("n c (h r) (w s) -> n (r s c) h w", ${n.x(0)}, r: ${n.num("blocksize")}, s: ${n.num("blocksize")})`,
    ),
  Tile: (n) => moved(n, `tile(${n.x(0)}, ${list(n.x(1).numbers)})`),
  // Sequences are lists of the translation: their lengths are known.
  SequenceConstruct: (n) => n.rest(),
  SequenceEmpty: () => [],
  SequenceAt: (n) => n.sequence(0)[sequenceAt(n.sequence(0), n.opt(1), 0)] ?? fail("no such element"),
  SequenceErase: (n) => {
    const parts = n.sequence(0);
    const gone = sequenceAt(parts, n.opt(1), -1);
    return parts.filter((_, k) => k !== gone);
  },
  SequenceInsert: (n) => {
    const parts = n.sequence(0);
    const place = n.opt(2) ? sequenceAt(parts, n.opt(2), 0) : parts.length;
    return [...parts.slice(0, place), n.x(1), ...parts.slice(place)];
  },
  SequenceLength: (n) => n.let(String(n.sequence(0).length), "int64"),
  SplitToSequence: splitToSequence,
  ConcatFromSequence: (n) => {
    const parts = n.sequence(0);
    return n.let(
      n.num("new_axis", 0)
        ? `stack(${list(parts)}, axis: ${n.num("axis")})`
        : `cat(${list(parts)}, axis: ${n.num("axis")})`,
      parts[0]?.file,
    );
  },
  OptionalHasElement: (n) => n.let(n.ins[0] === undefined ? "full([], false)" : "full([], true)", "bool"),
  OptionalGetElement: (n) => n.ins[0] ?? fail("an optional without an element"),
};
