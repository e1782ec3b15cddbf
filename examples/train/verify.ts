/** A step of training beside the interpreter: the same state, the loss of each, and the bound of the program as it is run. */
import type { Device } from "../../runtime/device.ts";
import { checkResults } from "../../src/check.ts";
import type { Program } from "../../src/index.ts";
import type { Trainer } from "./trainer.ts";

export interface Verified {
  readonly loss: number;
  readonly exact: number;
  /** Of the bound that the difference takes; above 1 it is outside. */
  readonly share: number;
}

/** Interpreter steps for one loss; the gradients are not looked at. */
const BUDGET = 1e9;

export async function verifyStep(
  trainer: Trainer,
  program: Program,
  o: { readonly batch: number; readonly parts: number },
  device: Device,
): Promise<Verified> {
  const given = await trainer.arguments();
  const consts = { batch: o.batch, parts: 1 };
  const names = program.functions.find((f) => f.name === "batch_loss")!.parameters.map((p) => p.name);
  const inputs = Object.fromEntries(names.filter((n) => n in given).map((n) => [n, given[n]!]));
  trainer.advance();
  const [loss] = (await trainer.losses(1)) as [number];
  const results = { result: { dtype: "f32", shape: [], data: Float32Array.of(loss) } as const };
  const [checked] = checkResults(program, "batch_loss", inputs, results, {
    consts,
    adapter: device.info,
    budget: BUDGET,
  });
  const { result } = program.interpret("batch_loss", inputs, { consts });
  return { loss, exact: Number(result!.data[0]), share: checked!.share };
}
