/** Pools: a reduction over a window, written in index notation for any number of axes. */
import { type Call, indices, list, over, type Rule, type RuleTable, range } from "./call.ts";
import type { Val } from "./emitter.ts";
import { type Windows, windows } from "./rules-conv.ts";

interface Pool extends Windows {
  readonly x: Val;
  /** Extents of the result after the second. */
  readonly out: readonly number[];
  readonly r: readonly string[];
  readonly i: readonly string[];
}

function poolOf(n: Call): Pool {
  const x = n.x(0);
  const at = windows(n, x.shape, n.ints("kernel_shape"));
  const out = at.kernel.map((k, a) => {
    const size = x.shape[a + 2]!;
    const room = size + at.before[a]! + at.after[a]! - ((k - 1) * at.dilations[a]! + 1);
    if (!n.num("ceil_mode", 0)) return Math.floor(room / at.strides[a]!) + 1;
    const count = Math.ceil(room / at.strides[a]!) + 1;
    // A last window that would begin in the padding at the end does not exist.
    return (count - 1) * at.strides[a]! >= size + at.before[a]! ? count - 1 : count;
  });
  return { ...at, x, out, r: indices(at.kernel.length, "r"), i: indices(at.kernel.length) };
}

/** Where window element r of result i lies, in x or, with `padded`, in x with its padding. */
function place(p: Pool, a: number, padded = false): string {
  const start = `${p.i[a]} * ${p.strides[a]} + ${p.r[a]} * ${p.dilations[a]}`;
  return padded || p.before[a] === 0 ? start : `${start} - ${p.before[a]}`;
}
const places = (p: Pool, padded = false): readonly string[] => p.kernel.map((_, a) => place(p, a, padded));
const shapeOf = (p: Pool): readonly number[] => [...p.x.shape.slice(0, 2), ...p.out];

/** `let y = for[n, c, i, …] REDUCTION[r, …] (x[…] ?? fill)` */
function pooled(n: Call, p: Pool, reduction: string, x: Val, fill: string): Val {
  const shape = shapeOf(p);
  const free = over(["n", "c", ...p.i], shape);
  return n.let(
    `for[${free}] ${reduction}[${over(p.r, p.kernel)}] (${x}${list(["n", "c", ...places(p)])} ?? ${fill})`,
    x.file,
  );
}

function maxPool(n: Call): readonly (Val | undefined)[] {
  const p = poolOf(n);
  const fill = p.x.isFloat ? "-inf" : "-2147483647";
  const y = pooled(n, p, "max", p.x, fill);
  if (!n.wants(1)) return [y];
  const best = pooled(n, p, "argmax", p.x, fill);
  const names = ["n", "c", ...p.i];
  const sizes = p.x.shape.slice(2);
  const inner = (a: number): number => p.kernel.slice(a + 1).reduce((s, k) => s * k, 1);
  const coordinates = p.kernel.map(
    (k, a) =>
      `(${p.i[a]} * ${p.strides[a]} + (${best}${list(names)} div ${inner(a)} % ${k}) * ${p.dilations[a]} - ${p.before[a]})`,
  );
  const order = n.num("storage_order", 0) ? range(sizes.length).toReversed() : range(sizes.length);
  const flat = order.reduce((text, a) => `(${text}) * ${sizes[a]} + ${coordinates[a]}`, `n * ${p.x.shape[1]} + c`);
  return [y, n.let(`for[${over(names, shapeOf(p))}] ${flat}`, "int64")];
}

/** Over the elements that a window covers: those of x, or those of x with its padding. */
function averagePool(n: Call): string {
  const p = poolOf(n);
  const total = pooled(n, p, "sum", p.x, "0");
  const padded = n.num("count_include_pad", 0) !== 0;
  const sizes = p.x.shape.slice(2).map((s, a) => (padded ? s + p.before[a]! + p.after[a]! : s));
  const ones = n.let(`ones(${list(sizes)})`);
  const count = n.let(`for[${over(p.i, p.out)}] sum[${over(p.r, p.kernel)}] (${ones}${list(places(p, padded))} ?? 0)`);
  return `${total} / ${count}`;
}

function lpPool(n: Call): string {
  const p = poolOf(n);
  const power = n.num("p", 2);
  const powers = n.let(`abs(${p.x}) ** ${power}.0`);
  return `${pooled(n, p, "sum", powers, "0")} ** (1.0 / ${power}.0)`;
}

const whole =
  (f: string, text: (x: string, n: Call) => string = (x) => x): Rule =>
  (n) => {
    const x = n.x(0);
    return `${f}(${text(`${x}`, n)}, axis: ${list(range(x.rank).slice(2))}, keepdims: true)`;
  };

export const POOL: RuleTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: whole("mean"),
  GlobalMaxPool: whole("max"),
  GlobalLpPool: whole("norm", (x, n) => `${x}, ord: ${n.num("p", 2)}`),
};
