/** Fourier transforms and windows. Complex numbers are a last axis of two. */
import { languageType } from "../arrays.ts";
import { type Call, fail, front, list, type Rule, type RuleTable, range } from "./call.ts";
import type { Val } from "./emitter.ts";
import { dataType } from "./rules-elementwise.ts";

/** The last axis cut or filled with zeros. */
function sized(n: Call, x: Val, length: number): Val {
  const now = x.shape.at(-1)!;
  return now === length ? x : n.let(`pad(${x}, [0, ${length - now}], axis: -1)`);
}

function dft(n: Call): string {
  const x = n.x(0);
  const axis = front(n.opset >= 20 ? (n.opt(2)?.number ?? -2) : n.num("axis", 1), x.rank);
  const [inverse, onesided] = [n.num("inverse", 0) !== 0, n.num("onesided", 0) !== 0];
  const complex = x.shape.at(-1) === 2;
  const part = (k: number): Val => n.let(`moveaxis(${x}[..., ${k}], ${axis}, -1)`);
  const present = x.shape[axis]!;
  const length = n.opt(1)?.number ?? (inverse && onesided ? 2 * (present - 1) : present);
  const bins = Math.floor(length / 2) + 1;
  const given = inverse && onesided ? bins : length;
  const re = sized(n, part(0), given);
  const im = complex ? sized(n, part(1), given) : n.let(`zeros_like(${re})`);
  if (inverse && onesided) return `expand_dims(moveaxis(irdft(${re}, ${im}, ${length}), -1, ${axis}), -1)`;
  const r = n.e.record(`dft(${re}, ${im}, ${onesided ? bins : length}, ${inverse})`);
  return `stack([moveaxis(${r}.re, -1, ${axis}), moveaxis(${r}.im, -1, ${axis})], axis: -1)`;
}

function stft(n: Call): string {
  const [signal, step, window] = [n.x(0), n.x(1).number, n.opt(2)];
  const length = n.opt(3)?.number ?? window?.shape[0] ?? fail("neither a window nor a frame length");
  const onesided = n.num("onesided", 1) !== 0;
  const bins = onesided ? Math.floor(length / 2) + 1 : length;
  const complex = signal.rank === 3 && signal.shape[2] === 2;
  const part = (k: number): Val =>
    n.let(
      `frames(${signal}${signal.rank === 3 ? `[..., ${k}]` : ""}, ${length}, ${step})${window ? ` * ${window}` : ""}`,
    );
  const re = part(0);
  const r = n.e.record(complex ? `dft(${re}, ${part(1)}, ${bins})` : `dft(${re}, bins: ${bins})`);
  return `stack([${r}.re, ${r}.im], axis: -1)`;
}

const window =
  (name: string): Rule =>
  (n) => {
    const file = n.has("output_datatype") ? dataType(n.num("output_datatype")) : "float32";
    const dtype = languageType(file) ?? fail(`tensors of ${file}`);
    const y = `${name}(${n.x(0).number}, ${n.num("periodic", 1) !== 0})`;
    return n.let(dtype === "f32" ? y : `${y} as ${dtype}`, file);
  };

export const SIGNAL: RuleTable = {
  DFT: dft,
  STFT: stft,
  HannWindow: window("hann_window"),
  HammingWindow: window("hamming_window"),
  BlackmanWindow: window("blackman_window"),
  MelWeightMatrix: (n) => {
    const [bins, length, rate] = range(3).map((i) => n.x(i).number);
    return `mel_weights(${n.x(3)} as f32, ${n.x(4)} as f32, ${list([bins, length, rate]).slice(1, -1)})`;
  },
};
