/** Runs `.ein` source on the interpreter, for tests of the library's functions. */

import { expect } from "vitest";
import { interpret } from "../../ir/interpret.ts";
import { verifyProgram } from "../../ir/verify-tensor.ts";
import { elaborate } from "../../src/elaborate/index.ts";
import { loadModules } from "../../src/modules.ts";
import { resolveStd } from "../../src/std/index.ts";
import { type Array_, nested, type Result } from "../builtins/harness.ts";

export interface Inputs {
  readonly [name: string]: Array_;
}

/** All results of the one exported function of `source`, given its inputs by name. Diagnostics become an error that lists them. */
export function runAll(source: string, inputs: Inputs = {}): readonly Result[] {
  const graph = loadModules(source, "test.ein", { std: resolveStd });
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, a]) => [name, a.shape]));
  const name = /export fn (\w+)/.exec(source)?.[1] ?? "f";
  const { program, diagnostics } =
    graph.diagnostics.length > 0
      ? { program: undefined, diagnostics: graph.diagnostics }
      : elaborate(graph, name, { shapes, provided: Object.keys(inputs) });
  if (!program)
    throw new Error(
      diagnostics
        .map(
          (d) =>
            `${d.code} ${d.message} [${d.labels.map((l) => `${l.span.file}:${l.span.start} ${l.text}`).join("; ")}]`,
        )
        .join("\n"),
    );
  expect(verifyProgram(program)).toEqual([]);
  return interpret(program, new Map(Object.entries(inputs))).map((r) => ({
    dtype: r.dtype,
    shape: r.shape,
    data: [...r.data],
  }));
}

/** The value of an expression over inputs `a`, `b`, … of their own ranks, with everything that it names imported from `module`. */
export function evaluate(module: string, expression: string, ...arrays: readonly Array_[]): Result {
  const names = [..."abcdefgh"].slice(0, arrays.length);
  const params = names.map(
    (n, k) => `${n}: ${arrays[k]?.dtype}[${arrays[k]?.shape.map((_, i) => `${n.toUpperCase()}${i}`).join(", ")}]`,
  );
  const called = [...new Set([...expression.matchAll(/([a-z_]\w*)\(/g)].map((m) => m[1] as string))];
  const known = new RegExp(`export (?:fn|let) (${called.join("|")})\\b`, "g");
  const imported = [...(resolveStd(`std/${module}`) ?? "").matchAll(known)].map((m) => m[1]);
  const head = imported.length > 0 ? `import { ${imported.join(", ")} } from "std/${module}"\n` : "";
  const source = `${head}export fn f(${params.join(", ")}) {\n  ${expression}\n}\n`;
  const [r] = runAll(source, Object.fromEntries(names.map((n, k) => [n, arrays[k] as Array_])));
  if (!r) throw new RangeError("no result");
  return r;
}

export function resultOf(module: string, expression: string, ...arrays: readonly Array_[]): unknown {
  return nested(evaluate(module, expression, ...arrays));
}

/** Equal up to the rounding of float64 sums; NaN and infinities exactly. */
export function expectClose(
  got: Result,
  want: { readonly shape: readonly number[]; readonly data: readonly number[] },
  relative = 1e-10,
): void {
  expect(got.shape).toEqual(want.shape);
  want.data.forEach((w, k) => {
    const g = got.data[k] as number;
    if (!Number.isFinite(w)) expect(g, `element ${k}`).toBe(w);
    else expect(Math.abs(g - w), `element ${k}: ${g} for ${w}`).toBeLessThanOrEqual(relative * (1 + Math.abs(w)));
  });
}

// ---- References ---------------------------------------------------------------------------------------------------

export interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export function* positions(shape: readonly number[]): Generator<readonly number[]> {
  const at = shape.map(() => 0);
  if (shape.includes(0)) return;
  for (;;) {
    yield [...at];
    let k = shape.length - 1;
    while (k >= 0 && ++at[k]! === shape[k]) at[k--] = 0;
    if (k < 0) return;
  }
}

/** Row-major element, or `outside` where an index leaves the shape. */
export function read(x: Plain, at: readonly number[], outside = 0): number {
  let n = 0;
  for (const [k, i] of at.entries()) {
    if (i < 0 || i >= (x.shape[k] as number)) return outside;
    n = n * (x.shape[k] as number) + i;
  }
  return x.data[n] as number;
}

export function build(shape: readonly number[], f: (at: readonly number[]) => number): Plain {
  return { shape, data: [...positions(shape)].map(f) };
}

/** A repeatable sequence of multiples of 1/16 between -4 and 4. */
export function noise(shape: readonly number[], seed = 1): Array_ {
  let state = seed * 7919 + 17;
  const next = (): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (Math.floor(state / 65536) % 129) / 16 - 4;
  };
  return { kind: "array", dtype: "f32", shape, data: Array.from({ length: shape.reduce((p, q) => p * q, 1) }, next) };
}
