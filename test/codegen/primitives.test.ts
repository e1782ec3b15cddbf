/**
 * Every primitive on the embedded software adapter against ir/evaluate.ts, on special values and random ones: integers and
 * predicates exactly, floats within what ir/accuracy.ts promises, NaN, infinities and signs of zero as they are.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { legalise } from "../../codegen/legalise.ts";
import { printWgsl } from "../../codegen/wgsl.ts";
import { ACCURACY, type Accuracy } from "../../ir/accuracy.ts";
import type { DType } from "../../ir/dtype.ts";
import { isFloat } from "../../ir/dtype.ts";
import { compilePrim } from "../../ir/evaluate.ts";
import { size } from "../../ir/extent.ts";
import { FORMATS } from "../../ir/float.ts";
import {
  type Buffer,
  extract,
  iadd,
  imul,
  type Kernel,
  type KernelExpr,
  kapplyTyped,
  kconst,
  kint,
  kvar,
  type Lanes,
  load,
  loop,
  storageBuffer,
  store,
  variable,
} from "../../ir/kernel.ts";
import { PRIM_TYPES, PRIMS, type Prim, type PrimType } from "../../ir/prim.ts";
import { verifyKernel } from "../../ir/verify-kernel.ts";
import type { Device } from "../../runtime/index.ts";
import { cellsFor, randomFrom } from "../kernel/samples.ts";
import { bytesOf, openSoftware, runDispatch } from "./device.ts";

// Drivers compile on the processor that everything else runs on.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let device: Device;
beforeAll(async () => {
  device = await openSoftware();
});
afterAll(() => device.close());

// ---- Operands

const view = new DataView(new ArrayBuffer(4));
const fromBits = (u: number): number => {
  view.setUint32(0, u);
  return view.getFloat32(0);
};
const random = randomFrom(11);
const randomBits = (): number => Math.floor(random() * 4294967296);

const SPECIAL: Readonly<Record<"f32" | "i32" | "u32" | "bool", readonly number[]>> = {
  f32: [
    0,
    -0,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
    fromBits(0xffc00001),
    1e-45,
    -1e-45,
    1e-39,
    -1e-39,
    2 ** -126,
    -(2 ** -126),
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1,
    -1,
    0.5,
    -0.5,
    1.5,
    -1.5,
    2,
    -2,
    2.5,
    -2.5,
    3,
    -3,
    4,
    7,
    0.25,
    1e-10,
    -1e-10,
    0.1,
    10,
    100,
    -100,
    16777216,
    16777217,
    8388608.5,
    8388607.5,
    -8388607.5,
    2147483520,
    2147483648,
    -2147483648,
    4294967040,
    4294967296,
    1e10,
    -1e10,
    1e15,
    1e30,
    -1e30,
    88.7,
    89,
    -87.3,
    -103.9,
    127.9,
    128,
    -126,
    -150,
    Math.PI,
    -Math.PI,
    Math.PI / 2,
    0.99999994,
    1.0000001,
    8191.9,
    8192,
  ].map(Math.fround),
  i32: [
    0, 1, -1, 2, -2, 3, -3, 5, 7, -7, 8, 31, 32, 33, -31, 64, 100, -100, 65535, 65536, 1000003, 2147483647, 2147483646,
    -2147483648, -2147483647,
  ],
  u32: [
    0, 1, 2, 3, 5, 7, 8, 31, 32, 33, 64, 100, 65535, 65536, 1000003, 2147483647, 2147483648, 2147483649, 4294967294,
    4294967295,
  ],
  bool: [0, 1],
};
type Runnable = keyof typeof SPECIAL;
const LENGTH = 4864;

function randomValue(dtype: Runnable): number {
  const kind = random();
  if (dtype === "bool") return kind < 0.5 ? 0 : 1;
  if (dtype === "u32") return kind < 0.5 ? randomBits() : Math.floor(random() * 40);
  if (dtype === "i32") return kind < 0.5 ? randomBits() | 0 : Math.floor(random() * 80) - 40;
  if (kind < 0.3) return fromBits(randomBits());
  if (kind < 0.5) return Math.fround(random() * 4 - 2);
  if (kind < 0.7) return Math.fround(random() * 200 - 100);
  if (kind < 0.8) return Math.fround(1 + (random() - 0.5) * 0.02);
  if (kind < 0.9) return Math.fround(Math.round(random() * 40 - 20));
  return Math.fround((Math.floor(random() * 10000) * Math.PI) / 2);
}
/** All combinations of special values as far as they fit, then random ones. */
function operandsOf(types: readonly Runnable[]): number[][] {
  const columns = types.map((): number[] => []);
  const all = types.reduce((n, t) => n * SPECIAL[t].length, 1);
  for (let i = 0; i < LENGTH; i++) {
    let rest = i;
    types.forEach((t, c) => {
      const list = SPECIAL[t];
      const special = i < Math.min(all, LENGTH - 1000);
      columns[c]!.push(special ? list[rest % list.length]! : randomValue(t));
      rest = Math.floor(rest / list.length);
    });
  }
  return columns;
}

