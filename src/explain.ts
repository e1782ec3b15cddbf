/**
 * What fusion made of a function: kernels, what they took in, what was kept apart and why, the work and the traffic. Flops
 * count a multiplication and an addition as two, so 2·M·N·K for a matrix product; elementwise operations count by weight
 * (add 1, divide 4, exp 8, tanh 20). Bytes are each buffer's once a kernel. Sizes that are not given count as 256.
 */
import { type Extent, evaluateExtent, symbolsOf } from "../ir/extent.ts";
import { type Axis, type Definition, shapeOf, type TensorExpr, type TensorRef } from "../ir/tensor.ts";
import { dropEpochs, hasCheckpoints } from "./passes/epochs.ts";
import { normalise } from "./passes/normalise.ts";
import { axesIn } from "./passes/rewrite.ts";
import { opsOf, sizeOfType } from "./schedule/cost.ts";
import { fuse } from "./schedule/fuse.ts";
import { expressionsOfRegion, heldBy, keyOf } from "./schedule/fuse-build.ts";
import { type Decision, type FusedProgram, type Region, statesOf } from "./schedule/region.ts";

export interface ExplainedTensor {
  readonly name: string;
  readonly dtype: string;
  /** Extents as written, symbols included. */
  readonly shape: readonly string[];
  readonly bytes: number;
}
export interface ExplainedKernel {
  readonly name: string;
  readonly kind: Region["kind"];
  /** What it writes. */
  readonly stores: readonly ExplainedTensor[];
  readonly reads: readonly ExplainedTensor[];
  /** Reductions whose values it keeps on chip. */
  readonly held: readonly string[];
  /** Of reductions and contractions. */
  readonly flops: number;
  /** Weighted elementwise operations, prologues and epilogues included. */
  readonly elementwise: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Operations a byte moved. */
  readonly intensity: number;
  /** How often it runs: the rounds of the loops around it. Everything above is of one run. */
  readonly runs: number;
}
export interface ExplainedLoop {
  /** The kernels of a round, by name. */
  readonly kernels: readonly string[];
  readonly rounds: number;
  readonly carries: readonly ExplainedTensor[];
  /** What is kept of every round. */
  readonly stacks: readonly ExplainedTensor[];
}
export interface Explanation {
  readonly name: string;
  readonly kernels: readonly ExplainedKernel[];
  readonly loops: readonly ExplainedLoop[];
  readonly decisions: readonly Decision[];
  readonly flops: number;
  readonly elementwise: number;
  readonly bytes: number;
  readonly intensity: number;
  /** Tensors in memory that are neither inputs nor results. */
  readonly intermediates: readonly ExplainedTensor[];
  /** The most bytes alive at once: inputs and results throughout, intermediates from their kernel to their last reader. */
  readonly peakBytes: number;
  /** The same if nothing were computed again for a derivative: only of programs with `checkpoint`. */
  readonly peakBytesWithoutCheckpoint: number | undefined;
  /** Symbols whose values were not given and count as 256. */
  readonly assumed: readonly string[];
  /** Some symbol's value was given: decisions, which were taken before, still count it as 256. */
  readonly given: boolean;
}

const ASSUMED = 256;

