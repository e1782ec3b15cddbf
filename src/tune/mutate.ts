/** Neighbours of a schedule: one field changed by one step. Not all are legal; `apply` says. */
import { scheduleText } from "../schedule/choose.ts";
import type {
  ContractionSchedule,
  ElementwiseSchedule,
  OnlineSchedule,
  ReductionSchedule,
  RowSchedule,
  ScanSchedule,
  ScatterSchedule,
  Schedule,
  Threads,
  TransposeSchedule,
} from "../schedule/schedule.ts";

const VECTORS = [1, 2, 4] as const;
const WIDE = [undefined, 2, 4] as const;

/** Twice and half of it, within 1 … most. */
function around(n: number, most: number): readonly number[] {
  return [n * 2, Math.floor(n / 2)].filter((x) => x >= 1 && x <= most);
}
function threadsAround(n: number): readonly Threads[] {
  return around(n, 1024) as readonly Threads[];
}
function pairsAround([a, b]: readonly [number, number], most: number): readonly (readonly [number, number])[] {
  return [...around(a, most).map((x) => [x, b] as const), ...around(b, most).map((x) => [a, x] as const)];
}
function others<T>(all: readonly T[], own: T): readonly T[] {
  return all.filter((x) => x !== own);
}

/** Each list has one field's other values. */
type Steps<S> = { readonly [K in keyof S]?: readonly S[K][] };

function changed<S extends Schedule>(s: S, steps: Steps<S>): S[] {
  return (Object.entries(steps) as [keyof S, readonly S[keyof S][]][]).flatMap(([name, values]) =>
    values.map((v) => ({ ...s, [name]: v })),
  );
}

/** The neighbours, in a fixed order. */
export function neighbours(s: Schedule): readonly Schedule[] {
  const own = scheduleText(s);
  return stepsFrom(s).filter((n) => scheduleText(n) !== own);
}

function stepsFrom(s: Schedule): readonly Schedule[] {
  const vector = others(VECTORS, s.vector);
  switch (s.kind) {
    case "elementwise":
      return changed<ElementwiseSchedule>(s, {
        vector,
        threads: threadsAround(s.threads),
        each: around(s.each, 16),
        repeat: around(s.repeat ?? 1, 256),
      });
    case "contraction":
      return contractions(s);
    case "online":
      return changed<OnlineSchedule>(s, {
        vector,
        reg: pairsAround(s.reg, 64),
        columns: around(s.columns, 64),
        threads: pairsAround(s.threads, 256),
        share: others(["subgroup", "workgroup", "quad"] as const, s.share),
        tileK: around(s.tileK, 64),
      });
    case "row":
      return changed<RowSchedule>(s, {
        vector,
        rows: around(s.rows, 64),
        threads: threadsAround(s.threads),
        hold: s.hold > 0 ? around(s.hold, 32) : [],
        pass: others(["held", "online", "reread"] as const, s.pass),
        block: around(s.block, 128),
        combine: others(["workgroup", "subgroup"] as const, s.combine ?? "workgroup"),
        across: [!s.across],
        each: around(s.each ?? 1, 16),
        wide: others(WIDE, s.wide),
      }).flatMap((r) => holds(s, r));
    case "reduction":
      return changed<ReductionSchedule>(s, {
        vector,
        threads: threadsAround(s.threads),
        each: around(s.each, 64),
        columns: around(s.columns, 64),
        parts: around(s.parts, 4096),
        combine: others(["workgroup", "subgroup"] as const, s.combine),
        ...(s.columns > 1 && !s.wide ? { down: around(s.down ?? 1, 8) } : {}),
        ...(s.down ? {} : { wide: others(WIDE, s.wide) }),
      });
    case "scan":
      return changed<ScanSchedule>(s, {
        vector,
        threads: threadsAround(s.threads),
        each: around(s.each, 16),
        form: others(["carry", "blocks"] as const, s.form),
      });
    case "transpose":
      return changed<TransposeSchedule>(s, {
        vector,
        tile: others([4, 8, 16, 32] as const, s.tile),
        each: around(s.each, s.vector > 1 ? 64 : 8),
        pad: others([0, 1] as const, s.pad),
      });
    case "scatter":
      return changed<ScatterSchedule>(s, {
        vector,
        threads: threadsAround(s.threads),
        method: others(["own", "sort", "atomic", "cas"] as const, s.method),
        ...(s.method === "sort" ? { parts: around(s.parts ?? 1, 64) } : {}),
      });
    default:
      return s satisfies never;
  }
}

