import { onHalves, type Workload } from "../workload.ts";
import { CONTRACTIONS } from "./contractions.ts";
import { CONVOLUTIONS } from "./convolutions.ts";
import { MODELS } from "./models.ts";
import { ROWS } from "./rows.ts";

const SINGLE: readonly Workload[] = [...CONTRACTIONS, ...CONVOLUTIONS, ...ROWS, ...MODELS];

/** Rows that are measured on halves too. */
const HALVES = ["matmul 512³", "matvec 2048²", "softmax 1024²", "layer_norm 2048×768", "attention 8·256·64"];

export const WORKLOADS: readonly Workload[] = [
  ...SINGLE,
  ...SINGLE.filter((w) => HALVES.includes(w.name)).map(onHalves),
];
