/** Operators of one element at a time. */
import { languageType } from "../arrays.ts";
import { type Call, fail, front, list, type Rule, type RuleTable, range } from "./call.ts";
import { isReal, literal, type Val } from "./emitter.ts";

/** Small integers live in i32; what leaves their range comes round. */
export function wrapped(text: string, file: string): string {
  const bits = { uint8: 8, int8: 8, uint16: 16, int16: 16 }[file];
  if (bits === undefined) return text;
  return file.startsWith("u")
    ? `bitwise_and(${text}, ${2 ** bits - 1})`
    : `(${text} + ${2 ** (bits - 1)}) % ${2 ** bits} - ${2 ** (bits - 1)}`;
}

const unary =
  (text: (x: Val, n: Call) => string): Rule =>
  (n) =>
    n.let(text(n.x(0), n), n.x(0).file);
const named = (f: string): Rule => unary((x) => `${f}(${x})`);

/** Before opset 7 the second operand was aligned at `axis`. */
function aligned(n: Call): readonly [Val, Val] {
  const [a, b] = [n.x(0), n.x(1)];
  if (n.opset >= 7 || !n.num("broadcast", 0) || !n.has("axis")) return [a, b];
  const after = a.rank - front(n.num("axis"), a.rank) - b.rank;
  return [a, after > 0 ? n.let(`reshape(${b}, ${list([...b.shape, ...range(after).map(() => 1)])})`, b.file) : b];
}
const binary =
  (text: (a: Val, b: Val, n: Call) => string): Rule =>
  (n) => {
    const [a, b] = aligned(n);
    return n.let(text(a, b, n), a.file);
  };
const arithmetic = (text: (a: Val, b: Val, n: Call) => string): Rule =>
  binary((a, b, n) => wrapped(text(a, b, n), a.file));
const compare =
  (op: string): Rule =>
  (n) => {
    const [a, b] = aligned(n);
    return n.let(`${a} ${op} ${b}`, "bool");
  };
const fold =
  (f: (a: string, b: string) => string): Rule =>
  (n) =>
    n.let(n.rest().map(String).reduce(f), n.x(0).file);

/** Integer division rounds towards zero here, `div` to the floor. */
export const divide = (a: Val, b: Val): string => (a.isFloat ? `${a} / ${b}` : `(${a} - fmod(${a}, ${b})) div ${b}`);

function power(a: Val, b: Val): string {
  if (a.isFloat) return `pow(${a}, ${b.isFloat ? b : `${b} as f32`})`;
  return b.isFloat ? `pow(${a} as f32, ${b}) as ${a.dtype}` : `pow(${a}, ${b})`;
}

/** The numbers of TensorProto.DataType. */
const DATA_TYPES: readonly string[] = [
  "undefined",
  "float32",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "int32",
  "int64",
  "string",
  "bool",
  "float16",
  "float64",
  "uint32",
  "uint64",
  "complex64",
  "complex128",
  "bfloat16",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "uint4",
  "int4",
  "float4e2m1",
  "float8e8m0",
  "uint2",
  "int2",
];
export function dataType(code: number): string {
  return DATA_TYPES[code] ?? "undefined";
}

/** x as the dtype `file`; float16 rounds through f16, whose arithmetic is then f32's. Throws UnsupportedNode. */
export function cast(x: Val, file: string): string {
  const to = languageType(file) ?? fail(`conversions to ${file}`);
  if (file === "bfloat16") return fail("conversions to bfloat16");
  const number = x.dtype === to ? `${x}` : to === "bool" ? `${x} != 0` : `${x} as ${to}`;
  if (file === "float16" && x.file !== "float16") return `${number} as f16 as f32`;
  return isReal(file) || file === x.file ? number : wrapped(number, file);
}
const casting = (n: Call, file: string): Val => n.let(cast(n.x(0), file), file);

function bitCast(n: Call): Val {
  const [from, to] = [n.x(0).file, dataType(n.num("to"))];
  const WORDS = ["float32", "int32", "uint32"];
  if (WORDS.includes(from) && WORDS.includes(to))
    return n.let(`bitcast(${n.x(0)}, ${JSON.stringify(languageType(to))})`, to);
  if ((from === "int8" || from === "uint8") && (to === "int8" || to === "uint8"))
    return n.let(wrapped(`${n.x(0)}`, to), to);
  if ((from === "int16" || from === "uint16") && (to === "int16" || to === "uint16"))
    return n.let(wrapped(`${n.x(0)}`, to), to);
  return fail(`the bits of ${from} as ${to}, of which one has no element type`);
}

function clip(n: Call): Val {
  const bounds = ["min", "max"].flatMap((name, i) => {
    const given = n.has(name) ? n.float(name) : n.opt(i + 1);
    return given === undefined ? [] : [`${name}: ${given}`];
  });
  return bounds.length === 0 ? n.x(0) : n.let(`clamp(${[`${n.x(0)}`, ...bounds].join(", ")})`, n.x(0).file);
}

function prelu(n: Call): string {
  const [x, slope] = aligned(n);
  // Before opset 7 a vector had a slope for every channel.
  const by =
    n.opset < 7 && slope.rank === 1 && slope.shape[0] !== 1 && x.rank > 2
      ? n.let(`reshape(${slope}, ${list([slope.shape[0], ...range(x.rank - 2).map(() => 1)])})`)
      : slope;
  return `where(${x} < ${x.isFloat ? "0.0" : "0"}, ${by} * ${x}, ${x})`;
}

