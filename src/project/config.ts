/** `fusum.config.json`: JSON with comments, checked against the published schema; every complaint has its place in the file. */
import { readFileSync } from "node:fs";
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import type { ConstValue } from "../api/program.ts";
import type { Specialisation } from "../module/index.ts";
import type { Target } from "../schedule/applied.ts";

export type EmitKind = "module" | "wgsl" | "plans";

/** What kernels may rely on beyond WebGPU's guaranteed limits. */
export interface TargetConfig {
  readonly features?: readonly string[];
  readonly limits?: Partial<Target["limits"]>;
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
  readonly subgroupMatrices?: Target["subgroupMatrices"];
  readonly kind?: Target["kind"];
}

/** The file's contents, as fusum.schema.json describes them. */
export interface ProjectConfig {
  readonly $schema?: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly rootDir?: string;
  readonly outDir?: string;
  readonly emit?: readonly EmitKind[];
  readonly sourceMap?: boolean;
  readonly arbitraryExtensions?: boolean;
  readonly target?: TargetConfig | readonly TargetConfig[];
  readonly extents?: Readonly<Record<string, number>>;
  readonly consts?: Readonly<Record<string, ConstValue>>;
  readonly specialise?: Readonly<Record<string, readonly Specialisation[]>>;
  readonly schedules?: string;
  readonly strict?: boolean;
  readonly fastMath?: boolean;
  readonly incremental?: boolean;
  readonly buildInfo?: string;
}

/** A configuration file that was read; `config` holds only what is valid if `diagnostics` has no error. */
export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  readonly config: ProjectConfig;
  readonly diagnostics: readonly Diagnostic[];
  /** Where a value, or with `key` its name, stands in the file. Of what is not there: the nearest that is. */
  readonly spanOf: (path: readonly (string | number)[], key?: boolean) => Span;
}

/**
 * Reads and checks a configuration. `shown` is what diagnostics call it. `known` says that a text was found valid before, which
 * saves loading the validator. Throws what the file system throws.
 */
export async function readConfig(
  path: string,
  shown: string,
  known: (text: string, value: unknown) => boolean = () => false,
): Promise<ConfigFile> {
  const text = readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false });
  const spanOf = (at: readonly (string | number)[], key = false): Span => spanIn(tree, shown, at, key);
  const broken =
    text.trim() === ""
      ? [
          diagnostic("EIN2101", "the configuration is empty", {
            span: spanOf([]),
            text: "`{}` says nothing and is valid",
          }),
        ]
      : errors.map((e) => syntaxError(e, shown, text));
  if (!tree || broken.length > 0) return { path, text, config: {}, diagnostics: broken.slice(0, 1), spanOf };
  const value: unknown = getNodeValue(tree);
  const diagnostics = [...duplicates(tree, shown)];
  if (!known(text, value)) {
    const { validate } = await import("./schema.ts");
    diagnostics.push(...validate(value, spanOf));
  }
  return { path, text, config: diagnostics.length > 0 ? {} : (value as ProjectConfig), diagnostics, spanOf };
}

/** What the parser's own names for errors mean. */
const SYNTAX: Readonly<Partial<Record<ReturnType<typeof printParseErrorCode>, string>>> = {
  InvalidSymbol: "this is no JSON value",
  InvalidNumberFormat: "this is no JSON number",
  PropertyNameExpected: "a name in quotes or `}` should stand here",
  ValueExpected: "a value should stand here",
  ColonExpected: "`:` should stand here",
  CommaExpected: "`,` should stand here",
  CloseBraceExpected: "`}` should stand here",
  CloseBracketExpected: "`]` should stand here",
  EndOfFileExpected: "the file should end here",
  UnexpectedEndOfComment: "the comment is not closed",
  UnexpectedEndOfString: "the string is not closed",
};

function syntaxError(e: ParseError, file: string, text: string): Diagnostic {
  const start = Math.min(e.offset, text.length);
  return diagnostic("EIN2101", "the configuration is not valid JSON", {
    span: { file, start, end: Math.min(start + e.length, text.length) },
    text: SYNTAX[printParseErrorCode(e.error)] ?? "this is not JSON",
  });
}

/** JSON takes the last of two values with one name, in silence. */
function duplicates(node: Node, file: string): Diagnostic[] {
  const found: Diagnostic[] = [];
  const seen = new Map<string, Node>();
  for (const child of node.children ?? []) {
    const key = node.type === "object" ? child.children?.[0] : undefined;
    if (key) {
      const name = String(key.value);
      const old = seen.get(name);
      if (old)
        found.push(
          diagnostic("EIN2102", `\`${name}\` is given twice`, [
            { span: spanOfNode(key, file), text: "given again here" },
            { span: spanOfNode(old, file), text: "first given here" },
          ]),
        );
      else seen.set(name, key);
    }
    found.push(...duplicates(child, file));
  }
  return found;
}

function spanOfNode(node: Node, file: string): Span {
  return { file, start: node.offset, end: node.offset + node.length };
}

function spanIn(tree: Node | undefined, file: string, path: readonly (string | number)[], key: boolean): Span {
  if (!tree) return { file, start: 0, end: 0 };
  for (let n = path.length; n > 0; n--) {
    const node = findNodeAtLocation(tree, path.slice(0, n));
    if (!node) continue;
    const name = key && n === path.length && node.parent?.type === "property" ? node.parent.children?.[0] : undefined;
    return spanOfNode(name ?? node, file);
  }
  // The whole file would say less than its opening brace.
  return { file, start: tree.offset, end: Math.min(tree.offset + 1, tree.offset + tree.length) };
}