export function explain(fused: FusedProgram, sizes: Readonly<Record<string, number>> = {}): Explanation {
  const assumed = new Set<string>();
  let given = false;
  const value = (e: Extent): number => {
    if (e.value !== undefined) return e.value;
    const bind = new Map<string, number>();
    for (const s of symbolsOf(e)) {
      const known = Object.hasOwn(sizes, s) ? sizes[s] : undefined;
      if (known === undefined) assumed.add(s);
      else given = true;
      bind.set(s, known ?? ASSUMED);
    }
    try {
      return Math.max(0, evaluateExtent(e, bind));
    } catch {
      return 0;
    }
  };
  const count = (axes: readonly Axis[]): number => axes.reduce((n, a) => n * value(a.extent), 1);
  const tensor = (r: TensorRef): ExplainedTensor => {
    const dtype = r.tensor.types[r.slot] ?? "f32";
    return {
      name: r.tensor.types.length > 1 ? `${r.tensor.name}.${r.slot}` : r.tensor.name,
      dtype,
      shape: shapeOf(r.tensor).map((e) => e.text),
      bytes: count(r.tensor.axes) * sizeOfType(dtype),
    };
  };
  const loops = fused.loops ?? [];
  const runsOf = (i: number): number =>
    loops.reduce((n, l) => (l.first <= i && i < l.end ? n * value(l.rounds) : n), 1);
  const kernels = fused.regions.map((r, i): ExplainedKernel => {
    const { flops, elementwise } = workOf(r, count);
    const [reads, stores] = [r.reads.map(tensor), r.stores.map(tensor)];
    const [bytesRead, bytesWritten] = [sum(reads), sum(stores)];
    const stored = new Set(r.stores.map((s) => s.tensor));
    const held = [...heldBy(r)].filter((d) => !stored.has(d)).map((d) => d.name);
    return {
      name: r.name, kind: r.kind, stores, reads, held, flops, elementwise, bytesRead, bytesWritten,
      intensity: ratio(flops + elementwise, bytesRead + bytesWritten), runs: runsOf(i),
    }; // biome-ignore format: one record
  });
  const results = new Set(fused.program.results.map((r) => keyOf(r)));
  const intermediates = fused.regions.flatMap((r) => r.stores.filter((s) => !results.has(keyOf(s))).map(tensor));
  const total = (f: (k: ExplainedKernel) => number): number => kernels.reduce((n, k) => n + f(k) * k.runs, 0);
  const bytes = total((k) => k.bytesRead + k.bytesWritten);
  const [flops, elementwise] = [total((k) => k.flops), total((k) => k.elementwise)];
  return {
    name: fused.program.name, kernels,
    loops: loops.map((l) => ({
      kernels: kernels.slice(l.first, l.end).map((k) => k.name), rounds: value(l.rounds),
      carries: l.carries.map((c) => tensor({ tensor: c.carry, slot: 0 })), stacks: l.stacks.map((k) => tensor({ tensor: k.stack, slot: 0 })),
    })), decisions: fused.decisions, flops, elementwise, bytes, intensity: ratio(flops + elementwise, bytes),
    intermediates, peakBytes: peak(fused, (r) => tensor(r).bytes),
    peakBytesWithoutCheckpoint: hasCheckpoints(fused.program)
      ? peak(fuse(normalise(dropEpochs(fused.program))), (r) => tensor(r).bytes)
      : undefined,
    assumed: [...assumed].sort(), given,
  }; // biome-ignore format: one record
}

function sum(list: readonly ExplainedTensor[]): number {
  return list.reduce((n, t) => n + t.bytes, 0);
}
function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}

type Count = (axes: readonly Axis[]) => number;

/** What a contraction's body does inside the border that it tests for: choosing is no arithmetic. */
function withoutBorder(body: TensorExpr): TensorExpr {
  const inside = body.kind === "apply" && body.prim === "select" ? body.args[1] : undefined;
  return inside && axesIn(body).size > 0 ? withoutBorder(inside) : body;
}

function workOf(r: Region, count: Count): { readonly flops: number; readonly elementwise: number } {
  switch (r.kind) {
    case "elementwise":
      return { flops: 0, elementwise: opsOf(expressionsOfRegion(r)) * count(r.axes) };
    case "row": {
      const rows = count(r.axes);
      let [flops, elementwise] = [0, 0];
      for (const p of r.phases) {
        if (p.kind === "store") elementwise += rows * count(p.axes) * opsOf(p.results);
        else {
          flops += rows * count(p.reduce.axes) * opsOf(p.reduce.monoid.combine);
          elementwise += rows * count(p.reduce.axes) * opsOf(p.reduce.values);
        }
      }
      return { flops, elementwise };
    }
    case "contraction": {
      const [batch, m, n, k] = [count(r.batch), count(r.m), count(r.n), count(r.k)];
      const flops = batch * m * n * k * (opsOf([withoutBorder(r.body)]) + opsOf(r.reduce.monoid.combine));
      const operands = opsOf([r.a]) * batch * m * k + (r.b ? opsOf([r.b]) * batch * n * k : 0);
      return { flops, elementwise: operands + batch * m * n * opsOf(r.epilogue.flatMap((e) => e.results)) };
    }
    case "online": {
      const [batch, m, n, k] = [count(r.batch), count(r.m), count(r.n), count(r.k)];
      const scored = r.scores.reduce(
        (sum, s) => sum + count(s.d) * (opsOf([s.body]) + opsOf(s.reduce.monoid.combine)),
        0,
      );
      const terms = [r.weight, ...statesOf(r).flatMap((s) => s.reduce.values)];
      return {
        flops: batch * m * k * (scored + 1 + r.sums.length + 2 * n),
        elementwise: batch * m * (k * opsOf(terms) + n * opsOf(r.epilogue.flatMap((e) => e.results))),
      };
    }
    case "scan": {
      const points = count(r.def.axes);
      return {
        flops: points * opsOf(r.def.monoid.combine),
        elementwise: points * opsOf([...r.def.values, ...r.epilogue.flatMap((e) => e.results)]),
      };
    }
    case "scatter": {
      const points = count(r.def.domain);
      const combine = r.def.monoid === "set" ? [] : r.def.monoid.combine;
      return { flops: points * opsOf(combine), elementwise: points * opsOf([...r.def.at, ...r.def.values]) };
    }
    default:
      return r satisfies never;
  }
}

