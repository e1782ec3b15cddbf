/** The runtime without an entry of its own: what Node's and the browser's share. */
export { describeAdapter } from "./adapter.ts";
export type { BufferRange } from "./arguments.ts";
export { Device, type PlanSource, type RaceEntrant, type WrapOptions, wrapDevice } from "./device.ts";
export { type ArgumentPlace, DeviceError, type DeviceErrorKind } from "./errors.ts";
export { type HalfArray, type HostInput, halfBits, halfValue } from "./host-array.ts";
export { type DeviceArray, type Input, LoadedKernel } from "./kernel.ts";
export type { AdapterCosts, AdapterInfo, HostArray, Plan, PlanDType } from "./plan.ts";
export type { RaceTimes } from "./race.ts";
export type { KernelTimes, TimeOptions } from "./time.ts";
