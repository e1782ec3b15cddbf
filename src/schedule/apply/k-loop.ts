/** The loop over K of a tile whose operands go through workgroup memory: in one buffer, or in two halves that take turns. */
import type { Extent } from "../../../ir/extent.ts";
import {
  type Buffer,
  barrier,
  iadd,
  idiv,
  ilt,
  imod,
  imul,
  isub,
  type KernelExpr,
  kapply,
  kint,
  ksize,
  kvar,
  load,
  loop,
  store,
  variable,
  when,
} from "../../../ir/kernel.ts";
import { type Builder, emit, inFrame, name } from "./builder.ts";

/** The steps of K that a workgroup takes: all, or those of its part where K is split. */
export function rangeOfK(
  b: Builder,
  s: { readonly tileK: number; readonly splitK: number },
  part: KernelExpr | undefined,
  total: Extent,
): { readonly from: KernelExpr; readonly to: KernelExpr } {
  const to = ksize(total);
  if (!part) return { from: kint(0), to };
  const steps = idiv(iadd(to, kint(s.tileK * s.splitK - 1)), kint(s.tileK * s.splitK));
  const chunk = name(b, "chunk", imul(steps, kint(s.tileK)));
  const from = name(b, "from", kapply("min", imul(part, chunk), to));
  return { from, to: name(b, "to", kapply("min", iadd(from, chunk), to)) };
}

/** What a staged operand has for the loop: each invocation's loads, and registers for those of the next tile. */
interface StagedOperand {
  readonly kept: Buffer | undefined;
  readonly loads: readonly unknown[];
}

export interface KLoop<S extends StagedOperand> {
  readonly from: KernelExpr;
  readonly to: KernelExpr;
  readonly tileK: number;
  /** 2: while one half is used, the next tile is evaluated and goes to the other. */
  readonly buffers: number;
  readonly staged: readonly S[];
  /** The extent of a half, in what offsets count. */
  readonly halfOf: (x: S) => number;
  readonly evaluate: (x: S, k: KernelExpr) => readonly KernelExpr[];
  readonly put: (x: S, values: readonly KernelExpr[], offset: KernelExpr) => void;
  /** The products of the tile at k; with two buffers the offset of each staged operand's half. */
  readonly use: (k: KernelExpr, halves: readonly KernelExpr[]) => void;
}

export function loopOverK<S extends StagedOperand>(b: Builder, o: KLoop<S>): void {
  const { from, to, tileK, staged, evaluate, put } = o;
  const k0 = variable("k");
  const at = kvar(k0);
  const fill = (k: KernelExpr, between: () => void): void => {
    const values = staged.map((x) => evaluate(x, k));
    between();
    for (const [i, x] of staged.entries()) put(x, values[i] ?? [], kint(0));
  };
  if (staged.length === 0 || o.buffers === 1) {
    const sync = (): void => {
      if (staged.length > 0) emit(b, barrier());
    };
    const statements = inFrame(b, true, () => {
      fill(at, sync);
      sync();
      o.use(at, []);
    });
    emit(b, loop(k0, to, statements, "loop", from, tileK));
    return;
  }
  const half = (k: KernelExpr, x: S): KernelExpr =>
    imul(imod(idiv(isub(k, from), kint(tileK)), kint(2)), kint(o.halfOf(x)));
  const first = inFrame(b, true, () => fill(from, () => undefined));
  emit(b, ...when(ilt(from, to), first), barrier());
  const statements = inFrame(b, true, () => {
    const next = name(b, "next", iadd(at, kint(tileK)));
    const more = name(b, "more", ilt(next, to));
    const ahead = inFrame(b, true, () => {
      for (const x of staged)
        evaluate(x, next).forEach((v, q) => {
          if (x.kept) emit(b, store(x.kept, kint(q), v));
        });
    });
    emit(b, ...when(more, ahead));
    o.use(
      at,
      staged.map((x) => name(b, "half", half(at, x))),
    );
    const over = inFrame(b, true, () => {
      for (const x of staged) {
        const { kept } = x;
        if (!kept) continue;
        const values = x.loads.map((_, q) => load(kept, kint(q)));
        put(x, values, half(next, x));
      }
    });
    emit(b, ...when(more, over), barrier());
  });
  emit(b, loop(k0, to, statements, "loop", from, tileK));
}