function peak(fused: FusedProgram, bytesOf: (r: TensorRef) => number): number {
  const results = new Set(fused.program.results.map((r) => keyOf(r)));
  const inputs = new Set<Definition>(fused.program.inputs);
  const loops = fused.loops ?? [];
  /** From which region on each intermediate is there, and the last that needs it. */
  const lives = new Map<string, { readonly ref: TensorRef; from: number; to: number }>();
  const touch = (ref: TensorRef, from: number, to: number): void => {
    if (inputs.has(ref.tensor) || results.has(keyOf(ref))) return;
    const old = lives.get(keyOf(ref));
    if (!old) lives.set(keyOf(ref), { ref, from, to });
    else [old.from, old.to] = [Math.min(old.from, from), Math.max(old.to, to)];
  };
  for (const l of loops) {
    for (const c of l.carries) for (const ref of [{ tensor: c.carry, slot: 0 }, c.next]) touch(ref, l.first, l.end - 1);
    for (const c of l.carries) touch(c.init, l.first, l.first);
    for (const k of l.stacks) touch({ tensor: k.stack, slot: 0 }, l.first, l.end - 1);
  }
  for (const [i, r] of fused.regions.entries()) for (const ref of [...r.stores, ...r.reads]) touch(ref, i, i);
  // What a loop shares with what is around it lives throughout.
  for (const l of [...loops].reverse())
    for (const x of lives.values()) {
      if ((x.from >= l.first && x.to < l.end) || x.from >= l.end || x.to < l.first) continue;
      [x.from, x.to] = [Math.min(x.from, l.first), Math.max(x.to, l.end - 1)];
    }
  let alive = [...inputs].reduce((n, d) => n + bytesOf({ tensor: d, slot: 0 }), 0);
  for (const r of fused.program.results) alive += bytesOf(r);
  let most = alive;
  for (const i of fused.regions.keys()) {
    let now = alive;
    for (const x of lives.values()) if (x.from <= i && i <= x.to) now += bytesOf(x.ref);
    most = Math.max(most, now);
  }
  return most;
}

// ---- Text -----------------------------------------------------------------------------------------------------------

const REASON: Readonly<Record<Decision["code"], string>> = {
  fused: "fused",
  recompute: "evaluated again by its readers",
  "other-row": "reads another row's values",
  cycle: "would need its own result",
  bindings: "too many storage buffers",
  size: "too large for one kernel",
  parallelism: "too few rows to keep the device busy",
  "no-action": "no rule to rescale",
  reader: "this reader needs it in memory",
  compared: "it is compared with what others compute: computed again it could differ in a bit",
  scatter: "a scatter stands alone",
  checkpoint: "checkpoint asks for it",
  asked: "a result of the program",
};

