/** Layout of one statement or declaration, from its tokens. */
import type { IToken, TokenType } from "chevrotain";
import { cat, type Doc, group, hardline, indent } from "./doc.ts";
import { BINARY_PRECEDENCE } from "./precedence.ts";
import { endsOperand, type Run, SequencePrinter } from "./sequence-printer.ts";
import { T } from "./tokens.ts";

const BINARY: ReadonlySet<TokenType> = new Set([T.Binary, T.Sign, T.Power, T.Compare, T.Fill, T.OrOr, T.Bar]);
/** Their operand extends as far right as it can. */
const EXTENDERS: ReadonlySet<TokenType> = new Set([T.For, T.Reducer, T.Scanner, T.LambdaOpen, T.Max]);

export class UnitPrinter extends SequencePrinter {
  // ---- Statements -------------------------------------------------------------------------------------------------

  protected override statement(): Doc {
    const all: Run = { from: 0, to: this.tokens.length };
    const fn = this.find(all, (t) => t === T.Fn);
    if (fn >= 0 && this.type(fn + 1) === T.Name && this.type(fn + 2) === T.Call) return this.function(fn);
    const assign = this.find(all, (t) => t === T.Assign || t === T.ScatterOp);
    if (assign < 0) return this.type(0) === T.Import ? this.plain(all) : this.expression(all);
    const over = this.find({ from: assign + 1, to: all.to }, (t) => t === T.Over);
    const value: Run = { from: assign + 1, to: over < 0 ? all.to : over };
    const head = this.plain({ from: 0, to: assign });
    const tail = over < 0 ? "" : cat(this.gap(over, "space"), this.plain({ from: over, to: all.to }));
    return cat(
      head,
      this.gap(assign, "space"),
      this.tokens[assign]!.image,
      this.gap(assign + 1, "space"),
      this.expression(value),
      tail,
    );
  }

  private function(fn: number): Doc {
    const parts: Doc[] = [];
    let i = 0;
    // Attributes, each on a line of its own.
    while (this.tokens[i]!.image === "@") {
      let end = i + 2;
      if (this.type(end) === T.Call) end = this.closing[end]! + 1;
      parts.push(this.plain({ from: i, to: end }), this.gapOrBreak(end));
      i = end;
    }
    for (let first = i; i <= fn; i++) parts.push(i === first ? "" : this.gap(i, "space"), this.tokens[i]!.image);
    const call = fn + 2;
    const close = this.closing[call]!;
    parts.push(this.gap(fn + 1, "space"), this.tokens[fn + 1]!.image, this.gap(call, "none"), this.bracket(call));
    const body = this.tokens.length - 1;
    if (close + 1 < body) {
      const type = this.plain({ from: close + 2, to: body });
      parts.push(group(indent(indent(this.gap(close + 1, "line"), "->", this.gap(close + 2, "space"), type))));
    }
    parts.push(this.gap(body, "space"), this.host.block(this.tokens[body]!));
    return cat(...parts);
  }

  private gapOrBreak(i: number): Doc {
    const gap = this.gap(i, "space");
    return gap === " " ? hardline : gap;
  }

  // ---- Expressions ------------------------------------------------------------------------------------------------

  protected override expression(run: Run): Doc {
    const stop = this.extender(run);
    const before: Run = { from: run.from, to: stop < 0 ? run.to : stop };
    const question = this.questionIn(run);
    if (question >= 0) return this.conditional(run, question);
    let loosest = Number.POSITIVE_INFINITY;
    this.findOutsideIterate(before, (t, i) => {
      if (BINARY.has(t)) loosest = Math.min(loosest, precedenceOf(this.tokens[i]!));
      return false;
    });
    return loosest === Number.POSITIVE_INFINITY ? this.operand(run, stop) : this.chain(run, before, loosest);
  }

  /** Position of the first token, outside brackets and loop headers, after which all belongs to one body; -1 if none. */
  private extender(run: Run): number {
    return this.findOutsideIterate(run, (t) => EXTENDERS.has(t));
  }

  /** `a ? x : y` breaks before its signs; a chain `a ? x : b ? y : z` has a line for each case. */
  private conditional(run: Run, question: number): Doc {
    const cases: { readonly from: number; readonly question: number; readonly colon: number }[] = [];
    let from = run.from;
    for (let at = question; at >= 0; at = this.questionIn({ from, to: run.to })) {
      const colon = this.colonOf(at, run.to);
      cases.push({ from, question: at, colon });
      from = colon + 1;
    }
    const last = this.expression({ from, to: run.to });
    const choice = (c: (typeof cases)[number], gap: "line" | "space"): Doc => {
      const condition = this.expression({ from: c.from, to: c.question });
      const then = this.expression({ from: c.question + 1, to: c.colon });
      return cat(condition, indent(this.gap(c.question, gap), "?", this.gap(c.question + 1, "space"), then));
    };
    const [first] = cases;
    if (cases.length === 1) {
      const otherwise = indent(this.gap(first!.colon, "line"), ":", this.gap(first!.colon + 1, "space"), last);
      return group(choice(first!, "line"), otherwise);
    }
    const parts: Doc[] = [];
    for (const [k, c] of cases.entries()) {
      if (k > 0) parts.push(choice(c, "space"));
      parts.push(this.gap(c.colon, "space"), ":", this.gap(c.colon + 1, "line"));
    }
    return group(choice(first!, "space"), indent(...parts, last));
  }

