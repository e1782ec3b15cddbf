/**
 * `@vjp(rule) fn f`: where a derivative is taken of a call of f, its cotangents come from the rule. The rule's parameters go by
 * name: f's own, `value` for f's result (or the names of its results), and `cotangent` (`cotangent_NAME`); it returns the cotangent
 * of f's float tensor, or a record of them by parameter.
 */
import type { FnItem } from "../../grammar/ast.ts";
import { type Diagnostic, DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { isFloat } from "../../ir/dtype.ts";
import type { Program } from "../../ir/tensor.ts";
import type { LoadedModule } from "../modules.ts";
import type { Context } from "./context.ts";
import { describe, toTensor } from "./convert.ts";
import { recordOf, resultsOf } from "./derivatives.ts";
import type { CallArgument, FunctionValue, TensorValue, Value } from "./value.ts";

type Attribute = FnItem["attributes"][number];

export function ruleOf(item: FnItem): Attribute | undefined {
  return item.attributes.find((a) => a.name.text === "vjp");
}

/** What is wrong with the attributes as they are written. */
export function attributeProblems(item: FnItem): readonly Diagnostic[] {
  return item.attributes.flatMap((a) => {
    if (a.name.text !== "vjp")
      return [
        diagnostic("EIN1101", `there is no attribute \`@${a.name.text}\``, { span: a.name.span, text: "not known" }),
      ];
    if (a.args.length === 1 && ruleOf(item) === a) return [];
    const text = a.args.length === 1 ? "the second rule" : "write `@vjp(rule)`";
    return [diagnostic("EIN1604", "`@vjp` takes one function, the rule", { span: a.span, text })];
  });
}

/** The call's value, whose derivative is the rule's. `value` is what the function makes of the arguments. */
export function withRule(cx: Context, call: RuledCall, value: Value): Value {
  const { item, given, span } = call;
  const shape = resultsOf(value, span);
  const results = [...shape.values].map(([name, v]) => ({ name, value: cx.builder.settle(v, name) }));
  const inputs = item.params.flatMap((p): Named[] => {
    const v = given.get(p.name.text)?.value;
    return v?.kind === "tensor" ? [{ name: p.name.text, value: cx.builder.settle(v, p.name.text) }] : [];
  });
  const backward = backwardOf(cx, call, inputs, results);
  const made = cx.builder.custom({ name: item.name.text, results, inputs, backward, span });
  return shape.isRecord
    ? recordOf(
        results.map((r, i) => [r.name, made[i]!]),
        span,
      )
    : made[0]!;
}

/** A call of a function that has a rule. */
export interface RuledCall {
  readonly module: LoadedModule;
  readonly item: FnItem;
  readonly rule: Attribute;
  readonly given: ReadonlyMap<string, CallArgument>;
  /** The default of a parameter that is left out. */
  defaultOf(name: string): Value | undefined;
  readonly span: Span;
}

interface Named {
  readonly name: string;
  readonly value: TensorValue;
}

function backwardOf(
  cx: Context,
  { module, item, rule: attribute, given, defaultOf }: RuledCall,
  inputs: readonly Named[],
  results: readonly Named[],
): Program {
  const wrong = (message: string, at: Span, text: string, notes: readonly string[] = []): never => {
    const labels = [{ span: at, text }];
    if (at !== attribute.span) labels.push({ span: attribute.span, text: `the rule of \`${item.name.text}\`` });
    throw new DiagnosticError(diagnostic("EIN1604", message, labels, { notes }));
  };
  const written = attribute.args[0];
  if (!written) return wrong("`@vjp` takes one function, the rule", attribute.span, "write `@vjp(rule)`");
  const rule = cx.evaluate(written, cx.moduleScope(module));
  if (rule.kind !== "function")
    return wrong("a derivative rule must be a function", written.span, `this is ${describe(rule)}`);
  const cotangents = results.flatMap((r) =>
    isFloat(r.value.dtype) ? [{ ...r, name: results.length === 1 ? "cotangent" : `cotangent_${r.name}` }] : [],
  );
  const known = [...inputs, ...results, ...cotangents];
  // Inside of its own rule the function is as it is written.
  cx.ruled.add(item);
  try {
    return cx.builder.innerProgram(
      item.name.text,
      known.map((k) => ({ ...k, name: canonical(k.name, results) })),
      (fresh) => {
        const args = rule.parameters.flatMap((p): CallArgument[] => {
          const at = known.findIndex((k) => k.name === p.name);
          const value = fresh[at] ?? given.get(p.name)?.value ?? defaultOf(p.name);
          if (value) return [{ name: p.name, value, span: rule.span }];
          if (p.optional) return [];
          return wrong(`the rule has a parameter \`${p.name}\` that nothing is given for`, rule.span, "this function", [
            `a rule takes ${known.map((k) => `\`${k.name}\``).join(", ")}, by name`,
          ]);
        });
        return gradientsOf(cx, attribute, rule, rule.call(args, attribute.span), inputs, wrong);
      },
    );
  } finally {
    cx.ruled.delete(item);
  }
}

/** A cotangent goes by its result's name in the program. */
function canonical(name: string, results: readonly Named[]): string {
  return name === "cotangent" ? `cotangent_${results[0]!.name}` : name;
}

function gradientsOf(
  cx: Context,
  attribute: Attribute,
  rule: FunctionValue,
  made: Value,
  inputs: readonly Named[],
  wrong: (message: string, at: Span, text: string, notes?: readonly string[]) => never,
): ReadonlyMap<string, TensorValue> {
  const wanted = inputs.filter((i) => isFloat(i.value.dtype));
  const by = `\`${wanted.map((w) => w.name).join("`, `")}\``;
  const only = wanted[0];
  if (made.kind !== "record" && wanted.length !== 1)
    return wrong("the rule must give a cotangent for each float parameter", rule.span, `this gives ${describe(made)}`, [
      `write { ${wanted.map((w) => `${w.name}: …`).join(", ")} }`,
    ]);
  const fields = made.kind === "record" ? made.fields : new Map([[only!.name, made]]);
  const extra = [...fields.keys()].find((k) => !wanted.some((w) => w.name === k));
  if (extra !== undefined)
    wrong(`the rule gives a cotangent of \`${extra}\`, which is no float parameter`, rule.span, `there are ${by}`);
  return new Map(
    wanted.map(({ name, value }) => {
      const g = fields.get(name);
      if (!g)
        return wrong(
          `the rule gives no cotangent of \`${name}\``,
          rule.span,
          `it gives ${[...fields.keys()].join(", ")}`,
        );
      const t = toTensor(g, rule.span, value.dtype);
      if (t.dtype !== value.dtype || t.shape.length !== value.shape.length)
        return wrong(
          `the cotangent of \`${name}\` must be ${describe(value)}, as \`${name}\` is`,
          rule.span,
          `this gives ${describe(t)}`,
        );
      for (const [i, e] of t.shape.entries())
        cx.builder.requireEqual(
          e,
          value.shape[i]!,
          rule.span,
          attribute.span,
          `axis ${i} of the cotangent of \`${name}\``,
        );
      return [`gradient_${name}`, t];
    }),
  );
}