export function renderExplain(e: Explanation): string {
  const lines: string[] = [];
  const kernels = `${e.kernels.length} kernel${e.kernels.length === 1 ? "" : "s"}`;
  lines.push(
    `${e.name}: ${kernels}, ${quantity(e.flops)} flops, ${quantity(e.elementwise)} elementwise, ${bytesText(e.bytes)} moved, ${e.intensity.toFixed(1)} operations a byte`,
  );
  if (e.assumed.length > 0) lines.push(`  sizes not given, taken as ${ASSUMED}: ${e.assumed.join(", ")}`);
  for (const k of e.kernels) {
    lines.push(
      `  ${k.name} (${k.kind}): ${quantity(k.flops)} flops, ${quantity(k.elementwise)} elementwise, reads ${bytesText(k.bytesRead)}, writes ${bytesText(k.bytesWritten)}, ${k.intensity.toFixed(1)} operations a byte`,
    );
    lines.push(`    reads ${k.reads.map(tensorText).join(", ") || "nothing"}`);
    lines.push(`    writes ${k.stores.map(tensorText).join(", ")}`);
    if (k.held.length > 0) lines.push(`    on chip: ${k.held.join(", ")}`);
  }
  for (const l of e.loops) {
    lines.push(`  ${l.rounds} rounds of ${l.kernels.join(", ")}`);
    lines.push(`    carries ${l.carries.map(tensorText).join(", ") || "nothing"}`);
    if (l.stacks.length > 0)
      lines.push(`    keeps ${l.stacks.map((t) => `${tensorText(t)} ${bytesText(t.bytes)}`).join(", ")}`);
  }
  const [fused, apart] = [e.decisions.filter(isFused), e.decisions.filter((d) => !isFused(d))];
  const savings = e.given ? ` (savings for sizes of ${ASSUMED})` : "";
  if (fused.length > 0) lines.push(`  fused${savings}`);
  for (const d of fused) lines.push(`    ${decisionText(d)}`);
  if (apart.length > 0) lines.push("  kept apart");
  for (const d of apart) lines.push(`    ${decisionText(d)}`);
  if (e.intermediates.length > 0)
    lines.push(`  intermediates: ${e.intermediates.map((t) => `${tensorText(t)} ${bytesText(t.bytes)}`).join(", ")}`);
  const kept = e.peakBytesWithoutCheckpoint;
  const without = kept === undefined ? "" : `; ${bytesText(kept)} without checkpoint`;
  lines.push(`  peak memory: ${bytesText(e.peakBytes)}${without}`);
  return `${lines.join("\n")}\n`;
}

function isFused(d: Decision): boolean {
  // Scores are computed again by all that read them, or by none.
  if (d.kind === "chain") return d.code === "fused";
  return d.kind !== "cut" && (d.code === "fused" || d.code === "recompute" || d.code === "checkpoint");
}
function decisionText(d: Decision): string {
  const edge = `${d.edge[0]} → ${d.edge[1]}`;
  if (isFused(d)) {
    const more = d.opsAdded > 0 ? `, ${quantity(d.opsAdded)} operations more` : "";
    return `${edge}: ${d.kind}${d.code === "recompute" ? `, ${REASON.recompute}` : ""}${d.bytesSaved > 0 ? `, saves ${bytesText(d.bytesSaved)}` : ""}${more}`;
  }
  if (d.kind === "chain" && d.code === "size") return `${edge}: a row of it does not fit one tile [${d.code}]`;
  const why =
    (d.kind === "cut" || d.kind === "chain") && d.code === "recompute"
      ? `evaluating it again would cost ${quantity(d.opsAdded)} operations`
      : REASON[d.code];
  return `${edge}: ${why} [${d.code}]`;
}
function tensorText(t: ExplainedTensor): string {
  return `${t.name} ${t.dtype}[${t.shape.join(", ")}]`;
}
/** 1234567 as `1.23 M`. */
function quantity(n: number): string {
  const units = ["", "k", "M", "G", "T", "P"];
  let [x, u] = [n, 0];
  while (x >= 1000 && u < units.length - 1) {
    x /= 1000;
    u++;
  }
  return `${u === 0 ? String(Math.round(x)) : x.toFixed(2)}${u === 0 ? "" : ` ${units[u]}`}`;
}
function bytesText(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [x, u] = [n, 0];
  while (x >= 1024 && u < units.length - 1) {
    x /= 1024;
    u++;
  }
  return `${u === 0 ? String(Math.round(x)) : x.toFixed(2)} ${units[u] ?? ""}`;
}
