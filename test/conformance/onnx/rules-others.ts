/** Products of matrices, optimisers, trees, and what the language has no types for. */
import { type Call, fail, list, type Rule, type RuleTable, range } from "./call.ts";
import { literal, type Val } from "./emitter.ts";

/** C aligns at the right; alpha and beta of 1 are not written. */
function gemm(n: Call): Val {
  const [a, b, c] = [n.x(0), n.x(1), n.opt(2)];
  const number = (name: string): string => {
    const v = n.num(name, 1);
    return v === 1 ? "" : `${a.isFloat ? literal(v, "f32") : v} * `;
  };
  const turned = (x: Val, name: string): string => (n.num(name, 0) ? `${x}.T` : `${x}`);
  return n.let(
    `${number("alpha")}(${turned(a, "transA")} @ ${turned(b, "transB")})${c ? ` + ${number("beta")}${c}` : ""}`,
    a.file,
  );
}

function det(n: Call): string {
  const x = n.x(0);
  return x.shape.at(-1)! <= 3 ? `small_det(${x})` : fail("determinants of matrices larger than 3 × 3");
}

/** Several tensors of each kind after R and T: their lists in order. */
function groups(n: Call, kinds: number): readonly (readonly Val[])[] {
  const all = n.rest(2);
  const count = all.length / kinds;
  return range(kinds).map((k) => all.slice(k * count, (k + 1) * count));
}

function adagrad(n: Call): readonly Val[] {
  const [xs, gs, hs] = groups(n, 3) as [readonly Val[], readonly Val[], readonly Val[]];
  const rate = n.let(`${n.x(0)} / (1.0 + (${n.x(1)} as f32) * ${n.float("decay_factor", 0)})`);
  const made = xs.map((x, i) => {
    const g = n.let(`${n.float("norm_coefficient", 0)} * ${x} + ${gs[i]}`);
    const h = n.let(`${hs[i]} + ${g} * ${g}`);
    return { x: n.let(`${x} - ${rate} * ${g} / (sqrt(${h}) + ${n.float("epsilon", 0)})`), h };
  });
  return [...made.map((m) => m.x), ...made.map((m) => m.h)];
}

function adam(n: Call): readonly Val[] {
  const [xs, gs, vs, hs] = groups(n, 4) as [readonly Val[], readonly Val[], readonly Val[], readonly Val[]];
  const [alpha, beta] = [n.float("alpha", 0.9), n.float("beta", 0.999)];
  const t = n.let(`${n.x(1)} as f32`);
  const rate = n.let(
    `where(${t} > 0.0, ${n.x(0)} * sqrt(1.0 - ${beta} ** ${t}) / (1.0 - ${alpha} ** max(${t}, 1.0)), ${n.x(0)})`,
  );
  const made = xs.map((x, i) => {
    const g = n.let(`${n.float("norm_coefficient", 0)} * ${x} + ${gs[i]}`);
    const v = n.let(`${alpha} * ${vs[i]} + (1.0 - ${alpha}) * ${g}`);
    const h = n.let(`${beta} * ${hs[i]} + (1.0 - ${beta}) * ${g} * ${g}`);
    return {
      x: n.let(
        `(1.0 - ${n.float("norm_coefficient_post", 0)}) * (${x} - ${rate} * ${v} / (sqrt(${h}) + ${n.float("epsilon", 0)}))`,
      ),
      v,
      h,
    };
  });
  return [...made.map((m) => m.x), ...made.map((m) => m.v), ...made.map((m) => m.h)];
}

function momentum(n: Call): readonly Val[] {
  const [xs, gs, vs] = groups(n, 3) as [readonly Val[], readonly Val[], readonly Val[]];
  const [rate, alpha] = [n.x(0), n.float("alpha")];
  // The first step takes the whole gradient.
  const beta = n.let(`where(${n.x(1)} > 0, ${n.float("beta")}, 1.0)`);
  const made = xs.map((x, i) => {
    const g = n.let(`${n.float("norm_coefficient", 0)} * ${x} + ${gs[i]}`);
    const v = n.let(`${alpha} * ${vs[i]} + ${beta} * ${g}`);
    return {
      x: n.let(
        n.str("mode", "standard") === "nesterov"
          ? `${x} - ${rate} * (${g} + ${alpha} * ${v})`
          : `${x} - ${rate} * ${v}`,
      ),
      v,
    };
  });
  return [...made.map((m) => m.x), ...made.map((m) => m.v)];
}

