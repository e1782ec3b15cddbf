/** `einsum` in one call, on a device of its own that is opened when it is first needed. */
import type { Device } from "../../runtime/device.ts";
import { openDevice } from "../../runtime/node.ts";
import type { HostArray } from "../../runtime/plan.ts";
import { einsumOn } from "../api/einsum.ts";
import type { CheckedEquation, CheckedOperands, EinsumResult } from "../api/einsum-types.ts";

let device: Promise<Device> | undefined;
let pending = 0;
let closing: NodeJS.Timeout | undefined;
/** How long the device stays open for a next call; the process never waits for it. */
const IDLE_MS = 1000;

/**
 * NumPy's einsum on the best adapter there is: `await einsum("ij,jk->ik", a, b)`. Rejects with CompileError for what the string or the
 * operands' shapes do not allow, with DeviceError if there is no device. The number of operands, and their ranks where their shapes are
 * tuples, are checked by their types already.
 */
export async function einsum<const E extends string, const O extends readonly HostArray[]>(
  equation: E & CheckedEquation<E>,
  ...operands: O & CheckedOperands<E, O>
): Promise<EinsumResult<E>> {
  pending++;
  clearTimeout(closing);
  device ??= openDevice();
  try {
    return await einsumOn<E, O>(await device, equation, operands);
  } catch (error) {
    // A device that could not be opened or was lost is not kept.
    if (error instanceof Error && error.name === "DeviceError") await close();
    throw error;
  } finally {
    if (--pending === 0) closing = setTimeout(close, IDLE_MS).unref();
  }
}

async function close(): Promise<void> {
  const open = device;
  device = undefined;
  (await open?.catch(() => undefined))?.close();
}
