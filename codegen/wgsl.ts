/** The WGSL printer: total, and without decisions of its own. It accepts legal kernels only, which come from verified ones. */
import type { Extent } from "../ir/extent.ts";
import type { Buffer } from "../ir/kernel.ts";
import type { MatrixShape } from "../runtime/plan.ts";
import type { LegalBuffer, LegalExpr, LegalKernel, LegalStatement } from "./legal.ts";

export interface PrintedKernel {
  readonly code: string;
  /** What `code` begins with: comments on its origin. */
  readonly comment: string;
  /** The same in parts, without the comments on its origin: what is the kernel's own, and the helper functions it calls. */
  readonly own: string;
  readonly helpers: readonly string[];
  readonly entryPoint: string;
  readonly workgroupSize: readonly [number, number, number];
  /** Of group 0, in order: the storage buffers, then the uniform of sizes if there is one. */
  readonly bindings: readonly ("read" | "readwrite" | "uniform")[];
  /** The storage buffers in binding order. */
  readonly bufferOrder: readonly Buffer[];
  /** The i32 values of the uniform, in order. */
  readonly uniforms: readonly Extent[];
  /** WebGPU features the device must have. */
  readonly features: readonly string[];
  /** Shapes of subgroup matrices that the device must list. */
  readonly matrices: readonly MatrixShape[];
  readonly groups: readonly [Extent, Extent, Extent];
}

type Binary = Extract<LegalExpr, { kind: "binary" }>;
const LEVELS: Readonly<Record<Binary["op"], "bits" | "relation" | "shift" | "sum" | "product">> = {
  "&": "bits",
  "|": "bits",
  "^": "bits",
  "<": "relation",
  ">": "relation",
  "<=": "relation",
  ">=": "relation",
  "==": "relation",
  "!=": "relation",
  "<<": "shift",
  ">>": "shift",
  "+": "sum",
  "-": "sum",
  "*": "product",
  "/": "product",
  "%": "product",
};

/** May `inner` stand on that side of `outer` without parentheses? WGSL's grammar is stricter than C's. */
function bare(outer: Binary, inner: Binary, side: "left" | "right"): boolean {
  const [o, i] = [LEVELS[outer.op], LEVELS[inner.op]];
  switch (o) {
    case "bits":
      return inner.op === outer.op && side === "left";
    case "relation":
      // `a < b >> c` would begin a list of template arguments.
      return inner.op !== ">>" && (i === "shift" || i === "sum" || i === "product");
    case "shift":
      return false;
    case "sum":
      return i === "product" || (i === "sum" && side === "left");
    case "product":
      return i === "product" && side === "left";
    default:
      return o satisfies never;
  }
}

export function printExpr(e: LegalExpr): string {
  switch (e.kind) {
    case "atom":
      return e.text;
    case "call":
      return `${e.callee}(${printArguments(e.args)})`;
    case "index":
      return `${e.base}[${printExpr(e.index)}]`;
    case "member": {
      const inner = printExpr(e.value);
      return e.value.kind === "binary" || e.value.kind === "unary" ? `(${inner}).${e.member}` : `${inner}.${e.member}`;
    }
    case "unary": {
      const inner = printExpr(e.value);
      const wrap = e.value.kind === "binary" || e.value.kind === "unary" || inner.startsWith("-");
      return wrap ? `${e.op}(${inner})` : `${e.op}${inner}`;
    }
    case "binary": {
      const side = (x: LegalExpr, s: "left" | "right"): string => {
        const text = printExpr(x);
        if (x.kind === "binary") return bare(e, x, s) ? text : `(${text})`;
        // A leading minus is unary: it may stand anywhere, but `a - -b` is hard to read.
        return s === "right" && text.startsWith("-") ? `(${text})` : text;
      };
      return `${side(e.left, "left")} ${e.op} ${side(e.right, "right")}`;
    }
    default:
      return e satisfies never;
  }
}

/** `f(a < b, c > d)` would begin a list of template arguments: comparisons before one with `>` get parentheses. */
function printArguments(args: readonly LegalExpr[]): string {
  const texts = args.map(printExpr);
  return texts
    .map((t, i) =>
      args[i]?.kind === "binary" && t.includes("<") && texts.slice(i).some((u) => u.includes(">")) ? `(${t})` : t,
    )
    .join(", ");
}

