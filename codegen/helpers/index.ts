/** The library of WGSL helper functions: which a kernel uses is emitted with it, at the widths it uses. */
import type { Lanes } from "../../ir/kernel.ts";
import { BASIC } from "./basic.ts";
import { FLOAT } from "./float.ts";
import { HALF } from "./half.ts";
import { type Helper, PARAMETERS, typesFor } from "./helper.ts";
import { REMAINDER } from "./remainder.ts";

const HELPERS: Readonly<Record<string, Helper>> = { ...BASIC, ...FLOAT, ...HALF, ...REMAINDER };

export class HelperLibrary {
  private readonly texts = new Map<string, string>();
  /** A helper in use gives f16. */
  half = false;

  /** The WGSL name of a helper for vectors of so many lanes; it and what it calls will be emitted. */
  use(name: string, lanes: Lanes): string {
    return this.add(name, lanes);
  }

  private add(name: string, lanes: Lanes): string {
    const h = HELPERS[name];
    if (!h) throw new RangeError(`no helper ${name}`);
    const own = lanes === 1 ? name : `${name}${lanes}`;
    if (this.texts.has(own)) return own;
    this.texts.set(own, "");
    if (h.result === "H") this.half = true;
    const types = typesFor(lanes);
    const letters: Readonly<Record<string, string>> = { F: types.F, U: types.U, I: types.I, B: types.B, H: types.H };
    const type = (t: string): string => letters[t] ?? t;
    const params = h.params.map((t, i) => `${PARAMETERS[i]}: ${type(t)}`).join(", ");
    let body: string;
    if (h.scalar && lanes > 1) {
      const one = this.add(name, 1);
      const parts = ["x", "y", "z", "w"]
        .slice(0, lanes)
        .map((l) => `${one}(${h.params.map((_, i) => `${PARAMETERS[i]}.${l}`).join(", ")})`);
      body = `return ${type(h.result)}(${parts.join(", ")});`;
    } else body = h.body({ ...types, use: (n) => this.add(n, lanes) });
    const lines = body.split("\n").map((l) => `  ${l}`);
    this.texts.set(own, `fn ${own}(${params}) -> ${type(h.result)} {\n${lines.join("\n")}\n}`);
    return own;
  }

  /** The text of every helper in use, callees before callers as far as there is an order. */
  emit(): readonly string[] {
    return [...this.texts.values()].reverse();
  }
}

/** Every name that a helper can have: kernels keep clear of them. */
export const HELPER_NAMES: ReadonlySet<string> = new Set(Object.keys(HELPERS).flatMap((n) => [n, `${n}2`, `${n}4`]));
