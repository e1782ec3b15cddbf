/** Writing values as WGSL expressions, with `let`s where they belong; codegen/place.ts writes the statements around them. */
import type { DType } from "../ir/dtype.ts";
import type { Extent } from "../ir/extent.ts";
import { type Buffer, isPlace, type Lanes, type SubgroupPlace } from "../ir/kernel.ts";
import type { Prim } from "../ir/prim.ts";
import { isLeaf } from "./expand.ts";
import { uniformConstant } from "./fold.ts";
import type { HelperLibrary } from "./helpers/index.ts";
import { atom, binary, call, type LegalExpr, type LegalStatement, member, typeName } from "./legal.ts";
import type { Names } from "./names.ts";
import { convert, literalText, MIXED, spell } from "./spell.ts";
import type { Scope, Uses } from "./uses.ts";
import { type Cell, type NameValue, type Value, valueChildren } from "./value.ts";

/** Tint refuses parentheses past about 100 deep; a level of ours can be three of its own. */
const MAX_DEPTH = 24;
const VERY_DEEP = 64;

/** WGSL's names of what tells an invocation where it is in its subgroup, and its subgroup in the workgroup. */
const PLACES = {
  id: "subgroup_invocation_id",
  size: "subgroup_size",
  index: "subgroup_id",
  count: "num_subgroups",
} as const satisfies Record<SubgroupPlace, Builtin>;
export type Builtin = "subgroup_invocation_id" | "subgroup_size" | "subgroup_id" | "num_subgroups" | "workgroup_id";

/** What the placing asks of the rest of the legaliser. */
export interface PlaceContext {
  readonly names: Names;
  readonly helpers: HelperLibrary;
  readonly bufferName: (b: Buffer) => string;
  readonly arrayLength: (b: Buffer) => number | undefined;
  readonly halfByBits: boolean;
  readonly sizeField: (e: Extent) => LegalExpr;
  readonly builtin: (name: Builtin) => string;
  readonly subgroups: () => void;
}

const SHUFFLES = {
  broadcast: "subgroupBroadcast",
  shuffle: "subgroupShuffle",
  shuffleXor: "subgroupShuffleXor",
} as const;
type Shuffle = keyof typeof SHUFFLES;

/**
 * `shuffleXor` by 1, 2 and 3 stays within a quad, which is four neighbouring lanes: a subgroup has no fewer, and hardware (as
 * software) does it in one instruction.
 */
const SWAPS = ["quadSwapX", "quadSwapY", "quadSwapDiagonal"] as const;

const LANES = ["x", "y", "z", "w"] as const;

/** Compilers that see f32 made of f16 on both sides compare the f16. */
const COMPARING: ReadonlySet<Prim> = new Set(["lt", "le", "gt", "ge", "eq", "ne", "min", "max"]);

export class ExprPlacer {
  protected readonly context: PlaceContext;
  protected readonly uses: Uses;
  protected readonly given: Map<NameValue, string> = new Map();
  /** Declarations at the top of the function. */
  protected readonly head: LegalStatement[] = [];
  private readonly cells = new Map<Cell, string>();
  private readonly special = new Map<string, string>();
  private readonly depths = new Map<LegalExpr, number>();

  constructor(context: PlaceContext, uses: Uses) {
    this.context = context;
    this.uses = uses;
  }

  protected nameOf(v: Value, scope: Scope): string | undefined {
    for (let s: Scope | undefined = scope; s; s = s.parent) {
      const name = s.named.get(v);
      if (name !== undefined) return name;
    }
    return undefined;
  }

  /** The block in which arithmetic that loops do not change is computed. */
  private homeOf(v: Value, scope: Scope): Scope {
    let home = scope;
    if (v.pinned) return home;
    for (let s: Scope | undefined = scope; s && s.depth > v.level; s = s.parent)
      if (s.loop && s.parent) home = s.parent;
    return home;
  }

  protected place(v: Value, scope: Scope): string {
    const home = this.homeOf(v, scope);
    const value = this.build(v, home);
    const kind =
      v.kind === "load" ? `${v.buffer.name}_at` : v.dtype === "i32" ? "k" : v.dtype === "bool" ? "test" : "v";
    const name = this.context.names.fresh(this.uses.hints.get(v) ?? kind);
    home.out.push({ kind: "let", name, value });
    home.named.set(v, name);
    return name;
  }

