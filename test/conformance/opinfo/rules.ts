/** PyTorch's operators in the language. Several results are a record `{ y0: …, y1: … }`. */
import type { Bound, TorchCall } from "./call.ts";
import { BASIC } from "./rules-basic.ts";
import { CUT } from "./rules-cut.ts";
import { LINALG } from "./rules-linalg.ts";
import { MASKED } from "./rules-masked.ts";
import { NN } from "./rules-nn.ts";
import { PICK } from "./rules-pick.ts";
import { RESIZE } from "./rules-resize.ts";
import { SHAPE } from "./rules-shape.ts";
import { SOLVE } from "./rules-solve.ts";

export interface Rule {
  /** As PyTorch documents it, without types. */
  readonly signature: string;
  /** Text with `$name` for arguments, or a function that writes it. */
  readonly body: string | ((a: Bound, call: TorchCall) => string);
}

export type RuleTable = Readonly<Record<string, readonly [signature: string, body: Rule["body"]]>>;

function rulesOf(...tables: readonly RuleTable[]): ReadonlyMap<string, Rule> {
  return new Map(
    tables.flatMap((t) => Object.entries(t).map(([op, [signature, body]]) => [op, { signature, body }] as const)),
  );
}

export const RULES: ReadonlyMap<string, Rule> = rulesOf(BASIC, SHAPE, CUT, LINALG, SOLVE, NN, RESIZE, MASKED, PICK);
