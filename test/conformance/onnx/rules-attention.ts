/** Attention and its relatives. Heads come as an axis of their own, or side by side in the last one. */
import { type Call, fail, list, type RuleTable, range } from "./call.ts";
import type { Val } from "./emitter.ts";

/** [B, S, H · D] as [B, H, S, D]; four axes stay. */
function heads(n: Call, x: Val, count: number): Val {
  return x.rank === 4 ? x : n.let(`rearrange("b s (h d) -> b h s d", ${x}, h: ${count})`);
}

/** A mask of fewer than four axes belongs to the last ones; keys past its end are masked. */
function bias(n: Call, mask: Val, keys: number): Val {
  const missing = keys - mask.shape.at(-1)!;
  const added = mask.dtype === "bool" ? n.let(`where(${mask}, 0.0, -inf)`) : mask;
  if (missing <= 0 || mask.shape.at(-1) === 1) return added;
  return n.let(`cat([${added}, full(${list([...mask.shape.slice(0, -1), missing])}, -inf)], axis: -1)`);
}

/** Each term of what is added to the scores; -inf hides a key. */
function biases(n: Call, q: Val, k: Val, past: number): readonly Val[] {
  const [queries, keys, batch] = [q.shape[2]!, k.shape[2]!, q.shape[0]!];
  const [mask, lengths] = [n.opt(3), n.opt(6)];
  const terms: Val[] = mask ? [bias(n, mask, keys)] : [];
  if (n.num("is_causal", 0)) {
    // Without a past but with lengths, the queries are the last ones of each sequence.
    const offset = lengths && !n.opt(4) ? `${lengths}[b] - ${queries}` : String(past);
    terms.push(
      n.let(
        `for[b in 0..${lengths ? batch : 1}, h in 0..1, i in 0..${queries}, j in 0..${keys}] i + ${offset} < j ? -inf : 0.0`,
      ),
    );
  }
  if (lengths)
    terms.push(n.let(`for[b in 0..${batch}, h in 0..1, i in 0..1, j in 0..${keys}] j < ${lengths}[b] ? 0.0 : -inf`));
  return terms;
}

function attention(n: Call): readonly (Val | undefined)[] {
  const q = heads(n, n.x(0), n.num("q_num_heads", 1));
  const [newK, newV] = [1, 2].map((i) => heads(n, n.x(i), n.num("kv_num_heads", 1))) as [Val, Val];
  const [pastK, pastV] = [n.opt(4), n.opt(5)];
  const k = pastK ? n.let(`cat([${pastK}, ${newK}], axis: 2)`) : newK;
  const v = pastV ? n.let(`cat([${pastV}, ${newV}], axis: 2)`) : newV;
  const groups = k.shape[1]!;
  const scale = n.has("scale") ? n.num("scale") : 1 / Math.sqrt(q.shape[3]!);
  const grouped = n.let(`rearrange("b (g r) q d -> b g r q d", ${q}, g: ${groups})`);
  const raw = n.let(
    `rearrange("b g r q k -> b (g r) q k", einsum("bgrqd,bgkd->bgrqk", ${grouped}, ${k})) * ${n.e.number(scale)}`,
  );
  const cap = n.num("softcap", 0);
  const capped = cap === 0 ? raw : n.let(`${n.e.number(cap)} * tanh(${raw} / ${n.e.number(cap)})`);
  const terms = biases(n, q, k, pastK?.shape[2] ?? 0);
  const added = terms.length > 0 ? n.let(terms.join(" + ")) : undefined;
  const biased = added ? n.let(`${capped} + ${added}`) : capped;
  // A query that sees no key gets nothing, not NaN.
  const blind = added ? n.let(`max(${added}, axis: -1, keepdims: true) == -inf`) : undefined;
  const p = blind
    ? n.let(`where(${blind}, 0.0, softmax(where(${blind}, 0.0, ${biased}), -1))`)
    : n.let(`softmax(${biased}, -1)`);
  const parts = n.let(`rearrange("b (g r) q k -> b g r q k", ${p}, g: ${groups})`);
  const mixed = n.let(`rearrange("b g r q e -> b (g r) q e", einsum("bgrqk,bgke->bgrqe", ${parts}, ${v}))`);
  const y = n.x(0).rank === 4 ? mixed : n.let(`rearrange("b h q e -> b q (h e)", ${mixed})`);
  return [y, k, v, [raw, capped, biased, p][n.num("qk_matmul_output_mode", 0)]];
}

