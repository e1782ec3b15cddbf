/** Hand-written kernels in text form with inputs and what they compute in plain JavaScript; shared by the kernel and WGSL tests. */
import type { Cells } from "../../ir/interpret-kernel.ts";
import { floats, range, type Sample } from "./sample.ts";
import { SUBGROUP_SAMPLES } from "./samples-subgroup.ts";

export { randomFrom } from "./sample.ts";

export function cellsFor(dtype: string, values: readonly number[]): Cells {
  return dtype === "i32"
    ? Int32Array.from(values)
    : dtype === "u32" || dtype === "bool"
      ? Uint32Array.from(values)
      : Float32Array.from(values);
}

export const SAMPLES: readonly Sample[] = [
  {
    name: "elementwise with a guarded tail",
    text: `
kernel axpy(x: read f32[N], y: readwrite f32[N]; N: uniform)
  origin "y"
  for g:ceil(N/64) @grid.x
    for t:64 @thread.x
      let i = g * 64 + t
      if i < N
        y[i] = x[i] * 2.5 + y[i]
`,
    sizes: { N: 1000 },
    inputs: (r) => ({ x: floats(1000, r), y: floats(1000, r) }),
    expected: ({ x, y }) => ({ y: x!.map((v, i) => v * 2.5 + y![i]!) }),
    roundings: 2,
  },
  {
    name: "vectors of four",
    text: `
kernel chain(a: read f32x4[N div 4], b: read f32x4[N div 4], o: write f32x4[N div 4]; N: uniform) when 4 divides N
  for g:ceil(N/256) @grid.x
    for t:64 @thread.x
      let i = g * 64 + t
      if i < {N div 4}
        let p = a[i] * b[i]
        o[i] = (p + 1.0) * 2.0 - splat(p.y) + vec(p.x, 0.0, p.z, 1.0)
`,
    sizes: { N: 512 },
    inputs: (r) => ({ a: floats(512, r), b: floats(512, r) }),
    expected: ({ a, b }) => ({
      o: a!.map((_, i) => {
        const p = (j: number): number => a![j]! * b![j]!;
        const base = i - (i % 4);
        return (p(i) + 1) * 2 - p(base + 1) + [p(base), 0, p(base + 2), 1][i % 4]!;
      }),
    }),
    roundings: 5,
  },
  {
    name: "matmul by workgroup tiles",
    text: `
kernel matmul(a: read f32[M*K], b: read f32[K*N], c: write f32[M*N]; M,K,N: uniform)
  ta: workgroup f32[64]
  tb: workgroup f32[64]
  acc: private f32[1]
  for gi:ceil(M/8) @grid.y
    for gj:ceil(N/8) @grid.x
      for ti:8 @thread.y
        for tj:8 @thread.x
          let i = gi * 8 + ti
          let j = gj * 8 + tj
          acc[0] = 0.0
          for k0:0..K step 8 @loop
            let ka = k0 + tj
            let kb = k0 + ti
            ta[ti * 8 + tj] = select(i < M && ka < K, a[min(i, M - 1) * K + min(ka, K - 1)], 0.0)
            tb[ti * 8 + tj] = select(kb < K && j < N, b[min(kb, K - 1) * N + min(j, N - 1)], 0.0)
            barrier
            for k:8 @unroll
              acc[0] = acc[0] + ta[ti * 8 + k] * tb[k * 8 + tj]
            barrier
          if i < M && j < N
            c[i * N + j] = acc[0]
`,
    sizes: { M: 19, K: 21, N: 13 },
    inputs: (r) => ({ a: floats(19 * 21, r), b: floats(21 * 13, r) }),
    expected: ({ a, b }) => ({
      c: range(19 * 13).map((at) => {
        const [i, j] = [Math.floor(at / 13), at % 13];
        return range(21).reduce((s, k) => s + a![i * 21 + k]! * b![k * 13 + j]!, 0);
      }),
    }),
    roundings: 4 * 24,
  },
  {
    name: "matmul by registers in vectors",
    text: `
kernel r(x: read f32[N*I], w: read f32x4[I*(D div 4)], b: read f32x4[D div 4], h: write f32x4[N*(D div 4)]; N,I,D: uniform) when D%4==0
  acc: private f32x4[4]
  let D4 = D div 4
  for gm:ceil(N/4) @grid.y
    for gn:ceil(D/32) @grid.x
      for t:8 @thread.x
        let c = gn*8+t
        if c<D4
          for r:4 @unroll
            acc[r] = splat(0.0)
          for i:I @loop
            for r:4 @unroll
              acc[r] = acc[r]+splat(x[min(gm*4+r,N-1)*I+i])*w[i*D4+c]
          for r:4 @unroll
            if gm*4+r<N
              h[(gm*4+r)*D4+c] = max(acc[r]+b[c], splat(0.0))
`,
    sizes: { N: 7, I: 5, D: 12 },
    inputs: (r) => ({ x: floats(35, r), w: floats(60, r), b: floats(12, r) }),
    expected: ({ x, w, b }) => ({
      h: range(84).map((at) => {
        const [n, d] = [Math.floor(at / 12), at % 12];
        return Math.max(0, range(5).reduce((s, i) => s + x![n * 5 + i]! * w![i * 12 + d]!, 0) + b![d]!);
      }),
    }),
    roundings: 24,
  },
  {
    name: "sums of rows through workgroup memory",
    text: `
kernel rowsum(x: read f32[R*C], s: write f32[R]; R,C: uniform)
  part: workgroup f32[16]
  acc: private f32[1]
  for row:R @grid.x
    for t:16 @thread.x
      acc[0] = 0.0
      for j:t..C step 16 @loop
        acc[0] = acc[0] + x[row * C + j]
      part[t] = acc[0]
      barrier
      for step:4 @unroll
        let half = shr(8, step)
        if t < half
          part[t] = part[t] + part[t + half]
        barrier
      if t == 0
        s[row] = part[0]
`,
    sizes: { R: 6, C: 53 },
    inputs: (r) => ({ x: floats(318, r) }),
    expected: ({ x }) => ({ s: range(6).map((i) => x!.slice(i * 53, i * 53 + 53).reduce((a, b) => a + b, 0)) }),
    roundings: 64,
  },
  ...SUBGROUP_SAMPLES,
  {
    name: "histogram by atomics",
    text: `
kernel histogram(v: read i32[N], h: readwrite atomic u32[B], first: readwrite atomic i32[B]; N,B: uniform)
  for g:ceil(N/32) @grid.x
    for t:32 @thread.x
      let i = g * 32 + t
      if i < N
        let bin = v[i] % B
        atomic.add(h[bin], 1u)
        let before = atomic.min(first[bin], i)
`,
    sizes: { N: 300, B: 7 },
    inputs: (r) => ({
      v: range(300).map(() => Math.floor(r() * 100) - 50),
      h: range(7).map(() => 0),
      first: range(7).map(() => 2147483647),
    }),
    expected: ({ v }) => {
      const h = range(7).map(() => 0);
      const first = range(7).map(() => 2147483647);
      v!.forEach((x, i) => {
        const bin = x - 7 * Math.floor(x / 7);
        h[bin]!++;
        first[bin] = Math.min(first[bin]!, i);
      });
      return { h, first };
    },
    roundings: 0,
  },
  {
    name: "a while loop in every invocation",
    text: `
kernel collatz(n: read i32[N], steps: write i32[N]; N: uniform)
  v: private i32[1]
  c: private i32[1]
  for g:ceil(N/16) @grid.x
    for t:16 @thread.x
      let i = g * 16 + t
      if i < N
        v[0] = n[i]
        c[0] = 0
        while v[0] != 1 max {1000}
          v[0] = select(v[0] % 2 == 0, v[0] div 2, v[0] * 3 + 1)
          c[0] = c[0] + 1
        steps[i] = c[0]
`,
    sizes: { N: 40 },
    inputs: () => ({ n: range(40).map((i) => i + 1) }),
    expected: ({ n }) => ({
      steps: n!.map((x) => {
        let c = 0;
        for (; x !== 1; c++) x = x % 2 === 0 ? x / 2 : x * 3 + 1;
        return c;
      }),
    }),
    roundings: 0,
  },
  {
    name: "transpose through a padded tile",
    text: `
kernel transpose(x: read f32[R*C], y: write f32[C*R]; R,C: uniform)
  tile: workgroup f32[72]
  for gi:ceil(R/8) @grid.y
    for gj:ceil(C/8) @grid.x
      for ti:8 @thread.y
        for tj:8 @thread.x
          if gi * 8 + ti < R && gj * 8 + tj < C
            tile[ti * 9 + tj] = x[min(gi * 8 + ti, R - 1) * C + min(gj * 8 + tj, C - 1)]
          barrier
          if gj * 8 + ti < C && gi * 8 + tj < R
            y[(gj * 8 + ti) * R + gi * 8 + tj] = tile[tj * 9 + ti]
`,
    sizes: { R: 11, C: 21 },
    inputs: (r) => ({ x: floats(231, r) }),
    expected: ({ x }) => ({ y: range(231).map((at) => x![(at % 11) * 21 + Math.floor(at / 11)]!) }),
    roundings: 0,
  },
  {
    name: "floor division and modulo of negative indices",
    text: `
kernel roll(x: read i32[N], y: write i32[N]; N: uniform)
  for g:ceil(N/8) @grid.x
    for t:8 @thread.x
      let i = g * 8 + t
      if i < N
        y[i] = x[(i - 13) % N] * 100 + (i - 13) div 4 + rem(i - 13, 5) + (i - 13) div 3 * 10
`,
    sizes: { N: 30 },
    inputs: () => ({ x: range(30) }),
    expected: ({ x }) => ({
      y: range(30).map((i) => {
        const k = i - 13;
        return x![((k % 30) + 30) % 30]! * 100 + Math.floor(k / 4) + (k % 5) + Math.floor(k / 3) * 10;
      }),
    }),
    roundings: 0,
  },
  {
    name: "bool in memory",
    text: `
kernel mask(a: read f32[N], m: read bool[N], o: write bool[N], p: write boolx4[N div 4]; N: uniform)
  for g:ceil(N/8) @grid.x
    for t:8 @thread.x
      let i = g * 8 + t
      if i < N
        o[i] = a[i] > 0.0 && !m[i] || a[i] < -1.0
        if i < {N div 4}
          p[i] = vec(m[i * 4], m[i * 4 + 1], a[i] > 0.5, true)
`,
    sizes: { N: 40 },
    inputs: (r) => ({ a: floats(40, r), m: range(40).map(() => Math.round(r())) }),
    expected: ({ a, m }) => ({
      o: a!.map((v, i) => ((v > 0 && !m![i]) || v < -1 ? 1 : 0)),
      p: range(10).flatMap((i) => [m![i * 4]!, m![i * 4 + 1]!, a![i]! > 0.5 ? 1 : 0, 1]),
    }),
    roundings: 0,
  },
  {
    name: "a private array that shifts",
    text: `
kernel window(x: read f32[N], y: write f32[N]; N: uniform)
  w: private f32[3]
  for g:1 @grid.x
    for t:1 @thread.x
      for k:3 @unroll
        w[k] = 0.0
      for i:N @loop
        for k:2 @unroll
          w[k] = w[k + 1]
        w[2] = x[i]
        y[i] = w[0] + 2.0 * w[1] + w[2]
`,
    sizes: { N: 33 },
    inputs: (r) => ({ x: floats(33, r) }),
    expected: ({ x }) => ({ y: x!.map((v, i) => (x![i - 2] ?? 0) + 2 * (x![i - 1] ?? 0) + v) }),
    roundings: 4,
  },
  {
    name: "more workgroups than a dimension holds",
    text: `
kernel wide(x: read i32[N], y: write i32[N]; N: uniform)
  for i:N @grid.x
    for t:1 @thread.x
      y[i] = x[i] + 1
`,
    sizes: { N: 66000 },
    inputs: () => ({ x: range(66000) }),
    expected: ({ x }) => ({ y: x!.map((v) => v + 1) }),
    roundings: 0,
  },
  {
    name: "two large grid dimensions",
    text: `
kernel tall(x: read i32[M*N], y: write i32[M*N]; M,N: uniform)
  for m:M @grid.y
    for n:ceil(N/2) @grid.x
      for t:2 @thread.x
        let c = n * 2 + t
        if c < N
          y[m * N + c] = x[m * N + c] * 3
`,
    sizes: { M: 65537, N: 3 },
    inputs: () => ({ x: range(65537 * 3) }),
    expected: ({ x }) => ({ y: x!.map((v) => v * 3) }),
    roundings: 0,
  },
];
