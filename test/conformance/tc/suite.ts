/** `index-notation-tc` and its errors. */
import { decode, type FileTensor } from "../arrays.ts";
import { DEFAULT_TOLERANCE, type Job, type RunJob, type Suite } from "../job.ts";
import { parseTc, TcError } from "./parse.ts";
import { translateTc } from "./translate.ts";

interface TcCase {
  readonly tc: string;
  readonly sizes?: Readonly<Record<string, number>>;
  readonly inputs?: Readonly<Record<string, FileTensor>>;
  readonly outputs?: Readonly<Record<string, FileTensor>>;
  readonly severity?: "error" | "warning";
}

export const tcSuite: Suite = {
  name: "index-notation-tc",
  translate(raw): Job {
    const c = raw as unknown as TcCase;
    const t = translateTc(c.tc, new Map(Object.entries(c.sizes ?? {})));
    const inputs: Record<string, RunJob["inputs"][string]> = {};
    for (const p of t.parameters) inputs[p.name] = { values: decode(c.inputs![p.tcName]!), dtype: p.dtype };
    return {
      kind: "run",
      source: t.source,
      fn: "f",
      inputs,
      expected: t.results.map((r) => decode(c.outputs![r]!)),
      tolerance: DEFAULT_TOLERANCE,
    };
  },
};

/** The notation's own errors are found by the translator, those of indices and types by the compiler. */
export const tcErrorsSuite: Suite = {
  name: "index-notation-tc-errors",
  translate(raw): Job {
    const c = raw as unknown as TcCase;
    try {
      // The cases bind no sizes. An access that is not safe for all sizes is refuted by falling ones.
      const names = [...new Set(parseTc(c.tc).params.flatMap((p) => p.dims))].filter((d) => !/^\d+$/.test(d));
      const t = translateTc(c.tc, new Map(names.map((n, i) => [n, 4 + 2 * (names.length - 1 - i)])));
      if (t.warnings.length > 0) return { kind: "rejected", reason: t.warnings.join("; ") };
      return { kind: "reject", source: t.source, fn: "f", inputs: {} };
    } catch (error) {
      if (error instanceof TcError) return { kind: "rejected", reason: error.message };
      throw error;
    }
  },
};
