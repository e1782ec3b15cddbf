/** What the tuner needs of a device. The runtime's `Device` is one; the compiler imports nothing of the runtime but types of plans. */
import type { AdapterInfo, HostArray, Plan, PlanDType } from "../../runtime/plan.ts";

export interface TuneKernel {
  dispose(): void;
}

export interface TuneArray {
  readonly dtype: PlanDType;
  readonly shape: readonly number[];
  readonly buffer: GPUBuffer;
}

export interface TuneEntrant {
  readonly kernel: TuneKernel;
  readonly buffers: Readonly<
    Record<string, GPUBuffer | { readonly buffer: GPUBuffer; readonly offset?: number; readonly size?: number }>
  >;
  readonly sizes?: Readonly<Record<string, number>>;
  /** Runs in one pass. */
  readonly inner?: number;
}

export interface TuneDevice {
  readonly info: AdapterInfo;
  readonly gpu: GPUDevice;
  loadPlan(plan: Plan): Promise<TuneKernel>;
  upload(array: HostArray, label?: string): TuneArray;
  createBuffer(bytes: number, label?: string): GPUBuffer;
  download(array: TuneArray): Promise<HostArray>;
  /** Nanoseconds a run of each entrant, one for each round; by `now` where it is given. */
  race(
    entrants: readonly TuneEntrant[],
    rounds: number,
    now?: () => number,
  ): Promise<{ readonly source: "timestamps" | "clock"; readonly ns: readonly (readonly number[])[] }>;
}