  /** Breaks what is very deep into `let`s from below, so that no recursion here is. */
  private shallow(v: Value, scope: Scope): void {
    const steps = new Map<number, Set<Value>>();
    const seen = new Set<Value>();
    const open = [v];
    for (let x = open.pop(); x; x = open.pop()) {
      if (seen.has(x) || x.depth < VERY_DEEP || this.nameOf(x, scope) !== undefined) continue;
      seen.add(x);
      if (x !== v && x.depth % VERY_DEEP === 0) steps.set(x.depth, (steps.get(x.depth) ?? new Set()).add(x));
      open.push(...valueChildren(x));
    }
    for (const depth of [...steps.keys()].sort((a, b) => a - b))
      for (const x of steps.get(depth) ?? []) if (!isPlain(x) && x.kind !== "cell") this.place(x, scope);
  }

  protected expr(v: Value, scope: Scope): LegalExpr {
    if (v.depth > 2 * VERY_DEEP && this.nameOf(v, scope) === undefined) this.shallow(v, scope);
    if (isPlain(v) || v.kind === "cell") return this.build(v, scope);
    const name = this.nameOf(v, scope);
    if (name !== undefined) return atom(name);
    const home = this.homeOf(v, scope);
    const shared = (home.uses.get(v) ?? 0) > 1 && v.kind !== "extract" && v.kind !== "splat";
    if (shared || (home !== scope && !isLeaf(v))) return atom(this.place(v, scope));
    const built = this.build(v, scope);
    if (this.depthOf(built) > MAX_DEPTH) {
      const fresh = this.context.names.fresh("v");
      scope.out.push({ kind: "let", name: fresh, value: built });
      scope.named.set(v, fresh);
      return atom(fresh);
    }
    return built;
  }

  /** As a literal, a name or a field: what may be evaluated again. */
  protected leaf(v: Value, scope: Scope): LegalExpr {
    const e = this.expr(v, scope);
    return e.kind === "atom" || e.kind === "member" ? e : atom(this.place(v, scope));
  }

  private depthOf(e: LegalExpr): number {
    if (e.kind === "atom") return 1;
    const old = this.depths.get(e);
    if (old !== undefined) return old;
    const depth = 1 + this.depthWithin(e);
    this.depths.set(e, depth);
    return depth;
  }

  private depthWithin(e: Exclude<LegalExpr, { kind: "atom" }>): number {
    switch (e.kind) {
      case "call":
        return e.args.reduce((n, p) => Math.max(n, this.depthOf(p)), 0);
      case "index":
        return this.depthOf(e.index);
      case "member":
      case "unary":
        return this.depthOf(e.value);
      case "binary":
        return Math.max(this.depthOf(e.left), this.depthOf(e.right));
      default:
        return e satisfies never;
    }
  }

  protected element(b: Buffer, index: Value, scope: Scope): LegalExpr {
    const k = uniformConstant(index);
    const length = this.context.arrayLength(b);
    // A constant outside is an error to WGSL even where it is never reached.
    const inside =
      k !== undefined && (k < 0 || (length !== undefined && k >= length)) ? atom("0") : this.expr(index, scope);
    return { kind: "index", base: this.context.bufferName(b), index: inside };
  }

