/**
 * Regions that are equal but for names share their kernels: the layers of a network, the projections of an attention. A region's form
 * is its text with axes, definitions and nodes numbered as they are met, so two regions of one form compute the same from the
 * definitions that have the same numbers.
 */
import type { Axis, Definition, Monoid, TensorExpr } from "../../ir/tensor.ts";
import type { AppliedKernel, BufferSource, Temporary } from "./applied.ts";
import type { Region } from "./region.ts";

export interface RegionForm {
  readonly text: string;
  /** By number. */
  readonly definitions: readonly Definition[];
}

/** What says nothing of how a region is computed. */
const NAMES: ReadonlySet<string> = new Set(["name", "span", "id", "epoch", "origin"]);

/** With `named`, its names are part of the text: kernels of regions with one text are the same down to the names in them. */
export function regionForm(region: Region, named = false): RegionForm {
  const out: string[] = [];
  const axes = new Map<Axis, number>();
  const definitions = new Map<Definition, number>();
  const nodes = new Map<TensorExpr, number>();
  /** A scan's or a scatter's own definition is what it computes; of others, what they are matters, not how they came about. */
  const own = region.kind === "scan" || region.kind === "scatter" ? region.def : undefined;

  const nameOf = (o: { readonly name: string }): string => (named ? `${o.name} ` : "");
  const record = (o: object): string =>
    Object.entries(o)
      .flatMap(([key, value]) => (NAMES.has(key) || value === undefined ? [] : [`${key}:${go(value)}`]))
      .join(" ");
  const axis = (a: Axis): string => {
    let n = axes.get(a);
    if (n === undefined) {
      n = axes.size;
      axes.set(a, n);
      out.push(`axis ${n} ${nameOf(a)}${a.extent.text}`);
    }
    return `a${n}`;
  };
  const definition = (d: Definition): string => {
    let n = definitions.get(d);
    if (n === undefined) {
      n = definitions.size;
      definitions.set(d, n);
      const below = "below" in d && d.below ? ` below ${d.below.text}` : "";
      const body = d === own ? record(d) : d.axes.map((a) => a.extent.text).join(",");
      // A parameter is a buffer like any other's.
      out.push(`def ${n} ${nameOf(d)}${d === own ? d.kind : "of"} ${d.types.join(",")} [${body}]${below}`);
    }
    return `d${n}`;
  };
  const node = (e: TensorExpr): string => {
    let n = nodes.get(e);
    if (n === undefined) {
      const text = record(e);
      n = nodes.size;
      nodes.set(e, n);
      out.push(`${n} ${text}`);
    }
    return `n${n}`;
  };
  const go = (v: unknown): string => {
    if (typeof v === "number") return Object.is(v, -0) ? "-0" : String(v);
    if (typeof v !== "object" || v === null) return String(v);
    if (Array.isArray(v)) return `(${v.map(go).join(" ")})`;
    if ("combine" in v) return `m${monoidNumber(v as Monoid)}`;
    if (!("kind" in v)) return `{${record(v)}}`;
    switch (v.kind) {
      case "axisOf":
        return axis(v as Axis);
      case "extent":
        return (v as Axis["extent"]).text;
      case "input":
      case "carry":
      case "map":
        return definition(v as Definition);
      case "scan":
      case "scatter":
        // A region of these kinds is a record of its own; only a definition has types.
        return "types" in v ? definition(v as unknown as Definition) : `{${record(v)}}`;
      case "const":
      case "size":
      case "axis":
      case "arg":
      case "apply":
      case "read":
        return node(v as TensorExpr);
      case "reduce":
        // So is a phase of a row; only an expression has a slot.
        return "slot" in v ? node(v as unknown as TensorExpr) : `{${record(v)}}`;
      default:
        return `{${record(v)}}`;
    }
  };
  const whole = `${nameOf(region)}${record(region)}`;
  return { text: `${out.join("\n")}\n${whole}`, definitions: [...definitions.keys()] };
}

const monoids = new WeakMap<Monoid, number>();
let monoidCount = 0;
/** Monoids are one by identity, as everywhere. */
function monoidNumber(m: Monoid): number {
  let n = monoids.get(m);
  if (n === undefined) {
    n = monoidCount++;
    monoids.set(m, n);
  }
  return n;
}

/** The kernels of a region of form `from`, on the definitions of one of form `to`; undefined if they touch something else. */
export function rebind(
  kernels: readonly AppliedKernel[],
  from: RegionForm,
  to: RegionForm,
): readonly AppliedKernel[] | undefined {
  const stands = new Map(from.definitions.map((d, i) => [d, to.definitions[i]]));
  const temporaries = new Map<Temporary, Temporary>();
  let whole = true;
  const source = (s: BufferSource): BufferSource => {
    if (s.kind === "temporary") {
      const made = temporaries.get(s) ?? { ...s };
      temporaries.set(s, made);
      return made;
    }
    const tensor = stands.get(s.ref.tensor);
    if (!tensor) {
      whole = false;
      return s;
    }
    return { kind: "tensor", ref: { tensor, slot: s.ref.slot } };
  };
  const made = kernels.map((k) => ({
    kernel: k.kernel,
    bindings: k.bindings.map(source),
    fills: k.fills.map((f) => ({ target: source(f.target), pattern: f.pattern })),
    copies: k.copies.map((c) => ({ from: source(c.from), to: source(c.to) })),
  }));
  return whole ? made : undefined;
}