function printBlock(body: readonly LegalStatement[], indent: number, out: string[]): void {
  const pad = "  ".repeat(indent);
  for (const s of body) {
    switch (s.kind) {
      case "let":
        out.push(`${pad}let ${s.name} = ${printExpr(s.value)};`);
        break;
      case "var":
        out.push(`${pad}var ${s.name}: ${s.type}${s.value ? ` = ${printExpr(s.value)}` : ""};`);
        break;
      case "assign":
        out.push(`${pad}${printExpr(s.target)} ${s.op}= ${printExpr(s.value)};`);
        break;
      case "call":
        out.push(`${pad}${printExpr(s.value)};`);
        break;
      case "if":
        out.push(`${pad}if ${condition(s.condition)} {`);
        printBlock(s.body, indent + 1, out);
        if (s.otherwise.length > 0) {
          out.push(`${pad}} else {`);
          printBlock(s.otherwise, indent + 1, out);
        }
        out.push(`${pad}}`);
        break;
      case "for": {
        const next = s.step === 1 ? `${s.name}++` : `${s.name} += ${s.step}`;
        out.push(`${pad}for (var ${s.name}: i32 = ${printExpr(s.from)}; ${s.name} < ${printExpr(s.to)}; ${next}) {`);
        printBlock(s.body, indent + 1, out);
        out.push(`${pad}}`);
        break;
      }
      case "break":
        out.push(`${pad}break;`);
        break;
      default:
        s satisfies never;
    }
  }
}

function condition(e: LegalExpr): string {
  return `(${printExpr(e)})`;
}

function arrayType(b: LegalBuffer): string {
  return b.length === undefined ? `array<${b.element}>` : `array<${b.element}, ${b.length}>`;
}

/** The module's text and what a host must know to run it. */
export function printWgsl(k: LegalKernel): PrintedKernel {
  const comment = commentOf(k.origin);
  const enables = k.enables.map((e) => `enable ${e};`);
  const head: string[] = [];
  if (k.sizes.length > 0) {
    head.push(`struct Sizes {`);
    for (const f of k.sizes)
      head.push(`  ${f.name}: i32,${f.extent.text === f.name ? "" : ` // ${printable(f.extent.text)}`}`);
    head.push("}");
  }
  k.storage.forEach((b, i) => {
    head.push(`@group(0) @binding(${i}) var<storage, ${b.access}> ${b.name}: ${arrayType(b)};`);
  });
  if (k.sizes.length > 0) head.push(`@group(0) @binding(${k.storage.length}) var<uniform> ${k.sizesName}: Sizes;`);
  for (const b of k.workgroup) head.push(`var<workgroup> ${b.name}: ${arrayType(b)};`);
  const params = k.builtins.map((b) => `@builtin(${b.builtin}) ${b.name}: ${b.type}`);
  const entry = ["", `@compute @workgroup_size(${k.workgroupSize.join(", ")})`, `fn ${k.name}(${params.join(", ")}) {`];
  printBlock(k.body, 1, entry);
  entry.push("}", "");
  const lines = (...parts: readonly (readonly string[])[]): string => parts.flat().join("\n");
  const gap = (list: readonly string[]): readonly string[] => (list.length > 0 ? [""] : []);
  const bindings = k.storage.map((b) => (b.access === "read" ? ("read" as const) : ("readwrite" as const)));
  return {
    code:
      comment +
      lines(
        enables,
        gap([...k.origin, ...enables]),
        head,
        k.helpers.flatMap((h) => ["", h]),
        entry,
      ),
    comment,
    own: lines(enables, gap(enables), head, entry),
    helpers: k.helpers,
    entryPoint: k.name,
    workgroupSize: k.workgroupSize,
    bindings: k.sizes.length > 0 ? [...bindings, "uniform"] : bindings,
    bufferOrder: k.storage.map((b) => b.buffer),
    uniforms: k.sizes.map((s) => s.extent),
    features: k.features,
    matrices: k.matrices,
    groups: k.groups,
  };
}

export function commentOf(origin: readonly string[]): string {
  return origin.map((line) => `// ${line}\n`).join("");
}

/** On one line and in ASCII, whatever names it holds. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}