  /** The first `?` of the run's own expression; -1 if it has none. */
  private questionIn(run: Run): number {
    const stop = this.extender(run);
    return this.findOutsideIterate({ from: run.from, to: stop < 0 ? run.to : stop }, (t) => t === T.Question);
  }

  private colonOf(question: number, to: number): number {
    let depth = 0;
    return this.findOutsideIterate({ from: question, to }, (t) => {
      if (t === T.Question) depth++;
      return t === T.Colon && --depth === 0;
    });
  }

  /** Operands joined by operators of one precedence; a line may end after each operator. */
  private chain(run: Run, before: Run, precedence: number): Doc {
    const parts: Doc[] = [];
    let first: Doc | undefined;
    let from = run.from;
    while (from < run.to) {
      const start = from;
      const operator =
        start >= before.to
          ? -1
          : this.findOutsideIterate(
              { from: start, to: before.to },
              (t, i) => BINARY.has(t) && precedenceOf(this.tokens[i]!) === precedence,
            );
      const operand = this.expression({ from: start, to: operator < 0 ? run.to : operator });
      if (first === undefined) first = operand;
      else parts.push(operand);
      if (operator < 0) break;
      parts.push(this.gap(operator, "space"), this.tokens[operator]!.image, this.gap(operator + 1, "line"));
      from = operator + 1;
    }
    return group(first ?? "", indent(...parts));
  }

  /** An operand without operators around it. */
  private operand(run: Run, stop: number): Doc {
    if (this.type(run.from) === T.Iterate) return this.iterate(run);
    if (stop < 0) return this.plain(run);
    const lead = stop > run.from ? cat(this.plain({ from: run.from, to: stop }), this.gap(stop, this.space(stop))) : "";
    const headEnd = this.headEnd(stop);
    const head = this.plain({ from: stop, to: headEnd });
    const body: Run = { from: headEnd, to: run.to };
    const keeps =
      this.type(headEnd) === T.BlockTree || this.type(headEnd) === T.RecordOpen || this.type(stop) === T.Max;
    return group(lead, head, indent(this.gap(headEnd, keeps ? "space" : "line"), this.expression(body)));
  }

  /** Position after `for[…]`, `sum[…]`, `|a, b|` or `max`. */
  private headEnd(at: number): number {
    const type = this.type(at);
    if (type === T.Max) return at + 1;
    return this.closing[type === T.LambdaOpen ? at : at + 1]! + 1;
  }

  /** `iterate i in 0..n until c from a as x, b as y { … }` and what follows. */
  private iterate(run: Run): Doc {
    const body = this.iterateBody(run.from, run.to);
    const parts: Doc[] = [];
    let from = run.from + 1;
    let carrying = false;
    const flush = (to: number): void => {
      if (to > from) parts.push(this.gap(from, "space"), this.header({ from, to }));
    };
    let nested = 0;
    for (let i = from; i < body; i++) {
      const type = this.type(i)!;
      if (type === T.Iterate) nested++;
      else if (type === T.BlockTree && nested > 0 && endsOperand(this.tokens[i - 1]!)) nested--;
      else if (this.closing[i]! >= 0) i = this.closing[i]!;
      if (nested > 0) continue;
      if (type === T.Until || type === T.From) {
        flush(i);
        parts.push(this.gap(i, "line"), this.tokens[i]!.image);
        carrying = type === T.From;
        from = i + 1;
      } else if (type === T.Comma && carrying) {
        flush(i);
        parts.push(this.gap(i, "none"), ",");
        from = i + 1;
      }
    }
    flush(body);
    const header = group("iterate", indent(...parts));
    const rest: Run = { from: body + 1, to: run.to };
    const tail = rest.from < rest.to ? cat(this.gap(rest.from, this.space(rest.from)), this.expression(rest)) : "";
    return cat(header, this.gap(body, "space"), this.host.block(this.tokens[body]!), tail);
  }

  /** A part of a loop's header: an expression, `i in 0..n`, or `init as name [max e]`. */
  private header(run: Run): Doc {
    const range = this.find(run, (t) => t === T.In);
    if (range >= 0) return this.range(run, range);
    const as = this.findOutsideIterate(run, (t) => t === T.CarryAs);
    if (as < 0) return this.expression(run);
    const max = as + 2 < run.to && this.type(as + 2) === T.Max ? as + 2 : -1;
    const name = this.plain({ from: as, to: max < 0 ? run.to : max });
    const tail =
      max < 0
        ? ""
        : cat(
            this.gap(max, "space"),
            "max",
            this.gap(max + 1, "space"),
            this.expression({ from: max + 1, to: run.to }),
          );
    return cat(this.expression({ from: run.from, to: as }), this.gap(as, "space"), name, tail);
  }
}

function precedenceOf(t: IToken): number {
  return BINARY_PRECEDENCE[t.image as keyof typeof BINARY_PRECEDENCE];
}
