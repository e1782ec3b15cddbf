/**
 * Scalar expressions as closures over boxes. What no rounding has touched (indices, integers, inputs) is evaluated by the
 * interpreter's closures in the same loops; the rest has a box as its register.
 */
import { accumulator, type ReductionOrder, setConst } from "./bounds-reduce.ts";
import { boundRule } from "./bounds-rules.ts";
import { type Box, copyBox, joinBox, newBox, setAnything, setPoint } from "./box.ts";
import { isFloat } from "./dtype.ts";
import { roundTo } from "./float.ts";
import { type Compiled, OutsideError } from "./interpret-expr.ts";
import type { Prim } from "./prim.ts";
import type { Apply, Definition, Read, Reduce, TensorExpr } from "./tensor.ts";

/** The boxes of a definition's elements, row-major offsets. */
export interface BoxSource {
  readonly shape: readonly number[];
  /** Slots whose elements may differ from the interpreter's. */
  readonly uncertain: readonly boolean[];
  read(slot: number, offset: number, out: Box): void;
}

export interface BoxNode {
  readonly box: Box;
  /** Brings the box up to date. */
  run(): void;
}

/** Exact on floats, and blind to whether subnormal operands are flushed (as those are, or not, on their way out). */
const TRANSPARENT: ReadonlySet<Prim> = new Set<Prim>([
  "neg",
  "abs",
  "min",
  "max",
  "select",
  "stopGradient",
  "isnan",
  "isinf",
]);
/** More positions than this for an uncertain index, and the read is anything. */
const MOST_POSITIONS = 1024;

export interface BoxCompiler {
  uncertain(e: TensorExpr): boolean;
  node(e: TensorExpr): BoxNode;
}

