/**
 * A project like those that people have: many small sources of a few functions each, some that others import, some that import the
 * library. The same number gives the same files.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Sources that the others import: one for every twelve. */
const SHARED = 12;

const ACTIVATIONS = ["relu", "gelu", "silu", "tanh", "sigmoid", "softplus"] as const;
const FOLDERS = ["layers", "losses", "filters", "stats", "models"] as const;

/** The text of source `i`, whose shared module is `shared`. */
type Family = (i: number, shared: string) => string;

const activation = (i: number): string => ACTIVATIONS[i % ACTIVATIONS.length]!;

const FAMILIES: readonly Family[] = [
  (i, shared) => `import { scaled } from "${shared}"

/// ${activation(i)} with a slope and an offset.
export fn activate(x: f32[...], slope: f32, offset: f32 = ${i % 7}.5) {
  scaled(${activation(i)}(slope * x + offset), ${(i % 5) + 1}.0)
}

/// Both branches, weighted.
export fn mix(x: f32[N], y: f32[N], t: f32) {
  (1 - t) * ${activation(i)}(x) + t * ${activation(i + 1)}(y)
}
`,
  (i) => `/// A linear layer with its activation.
export fn linear(x: f32[N, I], w: f32[I, O], b: f32[O]) -> f32[N, O] {
  ${activation(i)}(x @ w + b)
}
`,
  (i) => `import { layer_norm } from "std/nn"

/// A residual that is normalised after it is added.
export fn add_norm(x: f32[T, D], r: f32[T, D], gain: f32[D], bias: f32[D]) {
  layer_norm(x + ${(i % 9) + 1}.0 * r, gain, bias)
}
`,
  (i, shared) => `import { centred } from "${shared}"

/// Rows with zero mean and unit variance, and how far they were.
export fn standardise(x: f32[N, D]) -> (value: f32[N, D], spread: f32[N]) {
  let c = centred(x)
  let s = sqrt(mean(c * c, axis: 1) + 1e-${(i % 3) + 4})
  { value: for[n, d] c[n, d] / s[n], spread: s }
}
`,
  (i) => `/// A ${(i % 2) * 2 + 3}×${(i % 2) * 2 + 3} filter with a border of zeros.
export fn filter(x: f32[H, W], k: f32[${(i % 2) * 2 + 3}, ${(i % 2) * 2 + 3}]) -> f32[H, W] {
  y[i, j] = sum[r, s] (x[i + r - ${(i % 2) + 1}, j + s - ${(i % 2) + 1}] ?? 0) * k[r, s]
}

/// Differences along both axes.
export fn edges(x: f32[H, W]) -> f32[H, W] {
  y[i, j] = abs((x[i + 1, j] ?? 0) - x[i, j]) + abs((x[i, j + 1] ?? 0) - x[i, j])
}
`,
  (i, shared) => `import { centred, scaled } from "${shared}"

/// The mean square of what a linear model leaves.
export fn loss(w: f32[D], x: f32[N, D], t: f32[N]) -> f32 {
  mean((x @ w - t) ** 2) + ${(i % 4) + 1}e-3 * sum(w * w)
}
export let step = value_and_grad(loss, wrt: [w])

/// Cosine of the angle between two centred rows.
export fn cosine(a: f32[N, D], b: f32[N, D]) {
  let x = centred(a)
  let y = scaled(centred(b), 1.0)
  sum(x * y, axis: 1) * rsqrt(sum(x * x, axis: 1) * sum(y * y, axis: 1) + 1e-9)
}
`,
  (i) => `import { softmax } from "std/nn"

/// Attention with a temperature.
export fn attend(q: f32[B, Q, D], k: f32[B, K, D], v: f32[B, K, E]) -> f32[B, Q, E] {
  let s = einsum("bqd,bkd->bqk", q, k) * (${(i % 5) + 1}.0 / sqrt(D))
  einsum("bqk,bke->bqe", softmax(s, axis: -1), v)
}
`,
  (i) => `/// Which of the rows are largest, and by how much.
export fn leader(x: f32[N, D]) -> (index: i32[N], lead: f32[N]) {
  { index: argmax(x, axis: 1), lead: max(x, axis: 1) - mean(x, axis: 1) }
}

/// Sums over windows of ${(i % 4) + 2}.
export fn windows(x: f32[N]) {
  for[n in 0..N - ${(i % 4) + 1}] sum[k in 0..${(i % 4) + 2}] (x[n + k] ?? 0)
}
`,
  (i) => `/// A bilinear form for every pair.
export fn bilinear(x: f32[N, I], w: f32[I, J], y: f32[N, J]) -> f32[N] {
  ${i % 2 === 0 ? 'einsum("ni,ij,nj->n", x, w, y)' : "sum((x @ w) * y, axis: 1)"}
}

/// Outer products, summed over a batch.
export fn covariance(x: f32[N, D]) {
  let c = x - mean(x, axis: 0, keepdims: true)
  einsum("ni,nj->ij", c, c) / (N as f32)
}
`,
  (i) => `/// Two layers.
export fn mlp(x: f32[N, I], w1: f32[I, D], b1: f32[D], w2: f32[D, O], b2: f32[O]) {
  ${activation(i)}(x @ w1 + b1) @ w2 + b2
}
`,
];

const SHARED_SOURCE = `/// A number times an array.
export fn scaled(x: f32[...], k: f32) { k * x }

/// Rows without their mean.
export fn centred(x: f32[N, D]) { x - mean(x, axis: 1, keepdims: true) }
`;

/** Texts by path, relative to the project. */
export function manySources(count: number): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const group = Math.floor(i / SHARED);
    if (i % SHARED === 0) files.set(`src/shared/common${group}.ein`, SHARED_SOURCE);
    else {
      const family = FAMILIES[i % FAMILIES.length]!;
      files.set(`src/${FOLDERS[i % FOLDERS.length]}/part${i}.ein`, family(i, `../shared/common${group}`));
    }
  }
  return files;
}

/** Writes a project of `count` sources with a configuration that holds `options`. */
export function writeProject(folder: string, count: number, options: Readonly<Record<string, unknown>> = {}): void {
  for (const [path, text] of manySources(count)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const config = { include: ["src"], rootDir: "src", outDir: "out", ...options };
  writeFileSync(join(folder, "fusum.config.json"), JSON.stringify(config, null, 2));
}
