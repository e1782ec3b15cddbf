/**
 * Runs one dispatch of a kernel in lockstep. Besides results it reports what would go wrong on some device: accesses out of
 * bounds, reads of memory that nobody wrote, races (whatever the order of execution), and barriers or subgroup operations that
 * not all invocations reach.
 */

import { ClosureCompiler, type Meeting } from "./closures-kernel.ts";
import { compilePrim, type Mode } from "./evaluate.ts";
import { evaluateExtent } from "./extent.ts";
import { type Buffer, isPlace, type Kernel, type KernelExpr, type KSubgroup } from "./kernel.ts";
import { MatrixMemory } from "./matrix-kernel.ts";
import {
  type Cells,
  type Clock,
  type Invocation,
  type KernelProblem,
  type KernelProblemKind,
  type Memory,
  Tracker,
} from "./memory-kernel.ts";
import { launchOf, workgroupSizeOf } from "./visit-kernel.ts";

export type { Cells, KernelProblem, KernelProblemKind } from "./memory-kernel.ts";

export interface InterpretOptions {
  /** "rounded" rounds every result to its type, as a device does; "exact" keeps float64. */
  readonly mode: Mode;
  /** The kernel's own, else 4. */
  readonly subgroupSize?: number;
  /**
   * For storage that may hold nothing yet (a plan's temporaries): a flag for each element (in the buffer's lanes), 1 where it
   * has been written; updated. Storage not named here counts as written.
   */
  readonly written?: ReadonlyMap<Buffer, Uint8Array>;
  /** At most so many problems are kept; 20. */
  readonly maxProblems?: number;
}

export interface InterpretResult {
  /** The first of each kind on each buffer. */
  readonly problems: readonly KernelProblem[];
  readonly workgroups: number;
}

export type WorkgroupId = readonly [number, number, number];

/**
 * Runs the kernel over all workgroups, or over those named in `groups`. `buffers` holds the elements of every storage buffer
 * (scalars: `lanes` of them an element; bool as 0 or 1) and is written to; `sizes` binds the size symbols. Throws RangeError if
 * a storage buffer or a size is missing or an array is too short. The kernel must have passed the verifier.
 */
export function interpretKernel(
  kernel: Kernel,
  groups: readonly WorkgroupId[] | undefined,
  buffers: ReadonlyMap<Buffer, Cells>,
  sizes: ReadonlyMap<string, number>,
  options: InterpretOptions,
): InterpretResult {
  return new Dispatch(kernel, buffers, sizes, options).run(groups);
}

class Dispatch {
  private readonly kernel: Kernel;
  private readonly sizes: ReadonlyMap<string, number>;
  private readonly problems = new Map<string, KernelProblem>();
  private readonly maxProblems: number;
  private readonly clock: Clock = { workgroup: 1, storage: 1, workgroupStart: 1, storageStart: 1 };
  private readonly memories = new Map<Buffer, Memory>();
  private readonly subgroupSize: number;
  private readonly mode: Mode;
  private readonly privateRegisters: number;
  private readonly flags: number;
  private readonly matrices: MatrixMemory;
  private group: WorkgroupId = [0, 0, 0];

