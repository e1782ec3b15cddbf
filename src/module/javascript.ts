/** The module's JavaScript: kernels and their helper functions as constants, one function a function of the source. */
import type { PlanDType, PlanSize } from "../../runtime/plan.ts";
import { isNatural, printSizes, sizeText, unused } from "./expression.ts";
import type { Form, FunctionForms } from "./forms.ts";
import {
  dispatchesOf,
  loopsOf,
  type ModuleArray,
  type ModuleKernel,
  type ModulePlan,
  type ModuleStep,
} from "./lower.ts";
import { type PreludeNeeds, prelude } from "./prelude.ts";
import type { ModuleSource } from "./source.ts";
import { MappedText } from "./text.ts";

/** Words that cannot be a binding's name in a module, and what the module itself needs of the language. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false " +
    "finally for function if implements import in instanceof interface let new null package private protected public return " +
    "static super switch this throw true try typeof undefined var void while with yield " +
    "Error Float16Array Float32Array Infinity Int32Array JSON Map Math NaN Object Promise Symbol Uint16Array Uint32Array Uint8Array"
  ).split(" "),
);
/** Names that a function's text uses beside those of its extents. */
const LOCALS: readonly string[] = ["device", "fixed", "features", "limits", "adapterInfo", "Float16Array"];

/** The identifier for a name of the source. */
export function identifier(name: string): string {
  return RESERVED.has(name) ? `${name}_` : name;
}

export function printJavaScript(functions: readonly FunctionForms[], source: ModuleSource): MappedText {
  const out = new MappedText();
  const used = new Set([...RESERVED, ...functions.map((f) => identifier(f.signature.name))]);
  const plans = functions.flatMap((f) => f.forms.map((form) => form.plan));
  out.add(`// Made by Fusum from ${source.name}. It imports nothing and runs on any GPUDevice; do not edit.\n`);
  const needs = needsOf(plans);
  const constants = new Constants(out, source, used);
  for (const p of plans) for (const k of p.kernels) constants.add(k);
  for (const f of functions) printFunction(out, f, constants, needs, source);
  if (functions.length > 0) out.add(prelude(needs).trimEnd());
  return out;
}

function needsOf(plans: readonly ModulePlan[]): PreludeNeeds {
  const arrays = plans.flatMap((p) => [...p.params, ...p.results]);
  return {
    dtypes: new Set(arrays.map((a): PlanDType => a.dtype)),
    folded: arrays.some((a) => a.folded),
    sizes: plans.some((p) => p.kernels.some((k) => k.uniforms.length > 0)),
    scratch: plans.some((p) => p.scratch.length > 0),
    grids: plans.some((p) => dispatchesOf(p.steps).some((s) => s.grid)),
    loops: plans.some((p) => loopsOf(p.steps).length > 0),
    rows: plans.some((p) => p.kernels.some((k) => k.rows !== undefined)),
    facts: plans.some((p) => p.facts.length > 0),
    differences: arrays.some((a) => a.shape.some((s) => !isNatural(s))),
  };
}

/** Texts of kernels and helpers, each once. */
class Constants {
  readonly #names = new Map<string, string>();
  readonly #out: MappedText;
  readonly #source: ModuleSource;
  readonly #used: Set<string>;

  constructor(out: MappedText, source: ModuleSource, used: Set<string>) {
    this.#out = out;
    this.#source = source;
    this.#used = used;
  }

  add(k: ModuleKernel): void {
    const helpers = k.helpers.map((h) => {
      const name = /^fn (\w+)/.exec(h)?.[1] ?? "helper";
      return this.#constant(h, name, () => this.#out.add(`const ${this.#names.get(h)} = ${template(h)};\n`));
    });
    const key = this.#key(k);
    this.#constant(key, k.name, () => {
      const places = k.origin.flatMap((o) => (o.span ? [o.span] : []));
      for (const line of new Set(places.map((s) => this.#source.comment(s)))) this.#out.add(`// ${line}`);
      const place = places[0] && this.#source.place(places[0]);
      const parts = [template(k.wgsl), ...helpers].join(", ");
      this.#out.add(`const ${this.#names.get(key)} = [${parts}];\n`, place);
    });
  }

  nameOf(k: ModuleKernel): string {
    return this.#names.get(this.#key(k))!;
  }

  #key(k: ModuleKernel): string {
    return [k.wgsl, ...k.helpers].join("\n");
  }

