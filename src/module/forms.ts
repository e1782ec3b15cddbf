/**
 * The forms of a function that a module carries: one for each specialisation and each target, and the general one, in the order in
 * which they are tried when a kernel is made.
 */
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { MatrixShape } from "../../runtime/plan.ts";
import { CompileError } from "../api/error.ts";
import type { ConstValue, Program } from "../api/program.ts";
import type { Compiled } from "../compile.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { DEFAULT_TARGET, type Target } from "../schedule/applied.ts";
import { lowerPlan, type ModulePlan } from "./lower.ts";
import type { ModuleOptions, Specialisation } from "./types.ts";

export interface Form {
  readonly plan: ModulePlan;
  /** Values of extents and constants that the caller must have given. */
  readonly extents: Readonly<Record<string, number>>;
  readonly consts: Readonly<Record<string, ConstValue>>;
  readonly needs: Needs;
}

/** What the device must have beyond WebGPU's guarantees. */
export interface Needs {
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** Its subgroups are at least and at most so large. */
  readonly subgroups: readonly [number, number] | undefined;
  /** Shapes of subgroup matrices that it lists. */
  readonly matrices: readonly MatrixShape[];
}

export interface FunctionForms {
  readonly signature: FunctionSignature;
  readonly forms: readonly Form[];
}

/** Throws CompileError. Undefined, with a warning, if the function has no form for want of constants or shapes. */
export function formsOf(program: Program, f: FunctionSignature, o: ModuleOptions): FunctionForms | undefined {
  const targets = o.targets && o.targets.length > 0 ? o.targets : [DEFAULT_TARGET];
  const special = o.specialise && Object.hasOwn(o.specialise, f.name) ? o.specialise[f.name]! : [];
  const forms = special.flatMap((s) => targets.map((t) => makeForm(program, f, s, t, o)));
  if (!o.specialisedOnly) {
    try {
      for (const t of targets) forms.push(makeForm(program, f, {}, t, o));
    } catch (error) {
      const lacking = error instanceof CompileError && error.diagnostics.every((d) => d.code === "EIN1502");
      if (!lacking) throw error;
      if (forms.length === 0) {
        for (const d of error.diagnostics) o.onWarning?.(leftOut(d, f));
        return undefined;
      }
    }
  }
  return forms.length === 0 ? undefined : { signature: f, forms: distinct(forms) };
}

function leftOut(d: Diagnostic, f: FunctionSignature): Diagnostic {
  return {
    ...d,
    severity: "warning",
    notes: [...d.notes, `\`${f.name}\` is not in the module; specialise it to have it there`],
  };
}

function makeForm(program: Program, f: FunctionSignature, s: Specialisation, target: Target, o: ModuleOptions): Form {
  const { extents = {}, consts = {}, shapes, provided } = s;
  const compiled = program.compiled(f.name, {
    extents,
    consts,
    adapter: target,
    ...(shapes ? { shapes } : {}),
    ...(provided ? { provided } : {}),
    ...(o.strict ? { strict: true } : {}),
    ...(o.fastMath ? { fastMath: true } : {}),
    ...(o.schedules ? { schedule: o.schedules } : {}),
    ...(o.memo ? { memo: o.memo } : {}),
  });
  return { plan: lowerPlan(compiled), extents, consts, needs: needsOf(compiled, target) };
}

/** Forms that come out alike (one for each of two targets that make no difference) are one. */
function distinct(forms: readonly Form[]): readonly Form[] {
  const seen = new Set<string>();
  return forms.filter(({ plan, extents, consts, needs }) => {
    const kernels = plan.kernels.map((k) => [k.wgsl, k.helpers, k.uniforms]);
    const key = JSON.stringify([{ ...plan, kernels }, extents, consts, needs]);
    return !seen.has(key) && seen.add(key);
  });
}

function needsOf(compiled: Compiled, target: Target): Needs {
  const most: Record<string, number> = {};
  const need = (limit: keyof Target["limits"], value: number): void => {
    if (value > DEFAULT_TARGET.limits[limit]) most[limit] = Math.max(most[limit] ?? 0, value);
  };
  const features = new Set<string>();
  const matrices = new Map<string, MatrixShape>();
  for (const { applied, planned } of compiled.kernels) {
    const [x, y, z] = planned.kernel.workgroupSize;
    need("maxComputeInvocationsPerWorkgroup", x * y * z);
    need("maxComputeWorkgroupSizeX", x);
    need("maxComputeWorkgroupSizeY", y);
    need("maxComputeWorkgroupSizeZ", z);
    need("maxStorageBuffersPerShaderStage", planned.kernel.bindings.filter((b) => b !== "uniform").length);
    const shared = applied.kernel.buffers.filter((b) => b.space === "workgroup");
    need(
      "maxComputeWorkgroupStorageSize",
      shared.reduce((sum, b) => sum + (b.size.value ?? 0) * b.lanes * (b.dtype === "f16" ? 2 : 4), 0),
    );
    for (const feature of planned.kernel.features) features.add(feature);
    for (const shape of planned.kernel.matrices ?? []) matrices.set(JSON.stringify(shape), shape);
  }
  const inSubgroups = [...features].some((feature) => feature.includes("subgroup"));
  const subgroups = inSubgroups ? ([target.subgroupMinSize, target.subgroupMaxSize] as const) : undefined;
  return { features: [...features].sort(), limits: most, subgroups, matrices: [...matrices.values()] };
}
