/**
 * Where the sums of a contraction on subgroup matrices go: matrices that lie whole in the result are stored as they are; at its edges, and
 * where an epilogue reads the sums, they pass through workgroup memory, from which the invocations store element by element.
 */
import { divExtent, type Extent, ONE, size, subExtent } from "../../../ir/extent.ts";
import {
  barrier,
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  type KernelExpr,
  kand,
  kapply,
  kint,
  ksize,
  kvar,
  kvector,
  type Lanes,
  load,
  loop,
  type Statement,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Axis, axis, axisRef, type Definition, i32, read, shapeOf, type TensorExpr } from "../../../ir/tensor.ts";
import { divisible, formExpression, positionIn } from "../affine.ts";
import { sizeOfType } from "../cost.ts";
import { lower, resolve, storeAt } from "../lower.ts";
import { bindAxis, emit, inCopy, inFrame, name, newShared, tensorBuffer, top } from "./builder.ts";
import { type MatrixTile, whenActive } from "./matrix-tile.ts";
import { contiguous, strideAlong } from "./operands.ts";
import { storeResult } from "./results.ts";
import { atFlat } from "./tile.ts";
import { laneable } from "./walk.ts";

export function storeMatrices(t: MatrixTile, partials: readonly Definition[] | undefined): void {
  const { b } = t;
  const whole = wholeStore(t, partials);
  if (!whole) {
    throughMemory(t, partials, lanesOf(t, partials));
    return;
  }
  const { m, n } = t.config;
  const straight = inFrame(b, true, () => eachWhole(t, whole));
  if (divisible(t.rowCount, m) && divisible(t.columnCount, n)) {
    emit(b, ...straight);
    return;
  }
  // The same for the whole workgroup, as barriers are on the other way. Stores by elements on both.
  const inside = kand(fits(t.rowBase, t.groupRows, t.rowCount), fits(t.columnBase, t.groupColumns, t.columnCount));
  emit(
    b,
    ...when(
      name(b, "whole", inside),
      straight,
      inFrame(b, true, () => throughMemory(t, partials, 1)),
    ),
  );
}

function fits(from: KernelExpr, count: number, extent: Extent): KernelExpr {
  return kapply("le", iadd(from, kint(count)), ksize(extent));
}

// ---- Whole matrices -------------------------------------------------------------------------------------------------

/** A result in which matrices of sums can be stored: where one begins, how its rows or columns lie. */
interface WholeStore {
  readonly buffer: ReturnType<typeof tensorBuffer>;
  readonly order: "row" | "column";
  readonly stride: Extent;
  readonly point: readonly TensorExpr[];
  readonly shape: readonly Extent[];
}

function wholeStore(t: MatrixTile, partials: readonly Definition[] | undefined): WholeStore | undefined {
  const { b, sides, config } = t;
  const { region } = sides;
  const P = region.def.axes.map((a) => axisRef(a));
  const [only, ...others] = region.stores;
  const ref = partials?.[0] ? { tensor: partials[0], slot: 0 } : only;
  if (!ref || (!partials && (others.length > 0 || ref.tensor !== region.def || region.epilogue.length > 0)))
    return undefined;
  const [row, ...rows] = sides.m.filter((a) => a.extent !== ONE);
  const [column, ...columns] = sides.n.filter((a) => a.extent !== ONE);
  if (!row || !column || rows.length > 0 || columns.length > 0) return undefined;
  const shape = shapeOf(ref.tensor);
  const part = axis("part", size(t.s.splitK));
  if (partials && t.part) bindAxis(b, part, t.part);
  const point = partials ? [t.part ? axisRef(part) : i32(0), ...P] : P;
  const [byRow, byColumn] = [strideAlong(point, shape, row), strideAlong(point, shape, column)];
  const order = byColumn === ONE ? "row" : byRow === ONE ? "column" : undefined;
  const stride = order === "row" ? byRow : byColumn;
  if (!order || !stride || ref.tensor.types[ref.slot] !== config.result) return undefined;
  // Of a result with shorter rows no matrix is ever whole.
  const across = order === "row" ? config.n : config.m;
  if (stride.value !== undefined && stride.value < across) return undefined;
  const by = Math.min(across, 16 / sizeOfType(config.result));
  const form = positionIn(point, shape);
  const rest = [...form.terms].filter(([atom]) => atom !== axisRef(row) && atom !== axisRef(column));
  if (![stride, form.constant, ...rest.map(([, c]) => c)].every((e) => divisible(e, by))) return undefined;
  return { buffer: tensorBuffer(b, ref, "write", 1), order, stride, point, shape };
}

/** The matrices that are inside; what divides the extents decides whether one may lie outside as a whole. */
function eachWhole(t: MatrixTile, w: WholeStore): void {
  const { b, config, sides } = t;
  for (let i = 0; i < t.down; i++)
    for (let j = 0; j < t.across; j++)
      inCopy(b, () => {
        const row = name(b, "row", iadd(iadd(t.rowBase, t.rowIn), kint(i * config.m)));
        const column = name(b, "col", iadd(iadd(t.columnBase, t.columnIn), kint(j * config.n)));
        const [r, c] = [axis("row", t.rowCount), axis("col", t.columnCount)];
        bindAxis(b, r, row);
        bindAxis(b, c, column);
        const offset = atFlat(b, sides.m, r, 1, () =>
          atFlat(b, sides.n, c, 1, () => name(b, "at", lower(b, formExpression(positionIn(w.point, w.shape))))),
        );
        const one: Statement = {
          kind: "matrix",
          op: "store",
          place: { matrices: t.sums, index: kint(i * t.across + j) },
          buffer: w.buffer,
          offset,
          stride: ksize(w.stride),
          order: w.order,
        };
        const outside = [
          ...(divisible(t.rowCount, t.groupRows) ? [] : [ilt(row, ksize(t.rowCount))]),
          ...(divisible(t.columnCount, t.groupColumns) ? [] : [ilt(column, ksize(t.columnCount))]),
        ];
        const guarded = outside.reduceRight<readonly Statement[]>((body, test) => when(test, body), [one]);
        emit(b, ...whenActive(t, guarded));
      });
}

