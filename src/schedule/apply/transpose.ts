/**
 * Elementwise regions whose reads lie across their stores: blocks in registers (with vectors), or tiles through workgroup
 * memory, so that both sides touch neighbouring elements together.
 */
import { addForms, linearOf, scaleForm } from "../../../ir/affine.ts";
import { ceilDivExtent, divExtent, type Extent, ONE, size, subExtent } from "../../../ir/extent.ts";
import {
  barrier,
  extract,
  iadd,
  ilt,
  imul,
  type KernelExpr,
  kand,
  kapply,
  kint,
  ksize,
  kvar,
  kvector,
  load,
  loop,
  type Statement,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, childrenOf, i32, type Read, shapeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible, formExpression } from "../affine.ts";
import type { AppliedKernel } from "../applied.ts";
import { lower, resolve } from "../lower.ts";
import type { ElementwiseRegion } from "../region.ts";
import { inRange, ScheduleError, type TransposeSchedule } from "../schedule.ts";
import type { Target } from "../target.ts";
import {
  aliasAxis,
  type Builder,
  bindAxis,
  checkGroup,
  emit,
  finish,
  inCopy,
  inFrame,
  level,
  name,
  newBuilder,
  newShared,
  originOf,
  top,
} from "./builder.ts";
import { storeMaps } from "./elementwise.ts";
import { strideAlong } from "./operands.ts";
import { countOf, unflattenAxes } from "./walk.ts";

/** The axis along which a region's reads are contiguous though its stores are not, and those reads. */
export function crossing(
  region: ElementwiseRegion,
): { readonly across: Axis; readonly reads: readonly Read[] } | undefined {
  const last = region.axes[region.axes.length - 1];
  if (!last) return undefined;
  for (const across of region.axes.slice(0, -1)) {
    const reads = readsAlong(region, across, last);
    if (reads.length > 0) return { across, reads };
  }
  return undefined;
}

function readsAlong(region: ElementwiseRegion, across: Axis, last: Axis): readonly Read[] {
  const found: Read[] = [];
  const seen = new Set<TensorExpr>();
  const visit = (e: TensorExpr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "read") {
      const shape = shapeOf(e.tensor);
      const lies = strideAlong(e.at, shape, across) === ONE;
      const other = strideAlong(e.at, shape, last);
      // A plain index on the side that is walked together: what is loaded for the tile is inside wherever the tile is.
      if (lies && other !== undefined && other.value !== 0 && !e.fill) found.push(e);
    }
    for (const c of childrenOf(e)) visit(c);
  };
  for (const m of region.maps) for (const r of m.results) visit(r);
  return found;
}

export function applyTranspose(
  region: ElementwiseRegion,
  s: TransposeSchedule,
  target: Target,
): readonly AppliedKernel[] {
  const found = crossing(region);
  const last = region.axes[region.axes.length - 1];
  if (!found || !last) throw new ScheduleError("kind", "nothing is read across the stores");
  inRange("each", s.each, 1, s.vector > 1 ? 64 : 8);
  return [s.vector > 1 ? blocks(region, found, last, s, target) : tiles(region, found, last, s, target)];
}

