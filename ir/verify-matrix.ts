/** What the verifier of kernels asks of subgroup matrices (ir/verify-kernel.ts, 7). */
import type { Kernel, KernelExpr, Matrices, MatrixPlace, MatrixStatement } from "./kernel.ts";
import { launchOf, matrixPlaces, workgroupSizeOf } from "./visit-kernel.ts";

/** Rows and columns that some device's matrices have. */
const MOST_ROWS = 256;
/** Matrices of one declaration. */
const MOST_COUNT = 64;

const whole = (n: number, most: number): boolean => Number.isInteger(n) && n >= 1 && n <= most;

/** What is wrong with the matrices that a kernel declares. */
export function declarationProblems(kernel: Kernel): readonly string[] {
  const out: string[] = [];
  const { matrices } = kernel;
  if (!matrices) return out;
  if (new Set(matrices).size !== matrices.length) out.push("matrices are declared twice");
  for (const m of matrices) {
    if (m.dtype !== "f32" && m.dtype !== "f16") out.push(`matrices ${m.name} of ${m.dtype}`);
    if (!whole(m.rows, MOST_ROWS) || !whole(m.columns, MOST_ROWS))
      out.push(`matrices ${m.name} are ${m.rows}×${m.columns}`);
    if (!whole(m.count, MOST_COUNT)) out.push(`${m.count} matrices ${m.name}`);
  }
  const [, y, z] = workgroupSizeOf(launchOf(kernel));
  if (y * z > 1) out.push("matrices in a workgroup that has more than one row of invocations");
  return out;
}

/** What is wrong with a statement, the types of its expressions apart. `known` says whether an expression is a constant once unrolled. */
export function matrixProblems(
  s: MatrixStatement,
  declared: ReadonlySet<Matrices>,
  known: (e: KernelExpr) => boolean,
): readonly string[] {
  const out: string[] = [];
  const check = (p: MatrixPlace): void => {
    const { matrices: m, index } = p;
    if (!declared.has(m)) out.push(`matrices ${m.name} are not declared`);
    if (!known(index)) out.push(`an index of matrices ${m.name} is not constant after unrolling`);
    if (index.kind === "const" && !(index.value >= 0 && index.value < m.count))
      out.push(`index ${index.value} is outside ${m.name}`);
  };
  for (const p of matrixPlaces(s)) check(p);
  const m = s.place.matrices;
  switch (s.op) {
    case "fill":
      if (!Number.isFinite(s.value)) out.push(`matrices ${m.name} filled with ${s.value}`);
      return out;
    case "load":
    case "store": {
      const b = s.buffer;
      if (b.space === "private" || b.atomic || b.lanes !== 1 || b.dtype !== m.dtype)
        out.push(`matrix.${s.op} of ${m.dtype} in ${b.name}, which is ${b.space} of ${b.dtype}x${b.lanes}`);
      if (s.op === "load" && b.access === "write") out.push(`a load from ${b.name}, which is only written`);
      if (s.op === "store" && b.access === "read") out.push(`a store to ${b.name}, which is only read`);
      const least = s.order === "row" ? m.columns : m.rows;
      if (s.stride.kind === "const" && s.stride.value < least)
        out.push(`matrix.${s.op} with stride ${s.stride.value} below ${least}`);
      return out;
    }
    case "multiply": {
      const [l, r] = [s.left.matrices, s.right.matrices];
      if (m.use !== "result" || l.use !== "left" || r.use !== "right")
        out.push(`matrix.multiply adds ${l.use} · ${r.use} to ${m.use}`);
      if (l.columns !== r.rows || m.rows !== l.rows || m.columns !== r.columns)
        out.push(`matrix.multiply of ${l.rows}×${l.columns} and ${r.rows}×${r.columns} into ${m.rows}×${m.columns}`);
      if (l.dtype !== r.dtype) out.push(`matrix.multiply of ${l.dtype} and ${r.dtype}`);
      return out;
    }
    default:
      return s satisfies never;
  }
}
