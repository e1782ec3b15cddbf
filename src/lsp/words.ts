/** Short explanations of the language's own words, for hovers and completion. docs/language.md has the long ones. */
import type { DerivativeKind } from "../elaborate/derivatives.ts";

export const KEYWORD_DOCS: ReadonlyMap<string, string> = new Map([
  ["import", 'names from `"std/…"` or a relative file'],
  ["export", "makes the declaration part of the module's interface"],
  ["fn", "declares a function; functions are inlined where they are called"],
  ["let", "names a value; a tensor that is named is computed once"],
  ["const", "a value that is known when the kernel is made"],
  ["for", "`for[i, j] e` makes a tensor with an axis for each index"],
  ["iterate", "a loop with a carry: `iterate 20 from v0 as v { … }`"],
  ["as", "converts the element type: `x as f16`"],
  ["from", "where an import, or a loop's carry, comes from"],
  ["in", "states an index's range: `k in 0..K`"],
  ["until", "ends a loop when a condition holds"],
  ["over", "binds a scatter's own indices"],
  ["div", "integer division, rounded to the floor"],
  ["true", "the constant"],
  ["false", "the constant"],
  ["None", "a new axis in a subscript; no value as an argument"],
  ["inf", "infinity"],
  ["nan", "not a number"],
]);

export const TYPE_DOCS: ReadonlyMap<string, string> = new Map([
  ["f32", "32-bit float"],
  ["f16", "16-bit float; summed in f32"],
  ["i32", "32-bit integer"],
  ["u32", "32-bit integer without a sign"],
  ["bool", "true or false"],
  ["int", "constant: an integer"],
  ["float", "f32 or f16, as the argument is; constant: a number"],
  ["string", "constant: a text"],
  ["ints", "constant: an integer or a list of them"],
  ["fn", "constant: a function"],
]);

export const DERIVATIVE_DOCS: ReadonlyMap<string, { readonly signature: string; readonly doc: string }> = new Map(
  Object.entries({
    grad: {
      signature: "grad(f, wrt?)",
      doc: "the function that gives the gradient of a scalar `f` by `wrt` (the first parameter)",
    },
    value_and_grad: {
      signature: "value_and_grad(f, wrt?)",
      doc: "as `grad`, with the value: `{ value, grad }`, or the parameters' names if there are several",
    },
    vjp: {
      signature: "vjp(f, wrt?)",
      doc: "takes `f`'s arguments and a `cotangent` of its result; gives the cotangents of `wrt`",
    },
    jvp: {
      signature: "jvp(f, wrt?)",
      doc: "takes `f`'s arguments and a `tangent` of `wrt`; gives `{ value, tangent }`",
    },
    jacobian: {
      signature: "jacobian(f, wrt?)",
      doc: "all derivatives of the result by `wrt`, the result's axes first",
    },
    hessian: { signature: "hessian(f, wrt?)", doc: "the second derivatives of a scalar `f` by `wrt`" },
  } satisfies Record<DerivativeKind, { readonly signature: string; readonly doc: string }>),
);