function begin(region: ElementwiseRegion, target: Target, lanes: number): Builder {
  const b = newBuilder(region.name, target, lanes);
  originOf(b, region);
  return b;
}
interface Grid {
  readonly wrap: (body: readonly Statement[]) => readonly Statement[];
  readonly x: KernelExpr;
  readonly y: KernelExpr;
}
/** Tiles along the last axis in x, along the other in y, the remaining axes in z. */
function gridOver(
  b: Builder,
  region: ElementwiseRegion,
  across: Axis,
  last: Axis,
  perX: Extent,
  perY: Extent,
  target: Target,
): { readonly grid: Grid; readonly bindOthers: () => void } {
  const others = region.axes.filter((a) => a !== across && a !== last);
  const count = countOf(others);
  const [x, y, z] = [variable("gx"), variable("gy"), variable("gz")];
  const limit = target.limits.maxComputeWorkgroupsPerDimension;
  if ((perY.value ?? 0) > limit || (count.value ?? 0) > limit)
    throw new ScheduleError("tile", "too many workgroups along one dimension", across.name);
  return {
    grid: {
      x: kvar(x),
      y: kvar(y),
      wrap: (body) => [
        loop(
          x,
          ksize(perX),
          [loop(y, ksize(perY), count === ONE ? body : [loop(z, ksize(count), body, "grid.z")], "grid.y")],
          "grid.x",
        ),
      ],
    },
    bindOthers: () => {
      const a = axis("z", count);
      if (count !== ONE) bindAxis(b, a, kvar(z));
      unflattenAxes(b, others, count === ONE ? i32(0) : axisRef(a), 1);
    },
  };
}

/** An invocation has a block of v×v elements: it loads vectors along one side and stores vectors along the other. */
function blocks(
  region: ElementwiseRegion,
  found: NonNullable<ReturnType<typeof crossing>>,
  last: Axis,
  s: TransposeSchedule,
  target: Target,
): AppliedKernel {
  const v = s.vector;
  const { across } = found;
  for (const a of [across, last])
    if (!divisible(a.extent, v)) throw new ScheduleError("vector", `an extent is not a multiple of ${v}`, a.name);
  const b = begin(region, target, v);
  const [tx, ty] = [s.tile, s.each];
  checkGroup(target, tx, ty);
  const unitsX = divExtent(last.extent, size(v));
  const unitsY = divExtent(across.extent, size(v));
  const { grid, bindOthers } = gridOver(
    b,
    region,
    across,
    last,
    ceilDivExtent(unitsX, size(tx)),
    ceilDivExtent(unitsY, size(ty)),
    target,
  );
  const [lx, ly] = [variable("x"), variable("y")];
  const body = inFrame(b, false, () => {
    const px = iadd(imul(grid.x, kint(tx)), kvar(lx));
    const py = iadd(imul(grid.y, kint(ty)), kvar(ly));
    let guard: KernelExpr | undefined;
    if (!divisible(unitsX, tx)) guard = ilt(px, ksize(unitsX));
    if (!divisible(unitsY, ty)) guard = guard ? kand(guard, ilt(py, ksize(unitsY))) : ilt(py, ksize(unitsY));
    const inner = inFrame(b, guard !== undefined, () => {
      const [ax, ay] = [axis("px", unitsX), axis("py", unitsY)];
      bindAxis(b, ax, px);
      bindAxis(b, ay, py);
      bindOthers();
      const at = (unit: Axis, lane: TensorExpr): TensorExpr =>
        formExpression(addForms(scaleForm(linearOf(axisRef(unit)), size(v)), linearOf(lane)));
      // Vectors along the side where the reads lie, one for each lane of the other side.
      const loaded = found.reads.map((r) =>
        Array.from({ length: v }, (_, l) =>
          inCopy(b, () => {
            aliasAxis(b, across, at(ay, axisRef(b.lane)));
            aliasAxis(b, last, at(ax, i32(l)));
            return name(b, "v", lower(b, r));
          }),
        ),
      );
      for (let i = 0; i < v; i++)
        inCopy(b, () => {
          aliasAxis(b, across, at(ay, i32(i)));
          aliasAxis(b, last, at(ax, axisRef(b.lane)));
          found.reads.forEach((r, q) => {
            const lanes = loaded[q];
            if (lanes)
              top(b).memo.set(resolve(b, r), {
                expr: name(b, "t", kvector(lanes.map((x) => extract(x, i)))),
                level: level(b),
              });
          });
          storeMaps(b, region);
        });
    });
    emit(b, ...(guard ? when(guard, inner) : inner));
  });
  const threads = [
    loop(lx, kint(tx), ty > 1 ? [loop(ly, kint(ty), body, "thread.y")] : replaceY(body, ly), "thread.x"),
  ];
  return finish(b, grid.wrap(threads));
}

