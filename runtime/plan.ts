/**
 * What the compiler hands to the runtime: plain JSON. This file is the whole contract between the two; the runtime
 * imports nothing of the compiler, and the compiler only these types.
 */

export type PlanDType = "f32" | "f16" | "i32" | "u32" | "bool";

/** A number, a size symbol, or an operation on sizes. `ceildiv` is ⌈a/b⌉; `div` and `mod` round to the floor. */
export type PlanSize =
  | number
  | { readonly symbol: string }
  | {
      readonly op: "add" | "sub" | "mul" | "div" | "ceildiv" | "mod" | "min" | "max";
      readonly left: PlanSize;
      readonly right: PlanSize;
    };

/** An array argument or result. bool is one byte in the caller's arrays and a u32 in device buffers. */
export interface PlanArray {
  readonly name: string;
  readonly dtype: PlanDType;
  readonly shape: readonly PlanSize[];
  /** Index into `buffers`. */
  readonly buffer: number;
  /**
   * The first axis stands for any number of leading axes (`...`). The caller's leading axes are multiplied into it; all folded
   * arrays of one call have the same leading axes, and folded results get them back.
   */
  readonly folded?: boolean;
}

/** How a size symbol is found: extent `axis` of parameter `param`. */
export interface PlanSymbol {
  readonly name: string;
  readonly param: number;
  readonly axis: number;
}

/** Checked by the host before anything runs; `message` is what the user reads. */
export interface PlanFact {
  readonly left: PlanSize;
  readonly relation: "==" | ">=";
  readonly right: PlanSize;
  readonly message: string;
}

/** Bytes are for device storage: f32 i32 u32 bool 4, f16 2; rounded up to 4 by the runtime, to at least 16 where empty. */
export interface PlanBuffer {
  readonly role: "param" | "result" | "temporary" | "constant";
  readonly dtype: PlanDType;
  /** Elements. */
  readonly size: PlanSize;
  /**
   * Temporaries with equal slot share memory: their lifetimes do not overlap. The runtime makes a slot as large as its largest
   * user. Undefined for parameters and results.
   */
  readonly slot: number | undefined;
  /** Only for constants: the little-endian bytes in base64. */
  readonly data?: string;
}

/** A shape of subgroup matrices: m×k times k×n. Component types as WebGPU names them. */
export interface MatrixShape {
  readonly component: string;
  readonly result: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

export interface PlanKernel {
  readonly name: string;
  readonly wgsl: string;
  readonly entryPoint: string;
  readonly workgroupSize: readonly [number, number, number];
  /** WGSL features and language extensions it needs: "shader-f16", "subgroups", "chromium-experimental-subgroup-matrix". */
  readonly features: readonly string[];
  /** Shapes of subgroup matrices that it uses, where it does. */
  readonly matrices?: readonly MatrixShape[];
  /** Kinds of the bindings 0…n-1 of group 0; a uniform of sizes, if any, is the last. */
  readonly bindings: readonly ("read" | "readwrite" | "uniform")[];
  /** i32 values of the uniform, 4 bytes each in this order. */
  readonly uniforms: readonly PlanSize[];
  /** Where it comes from, for error messages. */
  readonly origin: string;
}

export interface PlanDispatch {
  readonly kernel: number;
  /** Buffers bound to the storage bindings, in order. */
  readonly buffers: readonly number[];
  /** Workgroup counts; any of them 0 means the dispatch is skipped. */
  readonly groups: readonly [PlanSize, PlanSize, PlanSize];
}

/** Fills a buffer with a 32-bit pattern before the dispatches that accumulate into it (clearBuffer for zero). */
export interface PlanFill {
  readonly fill: number;
  readonly pattern: number;
}
/** Copies one whole buffer into another (a scatter into an existing tensor). */
export interface PlanCopy {
  readonly copyFrom: number;
  readonly copyTo: number;
}
export type PlanStep = PlanDispatch | PlanFill | PlanCopy;

/**
 * Steps `first` to `end` (not included) run `rounds` times. After each round the value of each stack becomes its row of that round,
 * and the two buffers of each pair change places: what reads the first in the next round, or later, finds what was written to the
 * second.
 */
export interface PlanLoop {
  readonly first: number;
  readonly end: number;
  readonly rounds: PlanSize;
  readonly swaps: readonly (readonly [number, number])[];
  readonly stacks: readonly { readonly stack: number; readonly value: number }[];
}

export interface Plan {
  readonly version: 1;
  readonly name: string;
  readonly params: readonly PlanArray[];
  readonly results: readonly PlanArray[];
  readonly symbols: readonly PlanSymbol[];
  readonly facts: readonly PlanFact[];
  readonly buffers: readonly PlanBuffer[];
  readonly kernels: readonly PlanKernel[];
  readonly steps: readonly PlanStep[];
  /** By `first`, a loop before those within it. */
  readonly loops?: readonly PlanLoop[];
}

/** Arrays at the API's surface. f16 data is a Uint16Array of bits or a Float16Array; bool a Uint8Array. */
export interface HostArray {
  readonly dtype: PlanDType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint32Array | Uint8Array | Uint16Array | Float64Array;
}

/** What `choose` may know of a device; plain data, so that it can be cached and compiled for without a device. */
export interface AdapterInfo {
  /** Human-readable, e.g. "SwiftShader Device (LLVM 16)". */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly kind: "gpu" | "software" | "none";
  readonly driver: string;
  readonly limits: {
    readonly maxStorageBuffersPerShaderStage: number;
    readonly maxComputeWorkgroupStorageSize: number;
    readonly maxComputeInvocationsPerWorkgroup: number;
    readonly maxComputeWorkgroupSizeX: number;
    readonly maxComputeWorkgroupSizeY: number;
    readonly maxComputeWorkgroupSizeZ: number;
    readonly maxComputeWorkgroupsPerDimension: number;
    readonly maxStorageBufferBindingSize: number;
    readonly maxBufferSize: number;
    readonly minStorageBufferOffsetAlignment: number;
  };
  readonly features: readonly string[];
  /** 0 where subgroups are not available. */
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  /** What operations cost there, where that was measured (Device.measure). */
  readonly costs?: AdapterCosts;
  /** Those that it has, where it has the feature; what it prefers first. */
  readonly subgroupMatrices?: readonly MatrixShape[];
}

/**
 * Measured costs of an adapter. Operations are in nanoseconds a subgroup (an invocation, where there are no subgroups) when all of the adapter is
 * busy, so that they compare with each other and with what a workgroup costs; 0 where the adapter lacks the operation.
 */
export interface AdapterCosts {
  /** Scalar multiply-add. */
  readonly fma: number;
  /** Loads of a scalar and of a vector of four from storage memory that is cached. */
  readonly scalar: number;
  readonly vector: number;
  /** A vector of four, from workgroup memory. */
  readonly shared: number;
  readonly barrier: number;
  /** subgroupBroadcast of a scalar, from a constant lane. */
  readonly broadcast: number;
  /** A round of a loop. */
  readonly iteration: number;
  /** A workgroup of one subgroup that does nothing. */
  readonly group: number;
  /** Nanoseconds of a dispatch within a pass. */
  readonly dispatch: number;
  /** Bytes read and written a nanosecond, by a copy larger than caches. */
  readonly bandwidth: number;
}
