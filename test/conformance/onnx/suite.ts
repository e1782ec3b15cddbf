/** `onnx-node`: every node of a graph becomes lets of one function, by a rule for its operator. */
import { decode, type FileTensor, type Tolerance } from "../arrays.ts";
import { type Job, type Suite, unsupported } from "../job.ts";
import { Call, type Item, type RawGraph, type RawNode, type Results } from "./call.ts";
import { Emitter, UnsupportedNode, Val } from "./emitter.ts";
import { RULES } from "./rules.ts";

interface OnnxCase {
  readonly op: string;
  readonly opset: Readonly<Record<string, number>>;
  readonly graph: RawGraph;
  readonly inputs: Readonly<Record<string, FileTensor | { readonly sequence: readonly FileTensor[] } | null>>;
  readonly outputs: Readonly<Record<string, FileTensor>>;
  readonly rtol: number;
  readonly atol: number;
}

type Scope = Map<string, Item>;

/** Which operator it was, for the summary. */
class UnsupportedOperator extends Error {
  readonly op: string;
  constructor(op: string, reason: string) {
    super(reason);
    this.op = op;
  }
}

function item(e: Emitter, result: Item | string | undefined): Item | undefined {
  return typeof result === "string" ? e.let(result) : result;
}

function resultsOf(e: Emitter, node: RawNode, results: Results): readonly (Item | undefined)[] {
  if (typeof results === "string" || results instanceof Val) return [item(e, results)];
  // A list is a sequence where the operator gives one, else one item an output.
  if (node.op.startsWith("Sequence") || node.op === "SplitToSequence")
    return [(results as readonly (Val | string)[]).map((r) => item(e, r) as Val)];
  return (results as readonly (Val | string | undefined)[]).map((r) => item(e, r));
}

function runNode(e: Emitter, node: RawNode, opsets: OnnxCase["opset"], scope: Scope, graph: RawGraph): void {
  const domain = node.domain ?? "";
  const op = domain === "" || domain === "ai.onnx" ? node.op : `${domain}:${node.op}`;
  const rule = RULES.get(op);
  if (!rule) throw new UnsupportedOperator(op, "no rule");
  const ins = node.in.map((name) => {
    if (name === "") return undefined;
    const found = scope.get(name);
    if (found === undefined) throw new UnsupportedOperator(op, `an input that is no tensor`);
    return found;
  });
  while (ins.length > 0 && ins.at(-1) === undefined) ins.pop();
  const subgraph = (g: RawGraph, args: readonly Item[]): readonly Item[] => {
    const inner: Scope = new Map(scope);
    g.inputs.forEach((p, i) => {
      if (args[i] !== undefined) inner.set(p.name, args[i]);
    });
    return runGraph(e, g, opsets, inner);
  };
  const opset = opsets[domain === "" ? "ai.onnx" : domain] ?? 1;
  const declared = (name: string): readonly number[] | undefined => graph.outputs.find((o) => o.name === name)?.shape;
  try {
    const call = new Call(node, e, opset, ins, subgraph, (name) => scope.get(name), declared);
    const results = resultsOf(e, node, rule(call));
    node.out.forEach((name, i) => {
      const r = results[i];
      if (name !== "" && r !== undefined) scope.set(name, r);
    });
  } catch (error) {
    if (error instanceof UnsupportedNode) throw new UnsupportedOperator(op, error.message);
    throw error;
  }
}

function runGraph(e: Emitter, g: RawGraph, opsets: OnnxCase["opset"], scope: Scope): readonly Item[] {
  for (const [name, t] of Object.entries(g.initializers ?? {})) if (!scope.has(name)) scope.set(name, e.constant(t));
  for (const node of g.nodes) runNode(e, node, opsets, scope, g);
  return g.outputs.map((o) => {
    const v = scope.get(o.name);
    if (v === undefined) throw new UnsupportedNode(`the output ${o.name} is not computed`);
    return v;
  });
}

function isTensor(t: OnnxCase["inputs"][string]): t is FileTensor {
  return t !== null && "shape" in t;
}

export const onnxSuite: Suite = {
  name: "onnx-node",
  translate(raw): Job {
    const c = raw as unknown as OnnxCase;
    const e = new Emitter();
    const scope: Scope = new Map();
    try {
      for (const [name, t] of Object.entries(c.inputs)) if (isTensor(t)) scope.set(name, e.param(decode(t)));
      const outputs = runGraph(e, c.graph, c.opset, scope);
      const results = outputs.map((v) => {
        if (v instanceof Val) return v;
        throw new UnsupportedNode("a sequence as a result");
      });
      const tolerance: Tolerance = { exact: false, atol: c.atol, rtol: c.rtol };
      return {
        kind: "run",
        ...e.program(results),
        fn: "f",
        expected: c.graph.outputs.map((o) => decode(c.outputs[o.name]!)),
        tolerance,
        expectedInF32: true,
      };
    } catch (error) {
      if (error instanceof UnsupportedOperator) return unsupported(error.op, error.message);
      if (error instanceof UnsupportedNode) return unsupported(c.op, error.message);
      throw error;
    }
  },
};
