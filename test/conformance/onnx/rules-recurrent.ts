/** RNN, LSTM and GRU, unrolled over the sequence, whose extent is known. */
import { type Call, fail, list, type RuleTable, range } from "./call.ts";
import { literal, type Val } from "./emitter.ts";

type Activation = (x: string) => string;

function activation(name: string, alpha: number | undefined, beta: number | undefined): Activation {
  const [a, b] = [(d: number): string => literal(alpha ?? d, "f32"), (d: number): string => literal(beta ?? d, "f32")];
  const plain: Readonly<Record<string, string>> = {
    relu: "relu",
    tanh: "tanh",
    sigmoid: "sigmoid",
    softsign: "softsign",
    softplus: "softplus",
  };
  const key = name.toLowerCase();
  if (plain[key]) return (x) => `${plain[key]}(${x})`;
  switch (key) {
    case "affine":
      return (x) => `(${a(1)} * (${x}) + ${b(0)})`;
    case "leakyrelu":
      return (x) => `leaky_relu(${x}, ${a(0.01)})`;
    case "thresholdedrelu":
      return (x) => `threshold(${x}, ${a(1)}, 0.0)`;
    case "scaledtanh":
      return (x) => `(${a(1)} * tanh(${b(1)} * (${x})))`;
    case "hardsigmoid":
      return (x) => `hardsigmoid(${x}, ${a(0.2)}, ${b(0.5)})`;
    case "elu":
      return (x) => `elu(${x}, ${a(1)})`;
    default:
      return fail(`the activation ${name}`);
  }
}

/** One direction: what a step needs. */
interface Cell {
  readonly n: Call;
  readonly hidden: number;
  readonly w: Val;
  readonly r: Val;
  /** Of w and of r, one row for each gate. */
  readonly bias: Val | undefined;
  readonly peepholes: Val | undefined;
  /** f, g, h of the operator's description, after the clip. */
  readonly f: readonly Activation[];
}
interface State {
  readonly h: Val;
  readonly c: Val | undefined;
}

const gate = (cell: Cell, v: Val, k: number): string => `${v}[..., ${k * cell.hidden}:${(k + 1) * cell.hidden}]`;
const biasOf = (cell: Cell, from: number, k: number): string =>
  cell.bias ? ` + ${gate(cell, cell.bias, from + k)}` : "";

function rnnStep(cell: Cell, x: Val, s: State): State {
  const z = cell.n.let(`linear(${x}, ${cell.w}) + linear(${s.h}, ${cell.r})${biasOf(cell, 0, 0)}${biasOf(cell, 1, 0)}`);
  return { h: cell.n.let(cell.f[0]!(`${z}`)), c: undefined };
}

/** Gates in the order z, r, h. */
function gruStep(cell: Cell, x: Val, s: State): State {
  const { n, f } = cell;
  const a = n.let(`linear(${x}, ${cell.w})`);
  const b = n.let(`linear(${s.h}, ${cell.r})`);
  const both = (k: number): Val =>
    n.let(f[0]!(`${gate(cell, a, k)} + ${gate(cell, b, k)}${biasOf(cell, 0, k)}${biasOf(cell, 3, k)}`));
  const [z, r] = [both(0), both(1)];
  const own = n.let(`${cell.r}[${2 * cell.hidden}:${3 * cell.hidden}, :]`);
  const recurrent = n.num("linear_before_reset", 0)
    ? `${r} * (${gate(cell, b, 2)}${biasOf(cell, 3, 2)})`
    : `linear(${r} * ${s.h}, ${own})${biasOf(cell, 3, 2)}`;
  const fresh = n.let(f[1]!(`${gate(cell, a, 2)}${biasOf(cell, 0, 2)} + ${recurrent}`));
  return { h: n.let(`(1.0 - ${z}) * ${fresh} + ${z} * ${s.h}`), c: undefined };
}

/** Gates in the order i, o, f, c; peepholes i, o, f. */
function lstmStep(cell: Cell, x: Val, s: State): State {
  const { n, f } = cell;
  const z = n.let(`linear(${x}, ${cell.w}) + linear(${s.h}, ${cell.r})`);
  const at = (k: number, c?: Val): string =>
    `${gate(cell, z, k)}${biasOf(cell, 0, k)}${biasOf(cell, 4, k)}${cell.peepholes && c ? ` + ${gate(cell, cell.peepholes, k)} * ${c}` : ""}`;
  const i = n.let(f[0]!(at(0, s.c)));
  const forget = n.num("input_forget", 0) ? n.let(`1.0 - ${i}`) : n.let(f[0]!(at(2, s.c)));
  const c = n.let(`${forget} * ${s.c} + ${i} * ${f[1]!(at(3))}`);
  const o = n.let(f[0]!(at(1, c)));
  return { h: n.let(`${o} * ${f[2]!(`${c}`)}`), c };
}

