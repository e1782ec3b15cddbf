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

/** Those whose name contains one of the words, which commas separate, or that are of a family of that name; all without words. */
export function selected(words?: string): readonly Workload[] {
  const list = words?.split(",").filter(Boolean) ?? [];
  return WORKLOADS.filter((w) => list.length === 0 || list.some((t) => w.name.includes(t) || w.family === t));
}
