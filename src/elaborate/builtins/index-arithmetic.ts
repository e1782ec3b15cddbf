/** i32 index expressions with the trivial cases folded (exact for integers), so that views of views stay readable. */
import type { Extent } from "../../../ir/extent.ts";
import { ONE } from "../../../ir/extent.ts";
import { apply, i32, sizeOf, type TensorExpr } from "../../../ir/tensor.ts";

function literal(e: TensorExpr): number | undefined {
  return e.kind === "const" ? e.value : undefined;
}

export function addIndex(a: TensorExpr, b: TensorExpr): TensorExpr {
  const [x, y] = [literal(a), literal(b)];
  if (x !== undefined && y !== undefined) return i32(x + y);
  if (x === 0) return b;
  if (y === 0) return a;
  return y !== undefined && y < 0 ? apply("sub", a, i32(-y)) : apply("add", a, b);
}

export function subIndex(a: TensorExpr, b: TensorExpr): TensorExpr {
  const [x, y] = [literal(a), literal(b)];
  if (x !== undefined && y !== undefined) return i32(x - y);
  if (y === 0) return a;
  return y !== undefined && y < 0 ? apply("add", a, i32(-y)) : apply("sub", a, b);
}

export function mulIndex(a: TensorExpr, b: TensorExpr): TensorExpr {
  const [x, y] = [literal(a), literal(b)];
  if (x !== undefined && y !== undefined) return i32(x * y);
  if (x === 0 || y === 0) return i32(0);
  if (x === 1) return b;
  return y === 1 ? a : apply("mul", a, b);
}

/** Floor division by an extent. */
export function divIndex(a: TensorExpr, n: Extent): TensorExpr {
  if (n === ONE) return a;
  const x = literal(a);
  if (x !== undefined && n.value !== undefined && n.value > 0) return i32(Math.floor(x / n.value));
  return apply("floordiv", a, sizeOf(n));
}

/** Floor modulo by an extent. */
export function modIndex(a: TensorExpr, n: Extent): TensorExpr {
  if (n === ONE) return i32(0);
  const x = literal(a);
  if (x !== undefined && n.value !== undefined && n.value > 0) return i32(x - n.value * Math.floor(x / n.value));
  return apply("mod", a, sizeOf(n));
}

/** Row-major position of `index` in `shape` (Horner), with axes of extent 1 left out. */
export function linearIndex(index: readonly TensorExpr[], shape: readonly Extent[]): TensorExpr {
  let at: TensorExpr = i32(0);
  shape.forEach((n, k) => {
    const i = index[k];
    if (n !== ONE && i) at = addIndex(mulIndex(at, sizeOf(n)), i);
  });
  return at;
}

/** The index in `shape` at a row-major position: the first axis is not reduced, since the position is inside. */
export function splitIndex(position: TensorExpr, shape: readonly Extent[]): readonly TensorExpr[] {
  const out: TensorExpr[] = new Array<TensorExpr>(shape.length).fill(i32(0));
  const live = shape.map((_, k) => k).filter((k) => shape[k] !== ONE);
  let rest = position;
  for (let k = live.length - 1; k >= 0; k--) {
    const axis = live[k] as number;
    const n = shape[axis] as Extent;
    out[axis] = k === 0 ? rest : modIndex(rest, n);
    rest = divIndex(rest, n);
  }
  return out;
}

/** Clamps to 0…n-1: always inside a tensor of at least one element. */
export function clampIndex(e: TensorExpr, n: Extent): TensorExpr {
  return apply("min", apply("max", e, i32(0)), subIndex(sizeOf(n), i32(1)));
}

/** NumPy's reading of a negative index: i + n for i < 0. May still be outside. */
export function wrapIndex(i: TensorExpr, n: Extent): TensorExpr {
  return apply("select", apply("lt", i, i32(0)), addIndex(i, sizeOf(n)), i);
}
