/** Resizing and sampling. Scales, sizes and regions of a resize say where the result's pixels lie, so they are constants of the program. */
import { type Call, fail, front, list, type RuleTable, range } from "./call.ts";
import { literal, type Val } from "./emitter.ts";

interface Axis {
  readonly axis: number;
  /** Extents before and after. */
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  /** For tf_crop_and_resize. */
  readonly start: number;
  readonly end: number;
}

function axesOf(
  n: Call,
  x: Val,
  scales: readonly number[] | undefined,
  sizes: readonly number[] | undefined,
  roi: readonly number[],
): readonly Axis[] {
  const axes = n.has("axes") ? n.ints("axes").map((a) => front(a, x.rank)) : range(x.rank);
  const policy = n.str("keep_aspect_ratio_policy", "stretch");
  const ratios = sizes?.map((s, k) => s / x.shape[axes[k]!]!);
  const common =
    !ratios || policy === "stretch" ? undefined : policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  return axes.map((axis, k) => {
    const from = x.shape[axis]!;
    const scale = common ?? scales?.[k] ?? ratios?.[k] ?? fail("neither scales nor sizes");
    const to = common !== undefined ? Math.floor(common * from + 0.5) : (sizes?.[k] ?? Math.floor(from * scale));
    return { axis, from, to, scale, start: roi[k] ?? 0, end: roi[k + axes.length] ?? 1 };
  });
}

/** Where the pixels of the result lie in x, as text of a vector. */
function coordinates(n: Call, a: Axis, mode: string): Val {
  const [scale, whole] = [literal(a.scale, "f32"), a.scale * a.from];
  const i = "(i as f32)";
  const half = `(${i} + 0.5) / ${scale} - 0.5`;
  const text = ((): string => {
    switch (mode) {
      case "half_pixel":
        return half;
      case "pytorch_half_pixel":
        return whole > 1 ? half : "0.0";
      case "half_pixel_symmetric":
        return `${half} + ${literal((a.from / 2) * (1 - a.to / whole), "f32")}`;
      case "align_corners":
        return whole === 1 ? "0.0" : `${i} * ${a.from - 1} / ${literal(whole - 1, "f32")}`;
      case "asymmetric":
        return `${i} / ${scale}`;
      case "tf_crop_and_resize": {
        const width = a.end - a.start;
        const first = a.start * (a.from - 1);
        return whole > 1
          ? `${literal(first, "f32")} + ${i} * ${literal(width * (a.from - 1), "f32")} / ${literal(whole - 1, "f32")}`
          : literal(first + (width * (a.from - 1)) / 2, "f32");
      }
      default:
        return fail(`the coordinates ${mode}`);
    }
  })();
  return n.let(`for[i in 0..${a.to}] ${text}`);
}

function nearest(at: Val, rounding: string): string {
  switch (rounding) {
    case "floor":
      return `floor(${at})`;
    case "ceil":
      return `ceil(${at})`;
    case "round_prefer_ceil":
      return `floor(${at} + 0.5)`;
    default:
      return `ceil(${at} - 0.5)`;
  }
}

function resized(
  n: Call,
  given: Val,
  axes: readonly Axis[],
  o: { readonly mode: string; readonly where: string; readonly rounding: string },
): Val {
  let x = given;
  let inside: Val | undefined;
  for (const a of axes) {
    if (a.to === a.from && a.scale === 1 && o.where !== "tf_crop_and_resize") continue;
    const at = coordinates(n, a, o.where);
    if (o.mode === "nearest") {
      x = n.let(`take(${x}, clamp(${nearest(at, o.rounding)} as i32, 0, ${a.from - 1}), axis: ${a.axis})`, given.file);
    } else {
      const stretch = n.num("antialias", 0) ? 1 / Math.min(a.scale, 1) : 1;
      const reach = Math.ceil((o.mode === "cubic" ? 2 : 1) * stretch);
      const a0 = literal(n.num("cubic_coeff_a", -0.75), "f32");
      x = n.let(
        `resample(${x}, ${at}, ${a.axis}, "${o.mode}", ${reach}, ${literal(stretch, "f32")}, ${n.num("exclude_outside", 0) !== 0}, ${a0})`,
        given.file,
      );
    }
    if (o.where === "tf_crop_and_resize") {
      const after = given.rank - 1 - a.axis;
      const here = n.let(
        `reshape(${at} >= 0.0 && ${at} <= ${a.from - 1}.0, ${list([a.to, ...range(after).map(() => 1)])})`,
      );
      inside = inside ? n.let(`${inside} && ${here}`) : here;
    }
  }
  return inside ? n.let(`where(${inside}, ${x}, ${literal(n.num("extrapolation_value", 0), "f32")})`) : x;
}

function resize(n: Call): Val {
  const x = n.x(0);
  // Before opset 11 the scales were the second input, and pixels lay at i / scale.
  const old = n.opset < 11;
  const scales = (old ? n.x(1) : n.opt(2))?.numbers;
  const sizes = old ? undefined : n.opt(3)?.numbers;
  const where = n.str("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  const roi = where === "tf_crop_and_resize" ? n.x(1).numbers : [];
  const axes = axesOf(
    n,
    x,
    scales && scales.length > 0 ? scales : undefined,
    sizes && sizes.length > 0 ? sizes : undefined,
    roi,
  );
  return resized(n, x, axes, {
    mode: n.str("mode", "nearest"),
    where,
    rounding: n.str("nearest_mode", old ? "floor" : "round_prefer_floor"),
  });
}

function upsample(n: Call): Val {
  const x = n.x(0);
  const scales = n.steer("scales", 1);
  const mode = n.str("mode", "nearest");
  return resized(n, x, axesOf(n, x, scales, undefined, []), {
    mode: mode === "nearest" ? mode : "linear",
    where: "asymmetric",
    rounding: "floor",
  });
}

const MODES: Readonly<Record<string, string>> = {
  linear: "bilinear",
  bilinear: "bilinear",
  nearest: "nearest",
  cubic: "bicubic",
  bicubic: "bicubic",
};

function gridSample(n: Call): string {
  const x = n.x(0);
  const mode = MODES[n.str("mode", "linear")] ?? fail(`the mode ${n.str("mode", "")}`);
  const options = `"${n.str("padding_mode", "zeros")}", ${n.num("align_corners", 0) !== 0}`;
  if (x.rank === 4) return `grid_sample(${x}, ${n.x(1)}, "${mode}", ${options})`;
  if (x.rank !== 5 || mode === "bicubic") return fail(`${mode} sampling of ${x.rank - 2} axes`);
  return `grid_sample3d(${x}, ${n.x(1)}, "${mode}", ${options})`;
}

function affineGrid(n: Call): string {
  const size = n.x(1).numbers.slice(2);
  return `${size.length === 2 ? "affine_grid" : "affine_grid3d"}(${n.x(0)}, ${size.join(", ")}, ${n.num("align_corners", 0) !== 0})`;
}

function roiAlign(n: Call): string {
  const samples = n.num("sampling_ratio", 0);
  if (samples === 0) return fail("as many samples as a region is large, an extent that comes from data");
  const aligned = n.opset >= 16 && n.str("coordinate_transformation_mode", "half_pixel") === "half_pixel";
  return `roi_align(${n.x(0)}, ${n.x(1)}, ${n.x(2)}, ${n.num("output_height", 1)}, ${n.num("output_width", 1)}, ${samples}, ${n.float("spatial_scale", 1)}, ${aligned}, "${n.str("mode", "avg")}")`;
}

export const IMAGE: RuleTable = {
  Resize: resize,
  Upsample: upsample,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  RoiAlign: roiAlign,
};
