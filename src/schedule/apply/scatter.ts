/** Scatters: each result looks for what falls on it, the positions are sorted, or they add atomically where that gives the same bits. */
import { divExtent, maxExtent, ONE, productExtent, size } from "../../../ir/extent.ts";
import {
  type AtomicStatement,
  type Buffer,
  type KernelExpr,
  kand,
  kapply,
  kapplyTyped,
  kconst,
  kint,
  ksize,
  kvar,
  load,
  loop,
  splat,
  storageBuffer,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axisRef, type Monoid, shapeOf } from "../../../ir/tensor.ts";
import { axesIn } from "../../passes/rewrite.ts";
import { flatten, sidesProved } from "../affine.ts";
import type { AppliedKernel, BufferSource, Temporary } from "../applied.ts";
import { lower, storeAt } from "../lower.ts";
import type { ScatterRegion } from "../region.ts";
import { type ScatterSchedule, ScheduleError } from "../schedule.ts";
import type { Target } from "../target.ts";
import { combine } from "./accumulate.ts";
import {
  type Builder,
  bindAxis,
  checkGroup,
  emit,
  finish,
  freshName,
  inFrame,
  name,
  newBuilder,
  newPrivate,
  originOf,
} from "./builder.ts";
import { fixedAxes, startOf, withinDomain } from "./scatter-common.ts";
import { sorted } from "./scatter-sort.ts";
import { perUnit } from "./units.ts";
import { countOf, laneable, neverEmpty, unflattenAxes } from "./walk.ts";

export function applyScatter(region: ScatterRegion, s: ScatterSchedule, target: Target): readonly AppliedKernel[] {
  checkGroup(target, s.threads);
  if (s.parts !== undefined && s.method !== "sort") throw new ScheduleError("parts", "only sorted runs have parts");
  switch (s.method) {
    case "own":
      return [own(region, s, target)];
    case "atomic":
      return atomic(region, s, target);
    case "sort":
      return sorted(region, s, target);
    case "cas":
      throw new ScheduleError("method", "compare-and-swap gives other bits every time");
    default:
      return s.method satisfies never;
  }
}

function own(region: ScatterRegion, s: ScatterSchedule, target: Target): AppliedKernel {
  const { def } = region;
  if (s.vector > 1 && !laneable(def.axes, s.vector))
    throw new ScheduleError("vector", `the innermost extent is not a multiple of ${s.vector}`, def.axes.at(-1)?.name);
  const fixed = fixedAxes(region);
  const last = def.axes.length - 1;
  const lastFixed = [...fixed].find(([, d]) => d === last)?.[0];
  if (s.vector > 1 && (!lastFixed || lastFixed.extent !== def.axes[last]?.extent))
    throw new ScheduleError("vector", "the lanes of a vector would look for different positions", def.axes[last]?.name);
  if (s.vector > 1 && lastFixed && def.at.some((x, d) => d !== last && axesIn(x).has(lastFixed)))
    throw new ScheduleError("vector", "each lane of a vector goes to a place of its own", lastFixed.name);
  const b = newBuilder(region.name, target, s.vector);
  originOf(b, region);
  const units = divExtent(productExtent(shapeOf(def)), size(s.vector));
  const body = perUnit(b, units, s.threads, (unit) => {
    unflattenAxes(b, def.axes, unit, s.vector);
    const point = def.axes.map((a) => axisRef(a));
    const acc = def.types.map((d, _i) => newPrivate(b, "acc", d, 1, s.vector));
    acc.forEach((p, i) => {
      emit(b, store(p, kint(0), splat(lower(b, startOf(region, point, i)), s.vector)));
    });
    const rest = def.domain.filter((a) => !fixed.has(a));
    const search = (): void =>
      overDomain(b, rest, () => {
        let here: KernelExpr | undefined;
        def.at.forEach((x, d) => {
          const p = point[d];
          if (!p || (x.kind === "axis" && fixed.get(x.axis) === d)) return;
          const test = kapply("eq", lower(b, x), lower(b, p));
          here = here ? kand(here, test) : test;
        });
        const add = (): void => {
          const values = def.values.map((v) => name(b, "v", splat(lower(b, v), s.vector)));
          const old = acc.map((p) => load(p, kint(0)));
          const made = def.monoid === "set" ? values : combine(b, def.monoid, old, values).map((v) => name(b, "n", v));
          acc.forEach((p, i) => {
            const v = made[i];
            if (v) emit(b, store(p, kint(0), splat(v, s.vector)));
          });
        };
        if (here) emit(b, ...when(here, inFrame(b, true, add)));
        else add();
      });
    withinDomain(b, region, point, [], search);
    for (const ref of region.stores) {
      const p = acc[ref.slot];
      if (p) storeAt(b, ref, point, name(b, "r", load(p, kint(0))));
    }
  });
  return finish(b, body);
}

function overDomain(b: Builder, axes: readonly Axis[], body: () => void): void {
  const [a, ...rest] = axes;
  if (!a) {
    body();
    return;
  }
  const v = variable("j");
  const statements = inFrame(b, !neverEmpty(a.extent), () => {
    bindAxis(b, a, kvar(v));
    overDomain(b, rest, body);
  });
  emit(b, loop(v, ksize(a.extent), statements));
}

// ---- Atomics ------------------------------------------------------------------------------------------------------

