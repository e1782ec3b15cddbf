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

/** As diagnosticOf; the time and the memory that hostile input takes are bounded: a second, 512 MiB. */
export function hostile(run: () => unknown): { code: string; message: string } {
  const start = performance.now();
  const found = diagnosticOf(run);
  expect(performance.now() - start).toBeLessThan(1000);
  expect(process.memoryUsage().rss).toBeLessThan(512 * 2 ** 20);
  return found;
}
