/** Names and what they stand for. Scopes are chains of maps: names such as `__proto__` are plain names. */
import { DiagnosticError, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { Extent } from "../../ir/extent.ts";
import type { TensorExpr } from "../../ir/tensor.ts";
import type { Value } from "./value.ts";

/** A variable of index notation. */
export interface IndexVariable {
  readonly name: string;
  /** Its value: the axis, plus where the range starts. */
  readonly expr: TensorExpr;
  /** How many values it takes; undefined while ranges are being looked for. */
  readonly extent: Extent | undefined;
  /** What gave it its range: another plain use must agree. Undefined for `k in a..b`, which may be narrower. */
  readonly fixedBy: { readonly span: Span; readonly text: string } | undefined;
}

export type Binding =
  | { readonly kind: "value"; readonly value: Value; readonly span: Span }
  | { readonly kind: "index"; readonly index: IndexVariable; readonly span: Span }
  /** Evaluated when it is first used: items of modules. */
  | { readonly kind: "lazy"; readonly evaluate: () => Value; readonly span: Span }
  /** Its definition failed and was reported: whatever uses it is silent. */
  | { readonly kind: "failed"; readonly span: Span };

export interface Scope {
  readonly parent: Scope | undefined;
  readonly names: Map<string, Binding>;
  /** What `...` stands for in this function's types; undefined until an argument fixes it. */
  lead: { readonly shape: readonly Extent[]; readonly span: Span } | undefined;
  /** Set on the scope of a function's parameters: types look for `...` there. */
  readonly isFunction: boolean;
  /** Of a module: its names, of which `names` has those that were looked up. */
  readonly module: ModuleNames | undefined;
}

/** The names of a module. A large one is not gone through for each of its functions. */
export interface ModuleNames {
  binding(name: string): Binding | undefined;
  all(): Iterable<string>;
}

export function makeScope(parent: Scope | undefined, isFunction = false): Scope {
  return { parent, names: new Map(), lead: undefined, isFunction, module: undefined };
}

export function makeModuleScope(module: ModuleNames): Scope {
  return { parent: undefined, names: new Map(), lead: undefined, isFunction: false, module };
}

export function lookup(scope: Scope, name: string): Binding | undefined {
  for (let s: Scope | undefined = scope; s; s = s.parent) {
    const found = s.names.get(name);
    if (found) return found;
    const made = s.module?.binding(name);
    if (!made) continue;
    s.names.set(name, made);
    return made;
  }
  return undefined;
}

/** Throws EIN1102 if the scope itself (not a surrounding one) has the name already. */
export function declare(scope: Scope, name: string, binding: Binding): void {
  const old = scope.names.get(name) ?? scope.module?.binding(name);
  if (old)
    throw new DiagnosticError(
      diagnostic("EIN1102", `\`${name}\` is declared twice in this scope`, [
        { span: binding.span, text: "declared again here" },
        { span: old.span, text: "first declared here" },
      ]),
    );
  scope.names.set(name, binding);
}

export function functionScope(scope: Scope): Scope | undefined {
  for (let s: Scope | undefined = scope; s; s = s.parent) if (s.isFunction) return s;
  return undefined;
}

export function namesIn(scope: Scope): readonly string[] {
  const all = new Set<string>();
  for (let s: Scope | undefined = scope; s; s = s.parent) {
    for (const n of s.names.keys()) all.add(n);
    for (const n of s.module?.all() ?? []) all.add(n);
  }
  return [...all];
}

/** Thrown by what depends on a definition that failed already: caught at the statement, says nothing. */
export class Silent extends Error {
  constructor() {
    super("an error was reported already");
    this.name = "Silent";
  }
}
