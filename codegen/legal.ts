/**
 * What WGSL can say, and nothing else: the legaliser's result. Every decision has been taken (names, helper functions, literals,
 * where a `let` stands); the printer only writes it down with the parentheses that WGSL's grammar asks for.
 */
import type { DType } from "../ir/dtype.ts";
import type { Extent } from "../ir/extent.ts";
import type { Buffer, Lanes } from "../ir/kernel.ts";
import type { MatrixShape } from "../runtime/plan.ts";

export type BinaryOp =
  | "+"
  | "-"
  | "*"
  | "/"
  | "%"
  | "<<"
  | ">>"
  | "<"
  | ">"
  | "<="
  | ">="
  | "=="
  | "!="
  | "&"
  | "|"
  | "^";

export type LegalExpr =
  /** A literal or a name. */
  | { readonly kind: "atom"; readonly text: string }
  | { readonly kind: "call"; readonly callee: string; readonly args: readonly LegalExpr[] }
  | { readonly kind: "index"; readonly base: string; readonly index: LegalExpr }
  | { readonly kind: "member"; readonly value: LegalExpr; readonly member: string }
  | { readonly kind: "unary"; readonly op: "-" | "!" | "~" | "&"; readonly value: LegalExpr }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly left: LegalExpr; readonly right: LegalExpr };

export type LegalStatement =
  | { readonly kind: "let"; readonly name: string; readonly value: LegalExpr }
  | { readonly kind: "var"; readonly name: string; readonly type: string; readonly value: LegalExpr | undefined }
  | {
      readonly kind: "assign";
      readonly target: LegalExpr;
      readonly op: "" | "+" | "-" | "*";
      readonly value: LegalExpr;
    }
  | { readonly kind: "call"; readonly value: LegalExpr }
  | {
      readonly kind: "if";
      readonly condition: LegalExpr;
      readonly body: readonly LegalStatement[];
      readonly otherwise: readonly LegalStatement[];
    }
  /** An i32 from `from` while below `to`. */
  | {
      readonly kind: "for";
      readonly name: string;
      readonly from: LegalExpr;
      readonly to: LegalExpr;
      readonly step: number;
      readonly body: readonly LegalStatement[];
    }
  | { readonly kind: "break" };

export interface LegalBuffer {
  readonly buffer: Buffer;
  readonly name: string;
  /** The WGSL type of the array's elements. */
  readonly element: string;
  /** Elements, where it is a literal; a storage array is sized at run time otherwise. */
  readonly length: number | undefined;
  readonly access: "read" | "read_write";
}

export interface LegalParts {
  readonly name: string;
  /** Lines of the comment at the top. */
  readonly origin: readonly string[];
  readonly features: readonly string[];
  readonly matrices: readonly MatrixShape[];
  /** `enable` and `requires` names. */
  readonly enables: readonly string[];
  readonly storage: readonly LegalBuffer[];
  readonly workgroup: readonly LegalBuffer[];
  /** Fields of the uniform struct, i32 each. */
  readonly sizes: readonly { readonly name: string; readonly extent: Extent }[];
  readonly sizesName: string;
  readonly helpers: readonly string[];
  readonly workgroupSize: readonly [number, number, number];
  /** Parameters of the entry point: builtin, name, type. */
  readonly builtins: readonly { readonly builtin: string; readonly name: string; readonly type: string }[];
  readonly body: readonly LegalStatement[];
  /** Workgroups to dispatch along x, y and z. */
  readonly groups: readonly [Extent, Extent, Extent];
}

declare const legal: unique symbol;
/** What the printer accepts: made by the legaliser only, from a verified kernel. */
export type LegalKernel = LegalParts & { readonly [legal]: true };

/** For the legaliser. */
export function seal(parts: LegalParts): LegalKernel {
  return parts as LegalKernel;
}

export function atom(text: string): LegalExpr {
  return { kind: "atom", text };
}
export function call(callee: string, ...args: readonly LegalExpr[]): LegalExpr {
  return { kind: "call", callee, args };
}
export function binary(op: BinaryOp, left: LegalExpr, right: LegalExpr): LegalExpr {
  return { kind: "binary", op, left, right };
}
export function member(value: LegalExpr, name: string): LegalExpr {
  return { kind: "member", value, member: name };
}

const SCALARS = { f32: "f32", f16: "f16", i32: "i32", u32: "u32", bool: "bool" } as const satisfies Record<
  DType,
  string
>;
const SUFFIXES = { f32: "f", f16: "h", i32: "i", u32: "u", bool: "" } as const satisfies Record<DType, string>;

/** `f32`, `vec4f`, `vec2<bool>`. */
export function typeName(dtype: DType, lanes: Lanes): string {
  if (lanes === 1) return SCALARS[dtype];
  return dtype === "bool" ? `vec${lanes}<bool>` : `vec${lanes}${SUFFIXES[dtype]}`;
}
/** In memory bool is u32. */
export function storedType(dtype: DType): DType {
  return dtype === "bool" ? "u32" : dtype;
}
