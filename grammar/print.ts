/**
 * The syntax tree as text without places, for `--emit=ast` and for tests: one line a statement, expressions in prefix form,
 * `(+ a (* b c))`. Two sources print alike if and only if their trees are equal up to spans.
 */
import type * as ast from "./ast.ts";

/** The whole module; ends without a new line. */
export function printModule(module: ast.Module): string {
  return module.items.map(printItem).join("\n");
}

export function printItem(item: ast.Item): string {
  switch (item.kind) {
    case "import":
      return `(import ${JSON.stringify(item.from.text)}${item.names.map((n) => ` ${n.name.text}${alias(n.alias)}`).join("")})`;
    case "letItem":
      return `${doc(item.doc)}(${exported(item)}${item.isConst ? "const" : "let"} ${item.name.text} ${printExpr(item.value)})`;
    case "fn": {
      const attributes = item.attributes
        .map((a) => `@${a.name.text}(${a.args.map((e) => printExpr(e)).join(" ")}) `)
        .join("");
      const params = item.params.map(param).join(", ");
      const result = item.result ? ` -> ${resultType(item.result)}` : "";
      return `${doc(item.doc)}${attributes}(${exported(item)}fn ${item.name.text} [${params}]${result}${blockLines(item.body, "  ")})`;
    }
    default:
      return item satisfies never;
  }
}

const exported = (item: { readonly exported: boolean }): string => (item.exported ? "export " : "");
const alias = (name: ast.Name | undefined): string => (name ? `=${name.text}` : "");
const doc = (text: string | undefined): string => (text === undefined ? "" : `;; ${text.replaceAll("\n", "\n;; ")}\n`);

function param(p: ast.Param): string {
  const type = `${p.isConst ? "const" : ""}${p.isConst && p.type ? " " : ""}${p.type ? printType(p.type) : ""}`;
  return `${p.name.text}: ${type}${p.default ? ` = ${printExpr(p.default)}` : ""}`;
}

export function printType(type: ast.TypeExpr): string {
  if (type.kind === "constType") return `<${type.name.text}>`;
  if (!type.dims) return type.dtype.text;
  return `${type.dtype.text}[${type.dims.map((d) => (d.kind === "ellipsis" ? "..." : printExpr(d.expr))).join(" ")}]`;
}

function resultType(type: ast.ResultType): string {
  if (type.kind !== "tupleType") return printType(type);
  return `{${type.fields.map((f) => `${f.name.text}:${printType(f.type)}`).join(" ")}}`;
}

function blockLines(block: ast.Block, indent: string): string {
  const lines = block.statements.map((s) => printStatement(s, indent));
  if (block.result) lines.push(`(result ${printExpr(block.result, indent)})`);
  return lines.map((l) => `\n${indent}${l}`).join("");
}

export function printStatement(s: ast.Statement, indent = ""): string {
  switch (s.kind) {
    case "let": {
      const names =
        s.pattern.kind === "name"
          ? s.pattern.name.text
          : `{${s.pattern.names.map((n) => `${n.field.text}${alias(n.alias)}`).join(" ")}}`;
      return `(${s.isConst ? "const" : "let"} ${names}${typed(s.type)} ${printExpr(s.value, indent)})`;
    }
    case "indexed":
      return `(define ${s.target.text} ${binders(s.indices)}${typed(s.type)} ${printExpr(s.value, indent)})`;
    case "scatter": {
      const over = s.over ? ` over ${binders(s.over)}` : "";
      return `(scatter ${s.op} ${s.target.text} [${s.at.map((e) => printExpr(e, indent)).join(" ")}]${typed(s.type)} ${printExpr(s.value, indent)}${over})`;
    }
    default:
      return s satisfies never;
  }
}

const typed = (type: ast.TypeExpr | undefined): string => (type ? `: ${printType(type)}` : "");

