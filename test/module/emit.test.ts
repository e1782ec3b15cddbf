/** What the emitted files are, with no device: they import nothing, are small, are the same every time, and say where they come from. */
import { SourceMap } from "node:module";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { parseAst } from "rollup/parseAst";
import { describe, expect, test } from "vitest";
import type { Diagnostic } from "../../grammar/diagnostic.ts";
import { compile } from "../../src/index.ts";
import { emitModule } from "../../src/module/index.ts";
import { identifier } from "../../src/module/javascript.ts";
import { prelude } from "../../src/module/prelude.ts";
import { DEFAULT_TARGET as TARGET } from "../../src/schedule/target.ts";
import { ATTENTION, emit, LINEAR_GELU, textOf } from "./support.ts";

/** Kinds of all nodes of a module's syntax tree. */
function nodeKinds(javascript: string): ReadonlySet<string> {
  const kinds = new Set<string>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    else if (typeof node === "object" && node !== null) {
      if ("type" in node && typeof node.type === "string") kinds.add(node.type);
      Object.values(node).forEach(visit);
    }
  };
  visit(parseAst(javascript));
  return kinds;
}

async function minified(javascript: string): Promise<string> {
  return (await transform(javascript, { minify: true, format: "esm" })).code;
}

describe("the JavaScript", () => {
  test.each([
    ["one function", LINEAR_GELU],
    ["a gradient", ATTENTION],
    ["booleans, halves and leading axes", "export fn f(x: f16[..., N], m: bool[N]) { where(m, x, x * 2) }\n"],
    ["nothing", "fn f(x: f32) { x }\n"],
  ])("imports nothing: %s", (_, source) => {
    const kinds = nodeKinds(textOf(emit(source), ".ein.js"));
    for (const kind of ["ImportDeclaration", "ImportExpression", "ExportAllDeclaration", "MetaProperty"])
      expect(kinds).not.toContain(kind);
    expect(textOf(emit(source), ".ein.js")).not.toMatch(/\brequire\b/);
  });

  test("takes as little as it says, gzipped: 4 KiB and 12 KiB", async () => {
    const size = async (source: string): Promise<number> =>
      gzipSync(await minified(textOf(emit(source), ".ein.js")), { level: 9 }).length;
    expect(await size(LINEAR_GELU)).toBeLessThanOrEqual(4096);
    expect(await size(ATTENTION)).toBeLessThanOrEqual(12 * 1024);
  });

  test("has each kernel once, however many functions use it, under the line it comes from", () => {
    const source = `fn running(x: f32[N]) { cumsum(exp(x), axis: 0) }
export fn f(x: f32[N]) { running(x) }
export fn g(x: f32[N]) { { runs: running(x), total: sum(x * x) } }
`;
    const text = textOf(emit(source), ".ein.js");
    expect(text.match(/^\/\/ test\.ein:1 {2}fn running/gm)?.length).toBe(1);
    const kernels = [...text.matchAll(/^const (\w+_wgsl\w*) = (\[?`[^`]*`)/gm)].map((m) => m[2]);
    expect(new Set(kernels).size).toBe(kernels.length);
    const uses = [...text.matchAll(/^ {4}kernels: \[(.*)\],$/gm)].map((m) => m[1]!.split(", "));
    expect(uses).toHaveLength(2);
    expect(uses[0]!.filter((k) => uses[1]!.includes(k)).length).toBeGreaterThanOrEqual(1);
  });

  test("has only the host code that the module needs", () => {
    const plain = textOf(emit("export fn f(x: f32[N]) { x + 1 }\n"), ".ein.js");
    for (const word of ["$arrays", "$halves", "scratch[", "lead"]) expect(plain).not.toContain(word);
    expect(textOf(emit("export fn f(x: f16[N]) { x + x }\n"), ".ein.js")).toContain("$halves");
  });

  test("keeps what it uses of the language for itself, whatever functions are called", () => {
    const all = { dtypes: new Set(["f32", "f16", "i32", "u32", "bool"] as const) };
    const flags = ["folded", "sizes", "scratch", "grids", "loops", "rows", "facts", "differences"] as const;
    const text = prelude({
      ...all,
      ...(Object.fromEntries(flags.map((f) => [f, true])) as Record<(typeof flags)[number], true>),
    });
    const words = new Set(text.replaceAll(/\/\*.*?\*\/|\/\/.*|"[^"]*"/gs, "").match(/\b[A-Z]\w+/g));
    const globals = [...words].filter((w) => w in globalThis);
    expect(globals).toContain("Float32Array");
    for (const name of globals) expect(identifier(name)).toBe(`${name}_`);
  });

  test("is shaken by function", async () => {
    const text = textOf(emit(ATTENTION), ".ein.js");
    const bundle = async (name: string): Promise<string> => {
      const made = await build({
        stdin: { contents: `export { ${name} } from "./test.ein.js"`, resolveDir: "/" },
        bundle: true,
        write: false,
        format: "esm",
        plugins: [
          {
            name: "memory",
            setup(b) {
              b.onResolve({ filter: /test\.ein\.js$/ }, () => ({ path: "test.ein.js", namespace: "memory" }));
              b.onLoad({ filter: /.*/, namespace: "memory" }, () => ({ contents: text, loader: "js" }));
            },
          },
        ],
      });
      return made.outputFiles[0]!.text;
    };
    const [one, other] = [await bundle("attention"), await bundle("attention_grad")];
    const kernels = (t: string): number => t.match(/@compute/g)?.length ?? 0;
    expect(kernels(one)).toBeGreaterThan(0);
    expect(kernels(one)).toBeLessThan(kernels(other));
    expect(one).not.toContain("attention_grad");
  });

  test("takes any name of the language", () => {
    const source = `export fn delete(in: f32[class], of: f32[class]) { in + of }
export fn create(x: f32[Math], out: f32[Math]) { x * out }
`;
    const files = emit(source);
    expect(() => parseAst(textOf(files, ".ein.js"))).not.toThrow();
    expect(textOf(files, ".ein.js")).toContain("export { delete_ as delete };");
    // A parameter has the name of the result.
    expect(textOf(files, ".ein.js")).toContain('results: { result: "f32[Math]" }');
  });
});

describe("the files", () => {
  test("are the same bytes whatever was compiled before, wherever the source lies", () => {
    const at = (fileName: string): unknown =>
      emitModule(
        { fileName: "nn/attention.ein", source: ATTENTION, program: compile(ATTENTION, { fileName }) },
        { sourceMap: true, wgsl: true, arbitraryExtensions: true },
      );
    const first = at("/home/one/nn/attention.ein");
    emit(LINEAR_GELU);
    expect(at("C:\\two\\attention.ein")).toEqual(first);
    expect(JSON.stringify(first)).not.toContain("/home/one");
  });

  test("are those that were asked for", () => {
    const paths = (o: Parameters<typeof emit>[1]): readonly string[] =>
      emit(LINEAR_GELU, o, "a/x.ein").map((f) => f.path);
    expect(paths({})).toEqual(["a/x.ein.js", "a/x.ein.d.ts"]);
    expect(paths({ sourceMap: true, wgsl: true, arbitraryExtensions: true })).toEqual([
      "a/x.ein.js",
      "a/x.ein.js.map",
      "a/x.ein.d.ts",
      "a/x.ein.d.ts.map",
      "a/x.d.ein.ts",
      "a/x.d.ein.ts.map",
      "a/x.linear_gelu.wgsl",
    ]);
  });

  test("map to the source", () => {
    const files = emit(LINEAR_GELU, { sourceMap: true });
    for (const ending of [".ein.js", ".ein.d.ts"]) {
      const text = textOf(files, ending);
      expect(text).toMatch(/\/\/# sourceMappingURL=test\.ein\.(js|d\.ts)\.map\n$/);
      const map = new SourceMap(JSON.parse(textOf(files, `${ending}.map`)));
      expect(map.payload.sources).toEqual(["test.ein"]);
      const line = text.split("\n").findIndex((l) => /^export (declare |async )?.*function linear_gelu/.test(l));
      expect(map.findEntry(line, 0)).toMatchObject({ originalSource: "test.ein", originalLine: 1, originalColumn: 10 });
    }
  });

  test("say in a warning what is left out, and why", () => {
    const source = `export fn blur(x: f32[N], size: const int) { x[0:N] * size }
export fn twice(x: f32[N]) { 2 * x }
`;
    const warnings: Diagnostic[] = [];
    const files = emit(source, { onWarning: (d) => warnings.push(d) });
    expect(warnings.map((w) => [w.code, w.severity])).toEqual([["EIN1502", "warning"]]);
    expect(textOf(files, ".ein.js")).not.toContain("blur");
    const special = emit(source, { specialise: { blur: [{ consts: { size: 3 } }, { consts: { size: 5 } }] } });
    expect(textOf(special, ".ein.js")).toContain("size === 5");
    expect(textOf(special, ".d.ts")).toContain("readonly size?: 3 | 5;");
  });

  test("have one form a target that differs, each under what it needs of a device", () => {
    const software = {
      ...TARGET,
      kind: "software" as const,
      features: ["shader-f16", "subgroups"],
      subgroupMinSize: 8,
      subgroupMaxSize: 8,
    };
    const text = textOf(emit(LINEAR_GELU, { targets: [software, TARGET] }), ".ein.js");
    expect(text).toContain("const { features, limits, adapterInfo } = device;");
    expect(text).toContain('features.has("subgroups") && adapterInfo.subgroupMinSize >= 8');
    const matrices = {
      ...software,
      kind: "gpu" as const,
      features: ["chromium-experimental-subgroup-matrix", "shader-f16", "subgroups"],
      subgroupMatrices: [{ component: "f16", result: "f32", m: 16, n: 16, k: 16 }],
    };
    const half = textOf(
      emit("export fn f(a: f16[M, K], b: f16[K, N]) { a @ b }\n", { targets: [matrices, software] }),
      ".ein.js",
    );
    expect(half).toContain(
      '.some((c) => c.componentType === "f16" && c.resultComponentType === "f32" && c.M === 16 && c.N === 16 && c.K === 16)',
    );
    const alone = textOf(emit("export fn f(x: f16[N]) { x + x }\n"), ".ein.js");
    expect(alone).toContain('$fail("unsupported-feature", "f needs features.has(\\"shader-f16\\")")');
  });
});