function isInf(n: Call): string {
  const [x, up, down] = [n.x(0), n.num("detect_positive", 1), n.num("detect_negative", 1)];
  if (up && down) return `isinf(${x})`;
  return up ? `${x} == inf` : down ? `${x} == -inf` : `${x} != ${x} && ${x} == ${x}`;
}

export const ELEMENTWISE: RuleTable = {
  Abs: named("abs"),
  Acos: named("acos"),
  Acosh: named("acosh"),
  Asin: named("asin"),
  Asinh: named("asinh"),
  Atan: named("atan"),
  Atanh: named("atanh"),
  Ceil: named("ceil"),
  Cos: named("cos"),
  Cosh: named("cosh"),
  Erf: named("erf"),
  Exp: named("exp"),
  Floor: named("floor"),
  Log: named("log"),
  Round: named("round"),
  Sigmoid: named("sigmoid"),
  Sign: named("sign"),
  Sin: named("sin"),
  Sinh: named("sinh"),
  Softplus: named("softplus"),
  Softsign: named("softsign"),
  Sqrt: named("sqrt"),
  Tan: named("tan"),
  Tanh: named("tanh"),
  Relu: named("relu"),
  HardSwish: named("hardswish"),
  Mish: named("mish"),
  Reciprocal: unary((x) => `1.0 / ${x}`),
  Neg: unary((x) => wrapped(`-${x}`, x.file)),
  Identity: (n) => n.ins[0] ?? fail("nothing"),
  Celu: unary((x, n) => `celu(${x}, ${n.float("alpha", 1)})`),
  Elu: unary((x, n) => `elu(${x}, ${n.float("alpha", 1)})`),
  Selu: unary((x, n) => `selu(${x}, ${n.float("alpha", 1.6732631921768188)}, ${n.float("gamma", 1.0507010221481323)})`),
  LeakyRelu: unary((x, n) => `leaky_relu(${x}, ${n.float("alpha", 0.01)})`),
  ThresholdedRelu: unary((x, n) => `threshold(${x}, ${n.float("alpha", 1)}, 0.0)`),
  HardSigmoid: unary((x, n) => `hardsigmoid(${x}, ${n.float("alpha", 0.2)}, ${n.float("beta", 0.5)})`),
  Shrink: unary((x, n) => `shrink(${x}, ${n.float("bias", 0)}, ${n.float("lambd", 0.5)})`),
  Gelu: unary((x, n) => `gelu(${x}, approximate: ${JSON.stringify(n.str("approximate", "none"))})`),
  Swish: unary((x, n) => `swish(${x}, ${n.float("alpha", 1)})`),
  SwiGLU: (n) => n.let(`swish(${n.x(0)}, ${n.float("alpha", 1)}) * ${n.x(1)}`, n.x(0).file),
  PRelu: prelu,
  Clip: clip,
  IsNaN: (n) => n.let(`isnan(${n.x(0)})`, "bool"),
  IsInf: (n) => n.let(isInf(n), "bool"),
  Add: arithmetic((a, b) => `${a} + ${b}`),
  Sub: arithmetic((a, b) => `${a} - ${b}`),
  Mul: arithmetic((a, b) => `${a} * ${b}`),
  Div: arithmetic(divide),
  Mod: binary((a, b, n) => (n.num("fmod", 0) ? `fmod(${a}, ${b})` : `${a} % ${b}`)),
  Pow: arithmetic(power),
  Max: fold((a, b) => `maximum(${a}, ${b})`),
  Min: fold((a, b) => `minimum(${a}, ${b})`),
  Sum: fold((a, b) => `${a} + ${b}`),
  Mean: (n) => n.let(`(${n.rest().join(" + ")}) / ${literal(n.ins.length, "f32")}`, n.x(0).file),
  And: compare("&&"),
  Or: compare("||"),
  Xor: compare("!="),
  Equal: compare("=="),
  Greater: compare(">"),
  GreaterOrEqual: compare(">="),
  Less: compare("<"),
  LessOrEqual: compare("<="),
  Not: (n) => n.let(`!${n.x(0)}`, "bool"),
  Where: (n) => n.let(`where(${n.x(0)}, ${n.x(1)}, ${n.x(2)})`, n.x(1).file),
  BitwiseAnd: binary((a, b) => `bitwise_and(${a}, ${b})`),
  BitwiseOr: binary((a, b) => `bitwise_or(${a}, ${b})`),
  BitwiseXor: binary((a, b) => `bitwise_xor(${a}, ${b})`),
  BitwiseNot: unary((x) => wrapped(`bitwise_not(${x})`, x.file)),
  BitShift: binary((a, b, n) =>
    wrapped(n.str("direction", "LEFT") === "LEFT" ? `left_shift(${a}, ${b})` : `right_shift(${a}, ${b})`, a.file),
  ),
  Cast: (n) => casting(n, dataType(n.num("to"))),
  CastLike: (n) => casting(n, n.x(1).file),
  BitCast: bitCast,
};
