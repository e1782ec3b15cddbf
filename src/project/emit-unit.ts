/** The outputs of a checked source, as the settings ask for them. */
import { posix } from "node:path";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { Program } from "../api/program.ts";
import type { CompileOptions } from "../compile.ts";
import type { FunctionSignature } from "../elaborate/signature.ts";
import { emitModule, type OutputFile, type Specialisation } from "../module/index.ts";
import type { UnitSettings } from "./project.ts";

export interface EmitRequest {
  /** Relative to the root. */
  readonly file: string;
  readonly source: string;
  readonly program: Program;
  readonly settings: UnitSettings;
  readonly schedule: CompileOptions["schedule"];
  readonly memo: CompileOptions["memo"];
  readonly onWarning: (warning: Diagnostic) => void;
}

/** Throws CompileError if a function cannot be compiled with what the settings give. */
export function emitUnit(r: EmitRequest): OutputFile[] {
  const { emit } = r.settings;
  // Plans come with the WGSL that they run, under the same names.
  const wgsl = emit.includes("wgsl") && !emit.includes("plans");
  const files = emit.includes("module") || wgsl ? moduleFiles(r, wgsl) : [];
  return [
    ...files.filter((f) => emit.includes("module") || f.path.endsWith(".wgsl")),
    ...(emit.includes("plans") ? r.program.functions.flatMap((f) => planFiles(r, f)) : []),
  ];
}

function moduleFiles(r: EmitRequest, wgsl: boolean): readonly OutputFile[] {
  const s = r.settings;
  const specialise = Object.fromEntries(
    r.program.functions.map((f) => [f.name, specialisations(r, f)] as const).filter(([, list]) => list.length > 0),
  );
  const fileName = posix.relative(s.rootDir, r.file);
  const sourcePath = posix.relative(posix.dirname(posix.join(s.outDir, fileName)), r.file);
  return emitModule(
    { fileName, source: r.source, program: r.program, sourcePath },
    {
      ...(s.targets.length > 0 ? { targets: s.targets } : {}),
      specialise,
      sourceMap: s.sourceMap,
      wgsl,
      arbitraryExtensions: s.arbitraryExtensions,
      schedules: r.schedule,
      memo: r.memo,
      strict: s.strict,
      fastMath: s.fastMath,
      onWarning: r.onWarning,
    },
  );
}

/** What is asked for by the function's name, then what the names of its extents and constants ask for. */
function specialisations(r: EmitRequest, f: FunctionSignature): Specialisation[] {
  const { extents, consts } = bindingsOf(r, f);
  const { specialise } = r.settings;
  const asked = Object.hasOwn(specialise, f.name) ? specialise[f.name]! : [];
  const own = asked.map((s) => ({ ...s, consts: { ...consts, ...s.consts } }));
  const common = Object.keys(extents).length + Object.keys(consts).length > 0 ? [{ extents, consts }] : [];
  return [...own, ...common];
}

function bindingsOf(r: EmitRequest, f: FunctionSignature): Required<Pick<Specialisation, "extents" | "consts">> {
  const pick = <T>(kind: "extents" | "consts", has: (name: string) => boolean): Record<string, T> => {
    return Object.fromEntries(Object.entries(r.settings[kind]).filter(([name]) => has(name))) as Record<string, T>;
  };
  return {
    extents: pick("extents", (name) => f.extents.includes(name)),
    consts: pick("consts", (name) => f.parameters.some((p) => p.isConst && p.name === name)),
  };
}

/** For the run time: a function's kernels as text, and the plan that runs them. */
function planFiles(r: EmitRequest, f: FunctionSignature): OutputFile[] {
  const s = r.settings;
  const { plan } = r.program.compiled(f.name, {
    ...bindingsOf(r, f),
    strict: s.strict,
    fastMath: s.fastMath,
    ...(s.targets[0] ? { adapter: s.targets[0] } : {}),
    ...(r.schedule ? { schedule: r.schedule } : {}),
    ...(r.memo ? { memo: r.memo } : {}),
  });
  const base = `${posix.relative(s.rootDir, r.file).replace(/\.ein$/, "")}.${f.name}`;
  return [
    { path: `${base}.wgsl`, text: `${plan.kernels.map((k) => k.wgsl).join("\n\n")}\n` },
    { path: `${base}.plan.json`, text: `${JSON.stringify(plan, null, 1)}\n` },
  ];
}
