/** What the tuner needs of a device. The runtime's `Device` is one; the compiler imports nothing of the runtime but types of plans. */
import type { AdapterInfo, HostArray, Plan, PlanDType } from "../../runtime/plan.ts";

/** A GPUBuffer. */
export interface TuneBuffer {
  readonly size: number;
  destroy(): unknown;
}

export interface TuneKernel {
  dispose(): void;
}

export interface TuneArray {
  readonly dtype: PlanDType;
  readonly shape: readonly number[];
  readonly buffer: TuneBuffer;
}

export interface TuneEntrant {
  readonly kernel: TuneKernel;
  readonly buffers: Readonly<
    Record<string, TuneBuffer | { readonly buffer: TuneBuffer; readonly offset?: number; readonly size?: number }>
  >;
  readonly sizes?: Readonly<Record<string, number>>;
  /** Runs in one pass. */
  readonly inner?: number;
}

export interface TuneDevice {
  readonly info: AdapterInfo;
  /** Of a GPUDevice, whose types not every user of the compiler has. */
  readonly gpu: {
    readonly queue: {
      writeBuffer(buffer: TuneBuffer, offset: number, data: Uint32Array<ArrayBuffer>): unknown;
      submit(commands: Iterable<unknown>): unknown;
    };
    createCommandEncoder(): {
      copyBufferToBuffer(from: TuneBuffer, fromOffset: number, to: TuneBuffer, toOffset: number, size: number): unknown;
      finish(): unknown;
    };
  };
  loadPlan(plan: Plan): Promise<TuneKernel>;
  upload(array: HostArray, label?: string): TuneArray;
  createBuffer(bytes: number, label?: string): TuneBuffer;
  download(array: TuneArray): Promise<HostArray>;
  /** Nanoseconds a run of each entrant, one for each round; by `now` where it is given. */
  race(
    entrants: readonly TuneEntrant[],
    rounds: number,
    now?: () => number,
  ): Promise<{ readonly source: "timestamps" | "clock"; readonly ns: readonly (readonly number[])[] }>;
}