  #constant(key: string, name: string, print: () => void): string {
    const old = this.#names.get(key);
    if (old !== undefined) return old;
    const made = unused(`${name}_wgsl`, this.#used);
    this.#names.set(key, made);
    print();
    return made;
  }
}

function template(text: string): string {
  return `\`${text.replaceAll(/[\\`]|\$\{/g, "\\$&")}\``;
}

function printFunction(
  out: MappedText,
  f: FunctionForms,
  constants: Constants,
  needs: PreludeNeeds,
  source: ModuleSource,
): void {
  const { name, span } = f.signature;
  const local = identifier(name);
  const consts = constantsOf(f);
  const second =
    consts.size === 0
      ? "fixed = {}"
      : `{ ${[...consts].map(([n, v]) => `${n}: ${identifier(n)} = ${v}`).join(", ")}, ...fixed } = {}`;
  const all = f.forms.map((form) => printForm(f, form, constants, needs));
  const conditions = f.forms.map((form) => conditionOf(form, consts));
  const body: string[] = [];
  if (conditions.some((c) => /\b(features|limits|adapterInfo)\b/.test(c)))
    body.push("  const { features, limits, adapterInfo } = device;");
  const simple = conditions.length === 1 && conditions[0] === "";
  if (simple) body.push(`  return $create(device, fixed, ${indent(all[0]!, 2)});`);
  else {
    // The first form that needs nothing ends the list.
    const last = conditions.indexOf("");
    const tried = last < 0 ? f.forms.length : last;
    const lines = conditions.slice(0, tried).map((c, i) => `    ${c} ? ${indent(all[i]!, 4)} :`);
    const needs = conditions.map((c) => c.replaceAll(" && ", " and ")).join("; or ");
    const end =
      last < 0 ? `$fail("unsupported-feature", ${JSON.stringify(`${name} needs ${needs}`)})` : indent(all[last]!, 4);
    body.push(`  const plan =\n${lines.join("\n")}\n    ${end};`, "  return $create(device, fixed, plan);");
  }
  const own = local === name ? "export " : "";
  if (f.signature.doc) out.add(comment(f.signature.doc));
  out.add(`${own}async function ${local}(device, ${second}) {\n${body.join("\n")}\n}`, source.place(span));
  if (own === "") out.add(`export { ${local} as ${name} };`);
  out.add("");
}

/** A doc comment. */
export function comment(doc: string, pad = ""): string {
  const lines = doc.replaceAll("*/", "*\\/").split("\n");
  return lines.length === 1
    ? `${pad}/** ${lines[0]} */`
    : `${pad}/**\n${lines.map((l) => `${pad} * ${l}`.trimEnd()).join("\n")}\n${pad} */`;
}

/** Constants that a caller can choose between, with the value that holds when nothing is said: a default, or the first there is. */
export function constantsOf(f: FunctionForms): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { consts } of f.forms)
    for (const [name, value] of Object.entries(consts)) {
      const written = f.signature.parameters.find((p) => p.name === name)?.default;
      const literal = written !== undefined && /^(-?\d+(\.\d+)?(e-?\d+)?|true|false|"[^"]*")$/.test(written);
      if (!found.has(name)) found.set(name, literal ? written : JSON.stringify(value));
    }
  return found;
}

