/**
 * Operators that give as many elements as the data says. How many there are is an extent of the result, which the graph states; which
 * they are is worked out by the program.
 */
import { type Call, fail, front, list, product, type RuleTable } from "./call.ts";
import type { Val } from "./emitter.ts";

/** The extent of output i's axis k, as the graph states it. */
function stated(n: Call, i: number, k: number): number {
  return known(n.declared(i)?.[k]) ?? fail("the extent of the result comes from data");
}
/** Files have names or nothing where the graph states no number. */
const known = (extent: unknown): number | undefined => (Number.isInteger(extent) ? (extent as number) : undefined);

/** The places of the true elements of a vector, in order. */
function places(n: Call, mask: Val, count: number): Val {
  const rank = n.let(`cumsum(${mask} as i32, axis: 0) - 1`);
  return n.e.block(
    (y) => [`${y}[${mask}[k] ? ${rank}[k] : -1]: i32[${count}] set= k over [k in 0..${mask.size}]`],
    "int64",
  );
}

function compress(n: Call): Val {
  const [x, condition] = [n.x(0), n.x(1)];
  const flat = !n.has("axis");
  const from = flat ? n.let(`ravel(${x})`, x.file) : x;
  const axis = flat ? 0 : front(n.num("axis"), x.rank);
  const length = Math.min(condition.size, from.shape[axis]!);
  const mask = n.let(`${condition}[:${length}]`, "bool");
  return n.let(`take(${from}, ${places(n, mask, stated(n, 0, axis))}, axis: ${axis})`, x.file);
}

function nonZero(n: Call): Val {
  const x = n.x(0);
  const mask = n.let(x.dtype === "bool" ? `ravel(${x})` : `ravel(${x}) != 0`, "bool");
  const at = places(n, mask, stated(n, 0, 1));
  const rows = x.shape.map((extent, k) => `${at} div ${product(x.shape.slice(k + 1))} % ${extent}`);
  return n.let(`stack(${list(rows)})`, "int64");
}

/** The graph states the number at any output that has one entry for each unique element. */
function uniqueCount(n: Call, axis: number): number {
  const found = known(n.declared(0)?.[axis]) ?? known(n.declared(1)?.[0]) ?? known(n.declared(3)?.[0]);
  return found ?? fail("the extent of the result comes from data");
}

/** Elements, or with an axis slices of it, in order of themselves or of where they first stand. */
function unique(n: Call): readonly (Val | undefined)[] {
  const x = n.x(0);
  const flat = !n.has("axis");
  const from = flat ? n.let(`ravel(${x})`, x.file) : x;
  const axis = flat ? 0 : front(n.num("axis"), x.rank);
  const total = from.shape[axis]!;
  const rows = n.let(`reshape(moveaxis(${from}, ${axis}, 0), [${total}, ${from.size / total}])`, x.file);
  const first = n.let(`for[i] min[j in 0..${total}] (all[m] ${rows}[i, m] == ${rows}[j, m]) ? j : ${total}`);
  const before = n.num("sorted", 1)
    ? `any[m] ${rows}[j, m] < ${rows}[i, m] && (all[q] q >= m || ${rows}[j, q] == ${rows}[i, q])`
    : `j < ${first}[i]`;
  const rank = n.let(`for[i in 0..${total}] sum[j in 0..${total}] (${first}[j] == j && (${before}) ? 1 : 0)`, "int64");
  const count = uniqueCount(n, axis);
  const at = n.e.block(
    (y) => [`${y}[${first}[i] == i ? ${rank}[i] : -1]: i32[${count}] set= i over [i in 0..${total}]`],
    "int64",
  );
  const counts = n.e.block((y) => [`${y}[${rank}[i]]: i32[${count}] += 1 over [i in 0..${total}]`], "int64");
  return [n.let(`take(${from}, ${at}, axis: ${axis})`, x.file), at, rank, counts];
}

