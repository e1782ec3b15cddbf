/** The suites by the name of their file. */
import { einopsErrorsSuite, einopsSuite } from "./einops.ts";
import { einsumDivergentSuite, einsumErrorsSuite, einsumSuite } from "./einsum.ts";
import { gradEinsumSuite } from "./grad-einsum.ts";
import type { Suite } from "./job.ts";
import { onnxSuite } from "./onnx/suite.ts";
import { opinfoErrorsSuite, opinfoSuite } from "./opinfo/suite.ts";
import { gradProgramsSuite } from "./programs/suite-grad.ts";
import { kernelbenchSuite } from "./programs/suite-kernelbench.ts";
import { polybenchSuite } from "./programs/suite-polybench.ts";
import { tcErrorsSuite, tcSuite } from "./tc/suite.ts";

/** `rejects`: every case of the file must be rejected. */
export const SUITES: ReadonlyMap<string, { readonly suite: Suite; readonly rejects: boolean }> = new Map(
  [
    { suite: einsumSuite, rejects: false },
    { suite: einsumErrorsSuite, rejects: true },
    { suite: einsumDivergentSuite, rejects: false },
    { suite: einopsSuite, rejects: false },
    { suite: einopsErrorsSuite, rejects: true },
    { suite: gradEinsumSuite, rejects: false },
    { suite: onnxSuite, rejects: false },
    { suite: opinfoSuite, rejects: false },
    { suite: opinfoErrorsSuite, rejects: true },
    { suite: polybenchSuite, rejects: false },
    { suite: gradProgramsSuite, rejects: false },
    { suite: kernelbenchSuite, rejects: false },
    { suite: tcSuite, rejects: false },
    { suite: tcErrorsSuite, rejects: true },
  ].map((s) => [s.suite.name, s]),
);

/** Files of the folder that hold no cases to run. */
export const NOT_CASES: ReadonlySet<string> = new Set(["index", "derivative-coverage", "onnx-op-table"]);