export function boxCompiler(
  code: Compiled,
  sourceOf: (d: Definition) => BoxSource,
  orderOf: (e: Reduce) => ReductionOrder | undefined,
  where: string,
): BoxCompiler {
  const known = new Map<TensorExpr, boolean>();
  const uncertain = (e: TensorExpr): boolean => {
    const old = known.get(e);
    if (old !== undefined) return old;
    const made = decide(e);
    known.set(e, made);
    return made;
  };
  const decide = (e: TensorExpr): boolean => {
    switch (e.kind) {
      case "const":
        return isFloat(e.dtype) && !Number.isNaN(e.value) && roundTo(e.dtype, e.value) !== e.value;
      case "size":
      case "axis":
      case "arg":
        return false;
      case "read":
        return (
          sourceOf(e.tensor).uncertain[e.slot] === true ||
          e.at.some(uncertain) ||
          (e.fill !== undefined && uncertain(e.fill))
        );
      case "reduce":
        return (
          e.values.some(uncertain) || !e.monoid.exact || (e.monoid.slots.some(isFloat) && e.monoid.slots.length > 1)
        );
      case "apply": {
        if (e.args.some(uncertain)) return true;
        const floats = isFloat(e.dtype) || e.args.some((a) => isFloat(a.dtype));
        return floats && !TRANSPARENT.has(e.prim);
      }
      default:
        return e satisfies never;
    }
  };

  const nodes = new Map<TensorExpr, BoxNode>();
  const node = (e: TensorExpr): BoxNode => {
    const old = nodes.get(e);
    if (old) return old;
    const made = build(e);
    nodes.set(e, made);
    return made;
  };
  /** Computes at most once for each change of what it depends on. */
  const guarded = (e: TensorExpr, box: Box, compute: () => void): BoxNode => {
    const moved = code.moved(e);
    return {
      box,
      run: () => {
        if (moved()) compute();
      },
    };
  };
  const build = (e: TensorExpr): BoxNode => {
    const box = newBox();
    if (e.kind === "const") {
      setConst(box, e);
      return { box, run: () => {} };
    }
    if (!uncertain(e)) {
      const value = code.thunk(e);
      return { box, run: () => setPoint(box, value()) };
    }
    switch (e.kind) {
      case "apply":
        return guarded(e, box, applied(e, box));
      case "read":
        return guarded(e, box, readBox(e, box));
      case "reduce":
        return reduction(e);
      default:
        throw new Error(`${where}: a ${e.kind} is never uncertain`);
    }
  };

  const applied = (e: Apply, box: Box): (() => void) => {
    const args = e.args.map(node);
    const none: BoxNode = { box: newBox(), run: () => {} };
    const [x = none, y = none, z = none, w = none] = args;
    if (e.prim === "select")
      return () => {
        x.run();
        if (x.box.low >= 1) {
          y.run();
          copyBox(box, y.box);
          return;
        }
        z.run();
        copyBox(box, z.box);
        if (x.box.high >= 1) {
          y.run();
          joinBox(box, y.box);
        }
      };
    const rule = boundRule(
      e.prim,
      e.args.map((a) => a.dtype),
      e.dtype,
    );
    return () => {
      for (const a of args) a.run();
      rule(x.box, y.box, z.box, box, w.box);
    };
  };

  const readBox = (e: Read, box: Box): (() => void) => {
    const source = sourceOf(e.tensor);
    const { shape } = source;
    const fill = newBox();
    if (e.fill) setConst(fill, e.fill);
    const outside = (index: number, axis: number): void => {
      if (!e.fill)
        throw new OutsideError(
          `${where} reads ${e.tensor.name} at ${index} of axis ${axis}, whose extent is ${shape[axis]}`,
        );
    };
    if (!e.at.some(uncertain)) {
      const at = e.at.map((x) => code.thunk(x));
      return () => {
        let offset = 0;
        for (let i = 0; i < at.length; i++) {
          const index = at[i]!();
          const extent = shape[i]!;
          if (index < 0 || index >= extent) {
            outside(index, i);
            copyBox(box, fill);
            return;
          }
          offset = offset * extent + index;
        }
        source.read(e.slot, offset, box);
      };
    }
    const at = e.at.map(node);
    const one = newBox();
    return () => {
      let positions = 1;
      let leaves = false;
      const ranges = at.map((n, i) => {
        n.run();
        const extent = shape[i]!;
        if (n.box.low < 0 || n.box.high >= extent) {
          outside(n.box.low, i);
          leaves = true;
        }
        const low = Math.max(n.box.low, 0);
        const high = Math.min(n.box.high, extent - 1);
        positions *= Math.max(0, high - low + 1);
        return { low, high, extent };
      });
      if (positions > MOST_POSITIONS) {
        setAnything(box, e.dtype);
        return;
      }
      copyBox(box, leaves || positions === 0 ? fill : NOTHING);
      for (let p = 0; p < positions; p++) {
        let rest = p;
        let offset = 0;
        let stride = 1;
        for (let i = ranges.length - 1; i >= 0; i--) {
          const { low, high, extent } = ranges[i]!;
          const n = high - low + 1;
          offset += (low + (rest % n)) * stride;
          rest = Math.floor(rest / n);
          stride *= extent;
        }
        source.read(e.slot, offset, one);
        joinBox(box, one);
      }
    };
  };

  // Slots of one reduction share its loop.
  const groups: { readonly e: Reduce; readonly run: () => void; readonly boxes: readonly Box[] }[] = [];
  const reduction = (e: Reduce): BoxNode => {
    const same = (g: Reduce): boolean =>
      g.monoid === e.monoid &&
      g.axes.length === e.axes.length &&
      g.axes.every((a, i) => a === e.axes[i]) &&
      g.values.every((v, i) => v === e.values[i]);
    let group = groups.find((g) => same(g.e));
    if (!group) {
      const values = e.values.map(node);
      const boxes = e.monoid.slots.map(newBox);
      const loop = code.loop(e.axes);
      const sum = accumulator(e.monoid);
      const inputs = values.map((v) => v.box);
      const order = orderOf(e);
      const compute = (): void => {
        sum.reset();
        loop.run(() => {
          for (const v of values) v.run();
          sum.add(inputs);
        });
        sum.finish(boxes, order);
      };
      group = { e, run: guarded(e, boxes[0] ?? newBox(), compute).run, boxes };
      groups.push(group);
    }
    return { box: group.boxes[e.slot] ?? newBox(), run: group.run };
  };
  return { uncertain, node };
}

const NOTHING: Box = { low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY, nan: false };
