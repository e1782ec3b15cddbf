/**
 * First step of legalising: unrolled loops are written out, elements of private buffers become cells (mutable variables), and
 * expressions become a graph of values. Statements keep their order.
 */

import { roundTo } from "../ir/float.ts";
import type {
  BarrierStatement,
  Buffer,
  Kernel,
  KernelExpr,
  MatrixPlace,
  MatrixStatement,
  Statement,
  Variable,
} from "../ir/kernel.ts";
import type { KProduct } from "../ir/products-kernel.ts";
import type { VerifiedKernel } from "../ir/verify-kernel.ts";
import { allStatements, exprChildren, launchOf } from "../ir/visit-kernel.ts";
import { columnOf } from "../ir/wide-kernel.ts";
import { type Dependency, Effects, OTHERS } from "./effects.ts";
import type { Flat, FlatMatrix, FlatPlace } from "./flat.ts";
import { foldApply, uniformConstant } from "./fold.ts";
import type { Interval } from "./range.ts";
import { type Cell, type NameValue, type Value, ValueStore } from "./value.ts";

export interface Expanded {
  readonly store: ValueStore;
  readonly body: readonly Flat[];
  /** Workgroup ids and local ids along x, y, z, where the kernel has such loops. */
  readonly grid: readonly (NameValue | undefined)[];
  readonly thread: readonly (NameValue | undefined)[];
}

type Key = Buffer | Cell;

/** Calls of `value` within each other; what lies deeper takes a list. */
const NESTED = 200;

function isLeafExpr(e: KernelExpr): boolean {
  return e.kind === "const" || e.kind === "size" || e.kind === "var";
}

class Expander {
  readonly store = new ValueStore();
  readonly environment = new Map<Variable, Value>();
  readonly cells = new Map<Buffer, Map<number, Cell>>();
  /** Versions of what can change; absent is version 0. */
  private versions = new Map<Key, number>();
  private nextVersion = 1;
  private readonly effects = new Effects();
  /** Goes on with every change; `changed` says when a variable or a buffer last got another value. */
  private clock = 0;
  private readonly changed = new Map<Dependency, number>();
  /** The values of expressions, each with the time up to which it is known to be good: until something that it reads changes. */
  private readonly memo = new Map<KernelExpr, { readonly value: Value; at: number }>();
  private nested = 0;

  private known(e: KernelExpr): Value | undefined {
    const found = this.memo.get(e);
    if (!found) return undefined;
    if (found.at !== this.clock) {
      for (const d of this.effects.readBy(e)) if ((this.changed.get(d) ?? 0) > found.at) return undefined;
      found.at = this.clock;
    }
    return found.value;
  }

  private touch(key: Key, buffer: Buffer): void {
    this.versions.set(key, this.nextVersion++);
    this.change(buffer);
  }
  private bindVariable(v: Variable, value: Value): void {
    this.environment.set(v, value);
    this.change(v);
  }
  private change(what: Dependency): void {
    this.changed.set(what, ++this.clock);
    this.changed.set(OTHERS, this.clock);
  }

  cellOf(b: Buffer, at: number): Cell {
    const size = b.size.value ?? 0;
    if (!Number.isInteger(at) || at < 0 || at >= size)
      throw new RangeError(`element ${at} of private buffer ${b.name}, which has ${size}`);
    let of = this.cells.get(b);
    if (!of) {
      of = new Map();
      this.cells.set(b, of);
    }
    const old = of.get(at);
    if (old) return old;
    const made: Cell = { hint: size === 1 ? b.name : `${b.name}_${at}`, dtype: b.dtype, lanes: b.lanes };
    of.set(at, made);
    return made;
  }

  private indexOf(b: Buffer, index: KernelExpr): number {
    const at = uniformConstant(this.value(index));
    if (at === undefined) throw new RangeError(`an index of private buffer ${b.name} is not constant`);
    return at;
  }

  value(e: KernelExpr): Value {
    // Cheaper made than looked up.
    if (isLeafExpr(e)) return this.build(e);
    const ready = this.known(e);
    if (ready) return ready;
    if (this.nested >= NESTED) this.childrenFirst(e);
    this.nested++;
    const made = this.build(e);
    this.nested--;
    this.memo.set(e, { value: made, at: this.clock });
    return made;
  }

  /** Values of all that is in it, by a list of our own: expressions may be deeper than the stack. */
  private childrenFirst(e: KernelExpr): void {
    const open = [e];
    for (let x = open.at(-1); x; x = open.at(-1)) {
      const before = open.length;
      for (const c of exprChildren(x)) if (!isLeafExpr(c) && !this.known(c)) open.push(c);
      if (open.length > before) continue;
      if (x !== e && !this.known(x)) this.memo.set(x, { value: this.build(x), at: this.clock });
      open.pop();
    }
  }

