/**
 * Random kernels of integers and bool: loops, branches, unrolled loops over private arrays, workgroup memory, shared
 * subexpressions. The device must agree with the kernel interpreter bit for bit.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { legalise } from "../../codegen/legalise.ts";
import { printWgsl } from "../../codegen/wgsl.ts";
import { size } from "../../ir/extent.ts";
import { interpretKernel } from "../../ir/interpret-kernel.ts";
import {
  type Buffer,
  barrier,
  type Kernel,
  type KernelExpr,
  kapplyTyped,
  kconst,
  kint,
  kvar,
  letVar,
  load,
  loop,
  privateBuffer,
  type Statement,
  storageBuffer,
  store,
  type Variable,
  variable,
  workgroupBuffer,
} from "../../ir/kernel.ts";
import { printKernel } from "../../ir/print-kernel.ts";
import { verifyKernel } from "../../ir/verify-kernel.ts";
import type { Device } from "../../runtime/index.ts";
import { randomFrom } from "../kernel/samples.ts";
import { bytesOf, openSoftware, runDispatch } from "./device.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
let device: Device;
beforeAll(async () => {
  device = await openSoftware();
});
afterAll(() => device.close());

const THREADS = 8;
const GROUPS = 3;

/** Makes one kernel. Everything it writes, it writes where no other invocation reads without a barrier between. */
class Maker {
  readonly random: () => number;
  readonly x: Buffer = storageBuffer("x", "read", "i32", size(THREADS * GROUPS));
  readonly y: Buffer = storageBuffer("y", "readwrite", "i32", size(THREADS * GROUPS * 4));
  readonly p: Buffer = privateBuffer("p", "i32", 3);
  readonly w: Buffer = workgroupBuffer("w", "i32", THREADS);
  readonly g: Variable = variable("g");
  readonly t: Variable = variable("t");
  /** i32 values in scope, of which some are shared objects. */
  pool: KernelExpr[];
  budget = 40;

