/**
 * Loops that stay loops. Mesa unrolls those of up to 32 rounds that are known when it compiles, and LLVM then makes some 2 KB of code of
 * each access to memory, in every round: that takes seconds and runs more slowly than the loop (llvmpipe: windows of 3×3 0.91 of the time,
 * scans of 24 elements 0.85, a sum of 16 partial results is compiled in 0.3 s instead of 6). Their last round is hidden in a name:
 *
 *     let end = 16 + i32(group.x >> 31u);
 *     for (var k: i32 = 0; k < end; k++) { … }
 *
 * No workgroup's number has its highest bit set. Loops of more rounds are left as they are.
 */
import { atom, binary, call, type LegalExpr, type LegalKernel, type LegalStatement, member, seal } from "./legal.ts";

const MOST_ROUNDS = 32;
/** Accesses in all rounds: fewer are as well unrolled. */
const FEW_ACCESSES = 4;

export function rolled(kernel: LegalKernel): LegalKernel {
  const group = kernel.builtins.find((b) => b.builtin === "workgroup_id")?.name;
  if (group === undefined) return kernel;
  const memory = new Set(kernel.storage.map((b) => b.name));
  const taken = new Set([
    ...memory,
    ...kernel.workgroup.map((b) => b.name),
    ...kernel.builtins.map((b) => b.name),
    kernel.name,
    kernel.sizesName,
  ]);
  declared(kernel.body, taken);
  let count = 0;
  const fresh = (): string => {
    do count++;
    while (taken.has(`end${count}`));
    return `end${count}`;
  };
  const block = (body: readonly LegalStatement[]): LegalStatement[] =>
    body.flatMap((s): LegalStatement[] => {
      if (s.kind === "if") return [{ ...s, body: block(s.body), otherwise: block(s.otherwise) }];
      if (s.kind !== "for") return [s];
      if (!wouldUnroll(s, memory)) return [{ ...s, body: block(s.body) }];
      const end = fresh();
      const hidden = call("i32", binary(">>", member(atom(group), "x"), atom("31u")));
      return [
        { kind: "let", name: end, value: binary("+", s.to, hidden) },
        { ...s, to: atom(end) },
      ];
    });
  return seal({ ...kernel, body: block(kernel.body) });
}

type Loop = Extract<LegalStatement, { readonly kind: "for" }>;

function wouldUnroll(s: Loop, memory: ReadonlySet<string>): boolean {
  const [from, to] = [literal(s.from), literal(s.to)];
  if (from === undefined || to === undefined) return false;
  const rounds = Math.ceil((to - from) / s.step);
  if (rounds < 2 || rounds > MOST_ROUNDS) return false;
  let accesses = 0;
  const expression = (e: LegalExpr): void => {
    if (e.kind === "atom") return;
    if (e.kind === "index") {
      if (memory.has(e.base)) accesses++;
      expression(e.index);
    } else if (e.kind === "call") e.args.forEach(expression);
    else if (e.kind === "binary") {
      expression(e.left);
      expression(e.right);
    } else expression(e.value);
  };
  const innermost = (body: readonly LegalStatement[]): boolean =>
    body.every((x) => {
      if (x.kind === "for") return false;
      if (x.kind === "if") {
        expression(x.condition);
        return innermost(x.body) && innermost(x.otherwise);
      }
      if (x.kind === "assign") expression(x.target);
      if (x.kind !== "break" && x.value) expression(x.value);
      return true;
    });
  return innermost(s.body) && accesses * rounds > FEW_ACCESSES;
}

function literal(e: LegalExpr): number | undefined {
  return e.kind === "atom" && /^\d+$/.test(e.text) ? Number(e.text) : undefined;
}

function declared(body: readonly LegalStatement[], names: Set<string>): void {
  for (const s of body) {
    if (s.kind === "let" || s.kind === "var" || s.kind === "for") names.add(s.name);
    if (s.kind === "for" || s.kind === "if") declared(s.body, names);
    if (s.kind === "if") declared(s.otherwise, names);
  }
}
