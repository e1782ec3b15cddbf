/**
 * A plan as an emitted module holds it: buffers by name, fills and copies as kernels of their own, results that are another array copied
 * to memory of their own, temporaries as sizes of scratch buffers, loops as steps that have steps.
 */
import { dispatchOf } from "../../codegen/launch.ts";
import { planSize } from "../../codegen/plan.ts";
import type { Span } from "../../grammar/span.ts";
import type { Plan, PlanArray, PlanDType, PlanFact, PlanLoop, PlanSize, PlanStep } from "../../runtime/plan.ts";
import type { Compiled } from "../compile.ts";

export interface ModuleArray {
  readonly name: string;
  readonly dtype: PlanDType;
  readonly shape: readonly PlanSize[];
  /** The first axis stands for any number of leading axes. */
  readonly folded: boolean;
}

export interface ModuleKernel {
  readonly name: string;
  /** The kernel's own text without white space that only readers need; `helpers` go behind it. */
  readonly wgsl: string;
  /** Both as they are printed, for reading. */
  readonly readable: string;
  readonly helpers: readonly string[];
  readonly uniforms: readonly PlanSize[];
  /** Has its uniform so many times, each with the number of its row behind what `uniforms` says: for what rounds of a loop keep. */
  readonly rows: PlanSize | undefined;
  readonly origin: readonly { readonly name: string; readonly span: Span | undefined }[];
}

export interface ModuleDispatch {
  readonly kernel: number;
  /** Names of parameters and results, `0`, `1`, … for scratch buffers, `~0`, `~1`, … for `places`. */
  readonly buffers: readonly string[];
  readonly groups: readonly PlanSize[];
  /** The kernel's own grid, where the host folds it into what a dispatch can hold (codegen/launch.ts); `groups` says the same at length. */
  readonly grid: readonly PlanSize[] | undefined;
}

/** Steps that are repeated. After each round the two places of each pair have changed their contents. */
export interface ModuleLoop {
  readonly rounds: PlanSize;
  readonly swaps: readonly (readonly [number, number])[];
  readonly steps: readonly ModuleStep[];
}

export type ModuleStep = ModuleDispatch | ModuleLoop;

export interface ModulePlan {
  readonly params: readonly ModuleArray[];
  readonly results: readonly ModuleArray[];
  readonly facts: readonly PlanFact[];
  /** Bytes of the scratch buffers. */
  readonly scratch: readonly PlanSize[];
  readonly kernels: readonly ModuleKernel[];
  /** Names of the buffers that rounds of loops exchange, as they are at the start. */
  readonly places: readonly string[];
  readonly steps: readonly ModuleStep[];
}

/** Those of all loops too. */
export function dispatchesOf(steps: readonly ModuleStep[]): readonly ModuleDispatch[] {
  return steps.flatMap((s) => ("steps" in s ? dispatchesOf(s.steps) : [s]));
}

export function loopsOf(steps: readonly ModuleStep[]): readonly ModuleLoop[] {
  return steps.flatMap((s) => ("steps" in s ? [s, ...loopsOf(s.steps)] : []));
}

/** A single result is `out`; one that has a parameter's name is `out_NAME`, for both are bound in one call. */
export function resultNames(results: readonly string[], params: readonly string[]): readonly string[] {
  const taken = new Set(params);
  return results.map((name) => {
    let free = name === "result" && results.length === 1 && !taken.has("out") ? "out" : name;
    while (taken.has(free)) free = `out_${free}`;
    taken.add(free);
    return free;
  });
}