  constructor(
    kernel: Kernel,
    buffers: ReadonlyMap<Buffer, Cells>,
    sizes: ReadonlyMap<string, number>,
    options: InterpretOptions,
  ) {
    this.kernel = kernel;
    this.sizes = sizes;
    this.mode = options.mode;
    this.maxProblems = options.maxProblems ?? 20;
    this.subgroupSize = options.subgroupSize ?? kernel.subgroupSize ?? 4;
    let register = 0;
    let flags = 0;
    for (const buffer of kernel.buffers) {
      const size = evaluateExtent(buffer.size, sizes);
      const cells =
        buffer.space === "storage"
          ? buffers.get(buffer)
          : new Float64Array(buffer.space === "workgroup" ? size * buffer.lanes : 0);
      if (!cells) throw new RangeError(`no data for buffer ${buffer.name}`);
      if (buffer.space === "storage" && cells.length < size * buffer.lanes)
        throw new RangeError(`buffer ${buffer.name} has ${cells.length} scalars, not ${size * buffer.lanes}`);
      const tracked = buffer.space === "workgroup" || (buffer.space === "storage" && buffer.access !== "read");
      const tracker = tracked
        ? new Tracker(buffer, size, this.clock, (k, b, i, t) => this.report(k, b, i, t))
        : undefined;
      const written = buffer.space === "storage" ? options.written?.get(buffer) : undefined;
      this.memories.set(buffer, { buffer, size, cells, tracker, written, register, flags });
      if (buffer.space === "private") {
        register += size * buffer.lanes;
        flags += size;
      }
    }
    this.privateRegisters = register;
    this.flags = flags;
    this.matrices = new MatrixMemory(this.mode, this.memories, (k, b, i, t) => this.report(k, b, i, t));
  }

  private report(kind: KernelProblemKind, buffer: Buffer | undefined, index: number | undefined, text: string): void {
    const key = `${kind} ${buffer?.name} ${text}`;
    if (this.problems.has(key) || this.problems.size >= this.maxProblems) return;
    const place = buffer ? `${buffer.name}[${index}]: ` : "";
    const message = `${kind}: ${place}${text} (kernel ${this.kernel.name}, workgroup ${this.group.join(", ")})`;
    this.problems.set(key, { kind, message, buffer, index });
  }

  run(groups: readonly WorkgroupId[] | undefined): InterpretResult {
    const launch = launchOf(this.kernel);
    if (launch.problem !== undefined) throw new RangeError(`kernel ${this.kernel.name}: ${launch.problem}`);
    const [sx, sy, sz] = workgroupSizeOf(launch);
    const invocations = sx * sy * sz;
    const compiler = new ClosureCompiler(
      {
        mode: this.mode,
        sizes: this.sizes,
        memories: this.memories,
        subgroupSize: this.subgroupSize,
        subgroups: Math.ceil(invocations / this.subgroupSize),
        report: (k, b, i, t) => this.report(k, b, i, t),
      },
      this.privateRegisters,
    );
    const code = compiler.block(launch.body);
    const slotsOf = (loops: typeof launch.grid): (number | undefined)[] =>
      loops.map((s) => s && compiler.slot(s.variable));
    const [grid, thread] = [slotsOf(launch.grid), slotsOf(launch.thread)];
    const make = (): Invocation => ({
      registers: new Float64Array(compiler.registers),
      defined: new Uint8Array(this.flags),
      id: 0,
      lane: 0,
      subgroup: 0,
    });
    const list = Array.from({ length: code.run ? 1 : invocations }, make);
    const prepare = (v: Invocation, local: number): void => {
      if (this.flags > 0) v.defined.fill(0);
      v.id = nextId + local;
      v.lane = local % this.subgroupSize;
      v.subgroup = Math.floor(local / this.subgroupSize);
      const place = [local % sx, Math.floor(local / sx) % sy, Math.floor(local / (sx * sy))];
      for (let d = 0; d < 3; d++) {
        const [g, t] = [grid[d], thread[d]];
        if (g !== undefined) v.registers[g] = this.group[d]!;
        if (t !== undefined) v.registers[t] = place[d]!;
      }
    };
    let nextId = 1;
    let count = 0;
    for (const g of groups ?? everyGroup(launch.grid.map((s) => this.extentOf(s?.to)))) {
      this.group = g;
      count++;
      this.clock.workgroupStart = ++this.clock.workgroup;
      this.clock.storageStart = ++this.clock.storage;
      const [first] = list;
      if (code.run && first) {
        for (let local = 0; local < invocations; local++) {
          prepare(first, local);
          code.run(first);
        }
      } else if (code.steps) {
        const steps = code.steps;
        this.matrices.begin();
        list.forEach(prepare);
        this.lockstep(
          list,
          list.map((v) => steps(v)),
        );
      }
      nextId += invocations;
    }
    return { problems: [...this.problems.values()], workgroups: count };
  }

