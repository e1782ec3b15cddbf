/**
 * The legaliser, the only pass that knows what WGSL can express: from a verified kernel to one that the printer can write down.
 * expand.ts unrolls and folds, place.ts decides what becomes a `let` and where, spell.ts and helpers/ say how primitives are
 * written, launch.ts how the grid is dispatched. It stands after the verifier, which has shown that barriers are uniform.
 */
import { type Extent, ONE } from "../ir/extent.ts";
import type { Buffer, Kernel, Matrices } from "../ir/kernel.ts";
import type { VerifiedKernel } from "../ir/verify-kernel.ts";
import { launchOf, workgroupSizeOf } from "../ir/visit-kernel.ts";
import type { MatrixShape } from "../runtime/plan.ts";
import { expandKernel } from "./expand.ts";
import { HELPER_NAMES, HelperLibrary } from "./helpers/index.ts";
import { dispatchOf, type GridDispatch, MAX_GROUPS } from "./launch.ts";
import {
  atom,
  binary,
  type LegalBuffer,
  type LegalExpr,
  type LegalKernel,
  type LegalStatement,
  member,
  seal,
} from "./legal.ts";
import { Names } from "./names.ts";
import { elementType, placeStatements } from "./place.ts";
import { type Builtin, wordsOf } from "./place-expr.ts";
import { convert } from "./spell.ts";
import type { NameValue } from "./value.ts";
import { printable } from "./wgsl.ts";

export interface LegaliseOptions {
  /** Says where a definition was written, for the comment at the top: `conv.ein:12`. */
  readonly place?: (origin: Kernel["origin"][number]) => string | undefined;
  /**
   * Vectors of f16 lie in storage as words of two, are rounded by their bits, and are compared as f32: for llvmpipe, which goes to memory for
   * each element of a vector, branches to round, and compares f16 lane by lane.
   */
  readonly halfByBits?: boolean;
}

/** Static sizes above this are left to run time: WGSL limits the bytes of an array type. */
const MAX_STATIC = 2 ** 28;
const AXES = ["x", "y", "z"] as const;
const BUILTIN_HINTS = {
  subgroup_invocation_id: "lane",
  subgroup_size: "subgroup_width",
  subgroup_id: "subgroup_index",
  num_subgroups: "subgroup_count",
} as const satisfies Record<Exclude<Builtin, "workgroup_id">, string>;

export function legalise(kernel: VerifiedKernel, options: LegaliseOptions = {}): LegalKernel {
  const names = new Names(HELPER_NAMES);
  // Named first: emitted modules find `sizes.FIELD` in the text.
  const sizes = new SizeFields(names);
  const buffers = new Map<Buffer, string>(
    kernel.buffers.filter((b) => b.space !== "private").map((b) => [b, names.fresh(b.name)]),
  );
  // Buffers keep their names; the function is looked for by whoever reads a trace.
  const taken = kernel.name === "main" || [...buffers.values()].includes(kernel.name);
  const entry = names.fresh(taken ? `${kernel.name}_kernel` : kernel.name);
  const helpers = new HelperLibrary();
  const builtins = new Map<string, LegalKernel["builtins"][number]>();
  const builtin = (of: string, hint: string, type: string): string => {
    const old = builtins.get(of);
    if (old) return old.name;
    const made = { builtin: of, name: names.fresh(hint), type };
    builtins.set(of, made);
    return made.name;
  };
  let subgroups = false;
  const lengthOf = (b: Buffer): number | undefined => {
    const n = b.size.value;
    return n !== undefined && n <= MAX_STATIC ? Math.max(1, n / (b.wide ?? 1)) : undefined;
  };

  const expanded = expandKernel(kernel);
  const grid = dispatchOf(kernel);
  const group = (): string => builtin("workgroup_id", "group", "vec3u");
  const bound = new Map<NameValue, string>();
  const head: LegalStatement[] = [];
  const guard = bindGrid(grid, expanded.grid, bound, head, names, sizes, group);
  expanded.thread.forEach((v, d) => {
    if (!v) return;
    const name = names.fresh(v.hint);
    bound.set(v, name);
    head.push({
      kind: "let",
      name,
      value: convert("i32", 1, member(atom(builtin("local_invocation_id", "local", "vec3u")), AXES[d] ?? "x")),
    });
  });

  const body = placeStatements(expanded, bound, {
    names,
    helpers,
    bufferName: (b) => buffers.get(b) ?? b.name,
    arrayLength: lengthOf,
    halfByBits: options.halfByBits ?? false,
    sizeField: (e) => sizes.field(e),
    builtin: (of) => (of === "workgroup_id" ? group() : builtin(of, BUILTIN_HINTS[of], "u32")),
    subgroups: () => {
      subgroups = true;
    },
  });
  const guarded: readonly LegalStatement[] = guard ? [{ kind: "if", condition: guard, body, otherwise: [] }] : body;

  const matrices = kernel.matrices !== undefined;
  const half =
    kernel.buffers.some((b) => b.dtype === "f16") ||
    kernel.matrices?.some((m) => m.dtype === "f16") === true ||
    helpers.half ||
    usesHalf(guarded);
  const legal = (b: Buffer): LegalBuffer => ({
    buffer: b,
    name: buffers.get(b) ?? b.name,
    element: (options.halfByBits ? wordsOf(b) : undefined) ?? elementType(b),
    length: lengthOf(b),
    access: b.access === "read" && !b.atomic ? "read" : "read_write",
  });
  return seal({
    name: entry,
    origin: originLines(kernel, options),
    features: [
      ...(half ? ["shader-f16"] : []),
      ...(subgroups || matrices ? ["subgroups"] : []),
      ...(matrices ? ["chromium-experimental-subgroup-matrix"] : []),
    ],
    matrices: matrixShapes(kernel),
    enables: [
      ...(half ? ["f16"] : []),
      ...(subgroups || matrices ? ["subgroups"] : []),
      ...(matrices ? ["chromium_experimental_subgroup_matrix"] : []),
    ],
    storage: kernel.buffers.filter((b) => b.space === "storage").map(legal),
    workgroup: kernel.buffers.filter((b) => b.space === "workgroup").map(legal),
    sizes: sizes.list,
    sizesName: sizes.name,
    helpers: helpers.emit(),
    workgroupSize: workgroupSizeOf(launchOf(kernel)),
    builtins: [...builtins.values()],
    body: [...head, ...guarded],
    groups: grid.groups,
  });
}

