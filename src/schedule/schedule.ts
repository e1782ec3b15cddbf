/** A schedule is data: what the tuner, the fuzzer and a user's schedule file share. See docs/architecture.md. */
export type Threads = 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256 | 512 | 1024;

interface Common {
  readonly vector: 1 | 2 | 4;
  readonly swizzle: 0 | 1 | 2 | 3 | 4;
  readonly variants: "guarded" | "both";
}
export interface ElementwiseSchedule extends Common {
  readonly kind: "elementwise";
  readonly threads: Threads;
  /** Elements that an invocation does together, in units of `vector`. */
  readonly each: number;
  /** How often it does so, in a loop; 1 without it. */
  readonly repeat?: number;
}
/**
 * With `subgroup` matrix, `reg` is what a subgroup has and `threads` counts subgroups; `config` is the number of one of the shapes that the
 * adapter lists, 0 without it. Operands that are not staged are loaded as matrices from where they are.
 */
export interface ContractionSchedule extends Common {
  readonly kind: "contraction";
  /** Register tile, in elements: m·n ≤ 64 (n counts scalar elements, vectors along it). */
  readonly reg: readonly [number, number];
  readonly threads: readonly [number, number, number];
  readonly rowFrom: "thread" | "workgroup";
  readonly stage: "none" | "a" | "b" | "both";
  readonly tileK: number;
  readonly buffers: 1 | 2;
  readonly pad: 0 | 1 | 4;
  readonly splitK: number;
  /**
   * Where rows come from others of the subgroup: each lane loads rows of its own, and gives them to all (`broadcast`), or, among four
   * neighbouring lanes, exchanges them, so that each has all rows in an order of its own (`swap`).
   */
  readonly subgroup: "none" | "broadcast" | "swap" | "matrix";
  readonly config?: number;
  /** Batch positions a workgroup, side by side; with `broadcast` and `swap` each has `threads[1]` lanes, a subgroup or a part of one. */
  readonly batches: number;
  /** What the lanes of a vector run along; without it N, then M, then K, the first that the accesses allow. */
  readonly along?: "n" | "m" | "k";
  /** Operands are copied first, with N and K filled up by zeros to multiples of so many elements; without it they are read where they are. */
  readonly align?: 2 | 4;
  /** The code that stores results once for each element of the tile (without it), or for a few rows in a loop over the invocation's own. */
  readonly epilogue?: "inline" | "loop";
}
/**
 * Vectors that lie side by side, which one load takes: units of a row, as many as an invocation does together, or columns, of which an
 * invocation then has so many vectors. Without it each is loaded by itself.
 */
export type Wide = 2 | 4;
export interface RowSchedule extends Common {
  readonly kind: "row";
  /** Rows a workgroup. */
  readonly rows: number;
  /** Invocations a row; rows·threads is the workgroup. */
  readonly threads: Threads;
  readonly hold: number;
  readonly pass: "held" | "online" | "reread";
  /** Units of a row that an invocation does together. */
  readonly block: number;
  /** How a row's invocations combine; workgroup memory without it. */
  readonly combine?: "workgroup" | "subgroup";
  /** Neighbouring invocations, and the lanes of a vector, have neighbouring rows: for rows that lie across memory. */
  readonly across?: boolean;
  /** Rows that an invocation does together, sharing what does not depend on the row; 1 without it. */
  readonly each?: number;
  readonly wide?: Wide;
}
/**
 * A workgroup has `columns` neighbouring results and `threads` invocations for each. With several columns a vector lies along the
 * last parallel axis, with one along the reduced axes; `each` units of the row are done together.
 */
export interface ReductionSchedule extends Common {
  readonly kind: "reduction";
  readonly threads: Threads;
  readonly each: number;
  readonly columns: number;
  /** More than 1: two stages, `parts` partial results a point. */
  readonly parts: number;
  readonly combine: "workgroup" | "subgroup";
  readonly wide?: Wide;
  /** Results along the parallel axis before the last that an invocation does together: their windows have rows in common. 1 without it. */
  readonly down?: number;
}
export interface ScanSchedule extends Common {
  readonly kind: "scan";
  readonly threads: Threads;
  readonly each: number;
  readonly form: "carry" | "blocks";
}
/** Blocks in registers with vectors: `tile` of them along the stores and `each` across, an invocation a block. Else tiles in workgroup memory. */
export interface TransposeSchedule extends Common {
  readonly kind: "transpose";
  readonly tile: 4 | 8 | 16 | 32;
  readonly each: number;
  readonly pad: 0 | 1;
}
export interface ScatterSchedule extends Common {
  readonly kind: "scatter";
  readonly method: "own" | "sort" | "atomic" | "cas";
  readonly threads: Threads;
  /** With `sort`: invocations that share the run of a result; 1 without it. */
  readonly parts?: number;
}
/**
 * Weighted sums in one pass. An invocation has a tile of `reg` scores and `columns` elements of the sum for each of its rows. `subgroup`:
 * a workgroup is one subgroup, its rows are all of `reg`'s, reduced positions and columns are dealt to the lanes. `workgroup`: rows are
 * dealt to `threads[0]`, reduced positions and columns to `threads[1]`, operands of the scores come through workgroup memory, `tileK`
 * elements at a time. `quad`: four lanes have rows of their own, and exchange what they load of the reduced positions; `reg` counts the
 * positions that a lane loads, and an invocation has all columns of its rows.
 */
export interface OnlineSchedule extends Common {
  readonly kind: "online";
  readonly reg: readonly [number, number];
  readonly columns: number;
  readonly threads: readonly [number, number];
  readonly share: "subgroup" | "workgroup" | "quad";
  readonly tileK: number;
}
export type Schedule =
  | ElementwiseSchedule
  | OnlineSchedule
  | ContractionSchedule
  | RowSchedule
  | ReductionSchedule
  | ScanSchedule
  | TransposeSchedule
  | ScatterSchedule;

/** An illegal schedule: names the field and, where there is one, the loop. Thrown by `apply`, never by `choose`'s result. */
export class ScheduleError extends Error {
  readonly field: string;
  readonly loop: string | undefined;
  constructor(field: string, message: string, loop?: string) {
    // Choosing tries schedules by the dozen: nobody reads where one was refused, and a stack costs more than the refusal.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(`${field}: ${message}${loop ? ` (loop ${loop})` : ""}`);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = "ScheduleError";
    this.field = field;
    this.loop = loop;
  }
}

/** Throws ScheduleError if a field is no whole number, or outside. */
export function inRange(field: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new ScheduleError(field, `${value} is not in ${low}…${high}`);
}

/** What `make` gives for the first schedule that it does not refuse; throws the last refusal where it refuses all. */
export function firstLegal<T>(schedules: readonly Schedule[], name: string, make: (s: Schedule) => T): T {
  let last: ScheduleError | undefined;
  for (const s of schedules) {
    try {
      return make(s);
    } catch (e) {
      if (!(e instanceof ScheduleError)) throw e;
      last = e;
    }
  }
  throw last ?? new ScheduleError("kind", `no schedule for ${name}`);
}
