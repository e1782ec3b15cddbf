/**
 * The text of a `.ein` function in the making: parameters and lets, and what is known about them. Types of lets are asked of the
 * compiler when a rule needs one, and so are values where an operator makes them part of the program's shape.
 */
import { compile, shapesOf } from "../../../src/index.ts";
import { decode, type FileTensor, languageType, toHost, type Values } from "../arrays.ts";
import type { RunJob } from "../job.ts";
import { importsFor } from "../std-names.ts";

/** What a rule cannot say in the language; listed by operator. */
export class UnsupportedNode extends Error {}

export type DType = RunJob["inputs"][string]["dtype"];
interface Type {
  readonly dtype: DType;
  readonly shape: readonly number[];
}
const FILE_TYPE: Readonly<Record<DType, string>> = {
  f32: "float32",
  f16: "float16",
  i32: "int64",
  u32: "uint32",
  bool: "bool",
};

/** A name of the function with a type: a parameter, or the result of a let. */
export class Val {
  readonly name: string;
  /** Statements that bind the name, empty for parameters. */
  readonly lines: readonly string[];
  /** A record of several results, which has no type of its own. */
  readonly isRecord: boolean;
  /** A function of the module that the statements call. */
  readonly helper: string;
  readonly #emitter: Emitter;
  readonly #file: string | undefined;
  type: Type | undefined;
  values: Values | undefined;
  constructor(
    emitter: Emitter,
    name: string,
    lines: readonly string[],
    o: {
      readonly type?: Type | undefined;
      readonly values?: Values | undefined;
      readonly file?: string | undefined;
      readonly isRecord?: boolean;
      readonly helper?: string;
    },
  ) {
    this.#emitter = emitter;
    this.name = name;
    this.lines = lines;
    this.type = o.type;
    this.values = o.values;
    this.#file = o.file;
    this.isRecord = o.isRecord ?? false;
    this.helper = o.helper ?? "";
  }
  get #known(): Type {
    if (!this.type) this.#emitter.inferTypes(this);
    return this.type!;
  }
  get dtype(): DType {
    return this.#known.dtype;
  }
  get shape(): readonly number[] {
    return this.#known.shape;
  }
  get rank(): number {
    return this.shape.length;
  }
  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }
  /** The dtype that the ONNX graph gives it. */
  get file(): string {
    return this.#file ?? FILE_TYPE[this.dtype];
  }
  get isFloat(): boolean {
    return this.dtype === "f32" || this.dtype === "f16";
  }
  /**
   * Its numbers, as constants of the program: only for operands that steer shapes (a target shape, axes, pads, a count). They come
   * from initializers, constants, extents, or, where a case gives them as inputs, from the case.
   */
  get numbers(): readonly number[] {
    if (!this.values) this.#emitter.inferValues(this);
    return [...this.values!.data];
  }
  get number(): number {
    return this.numbers[0]!;
  }
  toString(): string {
    return this.name;
  }
}

export function isReal(file: string): boolean {
  return file === "float32" || file === "float64" || file === "float16" || file === "bfloat16";
}