/** The atomic operation that does what the monoid does, bit for bit and in any order. */
export function atomicOp(
  m: Monoid | "set",
): { readonly op: AtomicStatement["op"]; readonly ordered: boolean } | undefined {
  if (m === "set" || m.slots.length !== 1) return undefined;
  const body = m.combine[0];
  if (body?.kind !== "apply" || body.args.length !== 2 || !body.args.every((a, i) => a.kind === "arg" && a.index === i))
    return undefined;
  const { prim } = body;
  const d = m.slots[0];
  if (d === "i32" || d === "u32") {
    if (prim === "add" || prim === "min" || prim === "max") return { op: prim, ordered: false };
    if (prim === "bitand") return { op: "and", ordered: false };
    return prim === "bitor" ? { op: "or", ordered: false } : undefined;
  }
  return d === "f32" && (prim === "min" || prim === "max") ? { op: prim, ordered: true } : undefined;
}

const u32 = (v: number): KernelExpr => kconst("u32", v);

/** f32 bits as u32 in the order of the numbers; NaN is `nan`. */
function encode(b: Builder, v: KernelExpr, nan: number): KernelExpr {
  const bits = name(b, "bits", kapplyTyped("bitcast", [v], "u32"));
  const negative = kapply("ne", kapply("shr", bits, u32(31)), u32(0));
  const ordered = kapply("select", negative, kapply("bitnot", bits), kapply("bitor", bits, u32(0x80000000)));
  return kapply("select", kapply("isnan", v), u32(nan), ordered);
}
function decode(b: Builder, e: KernelExpr, nan: number): KernelExpr {
  const code = name(b, "code", e);
  const positive = kapply("ne", kapply("shr", code, u32(31)), u32(0));
  const bits = kapply("select", positive, kapply("bitand", code, u32(0x7fffffff)), kapply("bitnot", code));
  return kapplyTyped("bitcast", [kapply("select", kapply("eq", code, u32(nan)), u32(0x7fc00000), bits)], "f32");
}

function atomic(region: ScatterRegion, s: ScatterSchedule, target: Target): readonly AppliedKernel[] {
  const { def } = region;
  if (s.vector > 1) throw new ScheduleError("vector", "atomics are scalar");
  const how = atomicOp(def.monoid);
  if (!how || def.monoid === "set") throw new ScheduleError("method", "this operation has no atomic");
  const total = productExtent(shapeOf(def));
  const ref = region.stores[0] ?? { tensor: def, slot: 0 };
  const result: BufferSource = { kind: "tensor", ref };
  const nan = how.op === "max" ? 0xffffffff : 0;
  const b = newBuilder(how.ordered ? `${region.name}_scatter` : region.name, target, 1);
  originOf(b, region);
  const codes: Temporary = { kind: "temporary", name: `${def.name}_codes`, dtype: "u32", size: total };
  const into = def.into?.[0];
  const where = how.ordered ? codes : result;
  const made = neverEmpty(total) ? total : maxExtent(total, ONE);
  const accumulator: Buffer = storageBuffer(
    freshName(b, def.name),
    "readwrite",
    how.ordered ? "u32" : (def.types[0] ?? "i32"),
    made,
    1,
    true,
  );
  b.storage.push({ buffer: accumulator, source: where });
  const body = perUnit(b, countOf(def.domain), s.threads, (unit) => {
    unflattenAxes(b, def.domain, unit, 1);
    let valid: KernelExpr | undefined;
    def.at.forEach((x, d) => {
      const extent = def.axes[d]?.extent ?? ONE;
      const known = sidesProved(x, extent);
      if (known.low && known.high) return;
      const test = kapply(
        "lt",
        kapplyTyped("bitcast", [lower(b, x)], "u32"),
        kapplyTyped("bitcast", [ksize(extent)], "u32"),
      );
      valid = valid ? kand(valid, test) : test;
    });
    const add = (): void => {
      const v = def.values[0];
      if (!v) throw new Error("a scatter without values");
      const value = lower(b, v);
      emit(b, {
        kind: "atomic",
        op: how.op,
        buffer: accumulator,
        index: lower(b, flatten(def.at, shapeOf(def))),
        value: how.ordered ? encode(b, value, nan) : value,
        bind: undefined,
      });
    };
    if (valid) emit(b, ...when(valid, inFrame(b, true, add)));
    else add();
  });
  const identity = def.monoid.identity[0]?.value ?? 0;
  if (!how.ordered) {
    if (into) b.copies.push({ from: { kind: "tensor", ref: into }, to: result });
    else b.fills.push({ target: result, pattern: identity >>> 0 });
    return [finish(b, body)];
  }
  const scattered = finish(b, body);
  const begin = newBuilder(`${region.name}_begin`, target, 1);
  const codesOut = storageBuffer(freshName(begin, "codes"), "write", "u32", made);
  begin.storage.push({ buffer: codesOut, source: codes });
  const beginBody = perUnit(begin, total, s.threads, (unit) => {
    unflattenAxes(begin, def.axes, unit, 1);
    const point = def.axes.map((a) => axisRef(a));
    emit(
      begin,
      store(
        codesOut,
        lower(begin, flatten(point, shapeOf(def))),
        encode(begin, name(begin, "v", lower(begin, startOf(region, point, 0))), nan),
      ),
    );
  });
  const end = newBuilder(region.name, target, 1);
  originOf(end, region);
  const codesIn = storageBuffer(freshName(end, "codes"), "read", "u32", made);
  end.storage.push({ buffer: codesIn, source: codes });
  const endBody = perUnit(end, total, s.threads, (unit) => {
    unflattenAxes(end, def.axes, unit, 1);
    const point = def.axes.map((a) => axisRef(a));
    storeAt(end, ref, point, decode(end, load(codesIn, lower(end, flatten(point, shapeOf(def)))), nan));
  });
  return [finish(begin, beginBody), scattered, finish(end, endBody)];
}
