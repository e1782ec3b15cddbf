/**
 * What the grammar uses of Chevrotain, for pages: a lexer that tries the tokens in their order, and an LL(1) parser whose decisions are
 * tables of first tokens, found as Chevrotain finds them, by running each rule once to record what it calls. Without recovery, validation,
 * longer lookahead and syntax trees of its own it is a twentieth of the size. The bundle for pages puts it in Chevrotain's place; tests
 * hold the two against each other.
 */
export interface TokenType {
  readonly name: string;
  readonly LABEL: string | undefined;
  readonly PATTERN: Pattern | undefined;
  readonly GROUP: string | undefined;
  readonly tokenTypeIdx: number;
}
type Pattern = string | RegExp | { readonly exec: (text: string, offset: number) => readonly string[] | null };

export interface Token {
  readonly image: string;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly tokenType: TokenType;
  readonly tokenTypeIdx: number;
}

interface TokenConfig {
  readonly name: string;
  readonly label?: string;
  readonly pattern?: Pattern;
  readonly group?: string;
}

const NONE = "none";
const SKIPPED = "skipped";
let types = 0;

export function createToken(c: TokenConfig): TokenType {
  const PATTERN = c.pattern instanceof RegExp ? new RegExp(c.pattern.source, "y") : c.pattern;
  return { name: c.name, LABEL: c.label, PATTERN, GROUP: c.group, tokenTypeIdx: ++types };
}

export const EOF: TokenType = /* @__PURE__ */ createToken({ name: "EOF", pattern: NONE });

export function createTokenInstance(
  tokenType: TokenType,
  image: string,
  startOffset: number,
  endOffset: number,
): Token {
  return { image, startOffset, endOffset, tokenType, tokenTypeIdx: tokenType.tokenTypeIdx };
}

const END: Token = /* @__PURE__ */ createTokenInstance(EOF, "", Number.NaN, Number.NaN);

export class Lexer {
  /** Stands for no pattern: such tokens are made by others. */
  static readonly NA: string = NONE;
  static readonly SKIPPED: string = SKIPPED;
  readonly #tokens: readonly TokenType[];
  /** The tokens that may begin with a character. */
  readonly #by = new Map<string, readonly TokenType[]>();

  constructor(tokens: readonly TokenType[]) {
    this.#tokens = tokens.filter((t) => t.PATTERN !== undefined && t.PATTERN !== NONE);
  }

  tokenize(text: string): { readonly tokens: Token[]; readonly groups: Record<string, Token[]> } {
    const tokens: Token[] = [];
    const groups: Record<string, Token[]> = {};
    for (let at = 0; at < text.length; ) {
      const found = this.#at(text, at);
      if (!found) {
        at++;
        continue;
      }
      const { tokenType, image } = found;
      if (tokenType.GROUP !== SKIPPED) {
        const token = createTokenInstance(tokenType, image, at, at + image.length - 1);
        if (tokenType.GROUP === undefined) tokens.push(token);
        else groups[tokenType.GROUP] = [...(groups[tokenType.GROUP] ?? []), token];
      }
      at += image.length;
    }
    return { tokens, groups };
  }

  #at(text: string, at: number): { readonly tokenType: TokenType; readonly image: string } | undefined {
    const first = text[at] ?? "";
    let candidates = this.#by.get(first);
    if (!candidates) {
      candidates = this.#tokens.filter((t) => typeof t.PATTERN !== "string" || t.PATTERN[0] === first);
      this.#by.set(first, candidates);
    }
    for (const tokenType of candidates) {
      const image = match(tokenType.PATTERN, text, at);
      if (image) return { tokenType, image };
    }
    return undefined;
  }
}

