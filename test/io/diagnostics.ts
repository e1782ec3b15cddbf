import { expect } from "vitest";
import { DiagnosticError } from "../../grammar/diagnostic.ts";

/** The code of the diagnostic that `run` throws, and its message. */
export function diagnosticOf(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return { code: error.diagnostic.code, message: error.diagnostic.message };
  }
  return expect.fail("nothing was thrown");
}

/**
 * As diagnosticOf; hostile input may take a second and 512 MiB. The time is the processor's, so that a busy machine does not
 * make it longer.
 */
export function hostile(run: () => unknown): { code: string; message: string } {
  const before = process.cpuUsage();
  const found = diagnosticOf(run);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(1);
  expect(process.memoryUsage().rss).toBeLessThan(512 * 2 ** 20);
  return found;
}
