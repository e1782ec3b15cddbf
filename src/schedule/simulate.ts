/** Runs fused programs on the kernel interpreter: programs are checked end to end with no GPU. */

import type { Mode } from "../../ir/evaluate.ts";
import { evaluateExtent } from "../../ir/extent.ts";
import { type ArrayInput, type InterpretResult, interpret } from "../../ir/interpret.ts";
import { interpretKernel } from "../../ir/interpret-kernel.ts";
import type { Buffer } from "../../ir/kernel.ts";
import { bindSizes } from "../../ir/sizes.ts";
import { type CarryDef, shapeOf, type TensorRef } from "../../ir/tensor.ts";
import { verifyKernel } from "../../ir/verify-kernel.ts";
import type { AppliedKernel, BufferSource, Temporary } from "./applied.ts";
import { apply } from "./apply/index.ts";
import { choose } from "./choose.ts";
import { type Nested, nested } from "./fused-loop.ts";
import type { FusedProgram, Region } from "./region.ts";
import type { Schedule } from "./schedule.ts";
import type { Target } from "./target.ts";

export interface SimulateOptions {
  readonly mode?: Mode;
  readonly schedule?: (region: Region) => Schedule;
  readonly sizes?: ReadonlyMap<string, number>;
  /** Of the device; what each kernel was made for if left out. */
  readonly subgroupSize?: number;
}

/** Device memory by what it stands for. */
export interface Store {
  readonly tensors: Map<string, { cells: Float64Array; written: Uint8Array }>;
  readonly temporaries: Map<Temporary, { cells: Float64Array; written: Uint8Array }>;
}

function keyOf(r: TensorRef): string {
  return `${r.tensor.id}.${r.slot}`;
}

function room(
  store: Store,
  source: BufferSource,
  sizes: ReadonlyMap<string, number>,
): { cells: Float64Array; written: Uint8Array } {
  const elements =
    source.kind === "temporary"
      ? evaluateExtent(source.size, sizes)
      : shapeOf(source.ref.tensor).reduce((p, e) => p * evaluateExtent(e, sizes), 1);
  const old = source.kind === "temporary" ? store.temporaries.get(source) : store.tensors.get(keyOf(source.ref));
  if (old) return old;
  // As on a device, an empty buffer still has room for a masked access.
  const n = Math.max(4, elements);
  const made = { cells: new Float64Array(n).fill(Number.NaN), written: new Uint8Array(n) };
  made.written.fill(1, elements);
  if (source.kind === "temporary") store.temporaries.set(source, made);
  else store.tensors.set(keyOf(source.ref), made);
  return made;
}

export function newStore(): Store {
  return { tensors: new Map(), temporaries: new Map() };
}

export function putTensor(store: Store, ref: TensorRef, data: ArrayLike<number>): void {
  const n = Math.max(4, data.length);
  const cells = new Float64Array(n);
  for (let i = 0; i < data.length; i++) cells[i] = data[i] ?? 0;
  store.tensors.set(keyOf(ref), { cells, written: new Uint8Array(n).fill(1) });
}

/** The elements of a result; throws if the kernels left any unwritten. */
export function takeTensor(store: Store, ref: TensorRef, sizes: ReadonlyMap<string, number>): Float64Array {
  const count = shapeOf(ref.tensor).reduce((p, e) => p * evaluateExtent(e, sizes), 1);
  const found = room(store, { kind: "tensor", ref }, sizes);
  const missing = found.written.subarray(0, count).indexOf(0);
  if (missing >= 0) throw new Error(`element ${missing} of ${ref.tensor.name} was never written`);
  return found.cells.slice(0, count);
}

function patternValue(pattern: number, dtype: string): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setUint32(0, pattern);
  return dtype === "f32" ? bits.getFloat32(0) : dtype === "i32" ? bits.getInt32(0) : pattern;
}

