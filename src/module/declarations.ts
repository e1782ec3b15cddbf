/** The module's types: what each function takes and gives, with the shapes' names, and which extents are free. */
import type { PlanDType } from "../../runtime/plan.ts";
import { sizeText } from "./expression.ts";
import type { FunctionForms } from "./forms.ts";
import { comment, constantsOf, extentsOf, identifier, typeText } from "./javascript.ts";
import type { ModuleArray } from "./lower.ts";
import { arrayOf } from "./prelude.ts";
import type { ModuleSource } from "./source.ts";
import { MappedText } from "./text.ts";

export function printDeclarations(functions: readonly FunctionForms[], source: ModuleSource): MappedText {
  const out = new MappedText();
  out.add(
    `// Made by Fusum from ${source.name}; do not edit. GPUDevice and the like are those of lib.dom or @webgpu/types.\n`,
  );
  for (const f of functions) printFunction(out, f, source);
  const all = functions.flatMap((f) => f.forms.flatMap((form) => [...form.plan.params, ...form.plan.results]));
  if (functions.length > 0) out.add(shared(all.some((a) => a.dtype === "f16")));
  else out.add("export {};");
  return out;
}

function printFunction(out: MappedText, f: FunctionForms, source: ModuleSource): void {
  const { name, doc, span } = f.signature;
  const form = f.forms.at(-1)!;
  const local = identifier(name);
  const extents = [...extentsOf(f).keys()];
  const consts = [...constantsOf(f).keys()];
  const where = f.signature.where.map((w) => `Needed: ${w}.`);
  const fixed = f.signature.parameters
    .filter((p) => p.isConst && !consts.includes(p.name))
    .map((p) => `Constant: ${p.name} = ${p.default ?? "?"}.`);
  const text = [...(doc ? [doc] : []), ...where, ...fixed].join("\n");
  if (text) out.add(comment(text));
  const second = `fixed?: Pick<${local}.Extents, Fixed>${consts.length > 0 ? ` & ${local}.Constants` : ""}`;
  const kernel = `Kernel<${local}.Inputs, ${local}.Results, Omit<${local}.Extents, Fixed>, Pick<${local}.Extents, Fixed>>`;
  const own = local === name ? "export " : "";
  out.add(
    `${own}declare function ${local}<Fixed extends keyof ${local}.Extents = never>(\n  device: GPUDevice,\n  ${second},\n): Promise<${kernel}>;`,
    source.place(span),
  );
  const lines = [
    "/** Extents that arguments bind; those not fixed when the kernel is made are given with each call or read off shapes. */",
    block(
      "interface Extents",
      extents.map((e) => `readonly ${e === "..." ? '"..."' : e}: number;`),
    ),
  ];
  if (consts.length > 0) {
    const values = consts.map((n) => {
      const known = new Set(f.forms.flatMap((x) => (n in x.consts ? [JSON.stringify(x.consts[n])] : [])));
      const initial = constantsOf(f).get(n);
      if (initial !== undefined && f.forms.some((x) => !(n in x.consts))) known.add(initial);
      const types = [...known].map((v) => (v.startsWith("[") ? `readonly ${v}` : v));
      return `/** ${initial} if left out. */\n  readonly ${n}?: ${types.join(" | ")};`;
    });
    lines.push(block("interface Constants", values));
  }
  lines.push(
    block(
      "interface Inputs",
      form.plan.params.map((p) => property(p, "input")),
    ),
  );
  lines.push(
    block(
      "interface Results",
      form.plan.results.map((p) => property(p, "result")),
    ),
  );
  out.add(`${own}declare namespace ${local} {\n${indent(lines.join("\n"))}\n}`);
  if (own === "") out.add(`export { ${local} as ${name} };`);
  out.add("");
}

function block(head: string, members: readonly string[]): string {
  return members.length === 0 ? `${head} {}` : `${head} {\n${indent(members.join("\n"))}\n}`;
}

function property(a: ModuleArray, as: "input" | "result"): string {
  const shape = shapeType(a);
  const type =
    as === "result"
      ? `Tensor<${arrayOf(a.dtype)}, ${shape}>`
      : `Input<${dataType(a.dtype)}, ${shape}>${a.shape.length === 0 ? ` | ${a.dtype === "bool" ? "boolean" : "number"}` : ""}`;
  return `/** ${typeText(a)} */\nreadonly ${a.name}: ${type};`;
}

function dataType(dtype: PlanDType): string {
  return dtype === "f16" ? "Half" : arrayOf(dtype);
}

/** `readonly [B: number, _1: 64]`. */
function shapeType(a: ModuleArray): string {
  const used = new Set<string>();
  const dims = a.shape.map((s, i) => {
    if (a.folded && i === 0) return "...lead: number[]";
    const text = sizeText(s);
    const plain = /^[A-Za-z_]\w*$/.test(text) && !used.has(text);
    const label = plain ? text : `_${i}`;
    used.add(label);
    return `${label}: ${typeof s === "number" ? s : "number"}`;
  });
  return `readonly [${dims.join(", ")}]`;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}

function shared(half: boolean): string {
  return `\
${half ? '/** Bits of halves, or a Float16Array where there is one. */\nexport type Half = Uint16Array | (ArrayBufferView & { readonly [Symbol.toStringTag]: "Float16Array" });\n\n' : ""}\
/** An array in row-major order. With its shape, it says the extents; without, they are known otherwise or it has one axis. */
export type Input<Data, Shape> = (Data & { readonly shape?: Shape }) | { readonly data: Data; readonly shape: Shape };

/** A result in row-major order, with its shape. */
export type Tensor<Data, Shape> = Data & { readonly shape: Shape };

/** Memory of an array, from a byte offset that is a multiple of the device's minStorageBufferOffsetAlignment. */
export type BufferRange = GPUBuffer | { readonly buffer: GPUBuffer; readonly offset?: number; readonly size?: number };

/** A function on a device. Errors of its methods are EinErrors. */
export interface Kernel<Inputs, Results, Free, Fixed> {
  /**
   * Encodes the function on the caller's buffers, one for each input and result; in a pass of its own if it gets a command encoder.
   * Free extents must be given. Scratch memory is the kernel's own, or \`workspace\`: as many ranges as \`workspace()\` has sizes.
   */
  encode(
    target: GPUCommandEncoder | GPUComputePassEncoder,
    buffers: { readonly [Name in keyof Inputs | keyof Results]: BufferRange },
    ...rest: keyof Free extends never
      ? [extents?: Partial<Fixed>, workspace?: readonly BufferRange[]]
      : [extents: Free & Partial<Fixed>, workspace?: readonly BufferRange[]]
  ): void;
  /** Uploads the inputs, runs the function once and reads the results back. */
  run(inputs: Inputs, extents?: Partial<Free & Fixed>): Promise<Results>;
  /** Bytes of each scratch buffer that one call needs. */
  workspace(...rest: keyof Free extends never ? [extents?: Partial<Fixed>] : [extents: Free & Partial<Fixed>]): readonly number[];
  /** Frees what the kernel holds on the device. It cannot be used afterwards. */
  dispose(): void;
}

/** What this module throws and rejects with. */
export interface EinError extends Error {
  readonly name: "EinError";
  readonly kind: "shape" | "unsupported-feature" | "validation" | "lost" | "disposed";
  /** The argument or extent it is about. */
  readonly parameter?: string;
}`;
}
