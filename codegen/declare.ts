/**
 * Variables are declared where they are first set: `var x: f32;` and, further down in the same block, `x = 0.0;` become one statement
 * there. A kernel with many registers is shorter by a line for each.
 */
import { type LegalExpr, type LegalKernel, type LegalStatement, seal } from "./legal.ts";

export function declareLate(kernel: LegalKernel): LegalKernel {
  return seal({ ...kernel, body: block(kernel.body) });
}

type Declaration = Extract<LegalStatement, { readonly kind: "var" }>;

function block(body: readonly LegalStatement[]): readonly LegalStatement[] {
  /** Declared without a value, and not met since. */
  const open = new Map<string, Declaration>();
  const gone = new Set<LegalStatement>();
  const met = (name: string): void => {
    open.delete(name);
  };
  const out = body.map((s): LegalStatement => {
    if (s.kind === "var" && s.value === undefined) {
      open.set(s.name, s);
      return s;
    }
    if (s.kind === "assign" && s.op === "" && s.target.kind === "atom") {
      names(s.value, met);
      const declared = open.get(s.target.text);
      if (!declared) return s;
      open.delete(declared.name);
      gone.add(declared);
      return { ...declared, value: s.value };
    }
    if (open.size > 0) namesOf(s, met);
    if (s.kind === "if") return { ...s, body: block(s.body), otherwise: block(s.otherwise) };
    return s.kind === "for" ? { ...s, body: block(s.body) } : s;
  });
  return gone.size === 0 ? out : out.filter((s) => !gone.has(s));
}

/** Every name that a statement and those in it mention. */
function namesOf(s: LegalStatement, met: (name: string) => void): void {
  switch (s.kind) {
    case "let":
    case "call":
      names(s.value, met);
      break;
    case "var":
      if (s.value) names(s.value, met);
      break;
    case "assign":
      names(s.target, met);
      names(s.value, met);
      break;
    case "if":
      names(s.condition, met);
      for (const inner of [...s.body, ...s.otherwise]) namesOf(inner, met);
      break;
    case "for":
      names(s.from, met);
      names(s.to, met);
      for (const inner of s.body) namesOf(inner, met);
      break;
    case "break":
      break;
    default:
      s satisfies never;
  }
}

function names(e: LegalExpr, met: (name: string) => void): void {
  switch (e.kind) {
    case "atom":
      met(e.text);
      break;
    case "call":
      for (const a of e.args) names(a, met);
      break;
    case "index":
      met(e.base);
      names(e.index, met);
      break;
    case "member":
    case "unary":
      names(e.value, met);
      break;
    case "binary":
      names(e.left, met);
      names(e.right, met);
      break;
    default:
      e satisfies never;
  }
}