  private build(e: KernelExpr): Value {
    const s = this.store;
    switch (e.kind) {
      case "const":
        return s.constant(e.dtype, roundTo(e.dtype, e.value));
      case "size":
        return s.size(e.extent);
      case "var": {
        const v = this.environment.get(e.variable);
        if (!v) throw new RangeError(`variable ${e.variable.name} is not bound`);
        return v;
      }
      case "apply":
        return foldApply(
          s,
          e.prim,
          e.args.map((a) => this.value(a)),
          e.dtype,
          e.lanes,
        );
      case "load": {
        if (e.buffer.space === "private") {
          const cell = this.cellOf(e.buffer, this.indexOf(e.buffer, e.index));
          return s.cell(cell, this.versions.get(cell) ?? 0);
        }
        const part = e.buffer.wide && columnOf(e.buffer, e.index);
        if (part) return s.column(s.load(e.buffer, this.value(part.group), 0), part.column);
        return s.load(e.buffer, this.value(e.index), this.versions.get(e.buffer) ?? 0);
      }
      case "subgroup":
        return s.subgroup(e.op, e.value && this.value(e.value), e.lane, e.from && this.value(e.from), e.dtype, e.lanes);
      case "splat":
        return s.splat(this.value(e.value), e.lanes);
      case "vector":
        return s.vector(e.args.map((a) => this.value(a)));
      case "dot":
      case "matvec":
        return this.product(e);
      case "extract":
        return s.extract(this.value(e.value), e.lane);
      default:
        return e satisfies never;
    }
  }

  private product(e: KProduct): Value {
    if (e.kind === "dot") return this.store.dot(this.value(e.left), this.value(e.right));
    return this.store.matvec(
      e.columns.map((c) => this.value(c)),
      this.value(e.vector),
    );
  }

  /** Everything that a block may change gets a new version: before a loop's body, and after any block. */
  private touchAll(body: readonly Statement[]): void {
    const { buffers, barriers } = this.effects.writtenBy(body);
    for (const b of buffers) {
      if (b.space !== "private") this.touch(b, b);
      else for (const cell of this.cells.get(b)?.values() ?? []) this.touch(cell, b);
    }
    for (const scope of barriers) this.touchShared(scope);
  }
  private shared: readonly Buffer[] = [];
  private touchShared(scope: BarrierStatement["scope"]): void {
    for (const b of this.shared)
      if (scope === "workgroup" ? b.space === "workgroup" : b.space === "storage") this.touch(b, b);
  }

  block(body: readonly Statement[], level: number): Flat[] {
    const out: Flat[] = [];
    body.forEach((s, i) => {
      this.statement(s, level, out, () => body.slice(i + 1));
    });
    return out;
  }

  private statement(s: Statement, level: number, out: Flat[], following: () => readonly Statement[]): void {
    const store = this.store;
    switch (s.kind) {
      case "let": {
        const value = this.value(s.value);
        // A cell that keeps its value as long as the variable lives stands for it.
        const steady = value.kind === "cell" && s.value.kind === "load" && !assigns(following(), s.value.buffer);
        if (isLeaf(value) || steady) this.bindVariable(s.variable, value);
        else if (value.pinned) {
          // Other expressions that use it may move up to here, but it stays.
          const name = store.name(s.variable.name, value.dtype, value.lanes, level, value.range);
          out.push({ kind: "bind", name, value });
          this.bindVariable(s.variable, name);
        } else {
          out.push({ kind: "force", value, hint: s.variable.name });
          this.bindVariable(s.variable, value);
        }
        return;
      }
      case "store": {
        if (s.buffer.space === "private") {
          const cell = this.cellOf(s.buffer, this.indexOf(s.buffer, s.index));
          out.push({ kind: "assign", cell, value: this.value(s.value) });
          this.touch(cell, s.buffer);
          return;
        }
        out.push({ kind: "store", buffer: s.buffer, index: this.value(s.index), value: this.value(s.value) });
        this.touch(s.buffer, s.buffer);
        return;
      }
      case "atomic": {
        const name = s.bind && store.name(s.bind.name, s.bind.dtype, s.bind.lanes, level);
        out.push({
          kind: "atomic",
          op: s.op,
          buffer: s.buffer,
          index: this.value(s.index),
          value: this.value(s.value),
          name,
        });
        this.touch(s.buffer, s.buffer);
        if (s.bind && name) this.bindVariable(s.bind, name);
        return;
      }
      case "barrier":
        out.push({ kind: "barrier", scope: s.scope });
        this.touchShared(s.scope);
        return;
      case "matrix":
        out.push(this.matrix(s));
        if (s.op === "store") this.touch(s.buffer, s.buffer);
        return;
      case "if": {
        const condition = this.value(s.condition);
        const known = uniformConstant(condition);
        if (known !== undefined) {
          out.push(...this.block(known ? s.then : s.otherwise, level));
          return;
        }
        const before = new Map(this.versions);
        const body = this.block(s.then, level + 1);
        this.versions = before;
        this.memo.clear();
        const otherwise = this.block(s.otherwise, level + 1);
        this.touchAll(s.then);
        this.touchAll(s.otherwise);
        if (body.length > 0 || otherwise.length > 0) out.push({ kind: "if", condition, body, otherwise });
        return;
      }
      case "for": {
        const [from, to] = [this.value(s.from), this.value(s.to)];
        const [first, end] = [uniformConstant(from), uniformConstant(to)];
        if (s.bind === "unroll") {
          if (first === undefined || end === undefined)
            throw new RangeError(`loop ${s.variable.name} @unroll has no constant bounds`);
          for (let i = first; i < end; i += s.step) {
            this.bindVariable(s.variable, store.constant("i32", i));
            out.push(...this.block(s.body, level));
          }
          return;
        }
        if (from.range[0] >= to.range[1]) return;
        this.prepare(s.body);
        const range: Interval = [from.range[0], Math.max(from.range[0], to.range[1] - 1)];
        const name = store.name(s.variable.name, "i32", 1, level + 1, range);
        this.touchAll(s.body);
        this.bindVariable(s.variable, name);
        const body = this.block(s.body, level + 1);
        this.touchAll(s.body);
        if (body.length > 0) out.push({ kind: "loop", name, from, to, step: s.step, body });
        return;
      }
      case "while": {
        this.prepare(s.body);
        this.touchAll(s.body);
        const counter = store.name("turn", "i32", 1, level + 1);
        const condition = this.value(s.condition);
        const body = this.block(s.body, level + 1);
        this.touchAll(s.body);
        out.push({ kind: "while", counter, condition, max: store.size(s.max), body });
        return;
      }
      default:
        s satisfies never;
    }
  }

