/**
 * The memory of the kernel interpreter: values, and for memory that the kernel writes who touched each element and when, so
 * that a race is found whatever order the interpreter happens to run the invocations in.
 *
 * Time is counted in epochs: barriers and the starts of workgroups begin new ones. Two accesses to an element by different
 * invocations, of which one writes, are a race if nothing orders them: that is, if they lie in one epoch, or (for storage)
 * in different workgroups. Atomic operations do not race with each other.
 */
import type { Buffer } from "./kernel.ts";

export type Cells = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array | Uint16Array;

export type KernelProblemKind = "out-of-bounds" | "misaligned" | "uninitialised" | "race" | "non-uniform";
export interface KernelProblem {
  readonly kind: KernelProblemKind;
  readonly message: string;
  /** The buffer concerned; undefined for barriers. */
  readonly buffer: Buffer | undefined;
  /** The element, in units of the buffer's lanes. */
  readonly index: number | undefined;
}

export interface Clock {
  /** Of workgroup memory and of storage: advanced by their barriers and by every new workgroup. */
  workgroup: number;
  storage: number;
  /** The first epochs of the running workgroup. */
  workgroupStart: number;
  storageStart: number;
}

const MANY = -1;

export interface Invocation {
  readonly registers: Float64Array;
  /** Which registers of private buffers have been written. */
  readonly defined: Uint8Array;
  /** Unique in the dispatch, from 1. */
  id: number;
  /** Its place in its subgroup, and the subgroup's in the workgroup. */
  lane: number;
  subgroup: number;
}

/** Who has touched the elements of one buffer that the kernel writes. */
export class Tracker {
  readonly buffer: Buffer;
  private readonly clock: Clock;
  private readonly report: (kind: KernelProblemKind, buffer: Buffer, index: number, text: string) => void;
  private readonly shared: boolean;
  private readonly readEpoch: Int32Array;
  private readonly reader: Int32Array;
  /** 1 where a workgroup before the reader's has read too. */
  private readonly readBefore: Uint8Array;
  private readonly writeEpoch: Int32Array;
  private readonly writer: Int32Array;
  private readonly atomicEpoch: Int32Array;
  private readonly atomicBy: Int32Array;

  constructor(buffer: Buffer, size: number, clock: Clock, report: Tracker["report"]) {
    this.buffer = buffer;
    this.clock = clock;
    this.report = report;
    this.shared = buffer.space === "storage";
    this.readEpoch = new Int32Array(size);
    this.reader = new Int32Array(size);
    this.readBefore = new Uint8Array(size);
    this.writeEpoch = new Int32Array(size);
    this.writer = new Int32Array(size);
    this.atomicEpoch = new Int32Array(buffer.atomic ? size : 0);
    this.atomicBy = new Int32Array(buffer.atomic ? size : 0);
  }

  /** Is an access in epoch `then`, by somebody else, not ordered before now? */
  private unordered(then: number): boolean {
    if (then === 0) return false;
    const c = this.clock;
    return this.shared ? then === c.storage || then < c.storageStart : then === c.workgroup;
  }
  private race(i: number, text: string): void {
    this.report("race", this.buffer, i, text);
  }

  read(i: number, id: number): void {
    const now = this.shared ? this.clock.storage : this.clock.workgroup;
    if (this.writer[i] !== id && this.unordered(this.writeEpoch[i]!))
      this.race(i, "read by one invocation and written by another");
    if (this.atomicEpoch.length > 0 && this.atomicBy[i] !== id && this.unordered(this.atomicEpoch[i]!))
      this.race(i, "read by one invocation and updated atomically by another");
    const last = this.readEpoch[i]!;
    if (last === now) {
      if (this.reader[i] !== id) this.reader[i] = MANY;
    } else {
      if (this.shared && last !== 0 && last < this.clock.storageStart) this.readBefore[i] = 1;
      this.readEpoch[i] = now;
      this.reader[i] = id;
    }
  }

  private afterReads(i: number, id: number, how: string): void {
    if (this.readBefore[i] || (this.reader[i] !== id && this.unordered(this.readEpoch[i]!)))
      this.race(i, `${how} by one invocation and read by another`);
  }

  write(i: number, id: number): void {
    if (this.writer[i] !== id && this.unordered(this.writeEpoch[i]!)) this.race(i, "written by two invocations");
    if (this.atomicEpoch.length > 0 && this.atomicBy[i] !== id && this.unordered(this.atomicEpoch[i]!))
      this.race(i, "written by one invocation and updated atomically by another");
    this.afterReads(i, id, "written");
    this.writeEpoch[i] = this.shared ? this.clock.storage : this.clock.workgroup;
    this.writer[i] = id;
  }

  atomic(i: number, id: number): void {
    if (this.writer[i] !== id && this.unordered(this.writeEpoch[i]!))
      this.race(i, "updated atomically by one invocation and written by another");
    this.afterReads(i, id, "updated atomically");
    const now = this.shared ? this.clock.storage : this.clock.workgroup;
    if (this.atomicEpoch[i] === now) {
      if (this.atomicBy[i] !== id) this.atomicBy[i] = MANY;
    } else {
      this.atomicBy[i] = this.unordered(this.atomicEpoch[i]!) ? MANY : id;
      this.atomicEpoch[i] = now;
    }
  }

  /** Has the running workgroup written the element? For workgroup memory, which begins anew with every workgroup. */
  writtenHere(i: number): boolean {
    const start = this.shared ? this.clock.storageStart : this.clock.workgroupStart;
    return this.writeEpoch[i]! >= start || (this.atomicEpoch.length > 0 && this.atomicEpoch[i]! >= start);
  }
}

/** One buffer of a running dispatch. */
export interface Memory {
  readonly buffer: Buffer;
  /** Elements, in units of `lanes`. */
  readonly size: number;
  readonly cells: Cells;
  /** Undefined where the kernel does not write. */
  readonly tracker: Tracker | undefined;
  /** For storage that nobody may have written yet: a flag an element. */
  readonly written: Uint8Array | undefined;
  /** For private buffers: where it begins in the registers; its flags in `defined` begin at `flags`. */
  readonly register: number;
  readonly flags: number;
}
