/** The source's own rules: who imports whom, no cycles, no way around the types, files that can be read in one go. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const FOLDERS = ["grammar", "ir", "codegen", "src", "runtime", "test", "bench", "examples"] as const;
type Folder = (typeof FOLDERS)[number];
const MAX_LINES = 400;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}
interface Source {
  readonly path: string;
  readonly text: string;
  /** Without comments, strings emptied, of the same number of lines. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const sources: readonly Source[] = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT }))
  .concat(globSync("*.ts", { cwd: ROOT }))
  .filter((path) => !/(^|\/)(node_modules|dist|out)\/|\.d\.ts$|^examples\/vite-app\//.test(path))
  .sort()
  .map((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    return { path, text, code: bare(text), imports: importsOf(path, text) };
  });

/** Comments become nothing, the insides of strings too; what is within `${}` of a template stays out as well. */
function bare(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/g,
    (m) => `${m[0] === "/" ? "" : '""'}${"\n".repeat(m.split("\n").length - 1)}`,
  );
}

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  for (const m of text.matchAll(/^(?:import|export)\s+(type\s)?((?:[^"';]*?)\sfrom\s+)?"(\.[^"]+)"/gm)) {
    const names = /\{([\s\S]*)\}/
      .exec(m[2] ?? "")?.[1]
      ?.split(",")
      .map((s) => s.trim())
      .filter(Boolean);
    const onlyTypes =
      names !== undefined && /^\s*\{/.test(m[2] ?? "") && names.length > 0 && names.every((n) => n.startsWith("type "));
    found.push({ from: path, to: target(path, m[3]!), typeOnly: m[1] !== undefined || onlyTypes });
  }
  for (const m of text.matchAll(/\bimport\("(\.[^"]+)"\)/g))
    found.push({ from: path, to: target(path, m[1]!), typeOnly: /typeof\s*$/.test(text.slice(0, m.index)) });
  return found;
}

function target(from: string, specifier: string): string {
  return relative(ROOT, resolve(ROOT, dirname(from), specifier));
}

function folderOf(path: string): Folder | undefined {
  return FOLDERS.find((f) => path.startsWith(`${f}/`));
}

const MAY_IMPORT: Readonly<Record<Folder, readonly Folder[]>> = {
  grammar: ["grammar"],
  ir: ["ir", "grammar"],
  codegen: ["codegen", "ir", "grammar"],
  src: ["src", "codegen", "ir", "grammar"],
  runtime: ["runtime"],
  test: FOLDERS,
  bench: FOLDERS,
  examples: ["examples", "src", "runtime", "codegen", "ir", "grammar"],
};
/** The compiler's parts that run things; the rest of it knows of plans only. */
const RUNS_DEVICES = /^src\/(cli|node|browser)\//;

test("there is something to look at", () => {
  expect(sources.length).toBeGreaterThan(200);
  expect(sources.flatMap((s) => s.imports).length).toBeGreaterThan(1000);
  const unknown = sources.flatMap((s) =>
    s.imports.filter((i) => i.to.endsWith(".ts") && folderOf(i.to) && !sources.some((x) => x.path === i.to)),
  );
  expect(unknown.filter((i) => !i.to.startsWith("examples/"))).toEqual([]);
});

describe("imports", () => {
  test("go one way: grammar ← ir ← codegen ← src, and runtime alone", () => {
    const wrong = sources.flatMap((s) =>
      s.imports.filter((i) => {
        const [from, to] = [folderOf(i.from), folderOf(i.to)];
        if (!from || !to || MAY_IMPORT[from].includes(to)) return false;
        if (to === "runtime" && from !== "grammar" && from !== "ir")
          return !((i.to === "runtime/plan.ts" && i.typeOnly) || RUNS_DEVICES.test(i.from));
        return true;
      }),
    );
    expect(wrong.map((i) => `${i.from} imports ${i.to}`)).toEqual([]);
  });

  test("of types alone say so", () => {
    const wrong = sources.flatMap((s) => s.imports).filter((i) => i.to === "runtime/plan.ts" && !i.typeOnly);
    expect(wrong.map((i) => i.from)).toEqual([]);
  });

  test("have no cycles", () => {
    const edges = new Map(sources.map((s) => [s.path, s.imports.filter((i) => !i.typeOnly).map((i) => i.to)]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      const at = trail.indexOf(path);
      if (at >= 0) {
        cycles.push([...trail.slice(at), path].join(" → "));
        return;
      }
      if (done.has(path)) return;
      for (const to of edges.get(path) ?? []) visit(to, [...trail, path]);
      done.add(path);
    };
    for (const path of edges.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });
});

describe("text", () => {
  const lines = (pattern: RegExp, of: (s: Source) => string): string[] =>
    sources.flatMap((s) =>
      of(s)
        .split("\n")
        .flatMap((line, i) => (pattern.test(line) ? [`${s.path}:${i + 1}: ${line.trim()}`] : [])),
    );

  test("has no `any`", () => {
    expect(lines(/:\s*any\b|\bas any\b|<any\b|\bany\[\]|,\s*any>/, (s) => s.code)).toEqual([]);
  });
  test("has no way around the compiler", () => {
    const pattern = new RegExp(`@ts-${"(ignore|nocheck|expect-error)"}`);
    expect(lines(pattern, (s) => s.text).filter((l) => !l.startsWith("test/architecture.test.ts"))).toEqual([]);
  });
  test("has nothing left to do", () => {
    const pattern = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);
    expect(lines(pattern, (s) => s.text)).toEqual([]);
  });
  test(`has at most ${MAX_LINES} lines a file`, () => {
    const long = sources.flatMap((s) => {
      const n = s.text.split("\n").length - 1;
      return n > MAX_LINES ? [`${s.path}: ${n}`] : [];
    });
    expect(long).toEqual([]);
  });
});