  protected build(v: Value, scope: Scope): LegalExpr {
    switch (v.kind) {
      case "const":
        return this.constant(v.dtype, v.value);
      case "size":
        return this.context.sizeField(v.extent);
      case "name": {
        const name = this.given.get(v);
        if (name === undefined) throw new RangeError(`variable ${v.hint} has no name`);
        return atom(name);
      }
      case "cell":
        return atom(this.cell(v.cell));
      case "load": {
        const element = this.element(v.buffer, v.index, scope);
        const loaded = v.buffer.atomic ? call("atomicLoad", { kind: "unary", op: "&", value: element }) : element;
        if (this.context.halfByBits && wordsOf(v.buffer)) return call(`bitcast<${typeName(v.dtype, v.lanes)}>`, loaded);
        if (v.dtype !== "bool") return loaded;
        return binary("!=", loaded, this.filled("u32", v.lanes, "0u"));
      }
      case "column":
        return this.column(v, scope);
      case "splat":
        return call(typeName(v.dtype, v.lanes), this.expr(v.value, scope));
      case "vector":
        return call(typeName(v.dtype, v.lanes), ...v.args.map((a) => this.expr(a, scope)));
      case "dot":
      case "matvec":
        return this.product(v, scope);
      case "extract": {
        const of = this.expr(v.value, scope);
        return member(of, LANES[v.lane] ?? "x");
      }
      case "threefry":
        return call(this.context.helpers.use("threefry", 1), ...v.args.map((a) => this.expr(a, scope)));
      case "subgroup":
        return this.subgroup(v, scope);
      case "apply": {
        const { prim, args } = v;
        const branch = prim === "select" ? 1 : 0;
        const from = args[branch]?.dtype ?? v.dtype;
        // `vector * scalar` needs no splat; two splats would lose the vector.
        const { halfByBits } = this.context;
        const mixed = MIXED.has(prim) && args.some((a) => a.kind !== "splat") && !(halfByBits && from === "f16");
        const written = args.map((a) =>
          mixed && a.kind === "splat" && this.nameOf(a, scope) === undefined
            ? this.expr(a.value, scope)
            : this.expr(a, scope),
        );
        const compares = halfByBits && COMPARING.has(prim);
        const narrow = compares && from === "f16";
        const hidden =
          narrow || (compares && args.every(isOfHalf)) ? args.findIndex((a) => uniformConstant(a) === undefined) : -1;
        const wide = narrow ? written.map((a) => convert("f32", v.lanes, a)) : written;
        const rounded = narrow && v.dtype === "f16";
        const spelled = spell(prim, {
          args: wide.map((a, i) => (i === hidden ? binary("*", a, this.opaqueOne()) : a)),
          values: args,
          from: narrow ? "f32" : from,
          to: rounded ? "f32" : v.dtype,
          lanes: v.lanes,
          helpers: this.context.helpers,
          halfByBits,
          opaqueZero: () => this.opaqueZero(),
        });
        return rounded ? call(this.context.helpers.use("to_half", v.lanes), spelled) : spelled;
      }
      default:
        return v satisfies never;
    }
  }

  private column(v: Extract<Value, { kind: "column" }>, scope: Scope): LegalExpr {
    const matrix = this.nameOf(v.of, scope) ?? this.place(v.of, scope);
    return { kind: "index", base: matrix, index: atom(String(v.column)) };
  }

  private product(v: Extract<Value, { kind: "dot" | "matvec" }>, scope: Scope): LegalExpr {
    if (v.kind === "dot") return call("dot", this.expr(v.left, scope), this.expr(v.right, scope));
    const type = `mat${v.columns.length}x${v.lanes}${v.dtype === "f16" ? "h" : "f"}`;
    const matrix = call(type, ...v.columns.map((c) => this.expr(c, scope)));
    return binary("*", matrix, this.expr(v.vector, scope));
  }

  private filled(dtype: DType, lanes: Lanes, text: string): LegalExpr {
    return lanes === 1 ? atom(text) : call(typeName(dtype, lanes), atom(text));
  }

  private subgroup(v: Extract<Value, { kind: "subgroup" }>, scope: Scope): LegalExpr {
    this.context.subgroups();
    if (isPlace(v.op)) return convert("i32", 1, atom(this.context.builtin(PLACES[v.op])));
    if (!v.value) throw new RangeError(`subgroup.${v.op} of nothing`);
    const x = this.expr(v.value, scope);
    const { dtype, lanes } = v;
    switch (v.op) {
      case "broadcast":
      case "shuffle":
      case "shuffleXor": {
        const swap = v.op === "shuffleXor" ? SWAPS[(v.lane ?? 0) - 1] : undefined;
        const lane = v.from ? convert("u32", 1, this.expr(v.from, scope)) : atom(`${v.lane ?? 0}u`);
        const taken = (y: LegalExpr): LegalExpr => (swap ? call(swap, y) : call(SHUFFLES[v.op as Shuffle], y, lane));
        if (dtype !== "bool") return taken(x);
        return binary("!=", taken(convert("u32", lanes, x)), this.filled("u32", lanes, "0u"));
      }
      case "and":
      case "or":
        if (dtype !== "bool") return call(v.op === "and" ? "subgroupAnd" : "subgroupOr", x);
        if (lanes === 1) return call(v.op === "and" ? "subgroupAll" : "subgroupAny", x);
        return binary(
          "!=",
          call(v.op === "and" ? "subgroupAnd" : "subgroupOr", convert("u32", lanes, x)),
          this.filled("u32", lanes, "0u"),
        );
      case "min":
      case "max": {
        const name = v.op === "min" ? "subgroupMin" : "subgroupMax";
        if (dtype === "i32" || dtype === "u32") return call(name, x);
        // Through an order of the bits in which NaN wins and -0 is below +0.
        const low = v.op === "min" ? "_low" : "";
        const wide = dtype === "f16" ? convert("f32", lanes, x) : x;
        const key = call(name, call(this.context.helpers.use(`order_key${low}`, lanes), wide));
        const back = call(this.context.helpers.use(`from_order_key${low}`, lanes), key);
        return dtype === "f16" ? convert("f16", lanes, back) : back;
      }
      case "add":
        return call("subgroupAdd", x);
      case "mul":
        return call("subgroupMul", x);
      default:
        return v.op satisfies never;
    }
  }

