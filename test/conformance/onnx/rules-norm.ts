/** Norms, losses, and what training adds to them. */
import { type Call, fail, front, list, type RuleTable, range } from "./call.ts";
import type { Val } from "./emitter.ts";

function batchNorm(n: Call): readonly (Val | undefined)[] {
  const [x, gain, bias, mean, variance] = [n.x(0), n.x(1), n.x(2), n.x(3), n.x(4)];
  const eps = n.float("epsilon", 1e-5);
  if (!n.num("training_mode", 0)) return [n.let(`batch_norm(${x}, ${mean}, ${variance}, ${gain}, ${bias}, ${eps})`)];
  const own = n.e.record(`batch_statistics(${x})`);
  const m = n.num("momentum", 0.9);
  const blend = (old: Val, fresh: string): Val => n.let(`${old} * ${m} + ${own}.${fresh} * (1.0 - ${m})`);
  return [n.let(`batch_norm_train(${x}, ${gain}, ${bias}, ${eps})`), blend(mean, "mean"), blend(variance, "variance")];
}

/** Over the axes from `axis` on; the mean and the reciprocal deviation are further results. */
function layerNorm(n: Call): readonly (Val | undefined)[] {
  const [x, gain, bias] = [n.x(0), n.x(1), n.opt(2)];
  const axes = list(range(x.rank).slice(front(n.num("axis", -1), x.rank)));
  const eps = n.float("epsilon", 1e-5);
  const y = n.let(`standardize(${x}, ${axes}, ${eps}) * ${gain}${bias ? ` + ${bias}` : ""}`);
  const mean = n.let(`mean(${x}, axis: ${axes}, keepdims: true)`);
  return [y, mean, n.let(`rsqrt(var(${x}, axis: ${axes}, keepdims: true) + ${eps})`)];
}

function rmsNorm(n: Call): string {
  const x = n.x(0);
  const axes = range(x.rank).slice(front(n.num("axis", -1), x.rank));
  return `${x} * rsqrt(mean(${x} * ${x}, axis: ${list(axes)}, keepdims: true) + ${n.float("epsilon", 1e-5)}) * ${n.x(1)}`;
}

/** Before opset 21 gain and bias were given for groups, not channels. */
function groupNorm(n: Call): string {
  const [x, groups] = [n.x(0), n.num("num_groups")];
  const channels = x.shape[1]!;
  const each = (v: Val): string => (v.shape[0] === channels ? `${v}` : `repeat(${v}, ${channels / groups}, axis: 0)`);
  return `group_norm(${x}, ${groups}, ${each(n.x(1))}, ${each(n.x(2))}, ${n.float("epsilon", 1e-5)})`;
}

/** A vector of norm 0 stays 0. */
function lpNorm(n: Call): string {
  const x = n.x(0);
  const size = n.let(`norm(${x}, axis: ${front(n.num("axis", -1), x.rank)}, ord: ${n.num("p", 2)}, keepdims: true)`);
  return `where(${size} == 0.0, 0.0, ${x} / ${size})`;
}

function localResponse(n: Call): string {
  const [x, size] = [n.x(0), n.num("size")];
  const before = Math.floor((size - 1) / 2);
  const squares = n.let(`unfold(pad(${x} * ${x}, [${before}, ${size - 1 - before}], axis: 1), 1, ${size})`);
  return `${x} / (${n.float("bias", 1)} + ${n.float("alpha", 1e-4)} / ${size}.0 * sum(${squares}, axis: -1)) ** ${n.float("beta", 0.75)}`;
}

function meanVariance(n: Call): string {
  const x = n.x(0);
  const axes = list(n.ints("axes", [0, 2, 3]));
  const centred = n.let(`${x} - mean(${x}, axis: ${axes}, keepdims: true)`);
  return `${centred} / (sqrt(mean(${centred} * ${centred}, axis: ${axes}, keepdims: true)) + 1e-9)`;
}

/** No class is called -2147483648, so nothing is ignored unless told. */
const ignored = (n: Call): number => n.num("ignore_index", -2147483648);

function lossText(n: Call, f: string): Val {
  return n.let(
    `${f}(${n.x(0)}, ${n.x(1)}, ${n.opt(2) ?? "None"}, ignore_index: ${ignored(n)}, reduction: "${n.str("reduction", "mean")}")`,
  );
}

/** At inference the identity; masks of training come from a generator that the operator leaves open. */
function dropout(n: Call): readonly Val[] {
  const x = n.x(0);
  const training = n.opt(2)?.number ?? (n.has("is_test") ? 1 - n.num("is_test") : 0);
  const ratio = n.has("ratio") ? n.num("ratio") : (n.opt(1)?.number ?? 0.5);
  if (training && ratio !== 0) return fail("the random mask of training is the implementation's own");
  return [x, n.let(`full(${list(x.shape)}, true)`, "bool")];
}

export const NORM: RuleTable = {
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  GroupNormalization: groupNorm,
  InstanceNormalization: (n) => `instance_norm(${n.x(0)}, ${n.x(1)}, ${n.x(2)}, ${n.float("epsilon", 1e-5)})`,
  LpNormalization: lpNorm,
  LRN: localResponse,
  MeanVarianceNormalization: meanVariance,
  NegativeLogLikelihoodLoss: (n) => lossText(n, "nll_loss"),
  SoftmaxCrossEntropyLoss: (n) => [lossText(n, "cross_entropy"), n.let(`log_softmax(${n.x(0)}, 1)`)],
  Dropout: dropout,
};