/** Scores and probabilities may be changed by graphs of their own. */
function flexAttention(n: Call): Val {
  const [q, k, v] = [n.x(0), n.x(1), n.x(2)];
  const groups = k.shape[1]!;
  const scale = n.has("scale") ? n.num("scale") : 1 / Math.sqrt(q.shape[3]!);
  const grouped = n.let(`rearrange("b (g r) q d -> b g r q d", ${q}, g: ${groups})`);
  const modified = (name: string, x: Val): Val => (n.has(name) ? (n.subgraph(n.graph(name), [x])[0] as Val) : x);
  const raw = n.let(
    `rearrange("b g r q k -> b (g r) q k", einsum("bgrqd,bgkd->bgrqk", ${grouped}, ${k})) * ${n.e.number(scale)}`,
  );
  const p = modified("prob_mod", n.let(`softmax(${modified("score_mod", raw)}, -1)`));
  const parts = n.let(`rearrange("b (g r) q k -> b g r q k", ${p}, g: ${groups})`);
  return n.let(`rearrange("b g r q e -> b (g r) q e", einsum("bgrqk,bgke->bgrqe", ${parts}, ${v}))`);
}

/** Pairs of features turned by the cached angles of each position; features past the rotated ones stay. */
function rotary(n: Call): string {
  const [given, ids] = [n.x(0), n.opt(3)];
  const flat = given.rank === 3;
  const x = heads(n, given, n.num("num_heads", 1));
  const size = x.shape[3]!;
  const turned = n.num("rotary_embedding_dim", 0) || size;
  const angle = (i: number): Val => {
    const cache = n.x(i);
    const rows = ids ? n.let(`take(${cache}, ${ids}, axis: 0)`) : cache;
    return n.let(`expand_dims(narrow(${rows}, 2, 0, ${turned / 2}), 1)`);
  };
  const [c, s] = [angle(1), angle(2)];
  const part = n.let(`narrow(${x}, 3, 0, ${turned})`);
  const interleaved = n.num("interleaved", 0) !== 0;
  const pairs = n.let(`rearrange("b h s ${interleaved ? "(p two)" : "(two p)"} -> two b h s p", ${part}, two: 2)`);
  const whole = n.let(`stack([${pairs}[0] * ${c} - ${pairs}[1] * ${s}, ${s} * ${pairs}[0] + ${c} * ${pairs}[1]])`);
  const back = n.let(`rearrange("two b h s p -> b h s ${interleaved ? "(p two)" : "(two p)"}", ${whole})`);
  const y = turned === size ? back : n.let(`cat([${back}, narrow(${x}, 3, ${turned}, ${size - turned})], axis: 3)`);
  return flat ? `rearrange("b h s d -> b s (h d)", ${y})` : `${y}`;
}

/** S' = decay · S + k ⊗ (what the rule writes), read by q; unrolled over the sequence. */
function linearAttention(n: Call): readonly Val[] {
  const [qs, ks, past, decay, beta] = [n.num("q_num_heads"), n.num("kv_num_heads"), n.opt(3), n.opt(4), n.opt(5)];
  const rule = n.str("update_rule", "gated_delta");
  const split = (x: Val, count: number): Val => n.let(`rearrange("b t (h d) -> t b h d", ${x}, h: ${count})`);
  const [q, k, v] = [split(n.x(0), qs), split(n.x(1), ks), split(n.x(2), ks)];
  const [length, batch, , keySize] = k.shape as readonly [number, number, number, number];
  const scale = n.num("scale", 0) || 1 / Math.sqrt(keySize);
  const gates = rule.startsWith("gated") ? split(decay ?? fail("no decay"), ks) : undefined;
  const rate = beta ?? (rule.endsWith("delta") ? fail("no beta") : undefined);
  const rates = rate && rule.endsWith("delta") ? split(rate, rate.shape[2]!) : undefined;
  let state = past ?? n.let(`zeros(${list([batch, ks, keySize, v.shape[3]])})`);
  const outputs = range(length).map((t) => {
    const kept = gates ? n.let(`${state} * expand_dims(exp(${gates}[${t}]), -1)`) : state;
    const write = rates
      ? n.let(`${rates}[${t}] * (${v}[${t}] - einsum("bhde,bhd->bhe", ${kept}, ${k}[${t}]))`)
      : n.let(`${v}[${t}]`);
    state = n.let(`${kept} + einsum("bhd,bhe->bhde", ${k}[${t}], ${write})`);
    const query = n.let(`rearrange("b (g r) d -> b g r d", ${q}[${t}], g: ${ks})`);
    return n.let(
      `rearrange("b g r e -> b (g r e)", einsum("bgrd,bgde->bgre", ${query}, ${state})) * ${n.e.number(scale)}`,
    );
  });
  return [n.let(`stack(${list(outputs)}, axis: 1)`), state];
}

export const ATTENTION: RuleTable = {
  Attention: attention,
  "ai.onnx.preview:FlexAttention": flexAttention,
  FlexAttention: flexAttention,
  RotaryEmbedding: rotary,
  LinearAttention: linearAttention,
  "ai.onnx.preview:LinearAttention": linearAttention,
};
