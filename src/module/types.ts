/** What the emitter of modules takes and gives. */
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import type { ConstValue, Program } from "../api/program.ts";
import type { CompileOptions } from "../compile.ts";
import type { Target } from "../schedule/applied.ts";

export interface OutputFile {
  /** Relative, with forward slashes: beside `ModuleInput.fileName`, e.g. `nn/attention.ein.js`. */
  readonly path: string;
  readonly text: string;
}

export interface ModuleInput {
  /** Relative to wherever the outputs' paths are, with forward slashes: `nn/attention.ein`. */
  readonly fileName: string;
  readonly source: string;
  /** The checked file. */
  readonly program: Program;
  /** Where source maps say the source is, seen from the outputs' folder: the file's base name if left out. */
  readonly sourcePath?: string;
}

/** One form of a function that the module carries. Several are tried in order when a kernel is made; the first that fits is taken. */
export interface Specialisation {
  /** Extents known when the module is made; the kernel is used where the caller fixes the same values. */
  readonly extents?: Readonly<Record<string, number>>;
  /** Values of `const` parameters, and of parameters with a default that shall be constants. */
  readonly consts?: Readonly<Record<string, ConstValue>>;
  /** Parameters with a default that the caller gives; the others are constants of the kernel. */
  readonly provided?: readonly string[];
  /** Ranks of `...`, by giving whole shapes. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
}

export interface ModuleOptions {
  /** What kernels may rely on, best first; a device that lacks it gets the next. WebGPU's guaranteed limits, if left out. */
  readonly targets?: readonly Target[];
  /** By function: what is specialised, beside (before) the general form. */
  readonly specialise?: Readonly<Record<string, readonly Specialisation[]>>;
  /** `x.ein.js.map` and `x.ein.d.ts.map`. */
  readonly sourceMap?: boolean;
  /** `x.FUNCTION.wgsl` for reading. */
  readonly wgsl?: boolean;
  /** `x.d.ein.ts` instead of `x.ein.d.ts` alone: for TypeScript's allowArbitraryExtensions. */
  readonly arbitraryExtensions?: boolean;
  /** A shipped schedule cache: a schedule for a region on a target, `undefined` for the default. */
  readonly schedules?: CompileOptions["schedule"];
  /** No reassociation of floats. */
  readonly strict?: boolean;
  /** Cheaper and less accurate functions of floats. */
  readonly fastMath?: boolean;
  /** Kernels that were made before: for builds of many modules. */
  readonly memo?: CompileOptions["memo"];
  /** Only what `specialise` lists, without the general forms. */
  readonly specialisedOnly?: boolean;
  /** Told of exported functions that are left out, as warnings: one has a constant without a value, say. */
  readonly onWarning?: (warning: Diagnostic) => void;
}