export function lowerPlan(compiled: Compiled): ModulePlan {
  const { plan } = compiled;
  const names = new Map<number, string>();
  const aliases: { readonly from: number; readonly to: string }[] = [];
  const array = (a: PlanArray, name: string): ModuleArray => ({
    name,
    dtype: a.dtype,
    shape: a.shape,
    folded: a.folded ?? false,
  });
  const params = plan.params.map((p) => {
    names.set(p.buffer, p.name);
    return array(p, p.name);
  });
  const called = resultNames(
    plan.results.map((r) => r.name),
    plan.params.map((p) => p.name),
  );
  const results = plan.results.map((r, i) => {
    if (names.has(r.buffer)) aliases.push({ from: r.buffer, to: called[i]! });
    else names.set(r.buffer, called[i]!);
    return array(r, called[i]!);
  });
  const { scratch, nameOf: fixedName } = scratchOf(plan, names);
  const swapped = [...new Set((plan.loops ?? []).flatMap((l) => l.swaps.flat()))];
  const nameOf = (buffer: number): string => {
    const place = swapped.indexOf(buffer);
    return place < 0 ? fixedName(buffer) : `~${place}`;
  };

  const kernels: ModuleKernel[] = plan.kernels.map((k) => {
    const made = compiled.kernels.find((e) => e.planned.kernel === k);
    if (!made) throw new RangeError(`${plan.name} has a kernel ${k.name} that nobody emitted`);
    const { name, origin } = made.applied.kernel;
    const readable = [made.own.trimEnd(), ...made.helpers].join("\n\n");
    const helpers = made.helpers.map(tight);
    return { name, wgsl: hostText(made.own), readable, helpers, uniforms: k.uniforms, rows: undefined, origin };
  });
  const builtin = (wgsl: string, uniforms: readonly PlanSize[], rows?: PlanSize): number => {
    const key = JSON.stringify([uniforms, rows]);
    const old = kernels.findIndex((k) => k.readable === wgsl && JSON.stringify([k.uniforms, k.rows]) === key);
    if (old >= 0) return old;
    const name = wgsl === FILL ? "fill" : wgsl === COPY ? "copy" : "keep";
    return kernels.push({ name, wgsl: tight(wgsl), readable: wgsl, helpers: [], uniforms, rows, origin: [] }) - 1;
  };
  const copy = (from: number, to: string): ModuleDispatch => {
    const words = wordsOf(plan, from);
    const kernel = builtin(COPY, [words]);
    return { kernel, buffers: [nameOf(from), to], groups: builtinGroups(words), grid: undefined };
  };
  const keep = (rounds: PlanSize, value: number, stack: number): ModuleDispatch => {
    const words = wordsOf(plan, value);
    const kernel = builtin(KEEP, [words], rounds);
    return { kernel, buffers: [nameOf(value), nameOf(stack)], groups: builtinGroups(words), grid: undefined };
  };
  const dispatch = (s: PlanStep): ModuleDispatch => {
    if ("kernel" in s)
      return { kernel: s.kernel, buffers: s.buffers.map(nameOf), groups: s.groups, grid: gridOf(compiled, s.groups) };
    if ("copyFrom" in s) return copy(s.copyFrom, nameOf(s.copyTo));
    const words = wordsOf(plan, s.fill);
    const kernel = builtin(FILL, [words, s.pattern | 0]);
    return { kernel, buffers: [nameOf(s.fill)], groups: builtinGroups(words), grid: undefined };
  };
  const repeat = (l: PlanLoop, inner: readonly PlanLoop[]): ModuleLoop => {
    const steps = [
      ...nested(plan, l.first, l.end, inner, dispatch, repeat),
      ...l.stacks.map((s) => keep(l.rounds, s.value, s.stack)),
    ];
    const swaps = l.swaps.map(([a, b]) => [swapped.indexOf(a), swapped.indexOf(b)] as const);
    return { rounds: l.rounds, swaps, steps };
  };
  const steps = [
    ...nested(plan, 0, plan.steps.length, plan.loops ?? [], dispatch, repeat),
    ...aliases.map((a) => copy(a.from, a.to)),
  ];
  return { params, results, facts: plan.facts, scratch, kernels, places: swapped.map(fixedName), steps };
}

/** The plan's steps from `first` to `end`, those of a loop as one. `loops` are all within, an outer one before those in it. */
function nested(
  plan: Plan,
  first: number,
  end: number,
  loops: readonly PlanLoop[],
  dispatch: (step: PlanStep) => ModuleDispatch,
  repeat: (loop: PlanLoop, inner: readonly PlanLoop[]) => ModuleLoop,
): readonly ModuleStep[] {
  const out: ModuleStep[] = [];
  let [i, rest] = [first, loops];
  while (i < end) {
    const [loop, ...others] = rest;
    if (loop?.first !== i) out.push(dispatch(plan.steps[i++]!));
    else {
      const inner = others.filter((l) => l.first < loop.end);
      out.push(repeat(loop, inner));
      rest = others.slice(inner.length);
      i = loop.end;
    }
  }
  return out;
}

/**
 * A kernel's text as the host of a module takes it: layouts are derived by WebGPU ("auto"), which leaves out a buffer that the text
 * declares and does not use, so such a one gets a phantom use, and the sizes too, which the host may replace by literals; and comments
 * on sizes go, whose names say enough.
 */
