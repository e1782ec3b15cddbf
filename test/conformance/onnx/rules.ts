/** Every rule by the name of its operator; operators of other domains have it in front: `ai.onnx.preview.training:Adam`. */
import type { Rule, RuleTable } from "./call.ts";
import { ATTENTION } from "./rules-attention.ts";
import { CONTROL } from "./rules-control.ts";
import { CONV } from "./rules-conv.ts";
import { ELEMENTWISE } from "./rules-elementwise.ts";
import { IMAGE } from "./rules-image.ts";
import { INDEX } from "./rules-index.ts";
import { NORM } from "./rules-norm.ts";
import { OTHERS } from "./rules-others.ts";
import { POOL } from "./rules-pool.ts";
import { QUANTIZE } from "./rules-quantize.ts";
import { RECURRENT } from "./rules-recurrent.ts";
import { REDUCE } from "./rules-reduce.ts";
import { SELECT } from "./rules-select.ts";
import { SHAPE } from "./rules-shape.ts";
import { SIGNAL } from "./rules-signal.ts";

const TABLES: readonly RuleTable[] = [
  ELEMENTWISE,
  SHAPE,
  INDEX,
  SELECT,
  REDUCE,
  NORM,
  CONV,
  POOL,
  ATTENTION,
  IMAGE,
  SIGNAL,
  RECURRENT,
  CONTROL,
  QUANTIZE,
  OTHERS,
];

export const RULES: ReadonlyMap<string, Rule> = new Map(TABLES.flatMap((t) => Object.entries(t)));
