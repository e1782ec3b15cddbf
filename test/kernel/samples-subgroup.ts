/** Samples whose invocations exchange values within a subgroup. */
import { floats, range, type Sample } from "./sample.ts";

export const SUBGROUP_SAMPLES: readonly Sample[] = [
  {
    name: "softmax of rows by subgroups",
    text: `
kernel softmax(x: read f32[R*C], y: write f32[R*C]; R,C: uniform)
  m: private f32[1]
  z: private f32[1]
  for row:R @grid.x
    for t:4 @thread.x
      m[0] = -inf
      for j:t..C step 4 @loop
        m[0] = max(m[0], x[row * C + j])
      let top = subgroup.max(m[0])
      z[0] = 0.0
      for j:t..C step 4 @loop
        z[0] = z[0] + exp(x[row * C + j] - top)
      let total = subgroup.add(z[0])
      for j:t..C step 4 @loop
        y[row * C + j] = exp(x[row * C + j] - top) / total
`,
    sizes: { R: 5, C: 30 },
    inputs: (r) => ({ x: floats(150, r) }),
    expected: ({ x }) => ({
      y: x!.map((v, at) => {
        const row = x!.slice(at - (at % 30), at - (at % 30) + 30);
        const top = Math.max(...row);
        return Math.exp(v - top) / row.reduce((s, u) => s + Math.exp(u - top), 0);
      }),
    }),
    roundings: 64,
  },
  {
    name: "rows turned round within subgroups, and a sum in the order that a table gives",
    text: `
kernel turn(x: read f32[R*4], order: read i32[4], y: write f32[R*4], z: write f32[R]; R: uniform)
  s: private f32[1]
  for row:R @grid.x
    for t:4 @thread.x
      let v = x[row * 4 + t]
      y[row * 4 + t] = subgroup.shuffle(v, order[t])
      s[0] = 0.0
      for j:4 @loop
        let pair = subgroup.shuffle(vec(v, v * 2.0), order[j])
        s[0] = s[0] * 0.5 + pair.x + pair.y
      if t == 0
        z[row] = s[0]
`,
    sizes: { R: 5 },
    inputs: (r) => ({ x: floats(20, r), order: [2, 0, 3, 1] }),
    expected: ({ x, order }) => ({
      y: x!.map((_, at) => x![at - (at % 4) + order![at % 4]!]!),
      z: range(5).map((row) => order!.reduce((s, o) => s * 0.5 + 3 * x![row * 4 + o]!, 0)),
    }),
    roundings: 16,
  },
  {
    name: "four by four times four by N, by quads that exchange rows",
    text: `
kernel quads(a: read f32x4[G * 4], b: read f32x4[4], y: write f32x4[G * 4], d: write f32[G * 4]; G: uniform)
  for g:G @grid.x
    for t:4 @thread.x
      let own = subgroup.id()
      let x = a[g * 4 + own]
      let q = subgroup.shuffleXor(x, 1)
      let r = subgroup.shuffleXor(x, 2)
      let s = subgroup.shuffleXor(x, 3)
      y[g * 4 + own] = matvec(b[0], b[1], b[2], b[3], x)
      d[g * 4 + own] = dot(q, b[0]) + dot(r, s) * dot(vec(x.x, q.y), vec(r.z, s.w))
`,
    sizes: { G: 8 },
    inputs: (r) => ({ a: floats(128, r), b: floats(16, r) }),
    expected: ({ a, b }) => {
      const row = (i: number): number[] => a!.slice(i * 4, i * 4 + 4);
      const dot = (u: number[], v: number[]): number => u.reduce((sum, x, i) => sum + x * v[i]!, 0);
      return {
        y: range(32).flatMap((i) => range(4).map((l) => dot(row(i), [b![l]!, b![4 + l]!, b![8 + l]!, b![12 + l]!]))),
        d: range(32).map((i) => {
          const [x, q, r, s] = [row(i), row(i ^ 1), row(i ^ 2), row(i ^ 3)];
          return dot(q, b!.slice(0, 4)) + dot(r, s) * (x[0]! * r[2]! + q[1]! * s[3]!);
        }),
      };
    },
    roundings: 16,
  },
];