function hostText(wgsl: string): string {
  const text = wgsl.replaceAll(/^( {2}\w+: i32,) \/\/.*$/gm, "$1");
  const unused = [...text.matchAll(/var<storage, \w+> (\w+):/g)].flatMap(([, name]) =>
    name !== undefined && text.match(new RegExp(`\\b${name}\\b`, "g"))?.length === 1 ? [`_ = &${name};\n`] : [],
  );
  if (/^struct Sizes/m.test(text)) unused.push("_ = &sizes;\n");
  return tight(unused.length === 0 ? text : text.replace(/^(fn .*\{\n)/m, (head: string) => head + unused.join("")));
}

/** Without indentation and spaces around signs; a line ends where a block begins or ends. */
function tight(wgsl: string): string {
  return wgsl
    .replaceAll(/\b(\w+?)_plus_(\d+)_div_(\d+)\b/g, (all, of: string, more: string, by: string) =>
      Number(more) === Number(by) - 1 ? `${of}_per_${by}` : all,
    )
    .replaceAll(/^ +/gm, "")
    .replaceAll(/ ([=+*/<>&|?!%^-]+) (?![-&])/g, "$1")
    .replaceAll(/\b(if|for) \(/g, "$1(")
    .replaceAll(/([,:;)}]) | (?=\{)/g, "$1")
    .replaceAll(/;\n+/g, ";")
    .replaceAll(/\n{2,}/g, "\n");
}

/** The grid that these dispatched groups fold; undefined if they are it as it is. */
function gridOf(compiled: Compiled, groups: readonly PlanSize[]): readonly PlanSize[] | undefined {
  const made = compiled.kernels.find((k) => k.planned.groups === groups);
  const dispatch = made && dispatchOf(made.applied.kernel);
  return dispatch && dispatch.kind !== "direct" ? dispatch.extents.map(planSize) : undefined;
}

/** Scratch buffers: one for each slot, as large as its largest user. */
function scratchOf(
  plan: Plan,
  names: ReadonlyMap<number, string>,
): { readonly scratch: readonly PlanSize[]; readonly nameOf: (buffer: number) => string } {
  const scratch: PlanSize[] = [];
  const slots = new Map<string, number>();
  const own = new Map<number, string>();
  plan.buffers.forEach((b, i) => {
    if (names.has(i)) return;
    if (b.role === "constant") throw new RangeError(`${plan.name}: constants of a plan have no form in a module`);
    const key = b.slot === undefined ? `own ${i}` : `slot ${b.slot}`;
    const bytes: PlanSize = times(wordsOf(plan, i), 4);
    const slot = slots.get(key) ?? scratch.push(bytes) - 1;
    slots.set(key, slot);
    const old = scratch[slot]!;
    if (JSON.stringify(old) !== JSON.stringify(bytes)) scratch[slot] = { op: "max", left: old, right: bytes };
    own.set(i, String(slot));
  });
  return { scratch, nameOf: (i) => names.get(i) ?? own.get(i)! };
}

/** 32-bit words that an array takes. */
function wordsOf(plan: Plan, buffer: number): PlanSize {
  const { dtype, size } = plan.buffers[buffer]!;
  if (dtype !== "f16") return size;
  return typeof size === "number" ? Math.ceil(size / 2) : { op: "ceildiv", left: size, right: 2 };
}

function times(size: PlanSize, by: number): PlanSize {
  return typeof size === "number" ? size * by : { op: "mul", left: size, right: by };
}

/** Four words an invocation until there are many. */
function builtinGroups(words: PlanSize): readonly PlanSize[] {
  if (typeof words === "number") return [Math.min(4096, Math.ceil(words / 256)), 1, 1];
  return [{ op: "min", left: 4096, right: { op: "ceildiv", left: words, right: 256 } }, 1, 1];
}

const WALK = `@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
 _ = &sizes;
 for (var i = i32(id.x); i < sizes.words; i += i32(groups.x * 64u)) {
`;
const FILL = `struct Sizes {
 words: i32,
 pattern: i32,
}
@group(0) @binding(0) var<storage, read_write> target_words: array<u32>;
@group(0) @binding(1) var<uniform> sizes: Sizes;

${WALK}   target_words[i] = bitcast<u32>(sizes.pattern);
 }
}
`;
const COPY = `struct Sizes {
 words: i32,
}
@group(0) @binding(0) var<storage, read> source_words: array<u32>;
@group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

${WALK}   target_words[i] = source_words[i];
 }
}
`;
/** A round's value becomes a row. */
const KEEP = `struct Sizes {
 words: i32,
 row: i32,
}
@group(0) @binding(0) var<storage, read> source_words: array<u32>;
@group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

${WALK}   target_words[sizes.row * sizes.words + i] = source_words[i];
 }
}
`;
