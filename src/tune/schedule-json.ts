/** Schedules from JSON that anybody may have written: only known fields are taken, and only if their values can mean something. */
import type {
  ContractionSchedule,
  ElementwiseSchedule,
  OnlineSchedule,
  ReductionSchedule,
  RowSchedule,
  ScanSchedule,
  ScatterSchedule,
  Schedule,
  TransposeSchedule,
} from "../schedule/schedule.ts";

/** Undefined in place of a value that the field cannot have. */
type Read = (value: unknown) => unknown;

const oneOf =
  (...values: readonly unknown[]): Read =>
  (v) =>
    values.includes(v) ? v : undefined;
const whole =
  (low: number, high: number): Read =>
  (v) =>
    typeof v === "number" && Number.isInteger(v) && v >= low && v <= high ? v : undefined;
const tuple =
  (...parts: readonly Read[]): Read =>
  (v) => {
    if (!Array.isArray(v) || v.length !== parts.length) return undefined;
    const read = parts.map((p, i) => p(v[i]));
    return read.includes(undefined) ? undefined : read;
  };
const bool: Read = (v) => (typeof v === "boolean" ? v : undefined);

const MOST = 4096;
const threads = oneOf(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024);
const count = whole(1, MOST);
const wide = oneOf(2, 4);

type Fields<S extends Schedule> = Readonly<Record<Exclude<keyof S, "kind">, Read>>;

const COMMON = {
  vector: oneOf(1, 2, 4),
  swizzle: whole(0, 4),
  variants: oneOf("guarded", "both"),
};

const FIELDS = {
  elementwise: { ...COMMON, threads, each: count, repeat: count } satisfies Fields<ElementwiseSchedule>,
  contraction: {
    ...COMMON,
    reg: tuple(whole(1, 512), whole(1, 512)),
    threads: tuple(whole(1, 1024), whole(1, 1024), whole(1, 1024)),
    rowFrom: oneOf("thread", "workgroup"),
    stage: oneOf("none", "a", "b", "both"),
    tileK: count,
    buffers: oneOf(1, 2),
    pad: oneOf(0, 1, 4),
    splitK: count,
    subgroup: oneOf("none", "broadcast", "swap", "matrix"),
    config: whole(0, 1024),
    batches: count,
    along: oneOf("n", "m", "k"),
    align: oneOf(2, 4),
    epilogue: oneOf("inline", "loop"),
  } satisfies Fields<ContractionSchedule>,
  online: {
    ...COMMON,
    reg: tuple(whole(1, 512), whole(1, 512)),
    columns: count,
    threads: tuple(whole(1, 1024), whole(1, 1024)),
    share: oneOf("subgroup", "workgroup", "quad"),
    tileK: count,
  } satisfies Fields<OnlineSchedule>,
  row: {
    ...COMMON,
    rows: count,
    threads,
    hold: whole(0, MOST),
    pass: oneOf("held", "online", "reread"),
    block: count,
    combine: oneOf("workgroup", "subgroup"),
    across: bool,
    each: count,
    wide,
  } satisfies Fields<RowSchedule>,
  reduction: {
    ...COMMON,
    threads,
    each: count,
    columns: count,
    parts: count,
    combine: oneOf("workgroup", "subgroup"),
    wide,
    down: count,
  } satisfies Fields<ReductionSchedule>,
  scan: { ...COMMON, threads, each: count, form: oneOf("carry", "blocks") } satisfies Fields<ScanSchedule>,
  transpose: {
    ...COMMON,
    tile: oneOf(4, 8, 16, 32),
    each: count,
    pad: oneOf(0, 1),
  } satisfies Fields<TransposeSchedule>,
  scatter: {
    ...COMMON,
    method: oneOf("own", "sort", "atomic", "cas"),
    threads,
    parts: count,
  } satisfies Fields<ScatterSchedule>,
} satisfies Record<Schedule["kind"], Readonly<Record<string, Read>>>;

/** Fields that a schedule may lack, by kind. */
const OPTIONAL: Readonly<Partial<Record<Schedule["kind"], readonly string[]>>> = {
  elementwise: ["repeat"] satisfies readonly (keyof ElementwiseSchedule)[],
  contraction: ["config", "along", "align", "epilogue"] satisfies readonly (keyof ContractionSchedule)[],
  row: ["combine", "across", "each", "wide"] satisfies readonly (keyof RowSchedule)[],
  reduction: ["wide", "down"] satisfies readonly (keyof ReductionSchedule)[],
  scatter: ["parts"] satisfies readonly (keyof ScatterSchedule)[],
};

/**
 * The schedule that a value from JSON stands for, made of checked fields alone; undefined if it stands for none. Whether it is legal
 * for a region is for `apply` to say.
 */
export function readSchedule(value: unknown): Schedule | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const given = value as Readonly<Record<string, unknown>>;
  const kind = Object.hasOwn(given, "kind") ? given["kind"] : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(FIELDS, kind)) return undefined;
  const known = kind as Schedule["kind"];
  const fields: Readonly<Record<string, Read>> = FIELDS[known];
  const optional = OPTIONAL[known] ?? [];
  if (Object.keys(given).some((name) => name !== "kind" && !Object.hasOwn(fields, name))) return undefined;
  const made: Record<string, unknown> = { kind };
  for (const [name, read] of Object.entries(fields)) {
    if (!Object.hasOwn(given, name)) {
      if (!optional.includes(name)) return undefined;
      continue;
    }
    const field = read(given[name]);
    if (field === undefined) return undefined;
    made[name] = field;
  }
  return made as unknown as Schedule;
}
