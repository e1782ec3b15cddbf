/** Binding the arguments of a call to parameters: positional first, then named. */
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import type { BuiltinParameter, CallArgument, RecordValue, Value } from "./value.ts";

export interface BoundArguments {
  readonly byName: ReadonlyMap<string, CallArgument>;
  /** What a rest parameter takes. */
  readonly rest: readonly CallArgument[];
  /** Named arguments that name no parameter, where the function takes them. */
  readonly others: readonly CallArgument[];
}

/** What PyTorch calls parameters that have NumPy's names here. */
const TORCH_NAMES: ReadonlyMap<string, string> = new Map([
  ["dim", "axis"],
  ["dims", "axis"],
  ["keepdim", "keepdims"],
  ["input", "x"],
]);

/** Throws EIN1501. `declared` is where the function stands, if it is the user's. */
export function bindArguments(
  callee: string,
  parameters: readonly BuiltinParameter[],
  args: readonly CallArgument[],
  span: Span,
  declared?: Span,
): BoundArguments {
  const wrong = (
    message: string,
    at: Span,
    text: string,
    extra: { notes?: readonly string[]; near?: { from: Span; to: string } } = {},
  ): never => {
    const labels = [{ span: at, text }];
    if (declared) labels.push({ span: declared, text: `\`${callee}\` is declared here` });
    const notes = extra.notes ?? [
      `parameters: ${parameters.map((p) => (p.optional ? `${p.name}?` : p.name)).join(", ") || "none"}`,
    ];
    const fix = extra.near && {
      message: `write \`${extra.near.to}\``,
      edits: [{ span: extra.near.from, text: extra.near.to }],
    };
    throw new DiagnosticError(diagnostic("EIN1501", message, labels, { notes, ...(fix ? { fix } : {}) }));
  };
  const positional = parameters.filter((p) => !p.keyword && !p.rest && !p.restNamed);
  const restParameter = parameters.find((p) => p.rest);
  const restNamed = parameters.find((p) => p.restNamed);
  const byName = new Map<string, CallArgument>();
  const rest: CallArgument[] = [];
  const others: CallArgument[] = [];
  let next = 0;
  for (const a of args) {
    if (a.name !== undefined) continue;
    const p = positional[next++];
    if (p) byName.set(p.name, a);
    else if (restParameter) rest.push(a);
    else {
      const count = args.filter((x) => x.name === undefined).length;
      const most = positional.length;
      wrong(
        `\`${callee}\` takes ${most === 0 ? "no" : `at most ${most}`} positional argument${most === 1 ? "" : "s"}, but ${count} are given`,
        a.span,
        "one too many",
      );
    }
  }
  for (const a of args) {
    if (a.name === undefined) continue;
    const p = parameters.find((x) => x.name === a.name && !x.rest && !x.restNamed);
    if (!p && restNamed) others.push(a);
    else if (!p) {
      const names = parameters.map((x) => x.name);
      const usual = TORCH_NAMES.get(a.name);
      const near = usual !== undefined && names.includes(usual) ? usual : suggest(a.name, names);
      const at = {
        file: a.nameSpan?.file ?? a.span.file,
        start: a.nameSpan?.start ?? a.span.start,
        end: a.nameSpan?.end ?? a.span.end,
      };
      wrong(
        `\`${callee}\` has no parameter \`${a.name}\``,
        at,
        near ? `did you mean \`${near}\`?` : "unknown parameter",
        near && a.nameSpan ? { near: { from: a.nameSpan, to: near } } : {},
      );
    } else if (byName.has(p.name)) wrong(`\`${p.name}\` of \`${callee}\` is given twice`, a.span, "given again here");
    else byName.set(p.name, a);
  }
  const missing = parameters
    .filter((p) => !p.optional && !p.rest && !p.restNamed && !byName.has(p.name))
    .map((p) => `\`${p.name}\``);
  if (missing.length > 0)
    wrong(
      `\`${callee}\` needs ${missing.length === 1 ? "an argument" : "arguments"} for ${missing.join(", ")}`,
      span,
      "in this call",
    );
  return { byName, rest, others };
}

/** In the form that builtins take: a list for a rest parameter, a record for named ones. */
export function builtinArguments(
  parameters: readonly BuiltinParameter[],
  bound: BoundArguments,
  span: Span,
): Readonly<Record<string, Value | undefined>> {
  const args: Record<string, Value | undefined> = Object.create(null);
  for (const p of parameters) {
    if (p.rest) args[p.name] = { kind: "list", items: bound.rest.map((a) => a.value), span };
    else if (p.restNamed) {
      const fields: RecordValue["fields"] = new Map(bound.others.map((a) => [a.name ?? "", a.value]));
      args[p.name] = fields.size > 0 ? { kind: "record", fields, span } : undefined;
    } else args[p.name] = bound.byName.get(p.name)?.value;
  }
  return args;
}
