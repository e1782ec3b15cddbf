/** Operators whose places come from data. */
import {
  type Call,
  fail,
  front,
  indices,
  list,
  over,
  product,
  type Rule,
  type RuleTable,
  range,
  vector,
} from "./call.ts";
import type { Val } from "./emitter.ts";

const kept = (n: Call, text: string): Val => n.let(text, n.x(0).file);
const MODES: Readonly<Record<string, string>> = { none: "set", add: "add", mul: "mul", max: "max", min: "min" };
const modeOf = (n: Call): string =>
  MODES[n.str("reduction", "none")] ?? fail(`the reduction ${n.str("reduction", "")}`);

const scatterElements: Rule = (n) =>
  kept(
    n,
    `scatter(${n.x(0)}, ${n.x(1)}, ${n.x(2)}, axis: ${front(n.num("axis", 0), n.x(0).rank)}, mode: "${modeOf(n)}")`,
  );

/** update[b, …, s, …] is put at write_indices[b] + s of the cache's axis, around its end in circular mode. */
function tensorScatter(n: Call): Val {
  const [past, update, start] = [n.x(0), n.x(1), n.opt(2)];
  const axis = front(n.num("axis", -2), past.rank);
  const names = indices(update.rank);
  const place = start ? `${start}[${names[0]}] + ${names[axis]}` : `${names[axis]}`;
  const target = names.map((name, k) =>
    k !== axis ? name : n.str("mode", "linear") === "circular" ? `(${place}) % ${past.shape[axis]}` : place,
  );
  return n.e.block(
    (y) => [
      `let ${y} = ${past}`,
      `${y}${list(target)} set= ${update}${list(names)} over [${over(names, update.shape)}]`,
    ],
    past.file,
  );
}

/** Indices count through the whole of the tensor that was pooled; a stated output shape is larger at the ends. */
function maxUnpool(n: Call): Val {
  const [x, at] = [n.x(0), n.x(1)];
  const kernel = n.ints("kernel_shape");
  const strides = n.ints(
    "strides",
    kernel.map(() => 1),
  );
  const pads = n.ints(
    "pads",
    kernel.flatMap(() => [0, 0]),
  );
  const inner = kernel.map((k, i) => (x.shape[i + 2]! - 1) * strides[i]! + k - pads[i]! - pads[i + kernel.length]!);
  const shape = [...x.shape.slice(0, 2), ...inner];
  const flat = n.e.block(
    (y) => [`${y}[ravel(${at})[k]]: f32[${product(shape)}] set= ravel(${x})[k] over [k in 0..${x.size}]`],
    x.file,
  );
  const grown = n.opt(2)?.numbers;
  const y = kept(n, `reshape(${flat}, ${list(shape)})`);
  return grown ? kept(n, `pad(${y}, ${list(grown.map((m, k) => `[0, ${m - shape[k]!}]`))})`) : y;
}

/** Counts of n-grams with gaps; the pool of n-grams is a constant of the operator. */
function tfIdf(n: Call): string {
  const given = n.x(0);
  const x = given.rank === 1 ? n.let(`reshape(${given}, [1, ${given.shape[0]}])`) : given;
  const pool = n.has("pool_int64s") ? n.ints("pool_int64s") : fail("strings");
  const starts = n.ints("ngram_counts");
  const places = n.ints("ngram_indexes");
  const [least, most, skips] = [n.num("min_gram_length"), n.num("max_gram_length"), n.num("max_skip_count")];
  const [rows, length] = [x.shape[0]!, x.shape[1]!];
  const width = Math.max(...places) + 1;
  const columns: string[] = range(width).map(() => `zeros([${rows}])`);
  let gram = 0;
  starts.forEach((from, k) => {
    const size = k + 1;
    const end = starts[k + 1] ?? pool.length;
    for (let p = from; p + size <= end; p += size, gram++) {
      if (size < least || size > most) continue;
      const terms: string[] = [];
      // A single element has no gaps, so that gaps of every size count it once.
      for (let gap = 1; gap <= (size === 1 ? 1 : skips + 1); gap++) {
        const positions = length - (size - 1) * gap;
        if (positions <= 0) continue;
        const equal = range(size).map((j) => `${x}[:, ${j * gap}:${j * gap + positions}] == ${pool[p + j]}`);
        terms.push(`sum((${equal.join(" && ")}) as f32, axis: 1)`);
      }
      if (terms.length > 0) columns[places[gram]!] = `${n.let(terms.join(" + "))}`;
    }
  });
  const weights = n.has("weights") ? (n.attrs["weights"] as readonly number[]) : places.map(() => 1);
  const byColumn = range(width).map((c) => weights[places.indexOf(c)] ?? 1);
  const mode = n.str("mode", "TF");
  const scaled = columns.map((c, k) =>
    mode === "TF" ? c : `${mode === "IDF" ? `((${c} > 0.0) as f32)` : c} * ${byColumn[k]}`,
  );
  const table = n.let(`stack(${list(scaled)}, axis: 1)`);
  return given.rank === 1 ? `reshape(${table}, [${width}])` : `${table}`;
}

export const INDEX: RuleTable = {
  Gather: (n) => kept(n, `take(${n.x(0)}, ${n.x(1)}, axis: ${front(n.num("axis", 0), n.x(0).rank)})`),
  GatherElements: (n) => kept(n, `gather(${n.x(0)}, ${n.x(1)}, axis: ${front(n.num("axis", 0), n.x(0).rank)})`),
  GatherND: (n) => kept(n, `gather_nd(${n.x(0)}, ${n.x(1)}, batch: ${n.num("batch_dims", 0)})`),
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: (n) => kept(n, `scatter_nd(${n.x(0)}, ${n.x(1)}, ${n.x(2)}, mode: "${modeOf(n)}")`),
  TensorScatter: tensorScatter,
  MaxUnpool: maxUnpool,
  TfIdfVectorizer: tfIdf,
  "ai.onnx.ml:ArrayFeatureExtractor": (n) =>
    kept(
      n,
      `take(${n.x(0).rank === 1 ? `reshape(${n.x(0)}, [1, -1])` : n.x(0)}, ${n.let(`ravel(${vector(n.x(1))})`)}, axis: -1)`,
    ),
};
