/**
 * Random contractions as people write them: a product of two or three tensors reduced over some of their axes, the letters in any order, of
 * extents that vectors divide as often as not; windows as convolutions have them; something before, something after. Among random programs
 * in general such sums are too seldom, and too small, to reach the schedules that are made for them.
 */
import type { DType } from "../../ir/dtype.ts";
import { addExtent, type Extent, mulExtent, ONE, size, sizeSymbol, subExtent } from "../../ir/extent.ts";
import { addMonoid, maxMonoid, minMonoid } from "../../ir/monoid.ts";
import {
  type Axis,
  apply,
  axis,
  axisRef,
  constant,
  type Input,
  i32,
  input,
  type MapDef,
  mapDef,
  type Program,
  read,
  reduce,
  type TensorExpr,
} from "../../ir/tensor.ts";
import { type GeneratedProgram, generateInputs } from "./programs.ts";
import { type Random, random } from "./random.ts";

const EXTENTS = [1, 2, 3, 4, 4, 5, 7, 8, 8, 8, 12, 16, 16, 20, 24, 32];
/** Positions of all axes together: what the interpreter goes through in a moment. */
const MOST = 40_000;

/** The same seed gives the same program. */
export function generateContraction(
  seed: number,
  dtypes: readonly DType[] = ["f32", "f32", "f32", "i32"],
): GeneratedProgram {
  const maker = new Maker(random(seed), dtypes);
  const program = maker.program(`c${seed}`);
  return { program, inputs: generateInputs(program, maker.sizes, seed + 1), sizes: maker.sizes };
}

/** What an operand has instead of an axis: a longer one, and where in it. */
interface Window {
  readonly extent: Extent;
  readonly index: TensorExpr;
}

class Maker {
  readonly sizes = new Map<string, number>();
  private readonly r: Random;
  private readonly dtype: DType;
  private readonly inputs: Input[] = [];
  private room = MOST;

  constructor(r: Random, dtypes: readonly DType[]) {
    this.r = r;
    this.dtype = r.pick(dtypes);
  }

  program(name: string): Program {
    const { r, dtype } = this;
    const k = this.axes("k", r.chance(0.3) ? 2 : 1);
    const n = this.axes("n", r.chance(0.4) ? 2 : 1);
    const slides = r.chance(0.3);
    const m = this.axes("m", slides ? 1 + r.below(2) : r.below(3), !slides);
    const batch = this.axes("b", r.chance(0.3) ? 1 : 0);
    const left = this.left(batch, m, k, slides);
    const right = this.operand([...(r.chance(0.7) ? batch : []), ...k, ...n]);
    let value = apply(r.chance(0.9) ? "mul" : "add", left, right);
    if (r.chance(0.15)) value = apply("mul", value, this.operand(this.shuffled([...k, ...n]).slice(0, 2)));
    const result = [...batch, ...m, ...n];
    const monoid = r.chance(0.85) ? addMonoid(dtype) : r.chance(0.5) ? maxMonoid(dtype) : minMonoid(dtype);
    const over = r.chance(0.5) ? k : this.shuffled(k);
    const sum = mapDef(r.chance(0.6) ? result : this.shuffled(result), [reduce(monoid, over, [value])], { name: "c" });
    const steps = r.chance(0.5) ? [sum, this.after(sum)] : [sum];
    const results = steps
      .filter((_, i) => i === steps.length - 1 || r.chance(0.3))
      .map((tensor, i) => ({ name: `y${i}`, tensor, slot: 0 }));
    return { name, inputs: this.inputs, steps, results, facts: [] };
  }

  /** Some of symbolic extents, if each is to be that of an operand's axis. */
  private axes(name: string, count: number, symbols = true): readonly Axis[] {
    const { r } = this;
    return Array.from({ length: count }, (_, i) => {
      const n = r.pick(EXTENTS.filter((x) => x <= Math.max(1, this.room)));
      this.room /= n;
      if (!symbols || !r.chance(0.15)) return axis(`${name}${i}`, size(n));
      const symbol = `${name.toUpperCase()}${i}`;
      this.sizes.set(symbol, n);
      return axis(`${name}${i}`, sizeSymbol(symbol));
    });
  }

  /** With `slides`, an axis of the result and one that is summed are a window on one of its own. */
  private left(batch: readonly Axis[], m: readonly Axis[], k: readonly Axis[], slides: boolean): TensorExpr {
    const last = m.at(-1);
    const [first, ...others] = k;
    if (!slides || !last || !first) return this.operand([...batch, ...m, ...k]);
    const stride = 1 + this.r.below(2);
    const at = apply("add", stride === 1 ? axisRef(last) : apply("mul", axisRef(last), i32(stride)), axisRef(first));
    if (this.r.chance(0.5)) {
      const extent = addExtent(mulExtent(subExtent(last.extent, ONE), size(stride)), first.extent);
      return this.operand([...batch, ...m, ...others], new Map([[last, { extent, index: at }]]));
    }
    const extent = mulExtent(last.extent, size(stride));
    const padded: Window = { extent, index: apply("sub", at, i32(this.r.below(3))) };
    return this.operand([...batch, ...m, ...others], new Map([[last, padded]]), true);
  }

  private operand(own: readonly Axis[], windows: ReadonlyMap<Axis, Window> = new Map(), filled = false): TensorExpr {
    const { r, dtype } = this;
    const order = r.chance(0.5) ? own : this.shuffled(own);
    const axes = order.map((a, i) => axis(`i${i}`, windows.get(a)?.extent ?? a.extent));
    const d = input(`x${this.inputs.length}`, dtype, axes);
    this.inputs.push(d);
    const at = order.map((a) => windows.get(a)?.index ?? axisRef(a));
    const x = read(d, 0, at, filled ? constant(dtype, 0) : undefined);
    if (r.chance(0.75)) return x;
    return r.chance(0.5) ? apply("max", x, constant(dtype, 0)) : apply("mul", x, constant(dtype, 3));
  }

  /** A bias along some axes, a second factor, a negative part that is cut; of a transposed result now and then. */
  private after(sum: MapDef): MapDef {
    const { r, dtype } = this;
    const axes = sum.axes.map((a) => axis(a.name, a.extent));
    const c = read(sum, 0, axes.map(axisRef));
    const along = axes.filter(() => r.chance(0.5));
    const value = apply(r.chance(0.5) ? "add" : "mul", c, this.operand(along));
    return mapDef(r.chance(0.7) ? axes : this.shuffled(axes), [
      r.chance(0.5) ? apply("max", value, constant(dtype, 0)) : value,
    ]);
  }

  private shuffled<T>(list: readonly T[]): readonly T[] {
    const rest = [...list];
    return list.map(() => rest.splice(this.r.below(rest.length), 1)[0]!);
  }
}