/** Runs one applied kernel; throws with every problem that the interpreter reports. */
export function runKernel(
  store: Store,
  applied: AppliedKernel,
  sizes: ReadonlyMap<string, number>,
  mode: Mode,
  subgroupSize?: number,
): void {
  for (const f of applied.fills) {
    const r = room(store, f.target, sizes);
    const dtype =
      f.target.kind === "temporary" ? f.target.dtype : (f.target.ref.tensor.types[f.target.ref.slot] ?? "f32");
    r.cells.fill(patternValue(f.pattern, dtype));
    r.written.fill(1);
  }
  for (const c of applied.copies) {
    const [from, to] = [room(store, c.from, sizes), room(store, c.to, sizes)];
    to.cells.set(from.cells.subarray(0, to.cells.length));
    to.written.set(from.written.subarray(0, to.written.length));
  }
  const kernel = verifyKernel(applied.kernel);
  const storage = kernel.buffers.filter((b) => b.space === "storage");
  const cells = new Map<Buffer, Float64Array>();
  const written = new Map<Buffer, Uint8Array>();
  const after: (() => void)[] = [];
  storage.forEach((b, i) => {
    const source = applied.bindings[i];
    if (!source) throw new Error(`nothing is bound to ${b.name}`);
    const r = room(store, source, sizes);
    cells.set(b, r.cells);
    if (b.lanes === 1) {
      written.set(b, r.written);
      return;
    }
    const wide = new Uint8Array(Math.floor(r.written.length / b.lanes));
    for (let e = 0; e < wide.length; e++)
      wide[e] = r.written.subarray(e * b.lanes, (e + 1) * b.lanes).every((w) => w === 1) ? 1 : 0;
    written.set(b, wide);
    if (b.access !== "read")
      after.push(() => {
        wide.forEach((w, e) => {
          if (w) r.written.fill(1, e * b.lanes, (e + 1) * b.lanes);
        });
      });
  });
  const result = interpretKernel(kernel, undefined, cells, sizes, {
    mode,
    written,
    ...(subgroupSize ? { subgroupSize } : {}),
  });
  for (const f of after) f();
  if (result.problems.length > 0) throw new Error(result.problems.map((p) => p.message).join("\n"));
}

/**
 * The results of a fused program for arrays by input name: every region is scheduled (by `choose` unless told otherwise) and its
 * kernels run in order. Throws if a kernel does what a device would not forgive.
 */
export function runFused(
  fused: FusedProgram,
  target: Target,
  inputs: ReadonlyMap<string, ArrayInput>,
  options: SimulateOptions = {},
): InterpretResult[] {
  const p = fused.program;
  const sizes = bindSizes(p, new Map([...inputs].map(([n, a]) => [n, a.shape])), options.sizes);
  const store = newStore();
  for (const d of p.inputs) {
    const given = inputs.get(d.name);
    if (given) putTensor(store, { tensor: d, slot: 0 }, given.data);
  }
  const copy = (from: TensorRef, to: CarryDef): void =>
    putTensor(store, { tensor: to, slot: 0 }, takeTensor(store, from, sizes));
  const run = (list: readonly Nested<Region>[]): void => {
    for (const x of list) {
      if (x.kind === "one") {
        const schedule = options.schedule?.(x.item) ?? choose(x.item, target);
        for (const k of apply(x.item, schedule, target))
          runKernel(store, k, sizes, options.mode ?? "rounded", options.subgroupSize);
        continue;
      }
      const { rounds, carries, stacks } = x.loop;
      for (const c of carries) copy(c.init, c.carry);
      const rows = stacks.map((): number[] => []);
      for (let n = evaluateExtent(rounds, sizes); n > 0; n--) {
        run(x.body);
        for (const [i, k] of stacks.entries()) rows[i]!.push(...takeTensor(store, k.value, sizes));
        for (const c of carries) copy(c.next, c.carry);
      }
      for (const [i, k] of stacks.entries()) putTensor(store, { tensor: k.stack, slot: 0 }, rows[i]!);
    }
  };
  run(nested(fused.regions, fused.loops));
  return p.results.map((r) => ({
    name: r.name,
    dtype: r.tensor.types[r.slot] ?? "f32",
    shape: shapeOf(r.tensor).map((e) => evaluateExtent(e, sizes)),
    data: takeTensor(store, { tensor: r.tensor, slot: r.slot }, sizes),
  }));
}

/** The same program on the tensor interpreter, for comparison. */
export function oracle(
  fused: FusedProgram,
  inputs: ReadonlyMap<string, ArrayInput>,
  mode: Mode = "exact",
): InterpretResult[] {
  return interpret(fused.program, inputs, { mode });
}
