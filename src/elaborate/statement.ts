/** Blocks and their statements. A statement that fails is reported; what uses its names is then silent. */
import type { Block, IndexedDefinition, LetStatement, ScatterStatement, Statement } from "../../grammar/ast.ts";
import { DiagnosticError } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";
import type { Context, Want } from "./context.ts";
import { describe, fail } from "./convert.ts";
import { diagnosticOf } from "./errors.ts";
import { indexedDefinition } from "./index-notation.ts";
import { scatter } from "./scatter.ts";
import { declare, lookup, makeScope, type Scope, Silent } from "./scope.ts";
import { conform, wantOf } from "./types.ts";
import type { Value } from "./value.ts";

const NO_WANTS: ReadonlyMap<string, Want> = new Map();

export function block(cx: Context, b: Block, outer: Scope, want: Want | undefined): Value {
  const scope = makeScope(outer);
  const wants = wantsOf(b, want);
  let failed = false;
  for (const s of b.statements)
    if (
      !recoverable(
        cx,
        s.span,
        () => cx.statement(s, scope, wants),
        () => poison(s, scope),
      )
    )
      failed = true;
  if (b.result) return cx.evaluate(b.result, scope, want);
  const last = b.statements[b.statements.length - 1];
  if (last && last.kind !== "let") {
    const found = lookup(scope, last.target.text);
    if (found?.kind === "value") return found.value;
    throw new Silent();
  }
  if (failed) throw new Silent();
  return fail(
    "EIN1204",
    "a block must end with an expression",
    { ...b.span, start: Math.max(b.span.start, b.span.end - 1) },
    last ? "the last statement is a `let`" : "the block is empty",
  );
}

/** Which names of the block have the block's declared type: those that are its result, or a field of it. */
function wantsOf(b: Block, want: Want | undefined): ReadonlyMap<string, Want> {
  if (!want) return NO_WANTS;
  const result = b.result;
  if (!result) {
    const last = b.statements[b.statements.length - 1];
    return last && last.kind !== "let" ? new Map([[last.target.text, want]]) : NO_WANTS;
  }
  if (result.kind === "name") return new Map([[result.text, want]]);
  if (result.kind !== "record" || !want.fields) return NO_WANTS;
  const wants = new Map<string, Want>();
  for (const f of result.fields) {
    const w = want.fields.get(f.name.text);
    if (w && f.value.kind === "name") wants.set(f.value.text, w);
  }
  return wants;
}

/** False if it failed. Rethrows where the context does not recover. */
function recoverable(cx: Context, at: Span, run: () => void, onFailure: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    const d = diagnosticOf(error, at);
    if (d === undefined) throw error;
    if (!cx.recovering) throw d ? new DiagnosticError(d) : error;
    if (d) cx.diagnostics.push(d);
    onFailure();
    return false;
  }
}

function poison(s: Statement, scope: Scope): void {
  for (const { text, span } of namesOf(s)) scope.names.set(text, { kind: "failed", span });
}

function namesOf(s: Statement): readonly { readonly text: string; readonly span: Span }[] {
  if (s.kind !== "let") return [s.target];
  return s.pattern.kind === "name" ? [s.pattern.name] : s.pattern.names.map((n) => n.alias ?? n.field);
}

export function statement(cx: Context, s: Statement, scope: Scope, wants: ReadonlyMap<string, Want> = NO_WANTS): void {
  switch (s.kind) {
    case "let":
      letStatement(cx, s, scope, wants);
      return;
    case "indexed":
      indexed(cx, s, scope, wants);
      return;
    case "scatter":
      scattered(cx, s, scope, wants);
      return;
    default:
      s satisfies never;
  }
}

function letStatement(cx: Context, s: LetStatement, scope: Scope, wants: ReadonlyMap<string, Want>): void {
  const name = s.pattern.kind === "name" ? s.pattern.name.text : undefined;
  const want = s.type
    ? wantOf(cx, s.type, scope, name)
    : name === undefined
      ? undefined
      : (wants.get(name) ?? { span: s.span, name });
  let value = cx.evaluate(s.value, scope, want && { ...want, name });
  if (s.type)
    value = conform(cx, s.type, value, scope, { span: s.value.span, what: name ? `\`${name}\`` : "the value" });
  if (s.isConst && !isConstant(value))
    fail(
      "EIN1502",
      "the value of a `const` must be known when the kernel is made",
      s.value.span,
      `found ${describe(value)}`,
      { notes: ["use `let` for values that are computed"] },
    );
  if (s.pattern.kind === "name") {
    bind(cx, scope, s.pattern.name, value);
    return;
  }
  if (value.kind !== "record")
    fail("EIN1204", "only a record can be taken apart", s.value.span, `this is ${describe(value)}`);
  for (const { field, alias } of s.pattern.names) {
    const found = value.fields.get(field.text);
    if (!found) {
      const near = suggest(field.text, value.fields.keys());
      fail(
        "EIN1101",
        `the record has no field \`${field.text}\``,
        field.span,
        near ? `did you mean \`${near}\`?` : `it has ${[...value.fields.keys()].join(", ")}`,
      );
    }
    bind(cx, scope, alias ?? field, found);
  }
}

function isConstant(v: Value): boolean {
  if (v.kind === "list") return v.items.every(isConstant);
  return v.kind !== "tensor" && v.kind !== "record";
}

function bind(cx: Context, scope: Scope, name: { readonly text: string; readonly span: Span }, value: Value): void {
  declare(scope, name.text, { kind: "value", span: name.span, value: settled(cx, value, name) });
  cx.observer()?.binding(name, value);
}

/** Computed tensors get their definition where they get a name. */
function settled(cx: Context, value: Value, name: { readonly text: string; readonly span: Span }): Value {
  if (value.kind !== "tensor") return value;
  return cx.builder.relabel(cx.builder.settle(value, name.text), value.span, name.text);
}

function indexed(cx: Context, s: IndexedDefinition, scope: Scope, wants: ReadonlyMap<string, Want>): void {
  const want = s.type ? wantOf(cx, s.type, scope, s.target.text) : wants.get(s.target.text);
  let value = indexedDefinition(cx, s, scope, want);
  if (s.type) value = conform(cx, s.type, value, scope, { span: s.target.span, what: `\`${s.target.text}\`` });
  declare(scope, s.target.text, { kind: "value", span: s.target.span, value });
  cx.observer()?.binding(s.target, value);
}

function scattered(cx: Context, s: ScatterStatement, scope: Scope, wants: ReadonlyMap<string, Want>): void {
  const value = scatter(cx, s, scope, s.type ? wantOf(cx, s.type, scope, s.target.text) : wants.get(s.target.text));
  // Adding into a tensor makes a new one of the same name.
  scope.names.set(s.target.text, { kind: "value", span: s.target.span, value });
  cx.observer()?.binding(s.target, value);
}
