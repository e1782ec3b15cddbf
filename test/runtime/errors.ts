import { expect } from "vitest";
import { DeviceError } from "../../runtime/errors.ts";

/** The DeviceError that `run` throws or rejects with. */
export async function deviceError(run: () => unknown): Promise<DeviceError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
  return expect.fail("nothing was thrown");
}