function match(pattern: Pattern | undefined, text: string, at: number): string | undefined {
  if (typeof pattern === "string") return text.startsWith(pattern, at) ? pattern : undefined;
  if (!(pattern instanceof RegExp)) return pattern?.exec(text, at)?.[0];
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** What a rule does, as far as its first tokens go. An optional part and a repetition are the same here. */
type Step =
  | { readonly kind: "token"; readonly type: TokenType }
  | { readonly kind: "rule"; readonly rule: RuleInfo }
  | {
      readonly kind: "decision";
      readonly key: string;
      readonly optional: boolean;
      readonly choices: readonly Step[][];
    };

interface RuleInfo {
  readonly name: string;
  readonly run: (...args: readonly unknown[]) => unknown;
  steps: Step[];
  /** For each decision in the rule the choice that a token means. */
  readonly decisions: Map<string, Map<TokenType, number>>;
}

type RuleFunction = ((...args: readonly unknown[]) => unknown) & { readonly rule: RuleInfo };

interface Messages {
  readonly buildMismatchTokenMessage: (o: { readonly expected: TokenType; readonly ruleName: string }) => string;
  readonly buildNotAllInputParsedMessage: () => string;
  readonly buildNoViableAltMessage: (o: { readonly ruleName: string }) => string;
  readonly buildEarlyExitMessage: (o: { readonly ruleName: string }) => string;
}

interface Separated {
  readonly SEP: TokenType;
  readonly DEF: () => unknown;
}
interface Alternative {
  readonly ALT: () => unknown;
}

/** Thrown inside the parser alone; `errors` has it afterwards. */
class Failure {
  readonly message: string;
  readonly token: Token;
  constructor(message: string, token: Token) {
    this.message = message;
    this.token = token;
  }
}

/** What a recorded call returns: rules take it apart, but look at nothing in it. */
const RECORDED: Readonly<Record<string, unknown>> = {};
const NO_RULE: RuleInfo = { name: "", run: () => undefined, steps: [], decisions: /* @__PURE__ */ new Map() };

export class EmbeddedActionsParser {
  errors: Failure[] = [];
  readonly #messages: Messages;
  readonly #rules: RuleInfo[] = [];
  #tokens: readonly Token[] = [];
  #next = 0;
  #rule: RuleInfo = NO_RULE;
  /** Where steps are recorded while the rules run for that. */
  #recorded: Step[] | undefined;

  constructor(_tokens: readonly TokenType[], o: { readonly errorMessageProvider: Messages }) {
    this.#messages = o.errorMessageProvider;
  }

  set input(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#next = 0;
    this.errors = [];
  }

  RULE(name: string, run: RuleInfo["run"]): RuleFunction {
    const rule: RuleInfo = { name, run, steps: [], decisions: new Map() };
    this.#rules.push(rule);
    const call = (...args: readonly unknown[]): unknown => {
      try {
        const value = this.#invoke(rule, args);
        const rest = this.LA(1);
        if (rest !== END) this.errors.push(new Failure(this.#messages.buildNotAllInputParsedMessage(), rest));
        return value;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.errors.push(error);
        return undefined;
      }
    };
    return Object.assign(call, { rule });
  }

  #invoke(rule: RuleInfo, args: readonly unknown[]): unknown {
    const outer = this.#rule;
    this.#rule = rule;
    try {
      return rule.run.apply(this, [...args]);
    } finally {
      this.#rule = outer;
    }
  }

  performSelfAnalysis(): void {
    for (const rule of this.#rules) rule.steps = this.#record(() => this.#invoke(rule, []));
    this.#recorded = undefined;
    for (const rule of this.#rules) decide(rule.steps, rule.decisions);
  }

  #record(run: () => unknown): Step[] {
    const outer = this.#recorded;
    const steps: Step[] = [];
    this.#recorded = steps;
    run();
    this.#recorded = outer;
    return steps;
  }

  LA(ahead: number): Token {
    return this.#tokens[this.#next + ahead - 1] ?? END;
  }

  ACTION<R>(run: () => R): R | undefined {
    return this.#recorded ? undefined : run();
  }

  CONSUME(type: TokenType): Token {
    if (this.#recorded) {
      this.#recorded.push({ kind: "token", type });
      return END;
    }
    const t = this.LA(1);
    if (t.tokenType !== type)
      throw new Failure(this.#messages.buildMismatchTokenMessage({ expected: type, ruleName: this.#rule.name }), t);
    this.#next++;
    return t;
  }

  SUBRULE(f: RuleFunction, o?: { readonly ARGS: readonly unknown[] }): unknown {
    if (!this.#recorded) return this.#invoke(f.rule, o?.ARGS ?? []);
    this.#recorded.push({ kind: "rule", rule: f.rule });
    return RECORDED;
  }

  OPTION(run: () => unknown, index = ""): unknown {
    if (this.#recorded) return this.#decision(`option${index}`, true, [run]);
    return this.#choice(`option${index}`) === undefined ? undefined : run();
  }

  MANY(run: () => unknown, index = ""): void {
    if (this.#recorded) this.#decision(`many${index}`, true, [run]);
    else
      for (let before = -1; before < this.#next && this.#choice(`many${index}`) !== undefined; ) {
        before = this.#next;
        run();
      }
  }

  MANY_SEP({ SEP, DEF }: Separated): void {
    if (this.#recorded) this.#decision("list", true, [DEF]);
    else if (this.#choice("list") !== undefined) this.#list(SEP, DEF);
  }

  AT_LEAST_ONE_SEP({ SEP, DEF }: Separated): void {
    if (this.#recorded) this.#decision("some", false, [DEF]);
    else if (this.#choice("some") !== undefined) this.#list(SEP, DEF);
    else throw new Failure(this.#messages.buildEarlyExitMessage({ ruleName: this.#rule.name }), this.LA(1));
  }

  #list(separator: TokenType, run: () => unknown): void {
    run();
    while (this.LA(1).tokenType === separator) {
      this.#next++;
      run();
    }
  }

  OR(alternatives: readonly Alternative[], index = ""): unknown {
    if (this.#recorded)
      return this.#decision(
        `or${index}`,
        false,
        alternatives.map((a) => a.ALT),
      );
    const chosen = alternatives[this.#choice(`or${index}`) ?? -1];
    if (chosen) return chosen.ALT();
    throw new Failure(this.#messages.buildNoViableAltMessage({ ruleName: this.#rule.name }), this.LA(1));
  }

  #choice(key: string): number | undefined {
    return this.#rule.decisions.get(key)?.get(this.LA(1).tokenType);
  }

  #decision(key: string, optional: boolean, runs: readonly (() => unknown)[]): unknown {
    const choices = runs.map((run) => this.#record(run));
    this.#recorded?.push({ kind: "decision", key, optional, choices });
    return RECORDED;
  }

  // Chevrotain tells uses in one rule apart by their number; for calls it does not matter.
  CONSUME2: this["CONSUME"] = this.CONSUME;
  CONSUME3: this["CONSUME"] = this.CONSUME;
  SUBRULE2: this["SUBRULE"] = this.SUBRULE;
  SUBRULE3: this["SUBRULE"] = this.SUBRULE;
  SUBRULE4: this["SUBRULE"] = this.SUBRULE;
  SUBRULE5: this["SUBRULE"] = this.SUBRULE;
  OPTION2(run: () => unknown): unknown {
    return this.OPTION(run, "2");
  }
  OPTION3(run: () => unknown): unknown {
    return this.OPTION(run, "3");
  }
  OPTION4(run: () => unknown): unknown {
    return this.OPTION(run, "4");
  }
  OPTION5(run: () => unknown): unknown {
    return this.OPTION(run, "5");
  }
  MANY2(run: () => unknown): void {
    this.MANY(run, "2");
  }
  OR2(alternatives: readonly Alternative[]): unknown {
    return this.OR(alternatives, "2");
  }
}

/** Fills the table of every decision among the steps. Of two choices with a first token in common the first is taken. */
function decide(steps: readonly Step[], decisions: RuleInfo["decisions"]): void {
  for (const step of steps) {
    if (step.kind !== "decision") continue;
    const table = new Map<TokenType, number>();
    for (const [i, choice] of step.choices.entries()) {
      for (const type of firstOf(choice).types) if (!table.has(type)) table.set(type, i);
      decide(choice, decisions);
    }
    decisions.set(step.key, table);
  }
}

/** The tokens that the steps may begin with; `nullable` if they may read nothing. */
function firstOf(steps: readonly Step[]): { readonly types: ReadonlySet<TokenType>; readonly nullable: boolean } {
  const types = new Set<TokenType>();
  for (const step of steps) {
    if (step.kind === "token") return { types: types.add(step.type), nullable: false };
    const parts = step.kind === "rule" ? [firstOf(step.rule.steps)] : step.choices.map(firstOf);
    for (const part of parts) for (const type of part.types) types.add(type);
    if (!parts.some((p) => p.nullable) && !(step.kind === "decision" && step.optional))
      return { types, nullable: false };
  }
  return { types, nullable: true };
}
