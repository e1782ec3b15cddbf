/** One node of a graph with everything that rules ask of it. */
import type { FileTensor } from "../arrays.ts";
import { type Emitter, literal, UnsupportedNode, Val } from "./emitter.ts";

export interface RawNode {
  readonly op: string;
  readonly domain?: string;
  readonly in: readonly string[];
  readonly out: readonly string[];
  readonly attrs?: Readonly<Record<string, RawAttribute>>;
}
export interface RawGraph {
  readonly inputs: readonly { readonly name: string; readonly dtype?: string; readonly shape?: readonly number[] }[];
  readonly outputs: readonly { readonly name: string; readonly dtype?: string; readonly shape?: readonly number[] }[];
  readonly initializers?: Readonly<Record<string, FileTensor>>;
  readonly nodes: readonly RawNode[];
}
export type RawAttribute =
  | number
  | string
  | readonly (number | string)[]
  | { readonly tensor: FileTensor }
  | { readonly graph: RawGraph };

/** A value of a graph: a tensor, or a sequence whose length is known. */
export type Item = Val | readonly Val[];
export type Results = Item | string | readonly (Val | string | undefined)[];
/** The text for each output of a node. */
export type Rule = (n: Call) => Results;
export type RuleTable = Readonly<Record<string, Rule>>;

export class Call {
  readonly op: string;
  readonly e: Emitter;
  readonly opset: number;
  readonly ins: readonly (Item | undefined)[];
  readonly outs: readonly string[];
  readonly attrs: Readonly<Record<string, RawAttribute>>;
  /** Translates a subgraph with these arguments; names of the surrounding graphs are visible in it. */
  readonly subgraph: (g: RawGraph, args: readonly Item[]) => readonly Item[];
  /** A value by its name in the graph. */
  readonly named: (name: string) => Item | undefined;
  readonly #declared: (name: string) => readonly number[] | undefined;
  constructor(
    node: RawNode,
    e: Emitter,
    opset: number,
    ins: readonly (Item | undefined)[],
    subgraph: Call["subgraph"],
    named: Call["named"],
    declared: (name: string) => readonly number[] | undefined,
  ) {
    this.op = node.op;
    this.e = e;
    this.opset = opset;
    this.ins = ins;
    this.outs = node.out;
    this.attrs = node.attrs ?? {};
    this.subgraph = subgraph;
    this.named = named;
    this.#declared = declared;
  }

  /** The shape that the graph states for output i, if it does. */
  declared(i: number): readonly number[] | undefined {
    return this.wants(i) ? this.#declared(this.outs[i]!) : undefined;
  }

  opt(i: number): Val | undefined {
    const v = this.ins[i];
    if (v === undefined || v instanceof Val) return v;
    throw new UnsupportedNode("a sequence where a tensor is needed");
  }
  x(i: number): Val {
    return this.opt(i) ?? fail(`input ${i} is missing`);
  }
  /** All inputs from the i-th on. */
  rest(i = 0): readonly Val[] {
    return this.ins.slice(i).map((_, k) => this.x(i + k));
  }
  sequence(i: number): readonly Val[] {
    const v = this.ins[i];
    return v !== undefined && !(v instanceof Val) ? v : fail("a tensor where a sequence is needed");
  }
  wants(i: number): boolean {
    return (this.outs[i] ?? "") !== "";
  }
  has(name: string): boolean {
    return this.attrs[name] !== undefined;
  }
  num(name: string, fallback?: number): number {
    const a = this.attrs[name];
    if (typeof a === "number") return a;
    if (a === "Infinity" || a === "-Infinity" || a === "NaN") return Number(a);
    return a === undefined && fallback !== undefined ? fallback : fail(`the attribute ${name} is missing`);
  }
  /** A float attribute as text. */
  float(name: string, fallback?: number): string {
    return literal(this.num(name, fallback), "f32");
  }
  str(name: string, fallback: string): string {
    const a = this.attrs[name];
    return typeof a === "string" ? a : fallback;
  }
  ints(name: string, fallback?: readonly number[]): readonly number[] {
    const a = this.attrs[name];
    if (Array.isArray(a)) return (a as readonly (number | string)[]).map(Number);
    return fallback ?? fail(`the attribute ${name} is missing`);
  }
  strings(name: string, fallback: readonly string[]): readonly string[] {
    const a = this.attrs[name];
    return Array.isArray(a) ? (a as readonly (number | string)[]).map(String) : fallback;
  }
  graph(name: string): RawGraph {
    const a = this.attrs[name];
    return typeof a === "object" && "graph" in a ? a.graph : fail(`the attribute ${name} is missing`);
  }
  tensor(name: string): FileTensor | undefined {
    const a = this.attrs[name];
    return typeof a === "object" && "tensor" in a ? a.tensor : undefined;
  }
  /** An attribute in old opsets, an input in new ones; a constant of the program either way. */
  steer(name: string, input: number): readonly number[] | undefined {
    if (this.has(name)) return typeof this.attrs[name] === "number" ? [this.num(name)] : this.ints(name);
    return this.opt(input)?.numbers;
  }
  let(expression: string, file?: string): Val {
    return this.e.let(expression, file);
  }
}

export function fail(reason: string): never {
  throw new UnsupportedNode(reason);
}

// ---- Text ---------------------------------------------------------------------------------------------------------

export const list = (items: readonly unknown[]): string => `[${items.join(", ")}]`;
export const range = (n: number): readonly number[] => Array.from({ length: Math.max(n, 0) }, (_, i) => i);
export const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** An axis from the front. */
export const front = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
/** `x[:, item, :]` */
export function at(x: Val, axis: number, item: string): string {
  return `${x}${list(range(x.rank).map((k) => (k === axis ? item : ":")))}`;
}
/** Index names for the axes of a tensor. */
export const indices = (rank: number, prefix = "i"): readonly string[] => range(rank).map((k) => `${prefix}${k}`);
export const over = (names: readonly string[], shape: readonly number[]): string =>
  names.map((n, k) => `${n} in 0..${shape[k]}`).join(", ");
export const vector = (v: Val): string => (v.rank === 0 ? `reshape(${v}, [1])` : `${v}`);
export const shapeOf = (v: Val): string => list(v.shape);
