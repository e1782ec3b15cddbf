/**
 * `checkpoint(f)`: f, whose intermediates a derivative computes again from f's arguments instead of keeping them. A call is
 * elaborated into a program of its own, put into an epoch of its own, and that stands in place of the call.
 */
import { inEpoch } from "../passes/epochs.ts";
import { bindArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { describe, fail } from "./convert.ts";
import { argumentsFor, type Outcome, recordOf, resultsOf } from "./derivatives.ts";
import type { CallArgument, FunctionValue, TensorValue, Value } from "./value.ts";

export function checkpointFunction(cx: Context): FunctionValue {
  return {
    kind: "function",
    name: "checkpoint",
    span: { file: "", start: 0, end: 0 },
    parameters: [{ name: "f", isConst: true, optional: false }],
    call: (args, span) => {
      const f = bindArguments("checkpoint", [{ name: "f" }], args, span).byName.get("f")!;
      return f.value.kind === "function"
        ? checkpointed(cx, f.value)
        : fail("EIN1501", "`checkpoint` takes a function", f.span, `this is ${describe(f.value)}`);
    },
  };
}

function checkpointed(cx: Context, f: FunctionValue): FunctionValue {
  const name = `checkpoint(${f.name})`;
  return {
    ...f,
    name,
    base: f,
    callFromOutside: undefined,
    call: (args, span): Value => {
      const parameters = f.parameters.map((p) => ({ name: p.name, optional: p.optional }));
      const { byName } = bindArguments(name, parameters, args, span);
      const inputs = f.parameters.flatMap((p): { name: string; value: TensorValue }[] => {
        const value = byName.get(p.name)?.value;
        return value?.kind === "tensor" ? [{ name: p.name, value }] : [];
      });
      let outcome: Outcome | undefined;
      const results = cx.builder.derive({
        name: f.name,
        inputs,
        build: (fresh) => {
          const given = (n: string, a: CallArgument): Value => fresh[inputs.findIndex((i) => i.name === n)] ?? a.value;
          outcome = resultsOf(f.call(argumentsFor(f, byName, given), span), span);
          return outcome.values;
        },
        transform: (p) => inEpoch(p, cx.builder.nextEpoch()),
        extra: () => undefined,
        span,
      });
      return outcome?.isRecord === true ? recordOf([...results], span) : results.get("value")!;
    },
  };
}
