/**
 * Fusum's public API, for Node and browsers alike: compile a module, look at its functions, interpret them, or hand the
 * program to a device (`fusum/node`, `fusum/browser`).
 */

export type { Diagnostic, Fix, Label, Severity } from "../grammar/diagnostic.ts";
export type { AdapterInfo, HostArray, Plan } from "../runtime/plan.ts";
export { type CompileSourceOptions, compile } from "./api/compile.ts";
export { ein } from "./api/ein.ts";
export type { EinValue } from "./api/ein-source.ts";
export { einsumOn, einsumProgram, interpretEinsum } from "./api/einsum.ts";
export type { EinsumResult, EinsumShape } from "./api/einsum-types.ts";
export { CompileError } from "./api/error.ts";
export { type ConstValue, type FunctionOptions, type LowerOptions, Program, shapesOf } from "./api/program.ts";
export type { FunctionSignature } from "./elaborate/signature.ts";
export { type ExplainGradientOptions, explainGradient } from "./explain-grad/index.ts";
export type { Resolve } from "./modules.ts";
export { mergeCaches, readCache, type ScheduleCache, writeCache } from "./tune/cache.ts";
export { TuneError } from "./tune/error.ts";
export type { LoadTuneOptions } from "./tune/load.ts";
export type { Tuned, TunedRegion, TuneOptions, TuneProgress } from "./tune/tune.ts";