  private extentOf(to: KernelExpr | undefined): number {
    return to?.kind === "size" ? evaluateExtent(to.extent, this.sizes) : to?.kind === "const" ? to.value : 1;
  }

  /** Runs one workgroup: subgroups on their own to the next barrier, then all of them past it. */
  private lockstep(list: readonly Invocation[], running: readonly Generator<Meeting, void>[]): void {
    const size = this.subgroupSize;
    for (;;) {
      /** What the first waits at, or undefined if it has ended; all must agree. */
      let barrier: Meeting | undefined;
      for (let start = 0; start < running.length; start += size) {
        const end = Math.min(start + size, running.length);
        const met = this.subgroup(list, running, start, end);
        if (met === "stuck") return;
        if (start === 0) barrier = met;
        else if (barrier !== met) {
          this.report(
            "non-uniform",
            undefined,
            undefined,
            "some invocations wait at a barrier that others do not reach",
          );
          return;
        }
      }
      if (barrier?.kind !== "barrier") return;
      if (barrier.statement.scope === "workgroup") this.clock.workgroup++;
      else this.clock.storage++;
    }
  }

  /** Advances one subgroup to its next barrier or its end. */
  private subgroup(
    list: readonly Invocation[],
    running: readonly Generator<Meeting, void>[],
    start: number,
    end: number,
  ): Meeting | undefined | "stuck" {
    for (;;) {
      let met: Meeting | undefined;
      for (let i = start; i < end; i++) {
        const r = running[i]!.next();
        const m = r.done ? undefined : r.value;
        if (i === start) met = m;
        else if (m !== met) {
          const what = [m, met].some((x) => x && x.kind !== "barrier") ? "a subgroup operation" : "a barrier";
          this.report("non-uniform", undefined, undefined, `some invocations wait at ${what} that others do not reach`);
          return "stuck";
        }
      }
      if (met?.kind === "subgroup") this.exchange(met.node, met.operand, met.result, list, start, end);
      else if (met?.kind === "matrix") this.matrices.run(met.statement, met.operand, list.slice(start, end));
      else return met;
    }
  }

  private exchange(
    node: KSubgroup,
    operand: number,
    result: number,
    list: readonly Invocation[],
    start: number,
    end: number,
  ): void {
    for (let l = 0; l < node.lanes; l++) {
      const from = operand + l;
      const to = result + l;
      if (node.op === "broadcast" || node.op === "shuffle" || node.op === "shuffleXor") {
        const lane = node.lane ?? 0;
        const values = list.slice(start, end).map((v) => v.registers[from]!);
        for (let i = start; i < end; i++) {
          const source =
            node.op === "shuffle"
              ? list[i]!.registers[operand + node.lanes]!
              : node.op === "broadcast"
                ? lane
                : (i - start) ^ lane;
          const value = values[source];
          if (value === undefined)
            this.report(
              "non-uniform",
              undefined,
              undefined,
              `subgroup.${node.op} from lane ${source} of ${end - start}`,
            );
          list[i]!.registers[to] = value ?? 0;
        }
        continue;
      }
      const logic = node.dtype === "bool";
      const prims = {
        add: "add",
        mul: "mul",
        min: "min",
        max: "max",
        and: logic ? "and" : "bitand",
        or: logic ? "or" : "bitor",
      } as const;
      if (isPlace(node.op)) return;
      const f = compilePrim(prims[node.op], [node.dtype, node.dtype], node.dtype, this.mode);
      let total = list[start]!.registers[from]!;
      for (let i = start + 1; i < end; i++) total = f(total, list[i]!.registers[from]!, 0, 0);
      for (let i = start; i < end; i++) list[i]!.registers[to] = total;
    }
  }
}

function* everyGroup(extents: readonly number[]): Generator<WorkgroupId> {
  const [nx = 1, ny = 1, nz = 1] = extents;
  for (let z = 0; z < nz; z++) for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++) yield [x, y, z];
}
