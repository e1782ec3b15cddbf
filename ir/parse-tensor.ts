/** Reads the text form of tensor programs (ir/tensor-text.ts describes it) that ir/print-tensor.ts writes. */
import { ExpressionReader } from "./parse-tensor-expr.ts";
import {
  type Axis,
  type CarryDef,
  type Const,
  carryDef,
  type Definition,
  type Fact,
  type Input,
  input,
  type LoopStep,
  loopIndex,
  mapDef,
  type Program,
  reduce,
  type Step,
  scanDef,
  scatterDef,
  type TensorRef,
} from "./tensor.ts";
import type { Token } from "./tensor-tokens.ts";

export { TensorTextError } from "./tensor-tokens.ts";

/** The program that the text describes. Throws TensorTextError. */
export function parseProgram(text: string): Program {
  return new TensorParser(text).program();
}

/** A resource in the sense of the house: it holds the place in the text. */
class TensorParser extends ExpressionReader {
  // ---- Statements ----

  program(): Program {
    let name = "program";
    const inputs: Input[] = [];
    const steps: Step[] = [];
    const facts: Fact[] = [];
    const results: { name: string; tensor: Definition; slot: number }[] = [];
    if (this.skip("program")) name = this.name();
    while (this.peek().kind !== "end") {
      if (this.skip("monoid")) this.monoid();
      else if (this.skip("fact")) {
        const left = this.extent();
        const relation = this.next();
        if (relation.text !== "==" && relation.text !== ">=") throw this.fail("expected `==` or `>=`", relation);
        const right = this.extent();
        const message = this.peek().kind === "string" ? (JSON.parse(this.next().text) as string) : "";
        facts.push({ left, relation: relation.text, right, message, span: undefined });
      } else if (this.skip("input")) {
        const token = this.peek();
        const inputName = this.name();
        this.expect(":");
        const dtype = this.dtype();
        const made = this.scoped(() => input(inputName, dtype, this.binders()));
        this.define([inputName], made, token);
        inputs.push(made);
      } else if (this.skip("result")) {
        const resultName = this.name();
        this.expect("=");
        results.push({ name: resultName, ...this.reference() });
      } else steps.push(this.step());
    }
    return { name, inputs, steps, results, facts };
  }

  private define(names: readonly string[], tensor: Definition, token: Token): void {
    names.forEach((n, slot) => {
      if (this.definitions.has(n)) throw this.fail(`\`${n}\` is defined twice`, token);
      this.definitions.set(n, { tensor, slot });
    });
  }

  private step(): Step {
    if (this.is("loop")) return this.loop();
    const token = this.peek();
    const names = this.list(() => this.name());
    const made = this.scoped(() => this.definition(names, this.binders()));
    if (made.types.length !== names.length)
      throw this.fail(`${names.length} names for ${made.types.length} results`, token);
    this.define(names, made, token);
    return made;
  }

  private definition(names: readonly string[], axes: readonly Axis[]): Definition {
    const epoch = this.skip("@") ? Number(this.next().text) : 0;
    const options = { name: names[0] ?? "t", epoch };
    this.expect("=");
    const token = this.peek();
    if (this.is("scan") && this.peek(1).kind === "name") {
      this.next();
      const monoid = this.name();
      this.expect("along");
      const along = this.axis();
      const values = this.body();
      return scanDef(axes, along, this.monoidFor(monoid, values, token), values, options);
    }
    if (this.is("scatter") && this.peek(1).kind === "name") return this.scatter(axes, options);
    const start = this.at;
    const reduction = this.reductionHead();
    if (reduction && !this.is("{")) {
      const values = this.body();
      const monoid = this.monoidFor(reduction.monoid, values, token);
      return this.built(token, () =>
        mapDef(
          axes,
          monoid.slots.map((_, s) => reduce(monoid, reduction.axes, values, s)),
          options,
        ),
      );
    }
    this.at = start;
    return mapDef(axes, this.body(), options);
  }

  private scatter(axes: readonly Axis[], options: { name: string; epoch: number }): Definition {
    const token = this.next();
    const name = this.name();
    const domain = this.binders("(", ")");
    this.letClauses();
    this.expect("at");
    this.expect("[");
    const at = this.listUntil("]", () => this.expr());
    const values = this.list(() => this.expr());
    const into = this.skip("into") ? this.list(() => this.reference()) : undefined;
    const monoid = name === "set" ? name : this.monoidFor(name, values, token);
    let initial: readonly Const[] = monoid === "set" ? [] : monoid.identity;
    if (this.skip("initial")) {
      if (this.skip("(")) {
        this.expect(")");
        initial = [];
      } else initial = this.list(() => this.constant());
    }
    return scatterDef(axes, monoid, domain, at, values, initial, into, options);
  }

  private loop(): LoopStep {
    this.expect("loop");
    const indexed = this.skip("index") ? { token: this.peek(), name: this.name() } : undefined;
    const count = this.skip("count") ? this.extent() : undefined;
    const max = this.skip("max") ? this.extent() : undefined;
    let index: Input | undefined;
    if (indexed) {
      const rounds = count ?? max;
      index = rounds ? loopIndex(indexed.name, rounds) : input(indexed.name, "i32", []);
      this.define([indexed.name], index, indexed.token);
    }
    this.expect("{");
    const declared = (): CarryDef => {
      const token = this.peek();
      const names = this.list(() => this.name());
      this.expect(":");
      const types = this.list(() => this.dtype());
      const made = this.scoped(() => carryDef(names[0] ?? "c", types, this.binders()));
      this.define(names, made, token);
      return made;
    };
    const carries: { carry: CarryDef; init: TensorRef; next: TensorRef }[] = [];
    const stacks: { stack: CarryDef; value: TensorRef }[] = [];
    const body: Step[] = [];
    let until: TensorRef | undefined;
    const nexts = new Map<Definition, TensorRef>();
    while (!this.skip("}")) {
      if (this.skip("carry")) {
        const carry = declared();
        this.expect("=");
        const init = this.reference();
        carries.push({ carry, init, next: init });
      } else if (this.skip("stack")) {
        const stack = declared();
        stacks.push({ stack, value: { tensor: stack, slot: 0 } });
      } else if (this.is("next") || this.is("push")) {
        this.next();
        const target = this.reference();
        this.expect("=");
        nexts.set(target.tensor, this.reference());
      } else if (this.skip("until")) until = this.reference();
      else body.push(this.step());
    }
    return {
      kind: "loop",
      index,
      count,
      max,
      until,
      body,
      carries: carries.map((c) => ({ ...c, next: nexts.get(c.carry) ?? c.next })),
      stacks: stacks.map((k) => ({ stack: k.stack, value: nexts.get(k.stack) ?? k.value })),
    };
  }

  private monoid(): void {
    const token = this.peek();
    const name = this.name();
    this.expect(":");
    const slots = this.list(() => this.dtype());
    this.expect("=");
    this.args = slots;
    const combine = this.body();
    this.args = [];
    this.expect("identity");
    const identity = this.list(() => this.constant());
    if (combine.length !== slots.length || identity.length !== slots.length)
      throw this.fail(`${name} has ${slots.length} slots`, token);
    const commutative = this.skip("commutative");
    const exact = this.skip("exact");
    this.monoids.set(name, { name, slots, identity, combine, commutative, exact });
  }
}