function conditionOf(form: Form, consts: ReadonlyMap<string, string>): string {
  const all = Object.entries(form.consts).map(([n, v]) =>
    typeof v === "object" ? `String(${identifier(n)}) === "${v}"` : `${identifier(n)} === ${JSON.stringify(v)}`,
  );
  for (const [n, v] of Object.entries(form.extents)) all.push(`fixed.${n} === ${v}`);
  for (const feature of form.needs.features) all.push(`features.has("${feature}")`);
  for (const [limit, v] of Object.entries(form.needs.limits)) all.push(`limits.${limit} >= ${v}`);
  if (form.needs.subgroups) {
    const [least, most] = form.needs.subgroups;
    all.push(`adapterInfo.subgroupMinSize >= ${least}`, `adapterInfo.subgroupMaxSize <= ${most}`);
  }
  for (const s of form.needs.matrices) {
    const same = { componentType: s.component, resultComponentType: s.result, M: s.m, N: s.n, K: s.k };
    const tests = Object.entries(same).map(([key, v]) => `c.${key} === ${JSON.stringify(v)}`);
    all.push(`[...adapterInfo.subgroupMatrixConfigs ?? []].some((c) => ${tests.join(" && ")})`);
  }
  // A form for other constants than those it is compiled for must not be taken for them.
  for (const [n, v] of consts) if (!(n in form.consts)) all.push(`${identifier(n)} === ${v}`);
  return all.join(" && ");
}

/** `f32[B, H, Q, D]`, `f32` for a scalar. */
export function typeText(a: ModuleArray): string {
  if (a.shape.length === 0) return a.dtype;
  return `${a.dtype}[${a.shape.map((s, i) => (a.folded && i === 0 ? "..." : sizeText(s))).join(", ")}]`;
}

/** Extents that arguments bind, each with its place: an array of one axis if it can be, for its length says it with no shape given. */
export function extentsOf(f: FunctionForms): ReadonlyMap<string, readonly [string, number]> {
  const found = new Map<string, { readonly place: readonly [string, number]; readonly rank: number }>();
  const { params } = f.forms.at(-1)!.plan;
  for (const p of f.signature.parameters)
    p.shape.forEach((text, axis) => {
      const array = params.find((a) => a.name === p.name);
      if (!array || !(text === "..." ? array.folded : f.signature.extents.includes(text))) return;
      // Behind `...` an axis counts from the end.
      const ellipsis = p.shape.indexOf("...");
      const rank = array.shape.length;
      const at = ellipsis >= 0 && axis > ellipsis ? axis - p.shape.length + rank : axis;
      const old = found.get(text);
      if (!old || (old.rank > 1 && rank === 1)) found.set(text, { place: [p.name, at], rank });
    });
  return new Map([...found].map(([text, { place }]) => [text, place]));
}

