/** Determinants, inverses and systems of equations, batch axes broadcast as PyTorch does. */
import type { Arg, Bound } from "./call.ts";
import { sameShape, UnsupportedCall } from "./call.ts";
import type { RuleTable } from "./rules.ts";

const SLOGDET = (a: Bound): string => `let r = slogdet(${a["input"]})\n  { y0: r.sign, y1: r.logabsdet }`;
const CHOLESKY = (a: Bound): string => {
  const text = `cholesky(${a["input"]})`;
  return a["upper"]!.boolean() ? `swapaxes(${text}, -1, -2)` : text;
};

/** b is a vector a batch where it has an axis less than a and otherwise its extents; and where it is alone. */
function isVector(a: Arg, b: Arg): boolean {
  return b.rank === 1 || (b.rank === a.rank - 1 && b.shape.every((n, i) => n === a.shape[i]));
}

function solve(a: Bound): string {
  const [m, b] = [a["input"]!, a["other"]!];
  if (!a["left"]!.boolean(true)) throw new UnsupportedCall("equations from the right");
  if (m.rank === 2 && b.rank <= 2) return `solve(${m}, ${b})`;
  if (isVector(m, b)) return `solve(${m}, expand_dims(${b}, -1))[..., 0]`;
  return `solve(${sameShape(m, b, 2)})`;
}

/** Equations a x = b, or x a = b as aᵀ xᵀ = bᵀ. */
function triangular(a: Arg, b: Arg, upper: boolean, left: boolean, unit: boolean): string {
  const [first, second] = sameShape(a, b, 2).split(/, (?=broadcast_to|t\d)/) as [string, string];
  const flags = (up: boolean): string => `upper: ${up}, unit_diagonal: ${unit}`;
  if (left) return `solve_triangular(${first}, ${second}, ${flags(upper)})`;
  return `swapaxes(solve_triangular(swapaxes(${first}, -1, -2), swapaxes(${second}, -1, -2), ${flags(!upper)}), -1, -2)`;
}

export const SOLVE: RuleTable = {
  det: ["det(input)", "det($input)"],
  "linalg.det": ["det(input)", "det($input)"],
  logdet: ["logdet(input)", "log(det($input))"],
  slogdet: ["slogdet(input)", SLOGDET],
  "linalg.slogdet": ["slogdet(input)", SLOGDET],
  inverse: ["inverse(input)", "inverse($input)"],
  "linalg.inv": ["inv(input)", "inverse($input)"],
  cholesky: ["cholesky(input, upper=False)", CHOLESKY],
  "linalg.cholesky": ["cholesky(input, *, upper=False)", CHOLESKY],
  cholesky_solve: [
    "cholesky_solve(input, other, upper=False)",
    (a) => {
      const [b, l] = [a["input"]!, a["other"]!];
      const [first, second] = sameShape(l, b, 2).split(/, (?=broadcast_to|t\d)/) as [string, string];
      const upper = a["upper"]!.boolean();
      const [low, high] = upper ? [`swapaxes(${first}, -1, -2)`, first] : [first, `swapaxes(${first}, -1, -2)`];
      return `solve_triangular(${high}, solve_triangular(${low}, ${second}), upper: true)`;
    },
  ],
  "linalg.solve": ["solve(input, other, *, left=True)", solve],
  "linalg.solve_triangular": [
    "solve_triangular(input, other, *, upper, left=True, unitriangular=False)",
    (a) =>
      triangular(
        a["input"]!,
        a["other"]!,
        a["upper"]!.boolean(),
        a["left"]!.boolean(true),
        a["unitriangular"]!.boolean(),
      ),
  ],
  triangular_solve: [
    "triangular_solve(input, other, upper=True, transpose=False, unitriangular=False)",
    (a) => {
      const [b, m] = [a["input"]!, a["other"]!];
      const upper = a["upper"]!.boolean(true);
      const unit = a["unitriangular"]!.boolean();
      const [first, second] = sameShape(m, b, 2).split(/, (?=broadcast_to|t\d)/) as [string, string];
      const text = a["transpose"]!.boolean()
        ? `solve_triangular(swapaxes(${first}, -1, -2), ${second}, upper: ${!upper}, unit_diagonal: ${unit})`
        : `solve_triangular(${first}, ${second}, upper: ${upper}, unit_diagonal: ${unit})`;
      return `{ y0: ${text}, y1: ${first} * 1 }`;
    },
  ],
};
