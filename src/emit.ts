/** From applied kernels to what the plan holds: each kernel is verified, legalised and printed; its buffers get their values. */

import { type EmittedWgsl, emitAgain, emitKernel } from "../codegen/emit.ts";
import {
  elementsOf,
  type PlannedKernel,
  type PlannedLoop,
  type PlanParam,
  type PlanRequest,
  type PlanValue,
  planSize,
} from "../codegen/plan.ts";
import type { Span } from "../grammar/span.ts";
import type { Extent } from "../ir/extent.ts";
import type { Kernel } from "../ir/kernel.ts";
import { shapeOf, type TensorRef } from "../ir/tensor.ts";
import type { AppliedKernel, BufferSource, Target, Temporary } from "./schedule/applied.ts";
import type { FusedProgram } from "./schedule/region.ts";

export interface EmittedKernel {
  readonly applied: AppliedKernel;
  readonly planned: PlannedKernel;
  /** The kernel's WGSL in parts: see PrintedKernel. */
  readonly own: string;
  readonly helpers: readonly string[];
}

/** By the body of a kernel for one target. */
export interface EmittedBodies {
  get(body: Kernel["body"]): EmittedWgsl | undefined;
  set(body: Kernel["body"], emitted: EmittedWgsl): unknown;
}

const temporaryKeys = new WeakMap<Temporary, string>();
let temporaries = 0;

function keyOf(source: BufferSource): string {
  if (source.kind === "tensor") return `d${source.ref.tensor.id}.${source.ref.slot}`;
  const old = temporaryKeys.get(source);
  if (old) return old;
  const made = `t${temporaries++}`;
  temporaryKeys.set(source, made);
  return made;
}

function planValue(source: BufferSource): PlanValue {
  if (source.kind === "temporary") return { key: keyOf(source), dtype: source.dtype, size: source.size };
  const { tensor, slot } = source.ref;
  return { key: keyOf(source), dtype: tensor.types[slot] ?? "f32", size: elementsOf(shapeOf(tensor)) };
}

/** Says where a span is, for people: `conv.ein:12`. */
export type PlaceOf = (span: Span) => string;

/** `known` has what was emitted for the bodies of kernels; what is emitted now is added. */
export function emitKernels(
  list: readonly AppliedKernel[],
  target: Target,
  placeOf?: PlaceOf,
  known?: EmittedBodies,
): EmittedKernel[] {
  const place = (o: Kernel["origin"][number]): string | undefined => (o.span ? placeOf?.(o.span) : undefined);
  // Equal regions share their kernels.
  const printed = new Map<Kernel, EmittedWgsl>();
  return list.map((applied) => {
    const { kernel } = applied;
    const again = known?.get(kernel.body);
    const emitted =
      printed.get(kernel) ?? (again ? emitAgain(again, kernel, { place }) : emitKernel(kernel, target, { place }));
    printed.set(kernel, emitted);
    known?.set(kernel.body, emitted);
    const storage = applied.kernel.buffers.filter((b) => b.space === "storage");
    const values = emitted.bufferOrder.map((b) => {
      const binding = applied.bindings[storage.indexOf(b)];
      if (!binding)
        throw new RangeError(`kernel ${applied.kernel.name} has a buffer ${b.name} that nothing is bound to`);
      return planValue(binding);
    });
    const planned: PlannedKernel = {
      kernel: {
        name: applied.kernel.name,
        wgsl: emitted.code,
        entryPoint: emitted.entryPoint,
        workgroupSize: emitted.workgroupSize,
        features: emitted.features,
        ...(emitted.matrices.length > 0 ? { matrices: emitted.matrices } : {}),
        bindings: emitted.bindings,
        uniforms: emitted.uniforms.map(planSize),
        origin: applied.kernel.origin.map((o) => `${o.name}${place(o) ? ` (${place(o)})` : ""}`).join(", "),
      },
      values,
      groups: emitted.groups,
      fills: applied.fills.map((f) => ({ value: planValue(f.target), pattern: f.pattern })),
      copies: applied.copies.map((c) => ({ from: planValue(c.from), to: planValue(c.to) })),
    };
    return { applied, planned, own: emitted.own, helpers: emitted.helpers };
  });
}

/** A tensor as a parameter or a result of a plan. */
export function planArray(name: string, ref: TensorRef): PlanParam {
  const shape: readonly Extent[] = shapeOf(ref.tensor);
  return { name, dtype: ref.tensor.types[ref.slot] ?? "f32", shape, value: planValue({ kind: "tensor", ref }) };
}

/** Parameters and results of the program with the values that hold them. `counts` are the kernels of each region. */
export function planRequest(
  fused: FusedProgram,
  kernels: readonly EmittedKernel[],
  counts: readonly number[],
  folded: ReadonlySet<string>,
): PlanRequest {
  const p = fused.program;
  const array = (name: string, ref: TensorRef): PlanParam => ({ ...planArray(name, ref), folded: folded.has(name) });
  return {
    name: p.name,
    params: p.inputs.map((d) => array(d.name, { tensor: d, slot: 0 })),
    results: p.results.map((r) => array(r.name, { tensor: r.tensor, slot: r.slot })),
    facts: p.facts,
    kernels: kernels.map((k) => k.planned),
    loops: loopsOf(fused, counts),
  };
}

function loopsOf(fused: FusedProgram, counts: readonly number[]): readonly PlannedLoop[] {
  const before = (region: number): number => counts.slice(0, region).reduce((n, c) => n + c, 0);
  const value = (ref: TensorRef): PlanValue => planValue({ kind: "tensor", ref });
  return (fused.loops ?? []).map((l) => ({
    first: before(l.first),
    end: before(l.end),
    rounds: l.rounds,
    carries: l.carries.map((c) => ({
      carry: value({ tensor: c.carry, slot: 0 }),
      init: value(c.init),
      next: value(c.next),
    })),
    stacks: l.stacks.map((s) => ({ stack: value({ tensor: s.stack, slot: 0 }), value: value(s.value) })),
  }));
}
