/** Contractions that a device's subgroup matrices can take: sums of products, operands in a type that holds them exactly. */
import { type DType, isFloat } from "../../ir/dtype.ts";
import { roundTo } from "../../ir/float.ts";
import { apply, arg, cast, constant, type TensorExpr } from "../../ir/tensor.ts";
import type { ContractionRegion } from "./region.ts";
import type { Target } from "./target.ts";

/** One of the shapes that an adapter lists: m×k times k×n, and its place in that list. */
export interface MatrixConfig {
  readonly index: number;
  readonly component: DType;
  readonly result: DType;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

export interface MatrixOperands {
  readonly a: TensorExpr;
  readonly b: TensorExpr;
}

const NEEDED = ["subgroups", "chromium-experimental-subgroup-matrix"] as const;

/** The shapes of float matrices that kernels may use on a target, in the adapter's order, which puts what it prefers first. */
export function matrixConfigs(target: Target): readonly MatrixConfig[] {
  if (NEEDED.some((f) => !target.features.includes(f)) || target.subgroupMaxSize < 1) return [];
  const half = target.features.includes("shader-f16");
  return (target.subgroupMatrices ?? []).flatMap(({ component, result, m, n, k }, index) => {
    const [c, r] = [floatType(component, half), floatType(result, half)];
    return c && r ? [{ index, component: c, result: r, m, n, k }] : [];
  });
}
function floatType(name: string, half: boolean): DType | undefined {
  return name === "f32" ? name : name === "f16" && half ? name : undefined;
}

/**
 * The factors of a region's products in a component type, if they are that or exactly representable in it: an f32 that was cast from f16
 * is, any other is not, so nothing is rounded. Undefined where the region is no sum of products in the result's type.
 */
export function matrixOperands(
  region: ContractionRegion,
  config: Pick<MatrixConfig, "component" | "result">,
): MatrixOperands | undefined {
  const { monoid } = region.reduce;
  const [slot] = monoid.slots;
  if (!region.b || slot === undefined || monoid.slots.length !== 1 || !isFloat(slot) || slot !== config.result)
    return undefined;
  if (monoid.combine[0] !== apply("add", arg(0, slot), arg(1, slot))) return undefined;
  const { body } = region;
  if (body.kind !== "apply" || body.prim !== "mul" || body.dtype !== slot) return undefined;
  const sides = [region.a, region.b] as const;
  const factors: (TensorExpr | undefined)[] = [undefined, undefined];
  for (const f of body.args) {
    const inner = f.kind === "apply" && f.prim === "cast" ? f.args[0] : f;
    if (inner?.kind !== "arg") return undefined;
    const side = sides[inner.index];
    if (!side || factors[inner.index]) return undefined;
    factors[inner.index] = exactly(cast(side, f.dtype), config.component);
  }
  const [a, b] = factors;
  return a && b ? { a, b } : undefined;
}

/** The same values in another float type, or undefined if that might round. */
function exactly(e: TensorExpr, dtype: DType): TensorExpr | undefined {
  if (e.dtype === dtype) return e;
  if (e.kind === "const") return roundTo(dtype, e.value) === e.value ? constant(dtype, e.value) : undefined;
  if (e.kind !== "apply") return undefined;
  const [x, y, z] = e.args;
  switch (e.prim) {
    case "cast":
      return x?.dtype === dtype && e.dtype === "f32" ? x : undefined;
    case "neg": {
      const of = x && exactly(x, dtype);
      return of && apply("neg", of);
    }
    case "select": {
      const [yes, no] = [y && exactly(y, dtype), z && exactly(z, dtype)];
      return x && yes && no ? apply("select", x, yes, no) : undefined;
    }
    default:
      return undefined;
  }
}
