/**
 * Decides from its place what each token is: where statements end, whether a bracket is a call's, a subscript's or an index
 * list's, whether `-` is a prefix, whether `max` is a reduction. A block `{ … }` becomes one token that carries its statements,
 * so every statement is parsed by itself and an error in one cannot hide the next.
 *
 * A new line ends a statement unless the line before cannot end there (it ends with an operator, a comma, an opening bracket)
 * or the new one cannot begin a statement (it begins with a closing bracket, or with a binary operator other than `-` and `+`).
 * So a line that begins with `(` or `[` never goes on with a call or a subscript of the line before. Inside `( )` and `[ ]`
 * new lines mean nothing.
 */
import { createTokenInstance, type IToken } from "chevrotain";
import type { Balanced } from "./balance.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { LayoutState, LISTS, STARTS_OPERAND } from "./layout-state.ts";
import { replacement, SLIP_OPERATORS } from "./slips.ts";
import type { Unit } from "./statement-ends.ts";
import { REDUCERS, retype, SCANNERS, T, tokenEnd, tokenSpan } from "./tokens.ts";

/** A block in braces, as one token. */
export interface BlockToken extends IToken {
  payload: { readonly open: IToken; readonly close: IToken; readonly units: readonly Unit[] };
}

export interface Layout {
  readonly units: readonly Unit[];
}

export function layout(balanced: Balanced, source: string, file: string, diagnostics: Diagnostic[]): Layout {
  return new LayoutPass(balanced, source, file, diagnostics).run();
}

class LayoutPass extends LayoutState {
  run(): Layout {
    for (let i = 0; i < this.tokens.length; i++) i = this.step(i);
    this.endUnit();
    return { units: this.top.units };
  }

  /** Reads token i, sometimes with the one after it; returns the position of the last token read. */
  private step(i: number): number {
    const t = this.tokens[i]!;
    const inBlock = this.top.kind === "module" || this.top.kind === "block";
    if (inBlock) {
      if (t.tokenType === T.Semicolon) {
        this.endUnit();
        return i;
      }
      if (this.top.sink.length > 0 && this.endsBefore(i)) {
        if (this.startsLine[i]) this.warnMisleading(t);
        this.endUnit();
      }
      if (this.top.sink.length === 0 && this.startUnit(i)) return i;
    } else if (this.ended && LISTS.has(this.top.kind)) this.insertComma(i);
    switch (t.tokenType) {
      case T.Name:
        return this.name(i);
      case T.Sign:
        if (!this.ended) retype(t, T.Prefix);
        break;
      case T.Not:
        retype(t, T.Prefix);
        break;
      case T.Compare:
        if (t.image.length === 3)
          this.report(
            `\`${t.image}\` is not an operator`,
            tokenSpan(t, this.file),
            "",
            replacement(tokenSpan(t, this.file), t.image.slice(0, 2)),
          );
        break;
      case T.ScatterOp:
        if (t.image === "-=" || t.image === "/=")
          this.report(
            `there is no scatter with \`${t.image}\``,
            tokenSpan(t, this.file),
            "scatters are `+=`, `*=`, `max=`, `min=` and `set=`",
            {
              notes: [t.image === "-=" ? "use `+=` and negate the value" : "use `*=` with the reciprocal"],
            },
          );
        this.top.assigned = true;
        break;
      case T.Assign:
        this.assign(t);
        break;
      case T.Bar:
        if (!this.ended) this.lambda(i);
        break;
      case T.Fn:
        if (this.top.kind === "module") this.top.header = true;
        break;
      case T.Iterate:
        this.top.iterating++;
        break;
      case T.As:
        if (this.top.iterating > 0 && this.tokens[i + 2]?.tokenType !== T.As) retype(t, T.CarryAs);
        break;
      case T.LParen:
        return this.parenthesis(i);
      case T.LSquare:
        return this.square(i);
      case T.LCurly:
        return this.curly(i);
      case T.RParen:
      case T.RSquare:
      case T.RCurly:
        this.close(t);
        return i;
      default:
    }
    this.push(t);
    return i;
  }