/** What is multiplied, by the matrices that are declared: each left one with each result that it may add to. */
function matrixShapes(kernel: Kernel): readonly MatrixShape[] {
  const of = (use: Matrices["use"]): readonly Matrices[] => kernel.matrices?.filter((m) => m.use === use) ?? [];
  return of("left").flatMap((l) =>
    of("result").map((r) => ({ component: l.dtype, result: r.dtype, m: l.rows, n: r.columns, k: l.columns })),
  );
}

/** The fields of the uniform, made as they are asked for. */
class SizeFields {
  readonly list: { readonly name: string; readonly extent: Extent }[] = [];
  readonly name: string;
  /** Members of a struct are a name space of their own. */
  private readonly fields = new Names();
  private readonly known = new Map<Extent, string>();
  constructor(names: Names) {
    this.name = names.fresh("sizes");
  }
  field(e: Extent, hint?: string): LegalExpr {
    let name = this.known.get(e);
    if (name === undefined) {
      const short =
        e.text.length <= 30
          ? e.text.replace(/ \+ /g, "_plus_").replace(/ - /g, "_less_").replace(/ \* /g, "_by_")
          : "size";
      name = this.fields.fresh(hint ?? short);
      this.known.set(e, name);
      this.list.push({ name, extent: e });
    }
    return member(atom(this.name), name);
  }
}

