/** `interpolate` and its older names. */
import { type Arg, type Bound, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";

const MODES: Readonly<Record<string, string>> = {
  linear: "linear",
  bilinear: "linear",
  trilinear: "linear",
  bicubic: "cubic",
};

/** Axis by axis; a factor that is given says how far the places lie apart, unless it is to be worked out from the sizes. */
function resized(x: Arg, size: Arg, factor: Arg, mode: string, corners: boolean, recompute: boolean): string {
  const axes = x.shape.slice(2).map((_, k) => k + 2);
  const of = (v: Arg, k: number): number => (v.isList ? v.numbers()[k]! : v.number());
  let text = String(x);
  for (const [k, axis] of axes.entries()) {
    const from = x.shape[axis]!;
    const to = size.isNone ? Math.floor(from * of(factor, k)) : of(size, k);
    const ratio = size.isNone && !recompute ? 1 / of(factor, k) : from / to;
    if (mode.startsWith("nearest")) {
      const [coordinates, rounding] = mode === "nearest" ? ["asymmetric", "floor"] : ["half_pixel", "prefer_ceil"];
      text = `resize_nearest(${text}, ${axis}, ${to}, "${coordinates}", "${rounding}", ${ratio})`;
    } else {
      const kind = MODES[mode];
      if (!kind) throw new UnsupportedCall(`the mode ${mode}`);
      text = `resize_${kind}(${text}, ${axis}, ${to}, "${corners ? "align_corners" : "half_pixel"}", ${ratio})`;
    }
  }
  return text;
}

function interpolate(a: Bound): string {
  const [x, size, factor] = [a["input"]!, a["size"]!, a["scale_factor"]!];
  const mode = a["mode"]!.string("nearest");
  if (a["antialias"]!.boolean()) throw new UnsupportedCall("antialias");
  if (mode !== "area")
    return resized(x, size, factor, mode, a["align_corners"]!.boolean(), a["recompute_scale_factor"]!.boolean());
  const given = (k: number): number => {
    const v = size.isNone ? factor : size;
    const n = v.isList ? v.numbers()[k]! : v.number();
    return size.isNone ? Math.floor(x.shape[k + 2]! * n) : n;
  };
  const n = x.rank - 2;
  return `adaptive_avg_pool${n}d(${x}, [${Array.from({ length: n }, (_, k) => given(k)).join(", ")}])`;
}

export const RESIZE: RuleTable = {
  "nn.functional.interpolate": [
    "interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None, antialias=False)",
    interpolate,
  ],
  "nn.functional.upsample_nearest": [
    "upsample_nearest(input, size=None, scale_factor=None)",
    (a) => resized(a["input"]!, a["size"]!, a["scale_factor"]!, "nearest", false, false),
  ],
  "nn.functional.upsample_bilinear": [
    "upsample_bilinear(input, size=None, scale_factor=None)",
    (a) => resized(a["input"]!, a["size"]!, a["scale_factor"]!, "bilinear", true, false),
  ],
};