interface Kind {
  readonly step: (cell: Cell, x: Val, s: State) => State;
  readonly gates: number;
  readonly activations: readonly string[];
}

function recurrent(kind: Kind): (n: Call) => readonly (Val | undefined)[] {
  return (n) => {
    const batchFirst = n.num("layout", 0) === 1;
    const x = batchFirst ? n.let(`swapaxes(${n.x(0)}, 0, 1)`) : n.x(0);
    const [steps, batch] = x.shape as readonly [number, number, number];
    const direction = n.str("direction", "forward");
    const directions = direction === "bidirectional" ? 2 : 1;
    const hidden = n.num("hidden_size", n.x(2).shape[2]!);
    const lengths = n.opt(4);
    const clip = n.has("clip") ? n.num("clip") : undefined;
    const names = n.strings(
      "activations",
      range(directions).flatMap(() => kind.activations),
    );
    const [alphas, betas] = ["activation_alpha", "activation_beta"].map(
      (k) => (n.attrs[k] ?? []) as readonly number[],
    ) as [readonly number[], readonly number[]];
    const initial = (i: number, d: number): Val => {
      const given = n.opt(i);
      if (!given) return n.let(`zeros([${batch}, ${hidden}])`);
      return n.let(`${given}${batchFirst ? `[:, ${d}, :]` : `[${d}]`}`);
    };
    const all = range(directions).map((d) => {
      const part = (i: number): Val | undefined => (n.opt(i) ? n.let(`${n.opt(i)}[${d}]`) : undefined);
      const f = kind.activations.map((_, k): Activation => {
        const at = d * kind.activations.length + k;
        const act = activation(names[at]!, alphas[at], betas[at]);
        return clip === undefined
          ? act
          : (text) => act(`clamp(${text}, min: ${literal(-clip, "f32")}, max: ${literal(clip, "f32")})`);
      });
      const cell: Cell = {
        n,
        hidden,
        w: part(1)!,
        r: part(2)!,
        bias: part(3),
        peepholes: kind.gates === 4 ? part(7) : undefined,
        f,
      };
      let s: State = { h: initial(5, d), c: kind.gates === 4 ? initial(6, d) : undefined };
      const backwards = direction === "reverse" || d === 1;
      const outputs: Val[] = [];
      for (const t of backwards ? range(steps).toReversed() : range(steps)) {
        const next = kind.step(cell, n.let(`${x}[${t}]`), s);
        // Past the end of its own sequence a sample keeps its state and gives 0.
        const runs = lengths ? n.let(`(${t} < ${lengths})[:, None]`) : undefined;
        const kept = (fresh: Val, old: Val): Val => (runs ? n.let(`where(${runs}, ${fresh}, ${old})`) : fresh);
        outputs[t] = runs ? n.let(`where(${runs}, ${next.h}, 0.0)`) : next.h;
        s = { h: kept(next.h, s.h), c: next.c && s.c ? kept(next.c, s.c) : undefined };
      }
      return { outputs: n.let(`stack(${list(outputs)})`), s };
    });
    const y = n.let(`stack(${list(all.map((a) => a.outputs))}, axis: 1)`);
    const last = (pick: (s: State) => Val | undefined): Val =>
      n.let(`stack(${list(all.map((a) => pick(a.s)))}, axis: ${batchFirst ? 1 : 0})`);
    return [
      batchFirst ? n.let(`permute(${y}, [2, 0, 1, 3])`) : y,
      last((s) => s.h),
      kind.gates === 4 ? last((s) => s.c) : undefined,
    ];
  };
}

export const RECURRENT: RuleTable = {
  RNN: recurrent({ step: rnnStep, gates: 1, activations: ["Tanh"] }),
  GRU: recurrent({ step: gruStep, gates: 3, activations: ["Sigmoid", "Tanh"] }),
  LSTM: recurrent({ step: lstmStep, gates: 4, activations: ["Sigmoid", "Tanh", "Tanh"] }),
};