function binders(indices: readonly ast.IndexBinder[]): string {
  return `[${indices.map((i) => `${i.name.text}${i.range ? `:${printExpr(i.range.from)}..${printExpr(i.range.to)}` : ""}`).join(" ")}]`;
}

function item(i: ast.SubscriptItem, indent: string): string {
  switch (i.kind) {
    case "index":
      return printExpr(i.expr, indent);
    case "ellipsis":
      return "...";
    case "newAxis":
      return "newaxis";
    case "slice":
      return `(: ${[i.from, i.to, i.step].map((e) => (e ? printExpr(e, indent) : "_")).join(" ")})`;
    default:
      return i satisfies never;
  }
}

/** One line, unless it holds blocks, whose statements stand on lines of their own. */
export function printExpr(e: ast.Expr, indent = ""): string {
  const go = (x: ast.Expr): string => printExpr(x, indent);
  const all = (list: readonly ast.Expr[]): string => list.map(go).join(" ");
  switch (e.kind) {
    case "number":
    case "name":
      return e.text;
    case "boolean":
      return String(e.value);
    case "string":
      return JSON.stringify(e.value);
    case "unary":
      return `(${e.op} ${go(e.operand)})`;
    case "binary":
      return printChain(e, indent);
    case "conditional":
      return `(? ${go(e.condition)} ${go(e.then)} ${go(e.otherwise)})`;
    case "cast":
      return `(as ${go(e.value)} ${e.dtype.text})`;
    case "call":
      return `(call ${go(e.callee)}${e.args.map((a) => ` ${a.name ? `${a.name.text}:` : ""}${go(a.value)}`).join("")})`;
    case "subscript":
      return `(at ${go(e.value)}${e.items.map((i) => ` ${item(i, indent)}`).join("")})`;
    case "field":
      return `(. ${go(e.value)} ${e.field.text})`;
    case "list":
      return `[${all(e.items)}]`;
    case "record":
      return `{${e.fields.map((f) => `${f.name.text}:${go(f.value)}`).join(" ")}}`;
    case "for":
      return `(for ${binders(e.indices)} ${go(e.body)})`;
    case "reduce":
      return `(${e.reducer.text} ${binders(e.indices)} ${go(e.body)})`;
    case "scan":
      return `(scan ${e.scanner.text} ${binders([e.index])} ${go(e.body)})`;
    case "blockExpr":
      return `(block${blockLines(e.block, `${indent}  `)})`;
    case "iterate": {
      const counted = `${e.index ? ` ${e.index.text}` : ""}${e.count ? ` ${go(e.count)}` : ""}`;
      const until = e.until ? ` until ${go(e.until)}` : "";
      const carries = e.carries.map((c) => `${c.name.text}=${go(c.init)}`).join(" ");
      const max = e.max ? ` max ${go(e.max)}` : "";
      return `(iterate${counted}${until} [${carries}]${max}${blockLines(e.body, `${indent}  `)})`;
    }
    case "lambda":
      return `(lambda [${e.params.map((p) => p.text).join(" ")}] ${go(e.body)})`;
    case "error":
      return "<error>";
    default:
      return e satisfies never;
  }
}

/** `a + b + …` is a tree as deep as it is long: its spine is walked, not recurred on. */
function printChain(e: ast.BinaryExpr, indent: string): string {
  const spine: ast.BinaryExpr[] = [];
  let left: ast.Expr = e;
  while (left.kind === "binary") {
    spine.push(left);
    left = left.left;
  }
  const heads = spine.map((b) => `(${b.op} `).join("");
  const tails = spine.reverse().map((b) => ` ${printExpr(b.right, indent)})`);
  return heads + printExpr(left, indent) + tails.join("");
}

/** The tree as plain data, without spans and without the source. */
export function moduleToJson(module: ast.Module): unknown {
  const drop = new Set(["span", "opSpan", "source"]);
  return JSON.parse(JSON.stringify(module, (key, value: unknown) => (drop.has(key) ? undefined : value)));
}
