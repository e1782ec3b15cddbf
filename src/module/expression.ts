/**
 * Sizes of a plan as JavaScript. Equal parts are one node, and whatever is used more than once becomes a local constant, so that the
 * text stays short: grids of folded dispatches repeat their parts many times.
 */
import type { PlanSize } from "../../runtime/plan.ts";

type Operation = "+" | "-" | "*" | "floor" | "ceil" | "mod" | "min" | "max" | "least";
interface Node {
  readonly kind: "number" | "symbol" | Operation;
  /** Of a number or symbol. */
  readonly text: string;
  readonly args: readonly Node[];
  /** Is it at least 0 whenever all symbols are? */
  readonly natural: boolean;
}

export interface PrintedSizes {
  /** `const MN = M * N` and the like, in order. */
  readonly locals: readonly { readonly name: string; readonly value: string }[];
  text(size: PlanSize): string;
}

/** `names` maps symbols to identifiers; `taken` are identifiers that locals must not use. */
export function printSizes(
  sizes: readonly PlanSize[],
  names: ReadonlyMap<string, string>,
  taken: Iterable<string>,
): PrintedSizes {
  const graph = new Graph(names);
  const uses = new Map<Node, number>();
  const order: Node[] = [];
  const visit = (n: Node): void => {
    const seen = uses.get(n) ?? 0;
    uses.set(n, seen + 1);
    if (seen > 0) return;
    n.args.forEach(visit);
    order.push(n);
  };
  for (const s of sizes) visit(graph.node(s));
  const local = new Map<Node, string>();
  const used = new Set([...names.values(), ...taken]);
  const print = (n: Node): string => local.get(n) ?? printNode(n, print);
  const locals: { name: string; value: string }[] = [];
  for (const n of order) {
    if (n.args.length === 0 || uses.get(n) === 1) continue;
    const value = print(n);
    const name = unused(localName(n, local), used);
    local.set(n, name);
    locals.push({ name, value });
  }
  return { locals, text: (s) => print(graph.node(s)) };
}

class Graph {
  readonly #nodes = new Map<string, Node>();
  readonly #ids = new Map<Node, number>();
  readonly #names: ReadonlyMap<string, string>;

  constructor(names: ReadonlyMap<string, string>) {
    this.#names = names;
  }

  node(s: PlanSize): Node {
    if (typeof s === "number") return this.#make("number", String(s), [], s >= 0);
    if ("symbol" in s) return this.#make("symbol", this.#names.get(s.symbol) ?? s.symbol, [], true);
    const [left, right] = [this.node(s.left), this.node(s.right)];
    const both = left.natural && right.natural;
    switch (s.op) {
      case "add":
        return this.#make("+", "", [left, right], both);
      case "sub":
        return this.#make("-", "", [left, right], false);
      case "mul":
        return this.#make("*", "", [left, right], both);
      case "div": {
        // (x + b - 1) div b is the usual way to round up.
        const [x, more] = left.args;
        if (left.kind === "+" && x && more && isNumber(right) && isNumber(more, Number(right.text) - 1))
          return this.#make("ceil", "", [x, right], x.natural);
        return this.#make("floor", "", [left, right], both);
      }
      case "ceildiv":
        return this.#make("ceil", "", [left, right], both);
      case "mod":
        return this.#make("mod", "", [left, right], right.natural);
      case "min":
      case "max": {
        // min(1, a div b), as folded grids have it, asks whether a is at least b.
        const [a, b] = right.args;
        if (s.op === "min" && isNumber(left, 1) && right.kind === "floor" && a?.natural && b && isNumber(b))
          return this.#make("least", "", [a, b], true);
        const flat = [left, right].flatMap((n) => (n.kind === s.op ? n.args : [n]));
        return this.#make(s.op, "", flat, s.op === "min" ? both : flat.some((n) => n.natural));
      }
      default:
        return s.op satisfies never;
    }
  }

  #make(kind: Node["kind"], text: string, args: readonly Node[], natural: boolean): Node {
    const key = `${kind} ${text} ${args.map((a) => this.#ids.get(a)).join(" ")}`;
    const old = this.#nodes.get(key);
    if (old) return old;
    const made: Node = { kind, text, args, natural };
    this.#nodes.set(key, made);
    this.#ids.set(made, this.#ids.size);
    return made;
  }
}

