/** Sizes of a plan as numbers: symbols come from the arguments' shapes, facts are checked before anything runs. */
import { DeviceError } from "./errors.ts";
import type { Plan, PlanArray, PlanSize } from "./plan.ts";

/** Values of the size symbols of one call. */
export type Sizes = ReadonlyMap<string, number>;

/** The value of a size. Throws DeviceError "shape" for an unknown symbol or a division by zero. */
export function evaluateSize(size: PlanSize, sizes: Sizes): number {
  if (typeof size === "number") return size;
  if ("symbol" in size) {
    const value = sizes.get(size.symbol);
    if (value === undefined) throw new DeviceError("shape", `the extent ${size.symbol} is not known`);
    return value;
  }
  const left = evaluateSize(size.left, sizes);
  const right = evaluateSize(size.right, sizes);
  switch (size.op) {
    case "add":
      return left + right;
    case "sub":
      return left - right;
    case "mul":
      return left * right;
    case "min":
      return Math.min(left, right);
    case "max":
      return Math.max(left, right);
    case "div":
    case "ceildiv":
    case "mod": {
      if (right === 0) throw new DeviceError("shape", `${sizeText(size)} divides by zero`);
      if (size.op === "div") return Math.floor(left / right);
      if (size.op === "ceildiv") return Math.ceil(left / right);
      return left - right * Math.floor(left / right);
    }
    default:
      return size.op satisfies never;
  }
}

/** A size as people write it: `ceil(N / 4)`, `2 * D + 1`. */
export function sizeText(size: PlanSize): string {
  if (typeof size === "number") return String(size);
  if ("symbol" in size) return size.symbol;
  const nested = (s: PlanSize): string => {
    const text = sizeText(s);
    return typeof s === "object" && "op" in s && ["add", "sub", "mul", "div", "mod"].includes(s.op)
      ? `(${text})`
      : text;
  };
  switch (size.op) {
    case "add":
      return `${sizeText(size.left)} + ${sizeText(size.right)}`;
    case "sub":
      return `${sizeText(size.left)} - ${nested(size.right)}`;
    case "mul":
      return `${nested(size.left)} * ${nested(size.right)}`;
    case "div":
      return `${nested(size.left)} div ${nested(size.right)}`;
    case "mod":
      return `${nested(size.left)} % ${nested(size.right)}`;
    case "ceildiv":
      return `ceil(${nested(size.left)} / ${nested(size.right)})`;
    case "min":
    case "max":
      return `${size.op}(${sizeText(size.left)}, ${sizeText(size.right)})`;
    default:
      return size.op satisfies never;
  }
}

/** A shape as people write it: `[2, N, 2 * D]`. */
export function shapeText(shape: readonly PlanSize[]): string {
  return `[${shape.map(sizeText).join(", ")}]`;
}

/**
 * Finds the symbols in the arguments' shapes (in the order of `plan.params`), then checks every rank, every extent and
 * every fact. Throws DeviceError "shape" that names the parameter, the axis and both extents.
 */
export function sizesFromShapes(plan: Plan, shapes: readonly (readonly number[])[]): Sizes {
  plan.params.forEach((param, i) => {
    checkRank(plan, param, shapes[i]!);
  });
  const sizes = new Map<string, number>();
  for (const symbol of plan.symbols) sizes.set(symbol.name, shapes[symbol.param]![symbol.axis]!);
  plan.params.forEach((param, i) => {
    checkShape(plan, param, shapes[i]!, sizes);
  });
  checkFacts(plan, sizes);
  return sizes;
}

/** Sizes that a caller gives by name, for `encode`. All symbols of the plan must be there; facts are checked. */
export function sizesFromNames(plan: Plan, given: Readonly<Record<string, number>>): Sizes {
  const sizes = new Map<string, number>();
  for (const { name } of plan.symbols) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined) {
      throw new DeviceError("shape", `${plan.name} needs the extent ${name}`, { kernel: plan.name });
    }
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new DeviceError(
        "shape",
        `the extent ${name} of ${plan.name} is ${value}; it must be a whole number of at least 0`,
        {
          kernel: plan.name,
        },
      );
    }
    sizes.set(name, value);
  }
  checkFacts(plan, sizes);
  return sizes;
}

function checkRank(plan: Plan, param: PlanArray, shape: readonly number[]): void {
  if (shape.length !== param.shape.length) {
    throw new DeviceError(
      "shape",
      `${plan.name}: ${param.name} has rank ${shape.length}, shape [${shape.join(", ")}], but ` +
        `${param.dtype}${shapeText(param.shape)} has rank ${param.shape.length}`,
      { kernel: plan.name, argument: { parameter: param.name, expected: param.shape.length, found: shape.length } },
    );
  }
}

function checkShape(plan: Plan, param: PlanArray, shape: readonly number[], sizes: Sizes): void {
  param.shape.forEach((size, axis) => {
    const expected = evaluateSize(size, sizes);
    const found = shape[axis]!;
    if (expected === found) return;
    const written = typeof size === "number" ? "" : ` (${sizeText(size)}${originOf(plan, size)})`;
    throw new DeviceError(
      "shape",
      `${plan.name}: axis ${axis} of ${param.name} has extent ${found}, but ${expected} is needed${written}`,
      { kernel: plan.name, argument: { parameter: param.name, axis, expected, found } },
    );
  });
}

/** Where a plain symbol was found first, so that the message can name the other place. */
function originOf(plan: Plan, size: PlanSize): string {
  if (typeof size === "number" || !("symbol" in size)) return "";
  const symbol = plan.symbols.find((s) => s.name === size.symbol);
  const param = symbol && plan.params[symbol.param];
  return param ? `, from axis ${symbol.axis} of ${param.name}` : "";
}

function checkFacts(plan: Plan, sizes: Sizes): void {
  for (const fact of plan.facts) {
    const left = evaluateSize(fact.left, sizes);
    const right = evaluateSize(fact.right, sizes);
    if (fact.relation === "==" ? left === right : left >= right) continue;
    throw new DeviceError(
      "shape",
      `${plan.name}: ${fact.message} (${sizeText(fact.left)} is ${left}, ${sizeText(fact.right)} is ${right}; ` +
        `needed: ${sizeText(fact.left)} ${fact.relation} ${sizeText(fact.right)})`,
      { kernel: plan.name, argument: { parameter: "", expected: right, found: left } },
    );
  }
}