/** A held row has as many units an invocation as its threads and lanes leave; a row that is not held keeps none. */
function holds(from: RowSchedule, to: RowSchedule): readonly RowSchedule[] {
  if (to.pass !== "held") return [{ ...to, hold: 0 }];
  if (from.pass !== "held") return [1, 2, 4, 8, 16].map((hold) => ({ ...to, hold }));
  const hold = Math.ceil((from.hold * from.threads * from.vector) / (to.threads * to.vector));
  return hold === to.hold ? [to] : [to, { ...to, hold }];
}

/** On subgroup matrices: tiles of whole matrices, whose shapes halving may leave; `apply` refuses those. */
function onMatrices(s: ContractionSchedule): readonly ContractionSchedule[] {
  const [tm, tn] = s.threads;
  const staged = s.stage !== "none";
  const made = changed<ContractionSchedule>(s, {
    vector: others(VECTORS, s.vector),
    swizzle: others([0, 1, 2, 3] as const, s.swizzle),
    reg: pairsAround(s.reg, 256),
    threads: pairsAround([tm, tn], 16).map(([m, n]) => [m, n, 1] as const),
    tileK: around(s.tileK, 64),
    buffers: staged ? others([1, 2] as const, s.buffers) : [],
    pad: staged ? others([0, 1] as const, s.pad) : [],
    splitK: around(s.splitK, 64),
    along: others(["n", "m"] as const, s.along ?? "n"),
    config: [(s.config ?? 0) + 1, (s.config ?? 0) - 1].filter((c) => c >= 0),
  });
  const stages = others(["none", "a", "b", "both"] as const, s.stage).map(
    (stage): ContractionSchedule => (stage === "none" ? { ...s, stage, buffers: 1, pad: 0 } : { ...s, stage }),
  );
  const [m, n] = s.reg;
  return [...made, ...stages, { ...s, reg: [n, m] }, { ...s, threads: [tn, tm, 1] }];
}

function contractions(s: ContractionSchedule): readonly ContractionSchedule[] {
  if (s.subgroup === "matrix") return onMatrices(s);
  const [m, n] = s.reg;
  const [tm, tn, tk] = s.threads;
  const staged = s.stage !== "none";
  const made = changed<ContractionSchedule>(s, {
    vector: others(VECTORS, s.vector),
    reg: pairsAround(s.reg, 64),
    threads: [
      ...around(tm, 64).map((x) => [x, tn, tk] as const),
      ...around(tn, 64).map((x) => [tm, x, tk] as const),
      ...around(tk, 64).map((x) => [tm, tn, x] as const),
    ],
    rowFrom: tm === 1 ? others(["thread", "workgroup"] as const, s.rowFrom) : [],
    tileK: around(s.tileK, 64),
    buffers: staged ? others([1, 2] as const, s.buffers) : [],
    pad: staged ? others([0, 1, 4] as const, s.pad) : [],
    splitK: around(s.splitK, 64),
    along: others(["n", "m", "k"] as const, s.along ?? "n"),
    align: others([undefined, 4] as const, s.align),
    epilogue: others(["inline", "loop"] as const, s.epilogue ?? "inline"),
    batches: staged ? [] : around(s.batches, 64),
  });
  const stages: readonly ContractionSchedule[] = others(["none", "a", "b", "both"] as const, s.stage).map((stage) =>
    stage === "none"
      ? { ...s, stage, buffers: 1, pad: 0, subgroup: "none" }
      : { ...s, stage, pad: 1, tileK: Math.max(8, s.tileK), subgroup: "none" },
  );
  // The same tile in other proportions.
  const turned: readonly ContractionSchedule[] = [
    { ...s, reg: [n, m] },
    { ...s, threads: [tn, tm, tk] },
  ];
  // A subgroup is dealt to more batch positions, or to fewer.
  const dealt: readonly ContractionSchedule[] =
    s.subgroup === "broadcast" || s.subgroup === "swap"
      ? [
          { ...s, threads: [tm, tn / 2, tk], batches: s.batches * 2 },
          { ...s, threads: [tm, tn * 2, tk], batches: s.batches / 2 },
        ]
      : [];
  const shared = dealt.filter((x) => x.threads[1] >= 1 && x.batches >= 1);
  return [...made, ...stages, ...turned, ...shared];
}
