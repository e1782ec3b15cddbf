/** Quantised operators: integers of 8 and 16 bits are exact in i32, and their saturation is a clamp. */
import { type Call, fail, front, list, type RuleTable, range } from "./call.ts";
import type { Val } from "./emitter.ts";
import { convolution } from "./rules-conv.ts";
import { dataType } from "./rules-elementwise.ts";

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
};
const saturated = (text: string, file: string): string => {
  const [low, high] = RANGES[file] ?? fail(`integers of ${file}`);
  return `clamp(${text}, ${low}, ${high})`;
};

/** A scale or zero point that varies along an axis of x, or in blocks of it, as something that broadcasts against x. */
function along(n: Call, v: Val, x: Val): Val {
  if (v.size === 1) return n.let(`reshape(${v}, [])`, v.file);
  const axis = front(n.num("axis", 1), x.rank);
  const block = n.num("block_size", 0);
  if (block > 0) return n.let(`narrow(repeat(${v}, ${block}, axis: ${axis}), ${axis}, 0, ${x.shape[axis]})`, v.file);
  return n.let(`reshape(${v}, ${list(range(x.rank).map((k) => (k === axis ? v.size : 1)))})`, v.file);
}

function quantized(n: Call, scaled: string, zero: Val | undefined, file: string): Val {
  const [low, high] = RANGES[file] ?? fail(`integers of ${file}`);
  // Clamped while it is a float, which no sum can overflow.
  const rounded = n.let(`clamp(round(${scaled}), -65536.0, 65536.0) as i32`);
  return n.let(`clamp(${rounded}${zero ? ` + ${zero}` : ""}, ${low}, ${high})`, file);
}

function quantize(n: Call): Val {
  const [x, scale, zero] = [n.x(0), n.x(1), n.opt(2)];
  const code = n.num("output_dtype", 0);
  const file = zero?.file ?? (code ? dataType(code) : "uint8");
  const number = x.isFloat ? `${x}` : `(${x} as f32)`;
  return quantized(n, `${number} / ${along(n, scale, x)}`, zero && along(n, zero, x), file);
}

function dequantize(n: Call): string {
  const [x, scale, zero] = [n.x(0), n.x(1), n.opt(2)];
  return `(${zero ? `(${x} - ${along(n, zero, x)})` : x} as f32) * ${along(n, scale, x)}`;
}

function dynamicQuantize(n: Call): readonly Val[] {
  const x = n.x(0);
  const high = n.let(`maximum(max(${x}), 0.0)`);
  const low = n.let(`minimum(min(${x}), 0.0)`);
  const scale = n.let(`(${high} - ${low}) / 255.0`);
  const zero = n.let(`clamp(round(-${low} / ${scale}), 0.0, 255.0) as i32`, "uint8");
  return [n.let(saturated(`(round(${x} / ${scale}) as i32) + ${zero}`, "uint8"), "uint8"), scale, zero];
}

/** One for all, or one for each row of the left operand, each column of the right one. */
function perVector(n: Call, v: Val, side: "row" | "column"): Val {
  if (v.size === 1) return n.let(`reshape(${v}, [])`, v.file);
  return side === "row" && v.rank === 1 ? n.let(`${v}[:, None]`, v.file) : v;
}
const less = (n: Call, x: Val, zero: Val | undefined, side: "row" | "column"): Val =>
  zero ? n.let(`${x} - ${perVector(n, zero, side)}`) : x;

function qMatMul(n: Call): Val {
  const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = range(8).map((i) => n.x(i)) as [
    Val,
    Val,
    Val,
    Val,
    Val,
    Val,
    Val,
    Val,
  ];
  const sum = n.let(`${less(n, a, aZero, "row")} @ ${less(n, b, bZero, "column")}`);
  const scale = `${perVector(n, aScale, "row")} * ${perVector(n, bScale, "column")} / ${perVector(n, yScale, "row")}`;
  return quantized(n, `(${sum} as f32) * (${scale})`, perVector(n, yZero, "row"), yZero.file);
}

/** Products of integers of 8 bits: their sums are exact in f32 up to 2^24, which is 258 taps of both extremes. */
function integerConv(n: Call, x: Val, xZero: Val | undefined, w: Val, wZero: Val | undefined): Val {
  const per = (v: Val): Val =>
    v.size === 1
      ? n.let(`reshape(${v}, [])`)
      : n.let(`reshape(${v}, ${list([v.size, ...range(w.rank - 1).map(() => 1)])})`);
  const minus = (v: Val, zero: Val | undefined): Val => n.let(`${zero ? `(${v} - ${per(zero)})` : v} as f32`);
  return convolution(n, minus(x, xZero), minus(w, wZero), undefined);
}

function qConv(n: Call): Val {
  const [x, xScale, xZero, w, wScale, wZero, yScale, yZero] = range(8).map((i) => n.x(i)) as [
    Val,
    Val,
    Val,
    Val,
    Val,
    Val,
    Val,
    Val,
  ];
  const sum = integerConv(n, x, xZero, w, wZero);
  const channel = (v: Val): Val =>
    v.size === 1
      ? n.let(`reshape(${v}, [])`)
      : n.let(`reshape(${v}, ${list([v.size, ...range(x.rank - 2).map(() => 1)])})`);
  const bias = n.opt(8);
  const total = bias ? `(${sum} + (${channel(bias)} as f32))` : `${sum}`;
  return quantized(
    n,
    `${total} * (${channel(xScale)} * ${channel(wScale)} / ${channel(yScale)})`,
    channel(yZero),
    yZero.file,
  );
}

export const QUANTIZE: RuleTable = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
  QLinearMatMul: qMatMul,
  QLinearConv: qConv,
  MatMulInteger: (n) => n.let(`${less(n, n.x(0), n.opt(2), "row")} @ ${less(n, n.x(1), n.opt(3), "column")}`, "int32"),
  ConvInteger: (n) => n.let(`${integerConv(n, n.x(0), n.opt(2), n.x(1), n.opt(3))} as i32`, "int32"),
};
