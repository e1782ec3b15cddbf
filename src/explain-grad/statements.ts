/** Definitions as statements of the language. */
import type { Axis, Definition, Monoid, ScanDef, ScatterDef, TensorExpr } from "../../ir/tensor.ts";
import { primitiveOf } from "../differentiate/monoids.ts";
import type { Line } from "./lines.ts";
import { constantPiece, type LineText, type Printer } from "./text.ts";

const FIELDS = "abcdefghijklmnopqrstuvwxyz";

/** How a slot of a definition is read: results of a `scan` or `reduce` of several slots are fields of a record. */
export function slotName(name: string, d: Definition, slot: number): string {
  if (d.types.length === 1) return name;
  return isRecord(d) ? `${name}.${FIELDS[slot]}` : slot === 0 ? name : `${name}_${slot}`;
}

function isRecord(d: Definition): boolean {
  return d.kind === "scan" || (d.kind === "map" && d.results[0]?.kind === "reduce" && !isPick(d.results[0].monoid));
}

/** (value, position) of the largest or the smallest. */
function isPick(m: Monoid): boolean {
  return m.slots.length === 2 && (m.name === "argmax" || m.name === "argmin");
}

export function typeText(d: Definition): string {
  const dtype = d.types[0] ?? "f32";
  return d.axes.length === 0 ? dtype : `${dtype}[${d.axes.map((a) => a.extent.text).join(", ")}]`;
}

export function statementsOf(l: Line, text: LineText, p: Printer): readonly string[] {
  const d = l.definition;
  const name = p.nameOf(d, 0);
  if (d.kind === "scatter" && !l.isSimple) return scatterStatements(d, l.values, text, p);
  if (d.kind === "scan") return [`let ${name.replace(/\.a$/, "")} = ${scanText(d, l.values, text)}`];
  const [root] = l.values;
  if (d.kind === "map" && root?.kind === "reduce" && d.types.length > 1) {
    const head = text.bind(text.shown(d), l.values);
    const { monoid, axes, values } = root;
    if (isPick(monoid)) {
      const what = monoid.name === "argmax" ? "max" : "min";
      const bound = text.bind(axes, values);
      const value = text.print(values[0]!).text;
      const left = (slot: number): string =>
        head === "" ? `let ${p.nameOf(d, slot)}` : `${p.nameOf(d, slot)}[${head}]`;
      return [`${left(0)} = ${what}[${bound}] ${value}`, `${left(1)} = arg${what}[${bound}] ${value}`];
    }
    text.bind(axes, values);
    const bound = [...text.shown(d), ...axes];
    const at = text.shown(d).length;
    return [`let ${name.replace(/\.a$/, "")} = reduce(${foldText(monoid, bound, values, text)}, axis: ${at})`];
  }
  const axes = text.shown(d);
  text.bind(axes, l.values);
  return l.values.map((e, slot) => {
    const called = p.nameOf(d, slot);
    return axes.length === 0
      ? `let ${called} = ${text.value(e)}`
      : `${called}[${text.indices(axes, [e])}] = ${text.value(e)}`;
  });
}

/** `|p, q| p + q, 0, for[i] x[i]`; records for several slots. */
function foldText(m: Monoid, axes: readonly Axis[], values: readonly TensorExpr[], text: LineText): string {
  const single = m.slots.length === 1;
  const names = [...m.slots, ...m.slots].map((_, i) => {
    const side = i < m.slots.length ? "p" : "q";
    return single ? side : `${side}.${FIELDS[i % m.slots.length]}`;
  });
  const record = (parts: readonly string[]): string =>
    single ? parts[0]! : `{ ${parts.map((s, i) => `${FIELDS[i]}: ${s}`).join(", ")} }`;
  const combine = record(m.combine.map((c) => text.print(c, names).text));
  const identity = record(m.identity.map((c) => text.value(c)));
  const elements = values.map((v) => `for[${text.indices(axes, [v])}] ${text.value(v)}`);
  return `|p, q| ${combine}, ${identity}, ${record(elements)}`;
}

const RUNNING: Readonly<Record<string, string>> = { add: "cumsum", mul: "cumprod", max: "cummax", min: "cummin" };

function scanText(d: ScanDef, values: readonly TensorExpr[], text: LineText): string {
  const axes = text.shown(d);
  const bound = text.bind(axes, values);
  const axis = `axis: ${text.shown(d).indexOf(d.along)}`;
  const running = d.monoid.slots.length === 1 ? RUNNING[primitiveOf(d.monoid) ?? ""] : undefined;
  if (running) return `${running}(for[${bound}] ${text.print(values[0]!).text}, ${axis})`;
  return `scan(${foldText(d.monoid, axes, values, text)}, ${axis})`;
}

const SCATTER: Readonly<Record<string, string>> = { add: "+=", mul: "*=", max: "max=", min: "min=" };

function scatterStatements(
  d: ScatterDef,
  values: readonly TensorExpr[],
  text: LineText,
  p: Printer,
): readonly string[] {
  const over = text.bind(d.domain, values);
  const at = values
    .slice(0, d.at.length)
    .map((e) => text.print(e).text)
    .join(", ");
  const sign = d.monoid === "set" ? "set=" : (SCATTER[primitiveOf(d.monoid) ?? ""] ?? "+=");
  return values.slice(d.at.length).flatMap((v, slot) => {
    const into = d.into?.[slot];
    const name = p.nameOf(d, slot);
    const shape = d.axes.map((a) => a.extent.text).join(", ");
    const target = into ? `${name}[${at}]` : `${name}[${at}]: ${d.types[slot]}[${shape}]`;
    const initial = d.initial[slot];
    const lines = into ? [`let ${name} = ${p.nameOf(into.tensor, into.slot)}`] : [];
    // Elements that nobody writes start from something else than the operator's own.
    if (!into && d.monoid === "set" && initial && initial.value !== 0)
      return [
        `let ${name} = full([${shape}], ${constantPiece(initial.value).text})`,
        `${name}[${at}] ${sign} ${text.print(v).text} over [${over}]`,
      ];
    return [...lines, `${target} ${sign} ${text.print(v).text} over [${over}]`];
  });
}