const COMPARISONS: readonly string[] = ["<=", "<", ">=", ">", "==", "!="];

/** Every tree as nested choices between its leaves; the sums of the trees' leaves for each target. */
function treeEnsemble(n: Call): string {
  const x = n.x(0);
  const numbers = (name: string): readonly number[] => {
    const t = n.tensor(name);
    return t ? n.e.constant(t).numbers : n.ints(name);
  };
  const [modes, splits, features] = [numbers("nodes_modes"), numbers("nodes_splits"), n.ints("nodes_featureids")];
  const [yes, no, yesLeaf, noLeaf] = [
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_trueleafs",
    "nodes_falseleafs",
  ].map((k) => n.ints(k)) as [readonly number[], readonly number[], readonly number[], readonly number[]];
  const [targets, weights] = [n.ints("leaf_targetids"), numbers("leaf_weights")];
  const [average, sum] = [0, 1];
  const aggregate = n.num("aggregate_function", sum);
  if (aggregate !== average && aggregate !== sum) return fail("the least or largest of the trees' leaves");
  // Sets of members follow each other, each ended by NaN, in the order of the nodes that ask for them.
  const sets: number[][] = [[]];
  for (const v of n.tensor("membership_values") ? numbers("membership_values") : []) {
    if (Number.isNaN(v)) sets.push([]);
    else sets.at(-1)!.push(v);
  }
  const setOf = (node: number): readonly number[] => sets[modes.slice(0, node).filter((m) => m === 6).length] ?? [];
  const test = (node: number): Val => {
    const f = `${x}[:, ${features[node]}]`;
    if (modes[node] === 6)
      return n.let(
        setOf(node)
          .map((v) => `${f} == ${literal(v, "f32")}`)
          .join(" || ") || `${f} != ${f}`,
      );
    return n.let(`${f} ${COMPARISONS[modes[node]!]} ${literal(splits[node]!, "f32")}`);
  };
  const tests = modes.map((_, node) => test(node));
  const at = (i: number, leaf: boolean, target: number, depth: number): string => {
    if (depth > 60) return fail("trees deeper than 60 nodes");
    if (leaf) return targets[i] === target ? literal(weights[i]!, "f32") : "0.0";
    return `where(${tests[i]}, ${at(yes[i]!, yesLeaf[i] === 1, target, depth + 1)}, ${at(no[i]!, noLeaf[i] === 1, target, depth + 1)})`;
  };
  const roots = n.ints("tree_roots");
  const columns = range(n.num("n_targets")).map((t) =>
    n.let(
      `(${roots.map((r) => at(r, false, t, 0)).join(" + ")})${aggregate === average ? ` / ${roots.length}.0` : ""}`,
    ),
  );
  const scores = n.let(`stack(${list(columns)}, axis: 1)`);
  switch (n.num("post_transform", 0)) {
    case 0:
      return `${scores}`;
    case 1:
      return `softmax(${scores}, 1)`;
    case 2:
      return `sigmoid(${scores})`;
    default:
      return fail("this transformation of the scores");
  }
}

const without =
  (reason: string): Rule =>
  () =>
    fail(reason);
const STRINGS = "the language has no strings";
const RANDOM = "random numbers are the implementation's own";

export const OTHERS: RuleTable = {
  MatMul: (n) => n.let(`${n.x(0)} @ ${n.x(1)}`, n.x(0).file),
  Gemm: gemm,
  Einsum: (n) => n.let(`einsum(${JSON.stringify(n.str("equation", ""))}, ${n.rest().join(", ")})`, n.x(0).file),
  Det: det,
  "ai.onnx.preview.training:Adagrad": adagrad,
  "ai.onnx.preview.training:Adam": adam,
  "ai.onnx.preview.training:Momentum": momentum,
  "ai.onnx.ml:Binarizer": (n) => `(${n.x(0)} > ${n.float("threshold", 0)}) as f32`,
  "ai.onnx.ml:TreeEnsemble": treeEnsemble,
  "ai.onnx.ml:LabelEncoder": without("strings and hash tables"),
  StringConcat: without(STRINGS),
  StringSplit: without(STRINGS),
  StringNormalizer: without(STRINGS),
  RegexFullMatch: without(STRINGS),
  ImageDecoder: without("bytes of compressed images"),
  Bernoulli: without(RANDOM),
  RandomUniform: without(RANDOM),
  RandomUniformLike: without(RANDOM),
  RandomNormal: without(RANDOM),
  RandomNormalLike: without(RANDOM),
  Multinomial: without(RANDOM),
};