  private name(i: number): number {
    const t = this.tokens[i]!;
    const frame = this.top;
    const previous = this.previous?.tokenType;
    const next = this.tokens[i + 1];
    if (this.ended) {
      const slip = SLIP_OPERATORS.get(t.image);
      if (
        t.image === "in" &&
        (previous === T.IterIndex || frame.kind === "binder" || frame.kind === "over" || frame.kind === "subscript")
      )
        retype(t, T.In);
      else if (t.image === "from" && (frame.iterating > 0 || frame.sink[0]?.tokenType === T.Import)) retype(t, T.From);
      else if (t.image === "until" && frame.iterating > 0) retype(t, T.Until);
      else if (t.image === "max" && (frame.iterating > 0 || (previous === T.BlockTree && !this.isScatterWord(i))))
        retype(t, T.Max);
      else if (t.image === "over" && next?.tokenType === T.LSquare) retype(t, T.Over);
      else if (
        /^(?:max|min|set)$/.test(t.image) &&
        frame.sink[0]?.tokenType === T.Target &&
        !frame.assigned &&
        this.isScatterWord(i)
      ) {
        retype(t, T.ScatterOp);
        t.image += "=";
        frame.assigned = true;
        this.push(t);
        return i + 1;
      } else if (slip) {
        const span = tokenSpan(t, this.file);
        this.report(`\`${t.image}\` is not an operator`, span, "", replacement(span, slip.text));
        retype(t, slip.type);
      }
    } else if (previous === T.Export && this.functionSlip(i)) {
      this.push(t);
      return i;
    } else if (previous === T.Iterate && next?.tokenType === T.Name && next.image === "in") retype(t, T.IterIndex);
    else if (
      previous === T.Iterate &&
      t.image === "until" &&
      next &&
      (STARTS_OPERAND.has(next.tokenType) || next.tokenType === T.Not)
    )
      retype(t, T.Until);
    else if (t.image === "mut" && previous === T.Let && next?.tokenType === T.Name) {
      const span = { ...tokenSpan(t, this.file), end: next.startOffset };
      this.report("values do not change", tokenSpan(t, this.file), "", {
        fix: { message: "remove `mut`", edits: [{ span, text: "" }] },
      });
      return i;
    } else if (
      t.image === "not" &&
      next &&
      !this.startsLine[i + 1] &&
      STARTS_OPERAND.has(next.tokenType) &&
      next.tokenType !== T.LSquare
    ) {
      const span = tokenSpan(t, this.file);
      this.report("`not` is written `!`", span, "", replacement({ ...span, end: next.startOffset }, "!"));
      retype(t, T.Prefix);
    } else if (
      previous !== T.Dot &&
      previous !== T.Let &&
      previous !== T.Const &&
      next?.tokenType === T.LSquare &&
      !this.startsLine[i + 1]
    ) {
      if (REDUCERS.has(t.image)) retype(t, T.Reducer);
      else if (SCANNERS.has(t.image)) retype(t, T.Scanner);
    } else if (frame.kind === "call" && (previous === T.Call || previous === T.Comma)) {
      if (next?.tokenType === T.Assign) {
        const span = tokenSpan(next, this.file);
        const value = this.tokens[i + 2]?.startOffset ?? span.end;
        const edits = [{ span: { ...span, start: tokenEnd(t), end: Math.max(value, span.end) }, text: ": " }];
        this.report("named arguments are written with `:`", span, "", { fix: { message: "write `:`", edits } });
        retype(next, T.Colon);
      }
      if (next?.tokenType === T.Colon) retype(t, T.ArgName);
    }
    this.push(t);
    return i;
  }

  private assign(t: IToken): void {
    const frame = this.top;
    const legal = frame.kind === "params" || ((frame.kind === "module" || frame.kind === "block") && !frame.assigned);
    frame.assigned = true;
    if (legal || frame.kind === "record") return;
    const span = tokenSpan(t, this.file);
    this.report("`=` inside an expression", span, "to compare, write `==`", replacement(span, "=="));
    retype(t, T.Compare);
  }

  /** `|a, b|` in front of an operand. */
  private lambda(i: number): void {
    let k = i + 1;
    while (this.type(k) === T.Name && this.type(k + 1) === T.Comma) k += 2;
    if (this.type(k) === T.Name) k++;
    if (this.type(k) !== T.Bar) return;
    retype(this.tokens[i]!, T.LambdaOpen);
    retype(this.tokens[k]!, T.LambdaClose);
  }

  private parenthesis(i: number): number {
    const t = this.tokens[i]!;
    const sink = this.top.sink;
    const declares = sink.at(-2)?.tokenType === T.Fn && this.previous?.tokenType === T.Name;
    const isCall = this.ended && (!this.startsLine[i] || declares);
    if (isCall) retype(t, T.Call);
    sink.push(t);
    this.open(declares ? "params" : isCall ? "call" : "group", t, sink);
    return i;
  }

  private square(i: number): number {
    const t = this.tokens[i]!;
    const sink = this.top.sink;
    const previous = this.previous?.tokenType;
    const ended = this.ended || previous === T.Target;
    const kind =
      previous === T.For || previous === T.Reducer || previous === T.Scanner
        ? "binder"
        : previous === T.Over
          ? "over"
          : ended && !this.startsLine[i]
            ? "subscript"
            : "list";
    if (kind === "binder" || kind === "over") retype(t, T.Binder);
    else if (kind === "subscript") retype(t, T.Subscript);
    sink.push(t);
    this.open(kind, t, sink);
    return i;
  }

  private curly(i: number): number {
    const t = this.tokens[i]!;
    const previous = this.previous?.tokenType;
    const names = previous === T.Import || previous === T.Let || previous === T.Const;
    if (!names && (this.ended || !this.looksLikeRecord(i))) {
      const isBody = this.ended;
      this.open("block", t, []).isBody = isBody;
      this.previous = undefined;
      return i;
    }
    const sink = this.top.sink;
    retype(t, T.RecordOpen);
    sink.push(t);
    this.open("record", t, sink);
    return i;
  }

  private looksLikeRecord(i: number): boolean {
    if (this.type(i + 1) !== T.Name) return false;
    const after = this.type(i + 2);
    return after === T.Comma || after === T.Colon || after === T.RCurly;
  }

  private close(t: IToken): void {
    const frame = this.top;
    if (frame.kind === "module") return;
    if (frame.kind === "block") this.endUnit();
    else if (this.previous?.tokenType === T.Comma && frame.sink.at(-2) !== frame.opener) frame.sink.pop();
    this.frames.pop();
    this.top = this.frames.at(-1)!;
    if (frame.kind !== "block") {
      this.push(t);
      if (frame.kind === "binder") this.ended = false;
      return;
    }
    const open = frame.opener!;
    const image = this.source.slice(open.startOffset, tokenEnd(t));
    const block = createTokenInstance(
      T.BlockTree,
      image,
      open.startOffset,
      tokenEnd(t),
      Number.NaN,
      Number.NaN,
      Number.NaN,
      Number.NaN,
    );
    (block as BlockToken).payload = { open, close: t, units: frame.units };
    if (frame.isBody) {
      this.top.header = false;
      if (this.top.iterating > 0) this.top.iterating--;
    }
    this.push(block);
  }
}