// ---- Kernels

interface Case {
  readonly prim: Prim;
  readonly from: Runnable;
  readonly to: DType;
  /** A constant in place of the last operand. */
  readonly constant?: number;
  readonly swapped?: boolean;
}
const label = (c: Case): string =>
  `${c.prim} ${c.from}${c.to === c.from ? "" : ` to ${c.to}`}${c.constant === undefined ? "" : ` with ${Object.is(c.constant, -0) ? "-0" : c.constant}${c.swapped ? " on the left" : ""}`}`;

function operandTypes(c: Case): Runnable[] {
  const t: PrimType = PRIM_TYPES[c.prim];
  if (c.prim === "select") return ["bool", c.from, c.from];
  return Array.from({ length: t.arity - (c.constant === undefined ? 0 : 1) }, () => c.from);
}

/** One kernel for several cases that take the same operands; results of case k at k·LENGTH. Results are stored as bits. */
function kernelFor(
  cases: readonly Case[],
  types: readonly Runnable[],
  lanes: Lanes,
): { kernel: Kernel; inputs: Buffer[]; output: Buffer } {
  const inputs = types.map((t, i) => storageBuffer(`x${i}`, "read", t, size(LENGTH / lanes), lanes));
  const output = storageBuffer("y", "write", "u32", size(LENGTH * cases.length));
  const [g, t] = [variable("g"), variable("t")];
  const i = iadd(imul(kvar(g), kint(16)), kvar(t));
  const args = inputs.map((b) => load(b, i));
  const body = cases.flatMap((c, k) => {
    let list: KernelExpr[] = [...args];
    if (c.constant !== undefined) {
      const last = kconst(c.from, c.constant);
      list = c.swapped ? [last, ...list] : [...list, last];
    }
    const result = kapplyTyped(c.prim, list, c.to);
    return Array.from({ length: lanes }, (_, l) => {
      const one = extract(result, l);
      const bits =
        one.dtype === "u32"
          ? one
          : one.dtype === "bool"
            ? kapplyTyped("cast", [one], "u32")
            : kapplyTyped("bitcast", [one], "u32");
      return store(output, iadd(imul(i, kint(lanes)), kint(k * LENGTH + l)), bits);
    });
  });
  const kernel: Kernel = {
    name: "cases",
    buffers: [...inputs, output],
    body: [loop(g, kint(LENGTH / lanes / 16), [loop(t, kint(16), body, "thread.x")], "grid.x")],
    facts: [],
    origin: [],
    subgroupSize: undefined,
  };
  return { kernel, inputs, output };
}

function decode(dtype: DType, bits: number): number {
  view.setUint32(0, bits);
  return dtype === "f32" ? view.getFloat32(0) : dtype === "i32" ? view.getInt32(0) : bits;
}

// ---- Judging