/** Names the grid's variables. The result is what must hold for a workgroup to have work, if any may have none. */
function bindGrid(
  grid: GridDispatch,
  variables: readonly (NameValue | undefined)[],
  bound: Map<NameValue, string>,
  head: LegalStatement[],
  names: Names,
  sizes: SizeFields,
  group: () => string,
): LegalExpr | undefined {
  const id = (d: number): LegalExpr => convert("i32", 1, member(atom(group()), AXES[d] ?? "x"));
  const extent = (d: number): LegalExpr => {
    const e = grid.extents[d];
    return e === undefined ? atom("1") : e.value !== undefined ? atom(String(e.value)) : sizes.field(e);
  };
  const name = (d: number): string | undefined => {
    const v = variables[d];
    if (!v) return undefined;
    const made = names.fresh(v.hint);
    bound.set(v, made);
    return made;
  };
  if (grid.kind === "line") {
    const x = name(0) ?? names.fresh("x");
    const rows = binary("*", id(1), atom(String(MAX_GROUPS)));
    head.push({ kind: "let", name: x, value: binary("+", id(0), rows) });
    return binary("<", atom(x), extent(0));
  }
  const direct = [0, 1, 2].map((d) => ({ d, name: name(d) }));
  if (grid.kind === "direct" || !grid.folded) {
    for (const { d, name: n } of direct) if (n !== undefined) head.push({ kind: "let", name: n, value: id(d) });
    return undefined;
  }
  // A grid in x and y alone is taken apart in two.
  const flat = grid.extents[2] === ONE && variables[2] === undefined;
  const places = direct.slice(0, flat ? 2 : 3).map(({ d, name: n }) => {
    const made = names.fresh(`${n ?? AXES[d] ?? "x"}_id`);
    head.push({ kind: "var", name: made, type: "i32", value: id(d) });
    return atom(made);
  });
  const [x, y, z] = places;
  if (!x || !y) return undefined;
  const linear = names.fresh("linear");
  const rest = names.fresh("rest");
  const unsigned = (e: LegalExpr): LegalExpr => convert("u32", 1, e);
  const part = (d: number): LegalExpr =>
    binary(
      "+",
      member(atom(group()), AXES[d] ?? "x"),
      binary("*", member(atom(group()), AXES[d + 1] ?? "y"), atom(`${MAX_GROUPS}u`)),
    );
  const set = (target: LegalExpr, value: LegalExpr): LegalStatement => ({
    kind: "assign",
    target,
    op: "",
    value: convert("i32", 1, value),
  });
  head.push({
    kind: "if",
    condition: binary("!=", sizes.field(grid.folded, "folded"), atom("0")),
    body: [
      { kind: "let", name: linear, value: part(0) },
      set(x, binary("%", atom(linear), unsigned(extent(0)))),
      ...(z
        ? ([
            { kind: "let", name: rest, value: binary("/", atom(linear), unsigned(extent(0))) },
            set(y, binary("%", atom(rest), unsigned(extent(1)))),
            set(z, binary("/", atom(rest), unsigned(extent(1)))),
          ] as const)
        : [set(y, binary("/", atom(linear), unsigned(extent(0))))]),
    ],
    otherwise: [],
  });
  // A `let` may stay in a register; a `var` need not.
  direct.forEach(({ name: n }, d) => {
    const id = places[d];
    if (n !== undefined && id) head.push({ kind: "let", name: n, value: id });
  });
  return z ? binary("<", z, extent(2)) : binary("<", y, extent(1));
}

/** What a kernel computes, and where that was written. */
export function originLines(kernel: Kernel, options: LegaliseOptions): string[] {
  const parts = kernel.origin.map((o) => {
    const at = options.place?.(o) ?? o.span?.file;
    return at === undefined ? o.name : `${o.name} (${at})`;
  });
  const lines = [`${printable(kernel.name)}${parts.length > 0 ? `: computes ${printable(parts.join(", "))}` : ""}`];
  for (const f of kernel.facts)
    lines.push(
      `where ${printable(f.relation === "divisible" ? `${f.right.text} divides ${f.left.text}` : `${f.left.text} ${f.relation} ${f.right.text}`)}`,
    );
  return lines;
}

/** A type of vectors, or a literal. */
const HALF = /^(vec[24]h|-?[\d.][\de.+-]*h)$/;

/** Does a value of f16 occur? Its types and literals are recognisable. */
function usesHalf(body: readonly LegalStatement[]): boolean {
  const half = (text: string): boolean => text === "f16" || (text.endsWith("h") && HALF.test(text));
  const inside = (e: LegalExpr): boolean => {
    switch (e.kind) {
      case "atom":
        return half(e.text);
      case "call":
        return half(e.callee) || e.args.some(inside);
      case "index":
        return inside(e.index);
      case "member":
      case "unary":
        return inside(e.value);
      case "binary":
        return inside(e.left) || inside(e.right);
      default:
        return e satisfies never;
    }
  };
  return body.some((s) => {
    switch (s.kind) {
      case "let":
      case "call":
        return inside(s.value);
      case "var":
        return half(s.type) || (s.value !== undefined && inside(s.value));
      case "assign":
        return inside(s.target) || inside(s.value);
      case "if":
        return inside(s.condition) || usesHalf(s.body) || usesHalf(s.otherwise);
      case "for":
        return inside(s.from) || inside(s.to) || usesHalf(s.body);
      case "break":
        return false;
      default:
        return s satisfies never;
    }
  });
}
