import type { Workload } from "../workload.ts";
import { CONTRACTIONS } from "./contractions.ts";
import { CONVOLUTIONS } from "./convolutions.ts";
import { MODELS } from "./models.ts";
import { ROWS } from "./rows.ts";

export const WORKLOADS: readonly Workload[] = [...CONTRACTIONS, ...CONVOLUTIONS, ...ROWS, ...MODELS];
