/** Statements between expanding and placing: loops are unrolled, private memory has become variables, expressions are values of a graph. */
import type { AtomicStatement, BarrierStatement, Buffer, Matrices } from "../ir/kernel.ts";
import type { Cell, NameValue, Value } from "./value.ts";

export type Flat =
  /** Computes a value here at the latest, under a name like the hint. */
  | { readonly kind: "force"; readonly value: Value; readonly hint: string }
  /** Binds an immutable variable to a value that is pinned to this place. */
  | { readonly kind: "bind"; readonly name: NameValue; readonly value: Value }
  | { readonly kind: "assign"; readonly cell: Cell; readonly value: Value }
  | { readonly kind: "store"; readonly buffer: Buffer; readonly index: Value; readonly value: Value }
  | {
      readonly kind: "atomic";
      readonly op: AtomicStatement["op"];
      readonly buffer: Buffer;
      readonly index: Value;
      readonly value: Value;
      readonly name: NameValue | undefined;
    }
  | {
      readonly kind: "if";
      readonly condition: Value;
      readonly body: readonly Flat[];
      readonly otherwise: readonly Flat[];
    }
  | {
      readonly kind: "loop";
      readonly name: NameValue;
      readonly from: Value;
      readonly to: Value;
      readonly step: number;
      readonly body: readonly Flat[];
    }
  | {
      readonly kind: "while";
      readonly counter: NameValue;
      readonly condition: Value;
      readonly max: Value;
      readonly body: readonly Flat[];
    }
  | { readonly kind: "barrier"; readonly scope: BarrierStatement["scope"] }
  | FlatMatrix;

/** An element of an array of subgroup matrices: a mutable variable of the function. */
export interface FlatPlace {
  readonly matrices: Matrices;
  readonly index: number;
}
export type FlatMatrix = { readonly kind: "matrix"; readonly place: FlatPlace } & (
  | { readonly op: "fill"; readonly value: number }
  | {
      readonly op: "load" | "store";
      readonly buffer: Buffer;
      readonly offset: Value;
      readonly stride: Value;
      readonly order: "row" | "column";
    }
  | { readonly op: "multiply"; readonly left: FlatPlace; readonly right: FlatPlace }
);
