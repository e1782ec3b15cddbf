/** What bounding a program keeps: options, and the boxes of every definition so far. */
import type { BoxSource } from "./bounds-expr.ts";
import type { ReductionOrder } from "./bounds-reduce.ts";
import { type Box, setPoint } from "./box.ts";
import { product, type State } from "./interpret.ts";
import type { Definition } from "./tensor.ts";

export interface BoundOptions {
  /** Size symbols that are known beforehand. */
  readonly sizes?: ReadonlyMap<string, number>;
  /** How the schedule combines a definition's reduction, scan or scatter; any order if undefined. */
  readonly orderOf?: (d: Definition) => ReductionOrder | undefined;
  /** The most scalar steps; past it throws InputError "budget". */
  readonly budget?: number;
}

export interface BoundState extends State {
  readonly boxes: Map<Definition, BoxSource>;
  readonly options: BoundOptions;
}

export function boxesOf(d: Definition, state: BoundState): BoxSource {
  const s = state.boxes.get(d);
  if (!s) throw new Error(`${d.name} is read before it is bounded`);
  return s;
}

/** Arrays for the uncertain slots; the others read the interpreter's. */
export class BoxArrays implements BoxSource {
  readonly shape: readonly number[];
  readonly uncertain: readonly boolean[];
  private readonly low: Float64Array[];
  private readonly high: Float64Array[];
  private readonly nan: Uint8Array[];
  private readonly exact: (slot: number, offset: number) => number;
  constructor(
    shape: readonly number[],
    uncertain: readonly boolean[],
    exact: (slot: number, offset: number) => number,
  ) {
    const n = product(shape);
    this.shape = shape;
    this.uncertain = uncertain;
    this.low = uncertain.map((u) => new Float64Array(u ? n : 0));
    this.high = uncertain.map((u) => new Float64Array(u ? n : 0));
    this.nan = uncertain.map((u) => new Uint8Array(u ? n : 0));
    this.exact = exact;
  }
  read(slot: number, offset: number, out: Box): void {
    if (!this.uncertain[slot]) {
      setPoint(out, this.exact(slot, offset));
      return;
    }
    out.low = this.low[slot]![offset]!;
    out.high = this.high[slot]![offset]!;
    out.nan = this.nan[slot]![offset] !== 0;
  }
  write(slot: number, offset: number, b: Box): void {
    if (!this.uncertain[slot]) return;
    this.low[slot]![offset] = b.low;
    this.high[slot]![offset] = b.high;
    this.nan[slot]![offset] = b.nan ? 1 : 0;
  }
}