/** With a single row of invocations its index is 0: a loop that runs once. */
function replaceY(body: readonly Statement[], y: ReturnType<typeof variable>): readonly Statement[] {
  return [loop(y, kint(1), body, "thread.y")];
}

/** A tile goes through workgroup memory: invocations load it along one side and read it along the other. */
function tiles(
  region: ElementwiseRegion,
  found: NonNullable<ReturnType<typeof crossing>>,
  last: Axis,
  s: TransposeSchedule,
  target: Target,
): AppliedKernel {
  const { across } = found;
  const b = begin(region, target, 1);
  const side = s.tile;
  if (side % s.each !== 0) throw new ScheduleError("each", `${s.each} does not divide the tile of ${side}`);
  const rows = side / s.each;
  checkGroup(target, side, rows);
  const { grid, bindOthers } = gridOver(
    b,
    region,
    across,
    last,
    ceilDivExtent(last.extent, size(side)),
    ceilDivExtent(across.extent, size(side)),
    target,
  );
  const [lx, ly] = [variable("x"), variable("y")];
  const pitch = side + s.pad;
  const clampTo = (e: KernelExpr, extent: Extent, whole: boolean): KernelExpr =>
    whole ? e : kapply("min", e, ksize(subExtent(extent, ONE)));
  const body = inFrame(b, false, () => {
    bindOthers();
    const wholeX = divisible(last.extent, side);
    const wholeY = divisible(across.extent, side);
    const place = (r: KernelExpr, c: KernelExpr): KernelExpr => iadd(imul(r, kint(pitch)), c);
    const memory = found.reads.map((r) => newShared(b, "tile", r.dtype, side * pitch));
    const rowOf = (e: number): KernelExpr => iadd(kvar(ly), kint(e * rows));
    for (let e = 0; e < s.each; e++)
      inCopy(b, () => {
        const [ax, ay] = [axis("q", last.extent), axis("p", across.extent)];
        bindAxis(b, ay, name(b, "p", clampTo(iadd(imul(grid.y, kint(side)), kvar(lx)), across.extent, wholeY)));
        bindAxis(b, ax, name(b, "q", clampTo(iadd(imul(grid.x, kint(side)), rowOf(e)), last.extent, wholeX)));
        aliasAxis(b, across, axisRef(ay));
        aliasAxis(b, last, axisRef(ax));
        found.reads.forEach((r, q) => {
          const m = memory[q];
          if (m) emit(b, store(m, place(rowOf(e), kvar(lx)), lower(b, r)));
        });
      });
    emit(b, barrier());
    for (let e = 0; e < s.each; e++) {
      const q = name(b, "q", iadd(imul(grid.x, kint(side)), kvar(lx)));
      const p = name(b, "p", iadd(imul(grid.y, kint(side)), rowOf(e)));
      let guard: KernelExpr | undefined;
      if (!wholeX) guard = ilt(q, ksize(last.extent));
      if (!wholeY) guard = guard ? kand(guard, ilt(p, ksize(across.extent))) : ilt(p, ksize(across.extent));
      const inner = inFrame(b, guard !== undefined, () => {
        const [ax, ay] = [axis("q", last.extent), axis("p", across.extent)];
        bindAxis(b, ax, q);
        bindAxis(b, ay, p);
        aliasAxis(b, across, axisRef(ay));
        aliasAxis(b, last, axisRef(ax));
        found.reads.forEach((r, i) => {
          const m = memory[i];
          if (m)
            top(b).memo.set(resolve(b, r), { expr: name(b, "t", load(m, place(kvar(lx), rowOf(e)))), level: level(b) });
        });
        storeMaps(b, region);
      });
      emit(b, ...(guard ? when(guard, inner) : inner));
    }
  });
  return finish(b, grid.wrap([loop(lx, kint(side), [loop(ly, kint(rows), body, "thread.y")], "thread.x")]));
}