  private constant(dtype: DType, value: number): LegalExpr {
    const float = dtype === "f32" || dtype === "f16";
    if (Number.isFinite(value) && !(float && Object.is(value, -0))) return atom(literalText(dtype, value));
    // WGSL has no literals for infinities and NaN, and compilers lose the sign of -0.
    const [hint, bits] = Number.isNaN(value)
      ? ["nan", "0x7fc00000u"]
      : value === 0
        ? ["minus_zero", "0x80000000u"]
        : ["inf", "0x7f800000u"];
    const name = atom(this.opaque(hint, bits));
    const wide: LegalExpr = value < 0 ? { kind: "unary", op: "-", value: name } : name;
    return dtype === "f16" ? convert("f16", 1, wide) : wide;
  }

  /**
   * An f32 by its bits that no compiler knows: optimisers of SPIR-V take x * 0 for 0, x + 0 for x, x / inf for 0 wherever they see
   * the constant. The sign bit of a workgroup's number, which never has one, hides it.
   */
  private opaque(hint: string, bits: string): string {
    const hidden = binary("&", member(atom(this.context.builtin("workgroup_id")), "x"), atom("0x80000000u"));
    return this.hoisted(hint, () => call("bitcast<f32>", binary("^", hidden, atom(bits))));
  }

  private opaqueOne(): LegalExpr {
    return atom(this.opaque("one", "0x3f800000u"));
  }

  private opaqueZero(): LegalExpr {
    return atom(this.opaque("zero", "0u"));
  }

  private hoisted(hint: string, build: () => LegalExpr): string {
    const old = this.special.get(hint);
    if (old !== undefined) return old;
    const value = build();
    const name = this.context.names.fresh(hint);
    this.head.push({ kind: "let", name, value });
    this.special.set(hint, name);
    return name;
  }

  protected cell(c: Cell): string {
    const old = this.cells.get(c);
    if (old !== undefined) return old;
    const name = this.context.names.fresh(c.hint);
    this.cells.set(c, name);
    this.head.push({ kind: "var", name, type: typeName(c.dtype, c.lanes), value: undefined });
    return name;
  }
}

/** Is the f32 made of an f16, or a constant? */
function isOfHalf(v: Value): boolean {
  if (v.kind === "splat" || v.kind === "extract") return isOfHalf(v.value);
  if (v.kind === "const") return true;
  return v.kind === "apply" && v.prim === "cast" && v.dtype === "f32" && v.args[0]?.dtype === "f16";
}

/** The type of the words that hold a vector of f16 in storage; undefined of other buffers. */
export function wordsOf(b: Buffer): string | undefined {
  if (b.space !== "storage" || b.dtype !== "f16" || b.lanes === 1 || b.wide) return undefined;
  return b.lanes === 2 ? "u32" : "vec2u";
}

/** A literal, a name or a vector of literals: nothing is gained by a `let`. */
function isPlain(v: Value): boolean {
  if (v.kind === "const" || v.kind === "size" || v.kind === "name") return true;
  if (v.kind === "splat") return isPlain(v.value);
  return v.kind === "vector" && v.args.every((a) => a.kind === "const");
}