/** The two ends of each box along an axis: corners in any order, or a middle and a width. */
function ends(n: Call, boxes: Val, axis: 0 | 1): readonly [Val, Val] {
  if (n.num("center_point_box", 0)) {
    const [middle, width] = [`${boxes}[..., ${1 - axis}]`, `${boxes}[..., ${3 - axis}]`];
    return [n.let(`${middle} - ${width} / 2.0`), n.let(`${middle} + ${width} / 2.0`)];
  }
  const [a, b] = [`${boxes}[..., ${axis}]`, `${boxes}[..., ${axis + 2}]`];
  return [n.let(`minimum(${a}, ${b})`), n.let(`maximum(${a}, ${b})`)];
}

/** How much of any two boxes both share: [batch, box, box]. */
function overlaps(n: Call, boxes: Val): Val {
  const shared = ([0, 1] as const).map((axis) => {
    const [low, high] = ends(n, boxes, axis);
    const both = n.let(
      `relu(minimum(${high}[:, :, None], ${high}[:, None, :]) - maximum(${low}[:, :, None], ${low}[:, None, :]))`,
    );
    return { both, size: n.let(`${high} - ${low}`) };
  }) as [{ both: Val; size: Val }, { both: Val; size: Val }];
  const area = n.let(`${shared[0].size} * ${shared[1].size}`);
  const common = n.let(`${shared[0].both} * ${shared[1].both}`);
  const union = n.let(`${area}[:, :, None] + ${area}[:, None, :] - ${common}`);
  return n.let(`where(${common} > 0.0, ${common} / ${union}, 0.0)`);
}

/** In each class the best box that is left is chosen, and what overlaps it is left out; rows of (batch, class, box). */
function nonMaxSuppression(n: Call): Val {
  const [boxes, scores] = [n.x(0), n.x(1)];
  const [batch, classes, count] = scores.shape as readonly [number, number, number];
  const rounds = Math.min(n.opt(2)?.numbers[0] ?? 0, count);
  const total = stated(n, 0, 0);
  const [limit, least] = [n.opt(3), n.opt(4)];
  const rival = n.let(`for[b, i, j] ${overlaps(n, boxes)}[b, i, j] > ${limit ? `ravel(${limit})[0]` : "0.0"}`, "bool");
  const start = n.let(least ? `where(${scores} > ravel(${least})[0], ${scores}, -inf)` : `${scores}`);
  const shape = `b in 0..${batch}, c in 0..${classes}`;
  const r =
    n.e.record(`iterate t in 0..${rounds} from ${start} as left, full([${batch}, ${classes}, ${count}], -1) as turn {
    let best = argmax(left, axis: -1)
    let some = max(left, axis: -1) > -inf
    {
      left: for[${shape}, k in 0..${count}] k == best[b, c] || (${rival}[b, best[b, c], k] ?? false) ? -inf : left[b, c, k],
      turn: for[${shape}, k in 0..${count}] some[b, c] && k == best[b, c] ? t : turn[b, c, k],
    }
  }`);
  const turn = n.let(`ravel(${r}.turn)`);
  const chosen = n.let(`sum(reshape(${turn} >= 0, [${batch * classes}, ${count}]) as i32, axis: 1)`);
  const first = n.let(`cumsum(${chosen}, axis: 0, exclusive: true)`);
  const at = n.e.block(
    (y) => [
      `${y}[${turn}[k] >= 0 ? ${first}[k div ${count}] + ${turn}[k] : -1]: i32[${total}] set= k over [k in 0..${batch * classes * count}]`,
    ],
    "int64",
  );
  return n.let(
    `stack([${at} div ${classes * count}, ${at} div ${count} % ${classes}, ${at} % ${count}], axis: 1)`,
    "int64",
  );
}

export const SELECT: RuleTable = {
  Compress: compress,
  NonZero: nonZero,
  Unique: unique,
  NonMaxSuppression: nonMaxSuppression,
};
