/** A PyTorch call bound to a signature, and its values as text of the language. */
import { languageType, type Values } from "../arrays.ts";

/** As the files have them. */
export type Raw = null | number | string | boolean | readonly Raw[] | { readonly [key: string]: Raw };

export interface TorchCall {
  readonly op: string;
  readonly variant: string;
  readonly input: Raw;
  readonly args: readonly Raw[];
  readonly kwargs: Readonly<Record<string, Raw>>;
  readonly tensors: readonly Values[];
}

/** What a rule cannot say in the language; listed by operator. */
export class UnsupportedCall extends Error {}

export function isTensor(v: Raw | undefined): v is { readonly $tensor: number } {
  return typeof v === "object" && v !== null && "$tensor" in v;
}

/** One argument with everything that rules ask of it. */
export class Arg {
  readonly raw: Raw | undefined;
  readonly #call: TorchCall;
  constructor(raw: Raw | undefined, call: TorchCall) {
    this.raw = raw;
    this.#call = call;
  }
  get isNone(): boolean {
    return this.raw === undefined || this.raw === null;
  }
  get isTensor(): boolean {
    return isTensor(this.raw);
  }
  /** The tensor's values; throws UnsupportedCall if it is none. */
  get values(): Values {
    if (!isTensor(this.raw)) throw new UnsupportedCall("an argument is not a tensor");
    return this.#call.tensors[this.raw.$tensor]!;
  }
  get shape(): readonly number[] {
    return this.isTensor ? this.values.shape : [];
  }
  get rank(): number {
    return this.shape.length;
  }
  get dtype(): string {
    return this.isTensor
      ? (languageType(this.values.dtype) ?? "f32")
      : typeof this.raw === "boolean"
        ? "bool"
        : Number.isInteger(this.raw)
          ? "i32"
          : "f32";
  }
  get items(): readonly Arg[] {
    return Array.isArray(this.raw) ? (this.raw as readonly Raw[]).map((x) => new Arg(x, this.#call)) : [this];
  }
  get isList(): boolean {
    return Array.isArray(this.raw);
  }
  number(fallback?: number): number {
    if (typeof this.raw === "number") return this.raw;
    if (this.raw === "Infinity") return Number.POSITIVE_INFINITY;
    if (this.raw === "-Infinity") return Number.NEGATIVE_INFINITY;
    if (this.isNone && fallback !== undefined) return fallback;
    throw new UnsupportedCall(`a number is needed, not ${JSON.stringify(this.raw)}`);
  }
  boolean(fallback = false): boolean {
    return this.isNone ? fallback : Boolean(this.raw);
  }
  string(fallback = ""): string {
    return typeof this.raw === "string" ? this.raw : fallback;
  }
  numbers(): readonly number[] {
    return this.items.map((x) => x.number());
  }
  /** As text of the language. */
  toString(): string {
    return text(this.raw);
  }
}

function text(raw: Raw | undefined): string {
  if (raw === undefined || raw === null) return "None";
  if (raw === "Infinity") return "inf";
  if (raw === "-Infinity") return "-inf";
  if (raw === "NaN") return "nan";
  if (typeof raw === "number") return String(raw).replace("e+", "e");
  if (typeof raw === "boolean") return String(raw);
  if (typeof raw === "string") return JSON.stringify(raw);
  if (Array.isArray(raw)) return `[${(raw as readonly Raw[]).map(text).join(", ")}]`;
  if (isTensor(raw)) return `t${raw.$tensor}`;
  throw new UnsupportedCall(`an argument ${JSON.stringify(raw)}`);
}

/** `a, b` with both broadcast to one shape, the last `own` axes apart: the library's functions take equal leading axes. */
export function sameShape(a: Arg, b: Arg, own = 0): string {
  const rank = Math.max(a.rank, b.rank);
  const padded = (x: Arg): readonly number[] => [...Array.from({ length: rank - x.rank }, () => 1), ...x.shape];
  const [p, q] = [padded(a), padded(b)];
  const target = (mine: readonly number[]): readonly number[] =>
    mine.map((n, i) => (i >= rank - own ? n : p[i] === 1 ? q[i]! : p[i]!));
  const write = (x: Arg): string => {
    const want = target(padded(x));
    return want.length === x.rank && want.every((n, i) => n === x.shape[i])
      ? String(x)
      : `broadcast_to(${x}, [${want.join(", ")}])`;
  };
  return `${write(a)}, ${write(b)}`;
}

export type Bound = Readonly<Record<string, Arg>>;

interface Parameter {
  readonly name: string;
  readonly default: string | undefined;
  readonly keyword: boolean;
}

/** `sum(input, dim=None, keepdim=False, *, dtype=None)`: names, defaults, keyword-only ones after `*`. `*rest` takes the rest. */
function parseSignature(signature: string): readonly Parameter[] {
  let keyword = false;
  return signature
    .slice(signature.indexOf("(") + 1, -1)
    .split(/,(?![^[]*\])/)
    .map((p) => p.trim())
    .filter((p) => p !== "")
    .flatMap((p): Parameter[] => {
      if (p === "*") {
        keyword = true;
        return [];
      }
      const [name, value] = p.split("=");
      const made = { name: name!.trim(), default: value?.trim(), keyword };
      if (made.name.startsWith("*")) keyword = true;
      return [made];
    });
}

function pythonValue(t: string): Raw {
  if (t === "None") return null;
  if (t === "True" || t === "False") return t === "True";
  if (t.startsWith("'")) return t.slice(1, -1);
  if (t.startsWith("["))
    return t
      .slice(1, -1)
      .split(",")
      .filter((x) => x.trim() !== "")
      .map((x) => pythonValue(x.trim()));
  return Number(t);
}

/** Binds the call as Python would. Throws UnsupportedCall for arguments that the signature does not have. */
export function bindCall(call: TorchCall, signature: string): Bound {
  const parameters = parseSignature(signature);
  const bound: Record<string, Arg> = {};
  const positional = [call.input, ...call.args];
  const rest = parameters.find((p) => p.name.startsWith("*"));
  const plain = parameters.filter((p) => !p.name.startsWith("*") && !p.keyword);
  const used = new Set<string>();
  plain.forEach((p, i) => {
    if (i >= positional.length) return;
    bound[p.name] = new Arg(positional[i], call);
    used.add(p.name);
  });
  if (rest) bound[rest.name.slice(1)] = new Arg(positional.slice(plain.length) as Raw, call);
  else if (positional.length > plain.length) throw new UnsupportedCall(`${positional.length} positional arguments`);
  for (const [k, v] of Object.entries(call.kwargs)) {
    if (!parameters.some((p) => p.name === k || p.name === `*${k}`)) throw new UnsupportedCall(`the argument ${k}`);
    bound[k] = new Arg(v, call);
    used.add(k);
  }
  for (const p of parameters)
    if (!used.has(p.name) && !p.name.startsWith("*"))
      bound[p.name] = new Arg(p.default === undefined ? undefined : pythonValue(p.default), call);
  return bound;
}

/** A list in the language. */
export const list = (items: readonly unknown[]): string => `[${items.join(", ")}]`;