function isNumber(n: Node, value?: number): boolean {
  return n.kind === "number" && (value === undefined || Number(n.text) === value);
}

const LEVELS: Readonly<Record<Node["kind"], number>> = {
  "+": 1,
  "-": 1,
  "*": 2,
  mod: 2,
  number: 3,
  symbol: 3,
  floor: 3,
  ceil: 3,
  min: 3,
  max: 3,
  least: 3,
};

function printNode(n: Node, print: (n: Node) => string): string {
  const [left, right] = n.args;
  const operand = (a: Node, level: number): string => {
    const text = print(a);
    // A local constant prints as a name, whatever it stands for.
    return /^[\w$]+$/.test(text) || LEVELS[a.kind] >= level ? text : `(${text})`;
  };
  switch (n.kind) {
    case "number":
    case "symbol":
      return n.text;
    case "+":
      return `${operand(left!, 1)} + ${operand(right!, 1)}`;
    case "-":
      return `${operand(left!, 1)} - ${operand(right!, 2)}`;
    case "*":
      return left!.kind === "mod"
        ? `(${print(left!)}) * ${operand(right!, 3)}`
        : `${operand(left!, 2)} * ${operand(right!, 3)}`;
    case "mod": {
      const [a, b] = [operand(left!, 3), operand(right!, 3)];
      // JavaScript's remainder has the sign of the dividend.
      return left!.natural ? `${a} % ${b}` : `((${a} % ${b}) + ${b}) % ${b}`;
    }
    case "floor":
    case "ceil":
      return `Math.${n.kind}(${operand(left!, 2)} / ${operand(right!, 3)})`;
    case "least":
      return `+(${print(left!)} >= ${print(right!)})`;
    case "min":
    case "max":
      return `Math.${n.kind}(${n.args.map(print).join(", ")})`;
    default:
      return n.kind satisfies never;
  }
}

/** `BHQ` for a product of extents, `K_64` for a number of tiles, else `n1`, `n2` and so on. */
function localName(n: Node, local: ReadonlyMap<Node, string>): string {
  const names = n.args.map((a) => local.get(a) ?? a.text);
  if (n.kind === "*" && names.every((t) => /^[A-Z]{1,5}$/.test(t))) return names.join("");
  if (n.kind === "ceil" && names.every((t) => /^\w{1,8}$/.test(t))) return names.join("_");
  return "n1";
}

/** The name itself, or with the next free number. */
export function unused(name: string, used: Set<string>): string {
  let free = name;
  for (let i = 2; used.has(free); i++) free = name === "n1" ? `n${i}` : `${name}_${i}`;
  used.add(free);
  return free;
}

/** Is it a whole number of at least 0 whenever all symbols are? */
export function isNatural(size: PlanSize): boolean {
  if (typeof size === "number") return size >= 0;
  if ("symbol" in size) return true;
  const { op, left, right } = size;
  if (op === "sub") return false;
  const divides = op === "div" || op === "ceildiv" || op === "mod";
  if (divides && !(typeof right === "number" && right > 0)) return false;
  return isNatural(left) && isNatural(right);
}

/** A size as people write it. */
export function sizeText(size: PlanSize): string {
  if (typeof size === "number") return String(size);
  if ("symbol" in size) return size.symbol;
  const inner = (s: PlanSize): string => (typeof s === "object" && "op" in s ? `(${sizeText(s)})` : sizeText(s));
  const signs = { add: "+", sub: "-", mul: "*", div: "div", mod: "%" } as const;
  switch (size.op) {
    case "add":
      return `${sizeText(size.left)} + ${sizeText(size.right)}`;
    case "sub":
    case "mul":
    case "div":
    case "mod":
      return `${inner(size.left)} ${signs[size.op]} ${inner(size.right)}`;
    case "ceildiv":
      return `ceil(${inner(size.left)} / ${inner(size.right)})`;
    case "min":
    case "max":
      return `${size.op}(${sizeText(size.left)}, ${sizeText(size.right)})`;
    default:
      return size.op satisfies never;
  }
}
