/** Whether an adapter that is at hand can run what was compiled for it. */
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import { NO_SPAN } from "../../grammar/span.ts";
import type { AdapterInfo } from "../../runtime/plan.ts";
import type { Compiled } from "../compile.ts";

/** EIN3003 for a feature that the kernels need and the adapter lacks. Adapters of kind `none` stand for any: nothing is said of them. */
export function featureProblem(name: string, made: Compiled, adapter: AdapterInfo | undefined): Diagnostic | undefined {
  if (!adapter || adapter.kind === "none") return undefined;
  const needed = made.plan.kernels.flatMap((k) => k.features).find((f) => !adapter.features.includes(f));
  if (needed === undefined) return undefined;
  const half = needed === "shader-f16";
  const place = half ? made.program.steps.find((s) => s.kind !== "loop" && s.types.includes("f16")) : undefined;
  const span = place && place.kind !== "loop" ? place.span : undefined;
  return diagnostic(
    "EIN3003",
    half
      ? `\`${name}\` uses f16, which ${adapter.name} does not have`
      : `\`${name}\` needs the feature ${needed}, which ${adapter.name} does not have`,
    { span: span ?? NO_SPAN, text: half && span ? "this is f16" : "" },
    half ? { notes: ["write f32, open another adapter, or run the function on the interpreter"] } : {},
  );
}
