/** Between the API's arrays and the interpreter's numbers. */
import type { DType } from "../../ir/dtype.ts";
import { type ArrayInput, type InterpretResult, interpret } from "../../ir/interpret.ts";
import { InputError } from "../../ir/sizes.ts";
import type { Program as TensorProgram } from "../../ir/tensor.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { numbersOf } from "./numbers.ts";

export function toInputs(inputs: Readonly<Record<string, HostArray>>): Map<string, ArrayInput> {
  return new Map(Object.entries(inputs).map(([name, a]) => [name, { shape: a.shape, data: numbersOf(a) }]));
}

/** Floats stay float64; integers and bool get their own arrays. */
export function toHostArray(r: InterpretResult): HostArray {
  return { dtype: r.dtype, shape: r.shape, data: dataOf(r.dtype, r.data) };
}

function dataOf(dtype: DType, data: Float64Array): HostArray["data"] {
  switch (dtype) {
    case "f32":
    case "f16":
      return data;
    case "i32":
      return Int32Array.from(data);
    case "u32":
      return Uint32Array.from(data);
    case "bool":
      return Uint8Array.from(data);
  }
}

export function interpretArrays(
  program: TensorProgram,
  inputs: Readonly<Record<string, HostArray>>,
  mode: "exact" | "rounded",
): Record<string, HostArray> {
  for (const { name, types } of program.inputs) {
    const dtype = Object.hasOwn(inputs, name) ? inputs[name]?.dtype : undefined;
    if (dtype !== undefined && dtype !== types[0])
      throw new InputError("dtype", `${name} is ${dtype}, but ${types[0]} is needed`);
  }
  return Object.fromEntries(interpret(program, toInputs(inputs), { mode }).map((r) => [r.name, toHostArray(r)]));
}