// ---- Through workgroup memory ---------------------------------------------------------------------------------------

/** Lanes in which the results are stored. */
function lanesOf(t: MatrixTile, partials: readonly Definition[] | undefined): Lanes {
  const { sides, s, config } = t;
  const last = sides.n.at(-1);
  if (s.vector === 1 || !last || !laneable(sides.n, s.vector) || config.n % s.vector !== 0) return 1;
  // Where neighbouring columns are no neighbours in memory, lanes would be stored one by one anyhow.
  const { def } = sides.region;
  const P = def.axes.map((a) => axisRef(a));
  return partials || contiguous([read(def, 0, P)], sides.n) ? s.vector : 1;
}

/** One matrix of each subgroup after the other: into memory, then all invocations apply the epilogue to their share of its elements. */
function throughMemory(t: MatrixTile, partials: readonly Definition[] | undefined, lanes: Lanes): void {
  const { b, s, config } = t;
  const { m, n } = config;
  const [tm, tn] = s.threads;
  const tiles = tm * tn;
  const memory = newShared(b, "out", config.result, tiles * m * n);
  const units = (m * n) / lanes;
  const total = tiles * units;
  const each = Math.ceil(total / t.invocations);
  for (let i = 0; i < t.down; i++)
    for (let j = 0; j < t.across; j++) {
      emit(
        b,
        ...whenActive(t, [
          {
            kind: "matrix",
            op: "store",
            place: { matrices: t.sums, index: kint(i * t.across + j) },
            buffer: memory,
            offset: imul(t.tile, kint(m * n)),
            stride: kint(n),
            order: "row",
          },
        ]),
        barrier(),
      );
      const q = variable("q");
      const body = inFrame(b, each > 1, () => {
        const unit = name(b, "u", iadd(imul(kvar(q), kint(t.invocations)), t.tid));
        const tile = name(b, "t", idiv(unit, kint(units)));
        const guards = [
          ...(total % t.invocations === 0 ? [] : [ilt(unit, kint(total))]),
          ...(t.round ? [kapply("eq", idiv(tile, t.round.count), t.round.now)] : []),
        ];
        const inner = (): void => {
          const place = imod(unit, kint(units));
          const row = iadd(
            iadd(t.rowBase, imul(idiv(tile, kint(tn)), kint(s.reg[0]))),
            iadd(kint(i * m), idiv(place, kint(n / lanes))),
          );
          const column = iadd(
            idiv(iadd(t.columnBase, iadd(imul(imod(tile, kint(tn)), kint(s.reg[1])), kint(j * n))), kint(lanes)),
            imod(place, kint(n / lanes)),
          );
          storeUnit(t, partials, lanes, row, column, () => {
            const at = name(b, "at", imul(unit, kint(lanes)));
            return kvector(Array.from({ length: lanes }, (_, l) => name(b, "sum", load(memory, iadd(at, kint(l))))));
          });
        };
        const guard = guards.length > 0 ? guards.reduce(kand) : undefined;
        if (guard) emit(b, ...when(guard, inFrame(b, true, inner)));
        else inner();
      });
      emit(b, loop(q, kint(each), body), barrier());
    }
}

/** Stores the elements of one row at a column (in units of `lanes`), if they are inside. */
function storeUnit(
  t: MatrixTile,
  partials: readonly Definition[] | undefined,
  lanes: Lanes,
  row: KernelExpr,
  column: KernelExpr,
  sums: () => KernelExpr,
): void {
  const { b, sides } = t;
  const { region } = sides;
  const place = (hint: string, extent: Extent, group: number, at: KernelExpr): { a: Axis; valid: KernelExpr[] } => {
    const a = axis(hint, extent);
    const named = name(b, hint, at);
    if (divisible(extent, group)) {
      bindAxis(b, a, named);
      return { a, valid: [] };
    }
    bindAxis(b, a, name(b, "inside", kapply("min", named, ksize(subExtent(extent, ONE)))));
    return { a, valid: [ilt(named, ksize(extent))] };
  };
  const r = place("row", t.rowCount, t.groupRows, row);
  const c = place("col", divExtent(t.columnCount, size(lanes)), t.groupColumns / lanes, column);
  const put = (): void => {
    const value = sums();
    atFlat(b, sides.m, r.a, 1, () =>
      atFlat(b, sides.n, c.a, lanes, () => {
        const P = region.def.axes.map((a) => axisRef(a));
        const [partial] = partials ?? [];
        if (partial) {
          const part = axis("part", size(t.s.splitK));
          if (t.part) bindAxis(b, part, t.part);
          storeAt(b, { tensor: partial, slot: 0 }, [t.part ? axisRef(part) : i32(0), ...P], value);
          return;
        }
        top(b).memo.set(resolve(b, read(region.def, 0, P)), { expr: value, level: b.frames.length - 1 });
        for (const ref of region.stores) storeResult(b, region, ref, [value], P);
      }),
    );
  };
  const valid = [...r.valid, ...c.valid];
  if (valid.length > 0) emit(b, ...when(valid.reduce(kand), inFrame(b, true, put)));
  else put();
}
