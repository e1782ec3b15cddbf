import type { HostArray } from "../../runtime/plan.ts";
import { numbersOf } from "../api/numbers.ts";

const SHOWN = 8;

/** `y: f32[2, 3] = [1, 2, 3, …]`: enough to see what came out. */
export function summarise(name: string, a: HostArray): string {
  const values = numbersOf(a);
  const shown = Array.from(values.slice(0, SHOWN), (v) =>
    a.dtype === "bool" ? String(v !== 0) : Number.isInteger(v) ? String(v) : v.toPrecision(6),
  );
  const rest = values.length > SHOWN ? `, … ${values.length - SHOWN} more` : "";
  const type = a.shape.length === 0 ? a.dtype : `${a.dtype}[${a.shape.join(", ")}]`;
  return a.shape.length === 0 ? `${name}: ${type} = ${shown[0]}` : `${name}: ${type} = [${shown.join(", ")}${rest}]`;
}
