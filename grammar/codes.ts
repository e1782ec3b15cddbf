/**
 * Every diagnostic code, with its title and what to do about it. docs/diagnostics.md is generated from this table.
 * Ranges: 10xx text and syntax, 11xx names and modules, 12xx types and shapes, 13xx indices and bounds, 14xx einsum
 * and einops strings, 15xx constants and calls, 16xx derivatives, 20xx inputs and files, 21xx projects, 30xx schedules and kernels.
 * Codes are stable: never reuse or renumber one.
 */
export const CODES = {
  EIN1001: { title: "unexpected token", help: "The parser expected something else here." },
  EIN1002: { title: "unknown character", help: "This character has no meaning in the language." },
  EIN1003: { title: "nested too deeply", help: "Expressions may nest 256 deep; name parts of it with `let`." },
  EIN1004: { title: "invalid number", help: "A literal must fit its type." },
  EIN1005: { title: "unterminated string", help: "Strings end on the line they begin on." },
  EIN1006: { title: "invalid UTF-8", help: "Source files are UTF-8 text." },
  EIN1007: { title: "unterminated comment", help: "A comment that begins with `/*` ends with `*/`." },
  EIN1008: { title: "unknown escape", help: "Escapes are \\n \\t \\r \\0 \\\\ \\\" \\' and \\u{1F600}." },
  EIN1009: {
    title: "misleading line break",
    help: "A line that begins with `-`, `+`, `(` or `[` starts a new expression.",
  },
  EIN1101: { title: "unknown name", help: "The name is not bound in this scope." },
  EIN1102: { title: "duplicate name", help: "A name may be declared once in a scope." },
  EIN1103: { title: "module not found", help: "Imports are `std/…` or relative paths inside the root." },
  EIN1104: { title: "import cycle", help: "Modules may not import each other in a circle." },
  EIN1105: { title: "recursion", help: "Functions are inlined, so they may not call themselves." },
  EIN1106: { title: "not exported", help: "The module has no export of that name." },
  EIN1107: { title: "not supported yet", help: "The construct is part of the language but this version refuses it." },
  EIN1201: { title: "type mismatch", help: "Element types must agree; convert with `x as f32`." },
  EIN1202: { title: "rank mismatch", help: "The number of axes differs from what is needed." },
  EIN1203: { title: "extents disagree", help: "Two axes that must have the same extent do not." },
  EIN1204: { title: "not a tensor", help: "A tensor or scalar value is needed here." },
  EIN1205: {
    title: "shape cannot be computed",
    help: "The result's shape is not determined, or an extent would be negative.",
  },
  EIN1206: { title: "extent overflow", help: "Extents and element counts must stay below 2^31." },
  EIN1301: {
    title: "index may leave the tensor",
    help: "Say what is read outside, `x[i] ?? 0`, or restrict the index.",
  },
  EIN1302: { title: "index has no range", help: "Use the index plainly on an axis, or write `k in 0..K`." },
  EIN1303: { title: "reduction over nothing", help: "`max`, `min`, `argmax` and `argmin` need at least one element." },
  EIN1304: { title: "axis out of range", help: "The axis number must be within the rank." },
  EIN1401: { title: "invalid einsum string", help: "See the language reference, Einsum strings." },
  EIN1402: {
    title: "einsum operands disagree",
    help: "The string and the operands must agree in number, rank and extents.",
  },
  EIN1411: { title: "invalid einops pattern", help: "See the language reference, einops patterns." },
  EIN1412: {
    title: "einops pattern and shape disagree",
    help: "The pattern and the tensor must agree in rank and extents.",
  },
  EIN1501: { title: "wrong arguments", help: "The call's arguments do not fit the function's parameters." },
  EIN1502: { title: "constant needed", help: "This argument must be known when the kernel is made." },
  EIN1503: { title: "invalid constant", help: "The constant's value is outside what is allowed here." },
  EIN1504: {
    title: "requirement not met",
    help: "What the function asks of its arguments does not hold; the message says what.",
  },
  EIN2001: { title: "file cannot be read", help: "The path must name a readable file." },
  EIN2002: { title: "malformed array file", help: "The file's contents do not follow its format, or it is cut off." },
  EIN2003: { title: "unsupported element type", help: "f16, f32, f64, bf16, 8- to 64-bit integers and bool are read." },
  EIN2004: {
    title: "value does not fit",
    help: "64-bit integers must fit 32 bits, since programs have no wider ones.",
  },
  EIN2005: { title: "array too large", help: "The file or array is larger than what is read." },
  EIN2006: {
    title: "unknown file format",
    help: "Arrays are read and written as .npy, .npz, .safetensors, .json and .png.",
  },
  EIN2007: { title: "file cannot be written", help: "The path must be writable." },
  EIN2008: { title: "array not found", help: "The file must hold the array that is asked for." },
  EIN3001: {
    title: "not a schedule cache",
    help: "Tuned schedules are in the JSON that `fusum tune --out` writes; without them the default ones are used.",
  },
  EIN3002: {
    title: "entry of a schedule cache",
    help: "Entries that are not whole, or hold values that no schedule has, are left out.",
  },
  EIN3003: {
    title: "the adapter lacks a feature",
    help: "Programs that use f16 run where the adapter has `shader-f16`; docs/devices.md says what an adapter is asked for.",
  },
  EIN2101: {
    title: "malformed configuration",
    help: "`fusum.config.json` is JSON; comments and trailing commas may stand in it.",
  },
  EIN2102: {
    title: "invalid option",
    help: "The options of `fusum.config.json` are listed in docs/project.md and in its schema.",
  },
  EIN2103: { title: "no sources", help: "`include` must name files or folders in which there are `.ein` files." },
  EIN2104: {
    title: "wrong path in the configuration",
    help: "Paths are relative to the configuration file and must be there; `buildInfo` names a file of Fusum's own.",
  },
  EIN2105: {
    title: "option without effect",
    help: "No function of the project, or no device, has what the option names.",
  },
  EIN1601: {
    title: "wrong use of a derivative",
    help: "`grad(f, wrt: [x])` takes a function and names of its parameters.",
  },
  EIN1602: {
    title: "nothing to differentiate",
    help: "Derivatives are by float parameters, and `grad` is of one float result.",
  },
  EIN1603: {
    title: "no derivative",
    help: "This construct has no derivative; stop it with `stop_gradient` or give a rule with `@vjp`.",
  },
  EIN1604: {
    title: "derivative rule does not fit",
    help: "The rule of `@vjp(rule)` takes the function's parameters, its `value` and `cotangent`, and gives cotangents.",
  },
} as const;

export type DiagnosticCode = keyof typeof CODES;