  constructor(seed: number) {
    this.random = randomFrom(seed);
    this.pool = [kvar(this.t), kvar(this.g), load(this.x, this.own())];
  }
  own(): KernelExpr {
    return kapplyTyped("add", [kapplyTyped("mul", [kvar(this.g), kint(THREADS)], "i32"), kvar(this.t)], "i32");
  }
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }
  number(): number {
    return this.pick([0, 1, 2, 3, 4, 5, 7, 8, 16, 100, -1, -2, -3, -5, 2147483647, -2147483648]);
  }

  integer(depth: number): KernelExpr {
    const r = this.random();
    if (depth <= 0 || r < 0.35)
      return r < 0.1
        ? kint(this.number())
        : r < 0.16
          ? load(this.p, kint(Math.floor(this.random() * 3)))
          : this.pick(this.pool);
    const [a, b] = [this.integer(depth - 1), this.integer(depth - 1)];
    const prim = this.pick([
      "add",
      "sub",
      "mul",
      "floordiv",
      "mod",
      "rem",
      "min",
      "max",
      "bitand",
      "bitxor",
      "shl",
      "shr",
      "neg",
      "abs",
      "select",
      "cast",
      "bitcast",
    ] as const);
    let made: KernelExpr;
    if (prim === "neg" || prim === "abs") made = kapplyTyped(prim, [a], "i32");
    else if (prim === "select") made = kapplyTyped(prim, [this.truth(depth - 1), a, b], "i32");
    else if (prim === "cast") made = kapplyTyped("cast", [this.truth(depth - 1)], "i32");
    else if (prim === "bitcast") {
      const u = (e: KernelExpr): KernelExpr => kapplyTyped("cast", [e], "u32");
      made = kapplyTyped(
        "bitcast",
        [
          kapplyTyped(
            this.pick(["add", "mul", "floordiv", "mod", "min", "shr", "bitor"] as const),
            [u(a), u(b)],
            "u32",
          ),
        ],
        "i32",
      );
    } else made = kapplyTyped(prim, [a, b], "i32");
    if (this.random() < 0.3) this.pool.push(made);
    return made;
  }
  truth(depth: number): KernelExpr {
    const r = this.random();
    if (r < 0.1) return kconst("bool", r < 0.05 ? 0 : 1);
    if (depth > 0 && r < 0.3)
      return kapplyTyped(this.pick(["and", "or"] as const), [this.truth(depth - 1), this.truth(depth - 1)], "bool");
    if (depth > 0 && r < 0.35) return kapplyTyped("not", [this.truth(depth - 1)], "bool");
    return kapplyTyped(
      this.pick(["lt", "le", "eq", "ne", "gt", "ge"] as const),
      [this.integer(depth - 1), this.integer(depth - 1)],
      "bool",
    );
  }

  /** Statements of a block; `uniform` where barriers may stand. */
  block(depth: number, uniform: boolean): Statement[] {
    const before = this.pool.length;
    const out: Statement[] = [];
    const n = 1 + Math.floor(this.random() * 4);
    for (let i = 0; i < n && this.budget > 0; i++) out.push(...this.statement(depth, uniform));
    this.pool.length = before;
    return out;
  }
  statement(depth: number, uniform: boolean): Statement[] {
    this.budget--;
    const r = this.random();
    if (r < 0.25) {
      const v = variable(this.pick(["a", "b", "value"]));
      const s = letVar(v, this.integer(3));
      this.pool.push(kvar(v));
      return [s];
    }
    if (r < 0.5) return [store(this.p, kint(Math.floor(this.random() * 3)), this.integer(3))];
    if (r < 0.6)
      return [
        store(
          this.y,
          kapplyTyped(
            "add",
            [kapplyTyped("mul", [this.own(), kint(4)], "i32"), kint(Math.floor(this.random() * 4))],
            "i32",
          ),
          this.integer(3),
        ),
      ];
    if (depth <= 0) return [];
    if (r < 0.7) {
      const condition = this.truth(2);
      const then = this.block(depth - 1, false);
      return [{ kind: "if", condition, then, otherwise: this.random() < 0.5 ? this.block(depth - 1, false) : [] }];
    }
    if (r < 0.8) {
      const v = variable("i");
      const to =
        uniform && this.random() < 0.7
          ? kint(Math.floor(this.random() * 4))
          : kapplyTyped("bitand", [this.integer(1), kint(3)], "i32");
      const before = this.pool.length;
      this.pool.push(kvar(v));
      const body = this.block(depth - 1, uniform && to.kind === "const");
      this.pool.length = before;
      return [loop(v, to, body)];
    }
    if (r < 0.88) {
      const v = variable("u");
      const body = [
        store(
          this.p,
          kvar(v),
          kapplyTyped("add", [load(this.p, kvar(v)), kapplyTyped("mul", [kvar(v), this.integer(2)], "i32")], "i32"),
        ),
        ...this.block(depth - 1, uniform),
      ];
      return [loop(v, kint(3), body, "unroll")];
    }
    if (r < 0.94) {
      const body = [
        ...this.block(depth - 1, false),
        store(this.p, kint(0), kapplyTyped("shr", [load(this.p, kint(0)), kint(1)], "i32")),
      ];
      return [
        { kind: "while", condition: kapplyTyped("gt", [load(this.p, kint(0)), kint(3)], "bool"), max: size(5), body },
      ];
    }
    if (!uniform) return [];
    const v = variable("other");
    const out: Statement[] = [
      barrier(),
      store(this.w, kvar(this.t), this.integer(2)),
      barrier(),
      letVar(v, load(this.w, kapplyTyped("sub", [kint(THREADS - 1), kvar(this.t)], "i32"))),
    ];
    this.pool.push(kvar(v));
    return out;
  }

  kernel(): Kernel {
    const body: Statement[] = [0, 1, 2].map((k) =>
      store(this.p, kint(k), k === 0 ? load(this.x, this.own()) : kint(k)),
    );
    while (this.budget > 0) body.push(...this.statement(3, true));
    for (let k = 0; k < 3; k++)
      body.push(
        store(
          this.y,
          kapplyTyped("add", [kapplyTyped("mul", [this.own(), kint(4)], "i32"), kint(k)], "i32"),
          load(this.p, kint(k)),
        ),
      );
    return {
      name: "random",
      buffers: [this.x, this.y, this.w, this.p],
      body: [loop(this.g, kint(GROUPS), [loop(this.t, kint(THREADS), body, "thread.x")], "grid.x")],
      facts: [],
      origin: [],
      subgroupSize: undefined,
    };
  }
}
test.each([1, 2, 3, 4])("batch %i", async (batch) => {
  for (let n = 0; n < 8; n++) {
    const seed = batch * 1000 + n;
    const maker = new Maker(seed);
    const kernel = verifyKernel(maker.kernel());
    const random = randomFrom(seed + 500_000);
    const x = Int32Array.from({ length: THREADS * GROUPS }, () => Math.floor(random() * 200) - 100);
    const y = new Int32Array(THREADS * GROUPS * 4);
    const { problems } = interpretKernel(
      kernel,
      undefined,
      new Map([
        [maker.x, x],
        [maker.y, y],
      ]),
      new Map(),
      { mode: "rounded" },
    );
    const printed = printWgsl(legalise(kernel));
    const out = await runDispatch(device.gpu, { ...printed, groups: [GROUPS, 1, 1] }, [
      bytesOf(x),
      new Uint8Array(y.byteLength),
    ]);
    const got = [...new Int32Array(out[1]!.slice().buffer)];
    if (problems.length > 0 || got.some((v, i) => v !== y[i]))
      expect({ seed, problems, got, kernel: printKernel(kernel), code: printed.code }).toEqual({
        seed,
        problems: [],
        got: [...y],
      });
  }
});
