/**
 * Subgroup matrices in the kernel interpreter: their values, once a subgroup, and what a subgroup does with them. Which invocation touches
 * which element of memory is not known, so each operation counts as an invocation of its own where races are looked for: only a
 * barrier orders it with what the subgroup's invocations do themselves, and with the subgroup's other matrices.
 */
import type { DType } from "./dtype.ts";
import type { Mode } from "./evaluate.ts";
import { roundTo } from "./float.ts";
import type { Buffer, Matrices, MatrixPlace, MatrixStatement } from "./kernel.ts";
import type { Invocation, KernelProblemKind, Memory } from "./memory-kernel.ts";
import { matrixPlaces } from "./visit-kernel.ts";

type Report = (kind: KernelProblemKind, buffer: Buffer | undefined, index: number | undefined, text: string) => void;

/** Rows of a matrix in memory (columns, in order of columns) begin on multiples of this, or of their own length if they are shorter. */
const ALIGNED_BYTES = 16;

/** The first id of an operation; below what the tracker means by several readers. */
const FIRST_ID = -2;

export class MatrixMemory {
  private readonly mode: Mode;
  private readonly memories: ReadonlyMap<Buffer, Memory>;
  private readonly report: Report;
  /** Elements in rows, by subgroup, matrices and index; what is not here has not been written. */
  private readonly values = new Map<string, Float64Array>();
  private readonly numbers = new Map<Matrices, number>();
  private nextId = FIRST_ID;

  constructor(mode: Mode, memories: ReadonlyMap<Buffer, Memory>, report: Report) {
    this.mode = mode;
    this.memories = memories;
    this.report = report;
  }

  /** A workgroup begins: all matrices are uninitialised. */
  begin(): void {
    this.values.clear();
  }

  /** Runs a statement for a subgroup whose invocations have all reached it, its operands in their registers from `operand` on. */
  run(s: MatrixStatement, operand: number, subgroup: readonly Invocation[]): void {
    const first = subgroup[0];
    if (!first) return;
    const places = matrixPlaces(s).length;
    const operands = first.registers.slice(operand, operand + places + (s.op === "load" || s.op === "store" ? 2 : 0));
    if (subgroup.some((v) => operands.some((x, i) => v.registers[operand + i] !== x))) {
      this.report("non-uniform", undefined, undefined, `an operand of matrix.${s.op} differs within a subgroup`);
      return;
    }
    const keyOf = (p: MatrixPlace, at: number): string =>
      `${first.subgroup} ${this.numberOf(p.matrices)} ${operands[at]}`;
    const read = (p: MatrixPlace, at: number): Float64Array => {
      const found = this.values.get(keyOf(p, at));
      if (!found)
        this.report(
          "uninitialised",
          undefined,
          undefined,
          `${p.matrices.name}[${operands[at]}] is used before it was set`,
        );
      return found ?? this.zero(p.matrices);
    };
    const own = s.place.matrices;
    switch (s.op) {
      case "fill":
        this.values.set(keyOf(s.place, 0), this.zero(own).fill(this.rounded(own, s.value)));
        return;
      case "load":
      case "store": {
        const values = s.op === "store" ? read(s.place, 0) : this.zero(own);
        this.transfer(s, values, operands[1] ?? 0, operands[2] ?? 0);
        if (s.op === "load") this.values.set(keyOf(s.place, 0), values);
        return;
      }
      case "multiply": {
        const [sum, left, right] = [read(s.place, 0), read(s.left, 1), read(s.right, 2)];
        this.multiply(own, sum, left, right, s.left.matrices.columns);
        return;
      }
      default:
        s satisfies never;
    }
  }

  private numberOf(m: Matrices): number {
    const old = this.numbers.get(m);
    if (old !== undefined) return old;
    this.numbers.set(m, this.numbers.size);
    return this.numbers.size - 1;
  }
  private zero(m: Matrices): Float64Array {
    return new Float64Array(m.rows * m.columns);
  }
  private rounded(m: Matrices, value: number): number {
    return this.mode === "rounded" ? roundTo(m.dtype, value) : value;
  }

  /** Between a matrix and memory, each element checked as an access by an invocation that nobody else is. */
  private transfer(
    s: Extract<MatrixStatement, { op: "load" | "store" }>,
    values: Float64Array,
    offset: number,
    stride: number,
  ): void {
    const memory = this.memories.get(s.buffer);
    if (!memory) throw new RangeError(`buffer ${s.buffer.name} is not bound`);
    const { cells, size, tracker, written } = memory;
    const { rows, columns } = s.place.matrices;
    const shared = s.buffer.space === "workgroup";
    const id = this.nextId--;
    const unit = Math.min(s.order === "row" ? columns : rows, ALIGNED_BYTES / (s.buffer.dtype === "f16" ? 2 : 4));
    if (offset % unit !== 0 || stride % unit !== 0)
      this.report("misaligned", s.buffer, offset, `matrix.${s.op} by ${stride}, which are no multiples of ${unit}`);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const at = s.order === "row" ? offset + r * stride + c : offset + c * stride + r;
        if (at < 0 || at >= size) {
          this.report("out-of-bounds", s.buffer, at, `matrix.${s.op}`);
          continue;
        }
        if (s.op === "load") {
          if (shared ? !tracker?.writtenHere(at) : written?.[at] === 0)
            this.report("uninitialised", s.buffer, at, "read before it was written");
          tracker?.read(at, id);
          values[r * columns + c] = cells[at]!;
        } else {
          tracker?.write(at, id);
          if (written) written[at] = 1;
          cells[at] = values[r * columns + c]!;
        }
      }
  }

  /** sum += left · right, one product after the other, each and each sum rounded to the result's type. */
  private multiply(m: Matrices, sum: Float64Array, left: Float64Array, right: Float64Array, inner: number): void {
    const { rows, columns } = m;
    const round = this.mode === "rounded" ? rounding(m.dtype) : (x: number) => x;
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        let x = sum[r * columns + c]!;
        for (let k = 0; k < inner; k++) x = round(x + round(left[r * inner + k]! * right[k * columns + c]!));
        sum[r * columns + c] = x;
      }
  }
}

function rounding(dtype: DType): (x: number) => number {
  return dtype === "f32" ? Math.fround : (x) => roundTo(dtype, x);
}
