/** Convolutions, NCHW with SAME padding; TensorFlow.js gets its own layout, prepared outside the clock. */
import type { Workload } from "../workload.ts";

interface Shape {
  readonly name: string;
  readonly batch?: number;
  readonly channels: number;
  readonly out: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

function conv(s: Shape, more: Partial<Workload> = {}): Workload {
  const { batch = 1, channels, out, size, kernel, stride = 1, groups = 1 } = s;
  const half = (kernel - 1) / 2;
  const result = Math.floor((size - 1) / stride) + 1;
  return {
    name: s.name,
    family: "convolutions",
    source: `import { conv2d } from "std/nn"
export fn f(x: f32[N, C, H, W], w: f32[O, I, R, S]) {
  conv2d(x, w, stride: ${stride}, padding: ${half}, groups: ${groups})
}`,
    fn: "f",
    inputs: {
      x: { shape: [batch, channels, size, size] },
      w: { shape: [out, channels / groups, kernel, kernel] },
    },
    flops: 2 * batch * out * result ** 2 * (channels / groups) * kernel ** 2,
    jax: {
      run: (jax, [x, w]) =>
        jax.lax.convGeneralDilated(
          x!,
          w!,
          [stride, stride],
          [
            [half, half],
            [half, half],
          ],
          { featureGroupCount: groups },
        ),
    },
    tfjs: {
      prepare: (tf, [x, w]) => [
        tf.transpose(x!, [0, 2, 3, 1]),
        // Depthwise filters are [height, width, channels, 1].
        tf.transpose(w!, groups > 1 ? [2, 3, 0, 1] : [2, 3, 1, 0]),
      ],
      run: (tf, [x, w]) => {
        // Symmetric padding, which "same" is not where the stride is 2.
        return groups > 1
          ? tf.depthwiseConv2d(x as never, w as never, stride, half as never)
          : tf.conv2d(x as never, w as never, stride, half);
      },
      restore: (tf, y) => tf.transpose(y, [0, 3, 1, 2]),
    },
    onnx: {
      weights: ["w"],
      nodes: [
        {
          op: "Conv",
          inputs: ["x", "w"],
          output: "y",
          attributes: { group: groups, strides: [stride, stride], pads: [half, half, half, half] },
        },
      ],
    },
    ...more,
  };
}

export const CONVOLUTIONS: readonly Workload[] = [
  conv({ name: "conv 3×3 64→64 56²", channels: 64, out: 64, size: 56, kernel: 3 }),
  conv(
    { name: "conv 3×3 64→64 28²", channels: 64, out: 64, size: 28, kernel: 3 },
    { lab: { script: "w6.mjs", title: "conv3x3", env: { P: "conv" } } },
  ),
  conv({ name: "conv depthwise 3×3 128 56²", channels: 128, out: 128, size: 56, kernel: 3, groups: 128 }),
  conv({ name: "conv 1×1 128→128 28²", channels: 128, out: 128, size: 28, kernel: 1 }),
  conv({ name: "conv 3×3 stride 2 64→128 56²", channels: 64, out: 128, size: 56, kernel: 3, stride: 2 }),
];