/** A number as a literal of the language. */
export function literal(x: number, dtype: DType): string {
  if (dtype === "bool") return x ? "true" : "false";
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  const text = Object.is(x, -0) ? "-0.0" : String(x).replace("e+", "e");
  return dtype === "f32" && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

export function typeText(t: Type): string {
  return `${t.dtype}${t.shape.length > 0 ? `[${t.shape.join(", ")}]` : ""}`;
}

/** Constants of at most so many elements are written out; others become parameters. */
const WRITTEN = 8;

export class Emitter {
  readonly #vals = new Map<string, Val>();
  #next = 0;

  #add(prefix: string, make: (name: string) => Val): Val {
    const v = make(`${prefix}${this.#next++}`);
    this.#vals.set(v.name, v);
    return v;
  }

  /** Throws UnsupportedNode for tensors without an element type of the language. */
  param(values: Values): Val {
    const dtype = languageType(values.dtype);
    if (!dtype) throw new UnsupportedNode(`tensors of ${values.dtype}`);
    return this.#add(
      "p",
      (name) => new Val(this, name, [], { type: { dtype, shape: values.shape }, values, file: values.dtype }),
    );
  }

  let(expression: string, file?: string, known?: { readonly type?: Type; readonly values?: Values }): Val {
    return this.#add("v", (name) => new Val(this, name, [`let ${name} = ${expression}`], { file, ...known }));
  }

  /** A float constant as text. */
  number(x: number): string {
    return literal(x, "f32");
  }

  record(expression: string): Val {
    return this.#add("v", (name) => new Val(this, name, [`let ${name} = ${expression}`], { isRecord: true }));
  }

  /** The derivatives of y's sum by each of `wrt`, everything else that y is made of being constant. */
  gradient(wrt: readonly Val[], y: Val): readonly Val[] {
    const { given, lets } = this.#slice([y], (d) => wrt.includes(d));
    const args = [...new Set([...given, ...wrt])];
    const r = this.#add("v", (name) => {
      const params = args.map((v) => `${v}: ${typeText({ dtype: v.dtype, shape: v.shape })}`).join(", ");
      const body = [...lets.flatMap((v) => v.lines), `sum(${y})`].map((line) => `  ${line}\n`).join("");
      const helper = `${lets.map((v) => v.helper).join("")}fn of_${name}(${params}) -> f32 {\n${body}}\n`;
      return new Val(this, name, [`let ${name} = grad(of_${name}, wrt: [${wrt.join(", ")}])(${args.join(", ")})`], {
        isRecord: true,
        helper,
      });
    });
    return wrt.length === 1 ? [this.let(`${r} * 1.0`)] : wrt.map((x) => this.let(`${r}.${x}`));
  }

  /** Statements that bind a name that is theirs to choose a place for. */
  block(lines: (name: string) => readonly string[], file?: string): Val {
    return this.#add("v", (name) => new Val(this, name, lines(name), { file }));
  }

  constant(t: FileTensor): Val {
    const dtype = languageType(t.dtype);
    if (!dtype) throw new UnsupportedNode(`tensors of ${t.dtype}`);
    const values = decode(t);
    if (values.data.length > WRITTEN || values.data.length === 0) return this.param(values);
    const items = [...values.data].map((x) => literal(x, dtype));
    const known = { type: { dtype, shape: values.shape }, values };
    if (values.shape.length === 0) return this.let(items[0]!, t.dtype, known);
    const flat = `stack([${items.map((x) => (dtype === "bool" || dtype === "u32" ? `${x} as ${dtype}` : x)).join(", ")}])`;
    return this.let(
      values.shape.length === 1 ? flat : `reshape(${flat}, [${values.shape.join(", ")}])`,
      t.dtype,
      known,
    );
  }

  /** What `roots` need, in order; stops at what `isGiven` says is an argument. */
  #slice(
    roots: readonly Val[],
    isGiven: (v: Val) => boolean,
  ): { readonly given: readonly Val[]; readonly lets: readonly Val[] } {
    const seen = new Set<Val>();
    const given: Val[] = [];
    const lets: Val[] = [];
    const visit = (v: Val): void => {
      if (seen.has(v)) return;
      seen.add(v);
      if (v.lines.length === 0 || isGiven(v)) {
        given.push(v);
        return;
      }
      for (const line of v.lines)
        for (const [name] of line.matchAll(/\b[pv]\d+\b/g)) {
          const dependency = this.#vals.get(name);
          if (dependency && dependency !== v) visit(dependency);
        }
      lets.push(v);
    };
    for (const v of roots) visit(v);
    return { given, lets };
  }

  #source(given: readonly Val[], lets: readonly Val[], results: readonly Val[]): string {
    const params = given.map((v) => `${v}: ${typeText({ dtype: v.dtype, shape: v.shape })}`).join(", ");
    const end = results.length === 1 ? `${results[0]}` : `{ ${results.map((v, i) => `y${i}: ${v}`).join(", ")} }`;
    const body = [...lets.flatMap((v) => v.lines), end].map((line) => `  ${line}\n`).join("");
    const helpers = lets.map((v) => v.helper).join("");
    return `${importsFor(helpers + body)}${helpers}export fn f(${params}) {\n${body}}\n`;
  }

  inferTypes(v: Val): void {
    const { given, lets } = this.#slice([v], (d) => d.type !== undefined);
    const open = lets.filter((d) => !d.isRecord);
    const program = compile(this.#source(given, lets, open), { fileName: "node.ein" });
    const { results } = program.tensorProgram("f", { provided: given.map((g) => g.name) });
    open.forEach((d, i) => {
      const r = results[i]!;
      d.type = { dtype: r.tensor.types[r.slot]! as DType, shape: r.tensor.axes.map((a) => a.extent.value!) };
    });
  }

  inferValues(v: Val): void {
    const { given, lets } = this.#slice([v], (d) => d.values !== undefined);
    const inputs = Object.fromEntries(given.map((g) => [g.name, toHost(g.values!, g.dtype, true)]));
    const program = compile(this.#source(given, lets, [v]), { fileName: "node.ein" });
    const result = Object.values(program.interpret("f", inputs))[0]!;
    v.values = { dtype: v.file, shape: result.shape, data: Float64Array.from(result.data as ArrayLike<number>) };
    v.type ??= { dtype: result.dtype as DType, shape: shapesOf({ result })["result"]! };
  }

  /** The module whose `f` gives the results, and its arguments: only what they need. */
  program(results: readonly Val[]): { readonly source: string; readonly inputs: RunJob["inputs"] } {
    const { given, lets } = this.#slice(results, () => false);
    const inputs = Object.fromEntries(given.map((g) => [g.name, { values: g.values!, dtype: g.dtype }]));
    return { source: this.#source(given, lets, results), inputs };
  }
}
