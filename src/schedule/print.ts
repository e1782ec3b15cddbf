/** Fused programs as text: each region with what it stores, what stays on chip, and its definitions. */
import { printExpr } from "../../ir/print-tensor.ts";
import type { Axis, Definition, TensorExpr, TensorRef } from "../../ir/tensor.ts";
import { type FusedProgram, type Region, statesOf } from "./region.ts";

const axesText = (axes: readonly Axis[]): string => axes.map((a) => `${a.name}:${a.extent.text}`).join(", ");
const refText = (r: TensorRef): string => (r.tensor.types.length > 1 ? `${r.tensor.name}.${r.slot}` : r.tensor.name);
const defText = (d: Definition, results: readonly TensorExpr[]): string =>
  `  ${d.name}[${axesText(d.axes)}] = ${results.map(printExpr).join(", ")}`;

function bodyOf(r: Region): string[] {
  switch (r.kind) {
    case "elementwise":
      return r.maps.map((m) => defText(m.def, m.results));
    case "row":
      return r.phases.map((p) => (p.kind === "reduce" ? defText(p.def, p.def.results) : defText(p.def, p.results)));
    case "contraction":
      return [
        `  // batch(${axesText(r.batch)}) m(${axesText(r.m)}) n(${axesText(r.n)}) k(${axesText(r.k)})`,
        `  // a = ${printExpr(r.a)}`,
        ...(r.b ? [`  // b = ${printExpr(r.b)}`] : []),
        defText(r.def, r.def.results),
        ...r.epilogue.map((m) => defText(m.def, m.results)),
      ];
    case "online":
      return [
        `  // batch(${axesText(r.batch)}) m(${axesText(r.m)}) n(${axesText(r.n)}) k(${axesText(r.k)})`,
        ...r.scores.map((s) => `  tile ${s.def.name}[${s.point.map(printExpr).join(", ")}] = ${printExpr(s.reduce)}`),
        ...statesOf(r).map(
          (s) => `  state ${s.def.name}[${s.point.map(printExpr).join(", ")}] = ${printExpr(s.reduce)}`,
        ),
        `  state ${r.def.name}[${axesText(r.def.axes)}] = ${printExpr(r.reduce)}`,
        ...r.epilogue.map((m) => defText(m.def, m.results)),
      ];
    case "scan":
      return [
        `  ${r.def.name}[${axesText(r.def.axes)}] = scan ${r.def.monoid.name} along ${r.def.along.name} ${r.def.values.map(printExpr).join(", ")}`,
        ...r.epilogue.map((m) => defText(m.def, m.results)),
      ];
    case "scatter": {
      const name = r.def.monoid === "set" ? "set" : r.def.monoid.name;
      return [
        `  ${r.def.name}[${axesText(r.def.axes)}] = scatter ${name}(${axesText(r.def.domain)}) at [${r.def.at.map(printExpr).join(", ")}] ${r.def.values.map(printExpr).join(", ")}`,
      ];
    }
  }
}

/** One region: `region softmax row P(n:N) reads x stores y { … }`. */
export function printRegion(r: Region): string {
  const point = r.kind === "elementwise" || r.kind === "row" ? ` P(${axesText(r.axes)})` : "";
  const reads = r.reads.map(refText).join(", ") || "nothing";
  return `region ${r.name} ${r.kind}${point} reads ${reads} stores ${r.stores.map(refText).join(", ")}\n${bodyOf(r).join("\n")}`;
}

export function printFused(f: FusedProgram): string {
  return f.regions.map(printRegion).join("\n\n");
}