/** Operands and results below may become zero. */
const FLUSH = FORMATS.f32.normal;
const PROMISES: Readonly<Partial<Record<Prim, Accuracy>>> = ACCURACY;
/** In units of 2^-23: those that ir/accuracy.ts does not list are exact, but for a last rounding. */
const ROUNDED: Readonly<Partial<Record<Prim, number>>> = { floordiv: 5, mod: 1, cast: 1 };
/** How far from the exact result a device may be. */
function allowance(prim: Prim, args: readonly number[], exact: number): number {
  const a = PROMISES[prim];
  if (!a) return (ROUNDED[prim] ?? 0) * 2 ** -23 * Math.abs(exact);
  const largest = Math.max(...args.map(Math.abs));
  return a.relative(largest) * 2 ** -23 * Math.abs(exact) + a.absolute(Math.min(...args), Math.max(...args));
}
const subnormal = (v: number): boolean => v !== 0 && Math.abs(v) < FLUSH;
/** Those whose value at a subnormal operand is far from that at zero, and which devices may take for either. */
const STEEP: ReadonlySet<Prim> = new Set<Prim>(["log", "log2"]);

/** Says what is wrong with a result, undefined if it is right. */
function judgeOf(c: Case): (operands: readonly number[], got: number) => string | undefined {
  const arity = operandTypes(c).length + (c.constant === undefined ? 0 : 1);
  const types = Array.from({ length: arity }, (_, i) => (c.prim === "select" && i === 0 ? ("bool" as const) : c.from));
  const functions = {
    rounded: compilePrim(c.prim, types, c.to, "rounded"),
    exact: compilePrim(c.prim, types, c.to, "exact"),
  };
  const value = (mode: "rounded" | "exact", x: readonly number[]): number =>
    functions[mode](x[0] ?? 0, x[1] ?? 0, x[2] ?? 0, x[3] ?? 0);
  const accepts = (args: readonly number[], got: number, flushable: boolean): boolean => {
    const wanted = value("rounded", args);
    if (Object.is(got, wanted)) return true;
    if (!isFloat(c.to) || Number.isNaN(wanted) || Number.isNaN(got)) return false;
    const exact = value("exact", args);
    // An exact primitive may only flush its operands and result.
    const promised = allowance(c.prim, args, Math.min(Math.abs(exact), FORMATS.f32.max));
    const allowed = promised > 0 || flushable || subnormal(wanted) ? promised + FLUSH : 0;
    if (!Number.isFinite(got) || !Number.isFinite(wanted)) {
      // Overflow may come a little sooner or later.
      if (Math.sign(got) !== Math.sign(wanted)) return false;
      const near = (v: number): boolean => !Number.isFinite(v) || Math.abs(v) + allowed >= FORMATS.f32.max;
      return near(exact) && near(got) && Math.abs(exact) <= FORMATS.f32.max + allowed;
    }
    // Signs of zero are exact, except that of a result that was flushed.
    if (wanted === 0 && got === 0) return exact !== 0;
    return Math.abs(got - exact) <= allowed;
  };
  return (operands, got) => {
    // Any of the subnormal operands may have been flushed.
    const flushed = operands.map((v, i) => (types[i] === "f32" && subnormal(v) ? i : -1)).filter((i) => i >= 0);
    if (flushed.length > 0 && STEEP.has(c.prim)) return undefined;
    for (let mask = 0; mask < 2 ** flushed.length; mask++) {
      const zeroed = flushed.filter((_, bit) => mask & (1 << bit));
      const args = operands.map((v, i) => (zeroed.includes(i) ? (v < 0 ? -0 : 0) : v));
      if (accepts(args, got, flushed.length > 0)) return undefined;
    }
    const show = (v: number): string => (Object.is(v, -0) ? "-0" : String(v));
    return `${label(c)}(${operands.map(show).join(", ")}) = ${show(got)}, not ${show(value("rounded", operands))}`;
  };
}

