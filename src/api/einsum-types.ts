/**
 * Einsum strings as types: how many operands an equation has, their ranks, and the rank of its result. What cannot be known (an
 * equation that is a plain `string`, a shape without a length, `...`) is let through and checked when it is compiled. Each letter costs
 * a constant number of instantiations; recursion is by tail calls.
 */
import type { HostArray } from "../../runtime/plan.ts";

type NoSpaces<S extends string> = S extends `${infer A} ${infer B}` ? NoSpaces<`${A}${B}`> : S;

type Split<S extends string, Done extends readonly string[] = []> = S extends `${infer A},${infer B}`
  ? Split<B, [...Done, A]>
  : [...Done, S];

/** One number a letter: the shape of an operand with that term. `...` stands for any number of them. */
type ShapeOf<Term extends string, Done extends readonly number[] = []> = Term extends `...${infer Rest}`
  ? ShapeOf<Rest, [...Done, ...number[]]>
  : Term extends `${string}${infer Rest}`
    ? ShapeOf<Rest, [...Done, number]>
    : Done;

/** Letters of all the terms that stand there once, for an equation without `->`. In which order does not matter to the rank. */
type Once<
  Text extends string,
  Seen extends string = never,
  Done extends string = "",
> = Text extends `${infer C}${infer Rest}`
  ? C extends "," | Seen
    ? Once<Rest, Seen, Done>
    : Rest extends `${string}${C}${string}`
      ? Once<Rest, Seen | C, Done>
      : Once<Rest, Seen, `${Done}${C}`>
  : Done;

type Parts<E extends string> = E extends `${infer Inputs}->${infer Output}` ? [Inputs, Output] : [E, undefined];

/** What is wrong with the output, as a text that no equation is; else the equation. */
type CheckOutput<E extends string, Inputs extends string, Output> = Output extends `...${infer Rest}`
  ? CheckOutput<E, Inputs, Rest>
  : Output extends `${infer C}${infer Rest}`
    ? Rest extends `${string}${C}${string}`
      ? `the output repeats the letter ${C}`
      : Inputs extends `${string}${C}${string}`
        ? CheckOutput<E, Inputs, Rest>
        : `the output's letter ${C} is in no operand`
    : E;

/** The equation itself if its output can be made of its operands; else a message as a type, which nothing is assignable to. */
export type CheckedEquation<E extends string> = string extends E
  ? E
  : Parts<NoSpaces<E>> extends [infer Inputs extends string, infer Output]
    ? CheckOutput<E, Inputs, Output>
    : never;

/** An array whose shape has one of these lengths, or a length that types do not know. */
interface OfShape<Shape extends readonly number[]> {
  readonly dtype: HostArray["dtype"];
  readonly shape: Shape;
  readonly data: HostArray["data"];
}

/** Shapes whose length is not known are as good as any. */
type CheckedOperand<Term extends string, A> = A extends { readonly shape: infer S extends readonly number[] }
  ? number extends S["length"]
    ? A
    : OfShape<Readonly<ShapeOf<Term>>>
  : HostArray;

type CheckedTerms<Terms extends readonly string[], Operands extends readonly unknown[]> = {
  readonly [K in keyof Terms]: CheckedOperand<Terms[K] & string, K extends keyof Operands ? Operands[K] : HostArray>;
};

/** The operands that an equation takes: as many as it has terms, each of its term's rank. */
export type CheckedOperands<E extends string, Operands extends readonly unknown[]> = string extends E
  ? readonly HostArray[]
  : number extends Operands["length"]
    ? readonly HostArray[]
    : CheckedTerms<Split<Parts<NoSpaces<E>>[0]>, Operands>;

/** The shape of the result: a tuple where the equation is known and has no `...`. */
export type EinsumShape<E extends string> = string extends E
  ? readonly number[]
  : E extends `${string}...${string}`
    ? readonly number[]
    : Parts<NoSpaces<E>> extends [infer Inputs extends string, infer Output]
      ? Readonly<ShapeOf<Output extends string ? Output : Once<Inputs>>>
      : readonly number[];

/** The result of an equation. */
export interface EinsumResult<E extends string> extends HostArray {
  readonly shape: EinsumShape<E>;
}
