/** One example a code: the shortest program or file that gives exactly this diagnostic. A new code needs one here. */
import type { DiagnosticCode } from "../../grammar/codes.ts";

export type DiagnosticExample =
  | {
      readonly kind: "source";
      readonly source: string;
      /** Modules beside it. */
      readonly files?: Readonly<Record<string, string>>;
    }
  /** A module whose bytes are no text. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly what: string }
  /** An array file that is read, or written where `write` says so. */
  | {
      readonly kind: "file";
      readonly file: string;
      /** Left out: there is no such file. */
      readonly contents?: string | Uint8Array;
      /** The array that is asked for. */
      readonly array?: string;
      readonly write?: boolean;
      readonly what: string;
    }
  /** A project: its configuration, and the files beside it. */
  | { readonly kind: "project"; readonly config: string; readonly files: Readonly<Record<string, string>> }
  /** A function that is planned for an adapter with these features. */
  | { readonly kind: "adapter"; readonly source: string; readonly fn: string; readonly features: readonly string[] }
  /** A cache of schedules. */
  | { readonly kind: "schedules"; readonly file: string; readonly contents: string; readonly what: string };

function source(text: string, files?: Readonly<Record<string, string>>): DiagnosticExample {
  return files ? { kind: "source", source: text, files } : { kind: "source", source: text };
}

/** A `.npy` file that has a header and no data. */
function npy(descr: string, shape: string): Uint8Array {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117, " ");
  return Uint8Array.from(`\x93NUMPY\x01\x00v\x00${header}\n`, (c) => c.charCodeAt(0));
}