async function check(cases: readonly Case[], lanes: Lanes): Promise<string[]> {
  const first = cases[0]!;
  const types = operandTypes(first);
  const { kernel } = kernelFor(cases, types, lanes);
  const columns = operandsOf(types);
  const printed = printWgsl(legalise(verifyKernel(kernel)));
  const data = columns.map((column, i) => bytesOf(cellsFor(types[i]!, column) as Float32Array<ArrayBuffer>));
  const out = await runDispatch(device.gpu, { ...printed, groups: [LENGTH / lanes / 16, 1, 1] }, [
    ...data,
    new Uint8Array(LENGTH * cases.length * 4),
  ]);
  const bits = new Uint32Array(out[types.length]!.slice().buffer);
  const wrong: string[] = [];
  cases.forEach((c, k) => {
    let n = 0;
    const judge = judgeOf(c);
    for (let i = 0; i < LENGTH; i++) {
      const row = columns.map((column) => column[i]!);
      const operands = c.constant === undefined ? row : c.swapped ? [c.constant, ...row] : [...row, c.constant];
      const problem = judge(operands, decode(c.to, bits[k * LENGTH + i]!));
      if (problem !== undefined && n++ < 4) wrong.push(problem);
    }
    if (n > 4) wrong.push(`${label(c)}: ${n} wrong`);
  });
  return wrong;
}

function chunks<T>(list: readonly T[], n: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / n) }, (_, i) => list.slice(i * n, i * n + n));
}

// ---- Tests

const DTYPES: readonly Runnable[] = ["f32", "i32", "u32", "bool"];
function takes(prim: Prim, d: Runnable): boolean {
  const t: PrimType = PRIM_TYPES[prim];
  if (t.operands === "any") return true;
  if (t.operands === "number") return d !== "bool";
  if (t.operands === "float") return d === "f32";
  if (t.operands === "integer") return d === "i32" || d === "u32";
  return t.operands === d;
}
function plainCases(d: Runnable): Case[] {
  return PRIMS.filter((p) => takes(p, d)).flatMap((prim): Case[] => {
    const t: PrimType = PRIM_TYPES[prim];
    if (prim === "cast") return DTYPES.map((to) => ({ prim, from: d, to }));
    if (prim === "bitcast")
      return d === "bool" ? [] : (["f32", "i32", "u32"] as const).map((to) => ({ prim, from: d, to }));
    return [{ prim, from: d, to: t.result === "same" ? d : t.result === "u32" ? "u32" : "bool" }];
  });
}

describe.each([1, 4] as const)("with %i lanes", (lanes) => {
  for (const d of DTYPES)
    for (const arity of [1, 2, 3, 4])
      for (const [n, group] of chunks(
        plainCases(d).filter((c) => PRIM_TYPES[c.prim].arity === arity),
        lanes === 1 ? 12 : 6,
      ).entries())
        test(`${d}, ${arity} operands (${n + 1}): ${group.map((c) => c.prim).join(" ")}`, async () => {
          expect(await check(group, lanes)).toEqual([]);
        });
});

describe("with a constant operand", () => {
  const constants: Readonly<Record<Runnable, readonly number[]>> = {
    f32: [0, -0, 1, 2, 3, -2.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
    i32: [0, 1, 2, 3, 8, 33, 2147483647, -1, -3, -2147483648],
    u32: [0, 1, 2, 3, 8, 33, 4294967295],
    bool: [0, 1],
  };
  for (const d of DTYPES) {
    const cases = plainCases(d)
      .filter((c) => PRIM_TYPES[c.prim].arity === 2)
      .flatMap((c) =>
        constants[d].flatMap((constant): Case[] => [
          { ...c, constant },
          { ...c, constant, swapped: true },
        ]),
      );
    for (const [n, group] of chunks(cases, 18).entries())
      test(`${d} (${n + 1}): ${[...new Set(group.map((c) => c.prim))].join(" ")}`, async () => {
        expect(await check(group, 1)).toEqual([]);
      });
  }
});