function printForm(f: FunctionForms, form: Form, constants: Constants, needs: PreludeNeeds): string {
  const { plan } = form;
  const extents = extentsOf(f);
  const arrays = [...plan.params, ...plan.results];
  const sizes: PlanSize[] = [
    ...plan.facts.flatMap((x) => [x.left, x.right]),
    ...arrays.flatMap((a) => a.shape),
    ...plan.scratch,
    ...plan.kernels.flatMap((k) => k.uniforms),
    ...dispatchesOf(plan.steps).flatMap((s) => s.grid ?? s.groups),
    ...loopsOf(plan.steps).map((l) => l.rounds),
  ];
  const taken = new Set(LOCALS);
  const names = new Map<string, string>();
  for (const s of symbolsOf(sizes)) {
    const name = unused(s === LEAD ? "lead" : identifier(s), taken);
    names.set(s, name);
  }
  const printed = printSizes(sizes, names, [...RESERVED, ...LOCALS]);
  const list = (items: readonly PlanSize[]): string => `[${items.map(printed.text).join(", ")}]`;
  const types = (of: readonly ModuleArray[]): string => record(of.map((a) => `${key(a.name)}: "${typeText(a)}"`));
  const at: string[] = [];
  if (plan.facts.length > 0) {
    const facts = plan.facts.map((x) => {
      const holds = `${printed.text(x.left)} ${x.relation === "==" ? "===" : ">="} ${printed.text(x.right)}`;
      const text = `${x.message}; needed: ${sizeText(x.left)} ${x.relation} ${sizeText(x.right)}`;
      return `  [${holds}, ${JSON.stringify(text)}],`;
    });
    at.push(`facts: [\n${facts.join("\n")}\n],`);
  }
  at.push(`shapes: ${record(arrays.map((a) => `${key(a.name)}: ${list(a.shape)}`))},`);
  if (needs.scratch) at.push(`scratch: ${list(plan.scratch)},`);
  if (needs.sizes) at.push(`uniforms: [${plan.kernels.map((k) => list(k.uniforms)).join(", ")}],`);
  const kept = plan.kernels.flatMap((k, i) => (k.rows === undefined ? [] : [`${i}: ${printed.text(k.rows)}`]));
  if (kept.length > 0) at.push(`rows: ${record(kept)},`);
  if (plan.places.length > 0) at.push(`places: ${JSON.stringify(plan.places)},`);
  const step = (s: ModuleStep): string => {
    if ("steps" in s)
      return `{ rounds: ${printed.text(s.rounds)}, swaps: ${JSON.stringify(s.swaps)}, steps: ${steps(s.steps)} },`;
    const { uniforms, rows } = plan.kernels[s.kernel]!;
    const sizes = uniforms.length === 0 ? [] : [`#${s.kernel}${rows === undefined ? "" : "@"}`];
    const groups = s.grid ? `$grid(${s.grid.map(printed.text).join(", ")})` : list(s.groups);
    return `[${s.kernel}, "${[...s.buffers, ...sizes].join(" ")}", ${groups}],`;
  };
  const steps = (of: readonly ModuleStep[]): string =>
    of.length === 0 ? "[]" : `[\n${of.map((s) => indent(step(s), 2, true)).join("\n")}\n]`;
  at.push(`steps: ${steps(plan.steps)},`);
  const used = [...names].map(([s, n]) => {
    const shown = s === LEAD ? '"..."' : s;
    return shown === n ? n : `${shown}: ${n}`;
  });
  const parameter = used.length > 0 ? `{ ${used.join(", ")} }` : "";
  const result = `{\n${indent(at.join("\n"), 2, true)}\n}`;
  const body =
    printed.locals.length === 0
      ? `(${result})`
      : `{\n  const ${printed.locals.map((l) => `${l.name} = ${l.value}`).join(",\n    ")};\n  return ${indent(result, 2)};\n}`;
  const lines = [
    `name: ${JSON.stringify(f.signature.name)},`,
    `extents: ${record([...extents].map(([e, [p, axis]]) => `${key(e)}: ["${p}", ${axis}]`))},`,
    `params: ${types(plan.params)},`,
    `results: ${types(plan.results)},`,
    ...(plan.params.some((p) => p.folded)
      ? [`ranks: ${record(plan.params.filter((p) => p.folded).map((p) => `${key(p.name)}: ${p.shape.length}`))},`]
      : []),
    `kernels: [${plan.kernels.map((k) => constants.nameOf(k)).join(", ")}],`,
    `at: (${parameter}) => ${body},`,
  ];
  return `{\n${indent(lines.join("\n"), 2, true)}\n}`;
}

/** The symbol of the leading axes that `...` stands for. */
const LEAD = "_lead";

function key(name: string): string {
  return name === "..." ? '"..."' : name === "__proto__" ? '["__proto__"]' : name;
}

function record(entries: readonly string[]): string {
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

function symbolsOf(sizes: readonly PlanSize[]): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (s: PlanSize): void => {
    if (typeof s === "number") return;
    if ("symbol" in s) found.add(s.symbol);
    else {
      visit(s.left);
      visit(s.right);
    }
  };
  sizes.forEach(visit);
  return found;
}

function indent(text: string, by: number, first = false): string {
  const pad = " ".repeat(by);
  return (first ? pad : "") + text.replaceAll("\n", `\n${pad}`);
}
