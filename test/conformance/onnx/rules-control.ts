/** Loops and branches: how often and which way is known while translating, so they are unrolled and chosen. */
import { type Call, fail, front, type Item, list, type RuleTable, range } from "./call.ts";
import { Val } from "./emitter.ts";

const LONGEST = 1000;

const tensor = (v: Item | undefined): Val => (v instanceof Val ? v : fail("a sequence where a tensor is needed"));
const stacked = (n: Call, parts: readonly Val[], axis = 0): Val =>
  parts.length === 0
    ? fail("a loop that never runs has scan results of unknown shape")
    : n.let(`stack(${list(parts)}, axis: ${axis})`, parts[0]!.file);

function loop(n: Call): readonly (Val | undefined)[] {
  const body = n.graph("body");
  const count = n.opt(0)?.number ?? LONGEST;
  let carried: readonly Item[] = n.ins.slice(2).map((v) => v ?? fail("a missing initial value"));
  let go: Val = n.opt(1) ?? n.let("true", "bool");
  const scans: Val[][] = body.outputs.slice(1 + carried.length).map(() => []);
  for (let i = 0; i < count && go.number !== 0; i++) {
    if (i >= LONGEST) return fail("a loop whose number of turns comes from data");
    const results = n.subgraph(body, [n.let(String(i), "int64"), go, ...carried]);
    go = tensor(results[0]);
    carried = results.slice(1, 1 + carried.length);
    for (const [k, s] of scans.entries()) s.push(tensor(results[1 + carried.length + k]));
  }
  return [...carried.map(tensor), ...scans.map((s) => stacked(n, s))];
}

/** Elements along an axis of each scanned input go through the body one after the other. */
function scanOnce(n: Call, initial: readonly Val[], scanned: readonly Val[]): readonly Val[] {
  const body = n.graph("body");
  const outputs = body.outputs.length - initial.length;
  const axes = n.ints(
    "scan_input_axes",
    scanned.map(() => 0),
  );
  const backwards = n.ints(
    "scan_input_directions",
    n.ints(
      "directions",
      scanned.map(() => 0),
    ),
  );
  const outAxes = n.ints(
    "scan_output_axes",
    range(outputs).map(() => 0),
  );
  const outBackwards = n.ints(
    "scan_output_directions",
    range(outputs).map(() => 0),
  );
  const length = scanned[0]!.shape[front(axes[0]!, scanned[0]!.rank)]!;
  let state: readonly Item[] = initial;
  const scans: Val[][] = range(outputs).map(() => []);
  for (const t of range(length)) {
    const items = scanned.map((x, k) => {
      const axis = front(axes[k]!, x.rank);
      const at = backwards[k] ? length - 1 - t : t;
      return n.let(`${x}${list(range(x.rank).map((a) => (a === axis ? at : ":")))}`, x.file);
    });
    const results = n.subgraph(body, [...state, ...items]);
    state = results.slice(0, initial.length);
    for (const [k, made] of scans.entries()) {
      const r = tensor(results[initial.length + k]);
      if (outBackwards[k]) made.unshift(r);
      else made.push(r);
    }
  }
  return [...state.map(tensor), ...scans.map((s, k) => stacked(n, s, outAxes[k]!))];
}

function scan(n: Call): readonly Val[] {
  const count = n.num("num_scan_inputs");
  if (n.opset >= 9) {
    const all = n.rest();
    return scanOnce(n, all.slice(0, all.length - count), all.slice(all.length - count));
  }
  // In opset 8 everything had a batch in front, and the first input gave the lengths of its sequences.
  if (n.ins[0] !== undefined) return fail("sequences of lengths that come from data");
  const all = n.rest(1);
  const batch = all[0]!.shape[0]!;
  const runs = range(batch).map((b) => {
    const own = all.map((x) => n.let(`${x}[${b}]`, x.file));
    return scanOnce(n, own.slice(0, own.length - count), own.slice(own.length - count));
  });
  return runs[0]!.map((_, k) =>
    stacked(
      n,
      runs.map((r) => r[k]!),
    ),
  );
}

/** Derivatives of a value of the graph by others, its inputs. */
function gradient(n: Call): readonly Val[] {
  const y = tensor(n.named(n.str("y", "")));
  return n.e.gradient(
    n.strings("xs", []).map((name) => tensor(n.named(name))),
    y,
  );
}

export const CONTROL: RuleTable = {
  "ai.onnx.preview.training:Gradient": gradient,
  If: (n) => {
    const results = n.subgraph(n.graph(n.x(0).number ? "then_branch" : "else_branch"), []);
    return results.length === 1 ? results[0]! : results.map(tensor);
  },
  Loop: loop,
  Scan: scan,
};