export const DIAGNOSTIC_EXAMPLES: Readonly<Record<DiagnosticCode, DiagnosticExample>> = {
  EIN1001: source("export fn f(x: f32[N]) { x + }"),
  EIN1002: source("export fn f(x: f32) { x § 2 }"),
  EIN1003: source(`export fn f(x: f32) { ${"(".repeat(257)}x${")".repeat(257)} }`),
  EIN1004: source("export fn f(x: f32[9007199254740993]) { x }"),
  EIN1005: source('import { softmax } from "std/nn'),
  EIN1006: {
    kind: "bytes",
    bytes: Uint8Array.from([...Buffer.from("// caf"), 0xe9, 0x0a]),
    what: "A file that was saved as Latin-1: `// café` whose `é` is the byte E9.",
  },
  EIN1007: source("export fn f(x: f32) { x } /* to be done"),
  EIN1008: source('export fn f(x: f32[A, B]) { einsum("ab\\q", x) }'),
  EIN1009: source("export fn f(x: f32[N]) {\n  let y = x\n    - 1\n  y\n}"),
  EIN1101: source("export fn f(x: f32[N]) { tanhh(x) }"),
  EIN1102: source("export fn f(x: f32[N]) {\n  let y = x + 1\n  let y = y * 2\n  y\n}"),
  EIN1103: source('import { softmax } from "std/neural"'),
  EIN1104: source('import { b } from "./b.ein"\nexport fn a(x: f32) { b(x) }', {
    "b.ein": 'import { a } from "./example.ein"\nexport fn b(x: f32) { a(x) }',
  }),
  EIN1105: source("export fn power(x: f32) { x * power(x) }"),
  EIN1106: source('import { sofmax } from "std/nn"'),
  EIN1107: source("export fn f(x: f32[N]) { unique(x) }"),
  EIN1201: source("export fn f(x: f32[N], n: i32) { x * n }"),
  EIN1202: source("export fn f(x: f32[N]) { x[0, 1] }"),
  EIN1203: source("export fn f(x: f32[3], y: f32[4]) { x + y }"),
  EIN1204: source("export fn f(x: f32[N]) { x + relu }"),
  EIN1205: source("export fn count(t: i32[N]) {\n  h[t[i]] += 1\n  h\n}"),
  EIN1206: source("export fn f() { zeros([100000, 100000]) }"),
  EIN1301: source("export fn difference(x: f32[N]) -> f32[N] {\n  y[i] = x[i] - x[i - 1]\n}"),
  EIN1302: source("export fn next(x: f32[N]) { for[i] x[i + 1] ?? 0 }"),
  EIN1303: source("export fn f(x: f32[N, 0]) { max(x, axis: 1) }"),
  EIN1304: source("export fn f(x: f32[N, M]) { sum(x, axis: 2) }"),
  EIN1401: source('export fn f(a: f32[I, J], b: f32[J, K]) { einsum("ij,jk->iz", a, b) }'),
  EIN1402: source('export fn f(a: f32[I, J], b: f32[J, K]) { einsum("ij->i", a, b) }'),
  EIN1411: source('export fn f(x: f32[A, B]) { rearrange("a b -> a", x) }'),
  EIN1412: source('export fn f(x: f32[A, B]) { rearrange("a b c -> c a b", x) }'),
  EIN1501: source("export fn f(x: f32[N]) { sum(x, axes: 0) }"),
  EIN1502: source("export fn f(x: f32[N], n: i32) { sum[i in 0..n] (x[i] ?? 0) }"),
  EIN1503: source("export fn f(x: f32[N]) { x[::0] }"),
  EIN1504: source('import { max_pool1d } from "std/nn"\nexport fn f(x: f32[1, 1, 9]) { max_pool1d(x, 2, padding: 2) }'),
  EIN1601: source("fn g(x: f32[N]) { sum(x) }\nexport fn f(x: f32[N]) { grad(g, wrt: [y])(x) }"),
  EIN1602: source("export fn f(x: f32[N]) { grad(|v| v * 2)(x) }"),
  EIN1603: source(
    "fn products(x: f32[N], t: i32[N]) -> f32[4] {\n  p[t[i]] *= x[i]\n}\n" +
      "export fn f(x: f32[N], t: i32[N]) { jvp(products)(x, t, x) }",
  ),
  EIN1604: source("fn rule(x: f32[N], grad: f32[N]) { grad }\n\n@vjp(rule)\nexport fn f(x: f32[N]) { round(x) }"),
  EIN2001: { kind: "file", file: "weights.npy", what: "`--input w=weights.npy` where there is no such file." },
  EIN2002: {
    kind: "file",
    file: "weights.npy",
    contents: npy("<f4", "(2, 3)"),
    what: "A `.npy` file whose header says `float32`, `(2, 3)`, and that ends after the header.",
  },
  EIN2003: {
    kind: "file",
    file: "weights.npy",
    contents: npy("<c8", "(0,)"),
    what: "A `.npy` file of complex numbers.",
  },
  EIN2004: {
    kind: "file",
    file: "ids.json",
    contents: '{ "dtype": "i32", "shape": [1], "data": [3000000000] }',
    what: '`{ "dtype": "i32", "shape": [1], "data": [3000000000] }` in `ids.json`.',
  },
  EIN2005: {
    kind: "file",
    file: "weights.npy",
    contents: npy("<f4", "(65536, 65536)"),
    what: "A `.npy` file whose header says `float32`, `(65536, 65536)`.",
  },
  EIN2006: { kind: "file", file: "weights.csv", contents: "1,2,3\n", what: "`--input w=weights.csv`." },
  EIN2007: {
    kind: "file",
    file: "results/y.npy",
    write: true,
    what: "`--out results/y.npy` where there is no folder `results`.",
  },
  EIN2101: { kind: "project", config: '{\n  "include": ["src"]\n  "outDir": "dist"\n}', files: {} },
  EIN2102: { kind: "project", config: '{\n  "outdir": "dist"\n}', files: {} },
  EIN2103: { kind: "project", config: '{ "exclude": ["old"] }', files: { "old/f.ein": "export fn f(x: f32) { x }" } },
  EIN2104: { kind: "project", config: '{ "include": ["src"] }', files: {} },
  EIN2105: {
    kind: "project",
    config: '{ "extents": { "Heads": 8 } }',
    files: { "f.ein": "export fn f(x: f32[Batch, Head]) { x + 1 }" },
  },
  EIN3001: {
    kind: "schedules",
    file: "schedules.json",
    contents: '{ "format": "fusum schedules 1", "entr',
    what: "`--schedules schedules.json`, a file that was cut off.",
  },
  EIN3002: {
    kind: "schedules",
    file: "schedules.json",
    contents: '{ "format": "fusum schedules 1", "entries": [{ "region": "4f", "schedule": { "kind": "fast" } }] }',
    what: '`--schedules schedules.json` with an entry whose schedule is `{ "kind": "fast" }`.',
  },
  EIN3003: {
    kind: "adapter",
    source: "export fn f(x: f16[N]) { x * 2 }",
    fn: "f",
    features: ["subgroups"],
  },
  EIN2008: {
    kind: "file",
    file: "weights.json",
    contents: '{ "w": [1, 2], "b": [3] }',
    array: "bias",
    what: '`bias` asked of `{ "w": [1, 2], "b": [3] }` in `weights.json`.',
  },
};
