/** The notation of Tensor Comprehensions: `def f(float(N) x) -> (y) { y(i) +=! x(i) … where i in 0:N }`. */

export class TcError extends Error {}

export type TcExpr =
  | { readonly kind: "number"; readonly text: string }
  /** A scalar, an index variable, a size, or a `let` name. */
  | { readonly kind: "name"; readonly name: string }
  /** A tensor access or a call of a builtin function. */
  | { readonly kind: "access"; readonly name: string; readonly args: readonly TcExpr[] }
  | { readonly kind: "unary"; readonly op: "-" | "!"; readonly operand: TcExpr }
  | { readonly kind: "binary"; readonly op: string; readonly left: TcExpr; readonly right: TcExpr }
  | { readonly kind: "ternary"; readonly condition: TcExpr; readonly chosen: TcExpr; readonly otherwise: TcExpr };

export type TcClause =
  | { readonly kind: "range"; readonly index: string; readonly from: TcExpr; readonly to: TcExpr }
  | { readonly kind: "let"; readonly name: string; readonly value: TcExpr }
  | { readonly kind: "exists"; readonly access: TcExpr };

export interface TcStatement {
  readonly target: string;
  readonly indices: readonly string[];
  /** `=`, `+=`, `*=`, `max=`, `min=`. */
  readonly op: string;
  /** `!`: starts from the identity. */
  readonly init: boolean;
  readonly value: TcExpr;
  readonly clauses: readonly TcClause[];
}

export interface TcParam {
  readonly name: string;
  readonly type: string;
  /** Sizes as written: names or numbers. */
  readonly dims: readonly string[];
}

export interface TcFunction {
  readonly name: string;
  readonly params: readonly TcParam[];
  readonly results: readonly string[];
  readonly statements: readonly TcStatement[];
}

const TOKEN =
  /\s+|#[^\n]*|(?<op>max=!?|min=!?|[+*]=!?|->|==|!=|<=|>=|&&|\|\||[-+*/%<>=!?:(),{}])|(?<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|(?<name>[A-Za-z_]\w*)/y;

function tokenize(text: string): string[] {
  const out: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const m = TOKEN.exec(text);
    if (!m) throw new TcError(`unexpected character ${JSON.stringify(text[at])}`);
    const token = m.groups?.["op"] ?? m.groups?.["number"] ?? m.groups?.["name"];
    if (token !== undefined) out.push(token);
  }
  return out;
}

const TYPES: ReadonlySet<string> = new Set([
  "float",
  "double",
  "half",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "bool",
]);
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["==", "!="],
  ["<", "<=", ">", ">="],
  ["+", "-"],
  ["*", "/", "%"],
];

class Reader {
  readonly #tokens: readonly string[];
  #at = 0;
  constructor(text: string) {
    this.#tokens = tokenize(text);
  }
  peek(ahead = 0): string | undefined {
    return this.#tokens[this.#at + ahead];
  }
  next(): string {
    const t = this.#tokens[this.#at++];
    if (t === undefined) throw new TcError("unexpected end");
    return t;
  }
  accept(t: string): boolean {
    if (this.peek() !== t) return false;
    this.#at++;
    return true;
  }
  expect(t: string): void {
    const found = this.next();
    if (found !== t) throw new TcError(`${JSON.stringify(t)} expected, found ${JSON.stringify(found)}`);
  }
  name(): string {
    const t = this.next();
    if (!/^[A-Za-z_]\w*$/.test(t)) throw new TcError(`a name expected, found ${JSON.stringify(t)}`);
    return t;
  }
  list<T>(close: string, item: () => T): T[] {
    const out: T[] = [];
    if (this.accept(close)) return out;
    do out.push(item());
    while (this.accept(","));
    this.expect(close);
    return out;
  }
}

export function parseTc(text: string): TcFunction {
  const r = new Reader(text);
  r.expect("def");
  const name = r.name();
  r.expect("(");
  const params = r.list(")", () => param(r));
  r.expect("->");
  const results = r.accept("(") ? r.list(")", () => r.name()) : [r.name()];
  r.expect("{");
  const statements: TcStatement[] = [];
  while (!r.accept("}")) statements.push(statement(r));
  return { name, params, results, statements };
}

function param(r: Reader): TcParam {
  const type = r.next();
  if (!TYPES.has(type)) throw new TcError(`unknown type ${type}`);
  const dims = r.accept("(") ? r.list(")", () => r.next()) : [];
  return { type, dims, name: r.name() };
}

function statement(r: Reader): TcStatement {
  const target = r.name();
  const indices = r.accept("(") ? r.list(")", () => r.name()) : [];
  const written = r.next();
  const op = written.replace("!", "");
  if (!["=", "+=", "*=", "max=", "min="].includes(op))
    throw new TcError(`an assignment expected, found ${JSON.stringify(written)}`);
  const value = expression(r);
  const clauses = r.accept("where") ? whereClauses(r) : [];
  return { target, indices, op, init: written.endsWith("!"), value, clauses };
}

function whereClauses(r: Reader): TcClause[] {
  const out: TcClause[] = [];
  do {
    if (r.accept("exists")) out.push({ kind: "exists", access: expression(r) });
    else {
      const name = r.name();
      if (r.accept("=")) out.push({ kind: "let", name, value: expression(r) });
      else {
        r.expect("in");
        const from = binary(r, 0);
        r.expect(":");
        out.push({ kind: "range", index: name, from, to: binary(r, 0) });
      }
    }
  } while (r.accept(","));
  return out;
}

function expression(r: Reader): TcExpr {
  const condition = binary(r, 0);
  if (!r.accept("?")) return condition;
  const chosen = expression(r);
  r.expect(":");
  return { kind: "ternary", condition, chosen, otherwise: expression(r) };
}

function binary(r: Reader, level: number): TcExpr {
  const ops = LEVELS[level];
  if (!ops) return unary(r);
  let left = binary(r, level + 1);
  for (;;) {
    const op = r.peek();
    if (op === undefined || !ops.includes(op)) return left;
    r.next();
    left = { kind: "binary", op, left, right: binary(r, level + 1) };
  }
}

function unary(r: Reader): TcExpr {
  if (r.accept("-")) return { kind: "unary", op: "-", operand: unary(r) };
  if (r.accept("!")) return { kind: "unary", op: "!", operand: unary(r) };
  if (r.accept("(")) {
    const e = expression(r);
    r.expect(")");
    return e;
  }
  const t = r.next();
  if (/^[\d.]/.test(t)) return { kind: "number", text: t };
  if (!/^[A-Za-z_]/.test(t)) throw new TcError(`an expression expected, found ${JSON.stringify(t)}`);
  if (r.accept("(")) return { kind: "access", name: t, args: r.list(")", () => expression(r)) };
  return { kind: "name", name: t };
}
