/** Checks a configuration against fusum.schema.json. Apart from config.ts: a configuration that was valid before needs no validator. */
import { readFileSync } from "node:fs";
import { Ajv, type ErrorObject } from "ajv";
import { type Diagnostic, diagnostic } from "../../grammar/diagnostic.ts";
import type { Span } from "../../grammar/span.ts";
import { suggest } from "../../grammar/suggest.ts";

type SpanOf = (path: readonly (string | number)[], key?: boolean) => Span;

/** The published schema, wherever this package lies. */
export function readSchema(): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(import.meta.resolve("fusum/fusum.schema.json")), "utf8")) as Record<
    string,
    unknown
  >;
}

/** One diagnostic for each place of the configuration that the schema does not allow. */
export function validate(config: unknown, spanOf: SpanOf): Diagnostic[] {
  const check = new Ajv({
    allErrors: true,
    allowUnionTypes: true,
    verbose: true,
    validateSchema: false,
    meta: false,
  }).compile(readSchema());
  if (check(config)) return [];
  const errors = check.errors ?? [];
  // Each branch of an `anyOf` complains; the one that got deepest says most.
  const places = new Map<string, ErrorObject[]>();
  for (const e of errors.filter((x) => x.keyword !== "anyOf" && x.keyword !== "if"))
    places.set(e.instancePath, [...(places.get(e.instancePath) ?? []), e]);
  const deepest = [...places].filter(
    ([path]) =>
      !errors.some(
        (e) =>
          e.keyword === "anyOf" && e.instancePath === path && [...places.keys()].some((p) => p.startsWith(`${path}/`)),
      ),
  );
  return deepest.flatMap(([, list]) => merged(list, spanOf));
}

function merged(list: readonly ErrorObject[], spanOf: SpanOf): Diagnostic[] {
  const others = list.filter((e) => e.keyword !== "type");
  // A value of one of the types that may stand there has errors of its own.
  const types = others.length > 0 ? [] : list;
  const first = types[0];
  return [
    ...(first
      ? [
          typeError(
            first,
            types.flatMap((e) => e.params["type"] as string | string[]),
            spanOf,
          ),
        ]
      : []),
    ...others.map((e) => valueError(e, spanOf)),
  ];
}

function pathOf(e: ErrorObject): (string | number)[] {
  return e.instancePath
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function nameOf(path: readonly (string | number)[]): string {
  if (path.length === 0) return "the configuration";
  return `\`${path.map((p, i) => (typeof p === "number" ? `[${p}]` : i === 0 ? p : `.${p}`)).join("")}\``;
}

const ARTICLES: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  integer: "an integer",
  number: "a number",
  object: "an object",
  string: "a string",
};

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : JSON.stringify(value);
}

function typeError(e: ErrorObject, types: readonly string[], spanOf: SpanOf): Diagnostic {
  const path = pathOf(e);
  const wanted = [...new Set(types)].map((t) => ARTICLES[t] ?? t);
  const list = wanted.length > 1 ? `${wanted.slice(0, -1).join(", ")} or ${wanted.at(-1)}` : wanted[0];
  return diagnostic("EIN2102", `${nameOf(path)} must be ${list}`, {
    span: spanOf(path),
    text: `this is ${kindOf(e.data)}`,
  });
}

function valueError(e: ErrorObject, spanOf: SpanOf): Diagnostic {
  const path = pathOf(e);
  const here = { span: spanOf(path), text: "" };
  switch (e.keyword) {
    case "additionalProperties":
      return unknownOption(
        path,
        String(e.params["additionalProperty"]),
        Object.keys((e.parentSchema?.["properties"] as object) ?? {}),
        spanOf,
      );
    case "enum": {
      const allowed = (e.params["allowedValues"] as readonly unknown[]).map(String);
      const near = typeof e.data === "string" ? suggest(e.data, allowed) : undefined;
      return diagnostic(
        "EIN2102",
        `${nameOf(path)} cannot be ${kindOf(e.data)}`,
        { ...here, text: near ? `did you mean ${JSON.stringify(near)}?` : "not one of the values there are" },
        { notes: [`it may be ${allowed.map((a) => JSON.stringify(a)).join(", ")}`] },
      );
    }
    case "minimum":
      return diagnostic("EIN2102", `${nameOf(path)} must be at least ${e.params["limit"]}`, here);
    case "maximum":
      return diagnostic("EIN2102", `${nameOf(path)} must be at most ${e.params["limit"]}`, here);
    case "minLength":
    case "minItems":
      return diagnostic("EIN2102", `${nameOf(path)} must not be empty`, here);
    case "uniqueItems":
      return diagnostic("EIN2102", `${nameOf(path)} holds a value twice`, {
        span: spanOf([...path, Number(e.params["i"])]),
        text: "",
      });
    default:
      return diagnostic("EIN2102", `${nameOf(path)} ${e.message ?? "is not valid"}`, here);
  }
}

function unknownOption(
  path: readonly (string | number)[],
  name: string,
  known: readonly string[],
  spanOf: SpanOf,
): Diagnostic {
  const near = suggest(name, known);
  const span = spanOf([...path, name], true);
  const where = path.length === 0 ? "" : ` in ${nameOf(path)}`;
  return diagnostic(
    "EIN2102",
    `there is no option \`${name}\`${where}`,
    { span, text: near ? `did you mean \`${near}\`?` : "unknown option" },
    {
      notes: [`there are ${known.filter((k) => k !== "$schema").join(", ")}`],
      ...(near ? { fix: { message: `write \`${near}\``, edits: [{ span, text: JSON.stringify(near) }] } } : {}),
    },
  );
}