  private matrix(s: MatrixStatement): FlatMatrix {
    const placeOf = (p: MatrixPlace): FlatPlace => {
      const index = uniformConstant(this.value(p.index));
      if (index === undefined || index < 0 || index >= p.matrices.count)
        throw new RangeError(`element ${index} of matrices ${p.matrices.name}, of which there are ${p.matrices.count}`);
      return { matrices: p.matrices, index };
    };
    const place = placeOf(s.place);
    switch (s.op) {
      case "fill":
        return { kind: "matrix", op: s.op, place, value: s.value };
      case "load":
      case "store": {
        const { op, buffer, order } = s;
        return { kind: "matrix", op, place, buffer, offset: this.value(s.offset), stride: this.value(s.stride), order };
      }
      case "multiply":
        return { kind: "matrix", op: s.op, place, left: placeOf(s.left), right: placeOf(s.right) };
      default:
        return s satisfies never;
    }
  }

  /** Makes the cells of the private buffers that a loop stores to, so that they can be touched before its body is expanded. */
  private prepare(body: readonly Statement[]): void {
    for (const b of this.effects.writtenBy(body).buffers)
      if (b.space === "private") for (let i = 0; i < (b.size.value ?? 0); i++) this.cellOf(b, i);
  }

  run(kernel: Kernel): Expanded {
    this.shared = kernel.buffers.filter(
      (b) => b.space === "workgroup" || (b.space === "storage" && b.access !== "read"),
    );
    const launch = launchOf(kernel);
    const bound = launch.grid.map((s) => {
      if (!s) return undefined;
      const to = this.value(s.to);
      const name = this.store.name(s.variable.name, "i32", 1, 0, [0, Math.max(0, to.range[1] - 1)]);
      this.bindVariable(s.variable, name);
      return name;
    });
    const threads = launch.thread.map((s) => {
      if (s?.to.kind !== "const") return undefined;
      if (s.to.value === 1) {
        this.bindVariable(s.variable, this.store.constant("i32", 0));
        return undefined;
      }
      const name = this.store.name(s.variable.name, "i32", 1, 0, [0, s.to.value - 1]);
      this.bindVariable(s.variable, name);
      return name;
    });
    const body = this.block(launch.body, 0);
    return { store: this.store, body, grid: bound, thread: threads };
  }
}

function assigns(body: readonly Statement[], b: Buffer): boolean {
  for (const s of allStatements(body)) if (s.kind === "store" && s.buffer === b) return true;
  return false;
}

export function isLeaf(v: Value): boolean {
  return (
    v.kind === "const" ||
    v.kind === "size" ||
    v.kind === "name" ||
    ((v.kind === "splat" || v.kind === "extract") && isLeaf(v.value))
  );
}

export function expandKernel(kernel: VerifiedKernel): Expanded {
  return new Expander().run(kernel);
}
