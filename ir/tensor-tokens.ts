/** Tokens of the text form, and the extents in it. */
import { DTYPES, type DType } from "./dtype.ts";
import {
  addExtent,
  divExtent,
  type Extent,
  maxExtent,
  minExtent,
  modExtent,
  mulExtent,
  negExtent,
  size,
  sizeSymbol,
  subExtent,
} from "./extent.ts";

/** Where the text is wrong: line and column count from 1. */
export class TensorTextError extends Error {
  readonly line: number;
  readonly column: number;
  constructor(message: string, line: number, column: number) {
    super(`${line}:${column}: ${message}`);
    this.name = "TensorTextError";
    this.line = line;
    this.column = column;
  }
}

export interface Token {
  readonly kind: "name" | "quoted" | "number" | "string" | "sign" | "end";
  readonly text: string;
  readonly at: number;
}

const TOKEN =
  /(?<space>\s+|\/\/[^\n]*)|(?<name>[A-Za-z_][A-Za-z0-9_]*)|`(?<quoted>[^`\n]*)`|(?<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?[uh]?)|(?<string>"(?:[^"\\\n]|\\.)*")|(?<sign>\?\?|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:=()[\]{}.,;@$])/y;

function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  for (let at = 0; at < text.length; ) {
    pattern.lastIndex = at;
    const m = pattern.exec(text);
    if (!m) throw failure(text, at, `unexpected ${JSON.stringify(text[at])}`);
    for (const kind of ["name", "quoted", "number", "string", "sign"] as const) {
      const found = m.groups?.[kind];
      if (found !== undefined) tokens.push({ kind, text: found, at });
    }
    at = pattern.lastIndex;
  }
  tokens.push({ kind: "end", text: "the end", at: text.length });
  return tokens;
}

function failure(text: string, at: number, message: string): TensorTextError {
  const lines = text.slice(0, at).split("\n");
  return new TensorTextError(message, lines.length, (lines.at(-1)?.length ?? 0) + 1);
}

/** Holds the place in the text; the parsers of expressions and of programs build on it. */
export class TokenReader {
  private readonly text: string;
  private readonly tokens: readonly Token[];
  protected at = 0;

  constructor(text: string) {
    this.text = text;
    this.tokens = tokenise(text);
  }

  // ---- Tokens ----

  protected peek(ahead = 0): Token {
    return this.tokens[this.at + ahead] ?? this.tokens[this.tokens.length - 1]!;
  }
  protected fail(message: string, token: Token = this.peek()): TensorTextError {
    return failure(this.text, token.at, message);
  }
  protected next(): Token {
    const t = this.peek();
    this.at++;
    return t;
  }
  protected is(text: string): boolean {
    const t = this.peek();
    return t.text === text && (t.kind === "sign" || t.kind === "name");
  }
  protected skip(text: string): boolean {
    if (!this.is(text)) return false;
    this.at++;
    return true;
  }
  protected expect(text: string): void {
    if (!this.skip(text)) throw this.fail(`expected \`${text}\`, found \`${this.peek().text}\``);
  }
  protected name(): string {
    const t = this.next();
    if (t.kind !== "name" && t.kind !== "quoted") throw this.fail(`expected a name, found \`${t.text}\``, t);
    return t.text;
  }
  protected list<T>(one: () => T): T[] {
    const out = [one()];
    while (this.skip(",")) out.push(one());
    return out;
  }
  protected listUntil<T>(close: string, one: () => T): T[] {
    const out = this.is(close) ? [] : this.list(one);
    this.expect(close);
    return out;
  }
  protected dtype(): DType {
    const t = this.next();
    const found = DTYPES.find((d) => d === t.text);
    if (!found) throw this.fail(`expected a type, found \`${t.text}\``, t);
    return found;
  }
  /** Runs a builder that throws TypeError or RangeError on misfits, and says where. */
  protected built<T>(token: Token, build: () => T): T {
    try {
      return build();
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) throw this.fail(error.message, token);
      throw error;
    }
  }

  // ---- Extents ----

  /** A leading minus negates the whole first term, as extents print. */
  protected extent(): Extent {
    let sum = this.skip("-") ? negExtent(this.extentTerm()) : this.extentTerm();
    for (;;) {
      if (this.skip("+")) sum = addExtent(sum, this.extentTerm());
      else if (this.skip("-")) sum = subExtent(sum, this.extentTerm());
      else return sum;
    }
  }
  protected extentTerm(): Extent {
    let product = this.extentFactor();
    for (;;) {
      const token = this.peek();
      if (this.skip("*")) product = mulExtent(product, this.extentFactor());
      else if (this.skip("div") || this.skip("%")) {
        const [left, right] = [product, this.extentFactor()];
        product = this.built(token, () => (token.text === "%" ? modExtent(left, right) : divExtent(left, right)));
      } else return product;
    }
  }
  protected extentFactor(): Extent {
    const token = this.peek();
    if (this.skip("(")) {
      const inner = this.extent();
      this.expect(")");
      return inner;
    }
    if (token.kind === "number") {
      this.next();
      return this.built(token, () => size(Number(token.text)));
    }
    if (token.kind === "name" && (token.text === "min" || token.text === "max") && this.peek(1).text === "(") {
      this.at += 2;
      const left = this.extent();
      this.expect(",");
      const right = this.extent();
      this.expect(")");
      return token.text === "min" ? minExtent(left, right) : maxExtent(left, right);
    }
    return sizeSymbol(this.name());
  }
}
