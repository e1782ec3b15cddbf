/** A program of its own that is elaborated, made into another one (a derivative), and put in place of a call. */
import type { Span } from "../../grammar/span.ts";
import type { Extent } from "../../ir/extent.ts";
import { axisRef, type Program, type Step } from "../../ir/tensor.ts";
import { type Argument, splice } from "../passes/splice.ts";
import type { Backing, TensorBuilder } from "./builder.ts";
import type { TensorValue } from "./value.ts";

/**
 * `build` is elaborated over fresh inputs like the given ones; `transform` makes a program of that program; its inputs become the
 * given tensors, and for names that are not among them, `extra(name)`. The results come back by name.
 */
export interface DeriveRequest {
  readonly name: string;
  readonly inputs: readonly { readonly name: string; readonly value: TensorValue }[];
  build(fresh: readonly TensorValue[]): ReadonlyMap<string, TensorValue>;
  transform(p: Program): Program;
  extra(name: string): TensorValue | undefined;
  readonly span: Span;
}

type Backed = (b: Backing, shape: readonly Extent[], span: Span, name: string) => TensorValue;
type Apart = <T>(run: () => T, asProgram: boolean) => { readonly value: T };

/** What `build` makes of fresh inputs like the given ones. Facts stay with the surrounding program. */
export function programApart(
  builder: TensorBuilder,
  name: string,
  inputs: DeriveRequest["inputs"],
  build: DeriveRequest["build"],
  apart: Apart,
): Program {
  return apart(() => {
    const fresh = inputs.map((i) => builder.input(i.name, i.value.dtype, i.value.shape, [], i.value.span));
    const results = [...build(fresh)].map(([n, value]) => ({ name: n, value }));
    return { ...builder.finish(name, results), facts: [] };
  }, true).value;
}

export function deriveInPlace(
  builder: TensorBuilder,
  request: DeriveRequest,
  backed: Backed,
  emit: (s: Step) => void,
  apart: Apart,
): ReadonlyMap<string, TensorValue> {
  const given = new Map(request.inputs.map((i) => [i.name, builder.settle(i.value, i.name)]));
  const inputs = [...given].map(([name, value]) => ({ name, value }));
  const program = request.transform(programApart(builder, request.name, inputs, request.build, apart));
  const args = program.inputs.map((d): Argument => {
    const value = given.get(d.name) ?? request.extra(d.name);
    if (!value) throw new RangeError(`nothing stands for the input ${d.name}`);
    return {
      rank: value.shape.length,
      at: (index) => value.at(index),
      readOr: (index, fill) => builder.readOr(value, index, fill.value),
    };
  });
  return new Map(
    splice(program, args, emit).map((r) => {
      const prefix = r.outer.map(axisRef);
      const shape = r.tensor.axes.slice(prefix.length).map((a) => a.extent);
      return [r.name, backed({ tensor: r.tensor, slot: r.slot, prefix }, shape, request.span, r.name)];
    }),
  );
}
