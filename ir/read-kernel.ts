/** Reading lines of kernel text token by token; extents. ir/parse-kernel.ts builds the rest on it. */
import {
  addExtent,
  ceilDivExtent,
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

/** A mistake in the text of a kernel; `line` counts from 1. */
export class KernelSyntaxError extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(`line ${line}: ${message}`);
    this.name = "KernelSyntaxError";
    this.line = line;
  }
}

interface Line {
  readonly indent: number;
  readonly tokens: readonly string[];
  readonly number: number;
}

const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|(?:\d+\.\d+|\d+)(?:e[+-]?\d+)?(?:u|h)?|[\p{L}_$][\p{L}\p{N}_$]*|\.\.|&&|\|\||==|!=|<=|>=|<<|>>|[-+*/%<>=!~&|^()[\]{},:;.@]/uy;

function tokenise(text: string, number: number): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(text)?.[0];
    if (found === undefined) throw new KernelSyntaxError(`unexpected ${JSON.stringify(text[at])}`, number);
    if (found.trim() !== "") tokens.push(found);
  }
  return tokens;
}

/** The lines of a text with a place in it, and the extents that stand in it. */
export class KernelReader {
  readonly lines: readonly Line[];
  line = 0;
  at = 0;
  constructor(text: string) {
    const lines: Line[] = [];
    text.split("\n").forEach((raw, i) => {
      const code = raw.replace(/(^|\s)\/\/.*$/, "");
      if (code.trim() === "") return;
      const indent = /^ */.exec(code)?.[0].length ?? 0;
      lines.push({ indent, tokens: tokenise(code, i + 1), number: i + 1 });
    });
    this.lines = lines;
  }

  fail(message: string): never {
    throw new KernelSyntaxError(message, this.lines[Math.min(this.line, this.lines.length - 1)]?.number ?? 1);
  }
  peek(ahead = 0): string {
    return this.lines[this.line]?.tokens[this.at + ahead] ?? "";
  }
  next(): string {
    const t = this.peek();
    this.at++;
    return t;
  }
  take(token: string): boolean {
    if (this.peek() !== token) return false;
    this.at++;
    return true;
  }
  expect(token: string): void {
    if (!this.take(token))
      this.fail(`expected ${JSON.stringify(token)}, found ${JSON.stringify(this.peek() || "the end of the line")}`);
  }
  identifier(): string {
    const t = this.next();
    if (!/^[\p{L}_$]/u.test(t)) this.fail(`expected a name, found ${JSON.stringify(t)}`);
    return t;
  }
  integer(): number {
    const t = this.next();
    if (!/^\d+$/.test(t)) this.fail(`expected an integer, found ${JSON.stringify(t)}`);
    return Number(t);
  }
  endLine(): void {
    if (this.peek() !== "") this.fail(`unexpected ${JSON.stringify(this.peek())}`);
    this.line++;
    this.at = 0;
  }

  // ---- Extents

  extent(): Extent {
    let e = this.extentProduct();
    for (;;) {
      if (this.take("+")) e = addExtent(e, this.extentProduct());
      else if (this.take("-")) e = subExtent(e, this.extentProduct());
      else return e;
    }
  }
  extentProduct(): Extent {
    let e = this.extentAtom();
    for (;;) {
      if (this.take("*")) e = mulExtent(e, this.extentAtom());
      else if (this.take("div")) e = divExtent(e, this.extentAtom());
      else if (this.take("%")) e = modExtent(e, this.extentAtom());
      else return e;
    }
  }
  extentAtom(): Extent {
    if (this.take("-")) return negExtent(this.extentAtom());
    if (this.take("(")) {
      const e = this.extent();
      this.expect(")");
      return e;
    }
    if (/^\d+$/.test(this.peek())) return size(this.integer());
    const name = this.identifier();
    if ((name === "min" || name === "max" || name === "ceil") && this.take("(")) {
      const a = this.extent();
      this.expect(name === "ceil" ? "/" : ",");
      const b = this.extent();
      this.expect(")");
      return name === "ceil" ? ceilDivExtent(a, b) : name === "min" ? minExtent(a, b) : maxExtent(a, b);
    }
    return sizeSymbol(name);
  }
}
