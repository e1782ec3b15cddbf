/**
 * Laying out text within a width: groups are printed on one line if they fit, otherwise their lines break (Wadler, "A prettier
 * printer", 2003, in the form of Oppen's and Prettier's: groups outside in, without looking back).
 */

/** `forced`: something inside must break, so the groups around it do. */
export type Doc =
  | string
  | { readonly kind: "cat"; readonly parts: readonly Doc[]; readonly forced: boolean }
  | { readonly kind: "line"; readonly flat: string; readonly forced: boolean }
  | { readonly kind: "group"; readonly doc: Doc; readonly forced: boolean }
  | { readonly kind: "indent"; readonly doc: Doc; readonly forced: boolean }
  /** Printed only where the group around it is broken. */
  | { readonly kind: "broken"; readonly text: string; readonly forced: boolean }
  /** Does not count towards the width; may have several lines, which keep their indentation. */
  | { readonly kind: "comment"; readonly text: string; readonly forced: boolean };

const forced = (d: Doc): boolean => typeof d !== "string" && d.forced;

export const cat = (...parts: readonly Doc[]): Doc => ({ kind: "cat", parts, forced: parts.some(forced) });
export const group = (...parts: readonly Doc[]): Doc => {
  const doc = parts.length === 1 ? parts[0]! : cat(...parts);
  return { kind: "group", doc, forced: forced(doc) };
};
export const indent = (...parts: readonly Doc[]): Doc => {
  const doc = cat(...parts);
  return { kind: "indent", doc, forced: forced(doc) };
};
/** A space, or a new line. */
export const line: Doc = { kind: "line", flat: " ", forced: false };
/** Nothing, or a new line. */
export const softline: Doc = { kind: "line", flat: "", forced: false };
export const hardline: Doc = { kind: "line", flat: "", forced: true };
export const ifBroken = (text: string): Doc => ({ kind: "broken", text, forced: false });
export const comment = (text: string): Doc => ({ kind: "comment", text, forced: text.includes("\n") });

interface Command {
  readonly indent: number;
  readonly flat: boolean;
  readonly doc: Doc;
}

/** Prints without spaces at line ends; `step` columns an indentation. Iterative, so depth costs no stack. */
export function printDoc(doc: Doc, width: number, step = 2): string {
  const out: string[] = [];
  const stack: Command[] = [{ indent: 0, flat: false, doc }];
  let column = 0;
  /** Indentation and spaces that are written once a text follows. */
  let pending = 0;
  const write = (text: string): void => {
    if (text === "") return;
    if (text.trim() === "" && !text.includes("\n")) {
      pending += text.length;
      column += text.length;
      return;
    }
    if (pending > 0) out.push(" ".repeat(pending));
    pending = 0;
    out.push(text);
    column += text.length;
  };
  while (stack.length > 0) {
    const { indent: level, flat, doc: d } = stack.pop()!;
    if (typeof d === "string") {
      const trimmed = d.trimEnd();
      write(trimmed);
      if (trimmed.length < d.length) write(" ".repeat(d.length - trimmed.length));
      continue;
    }
    switch (d.kind) {
      case "cat":
        for (let i = d.parts.length - 1; i >= 0; i--) stack.push({ indent: level, flat, doc: d.parts[i]! });
        break;
      case "indent":
        stack.push({ indent: level + step, flat, doc: d.doc });
        break;
      case "group": {
        const fit = flat || (!d.forced && fits({ indent: level, flat: true, doc: d.doc }, stack, width - column));
        stack.push({ indent: level, flat: fit, doc: d.doc });
        break;
      }
      case "line":
        if (flat && !d.forced) write(d.flat);
        else {
          out.push("\n");
          pending = level;
          column = level;
        }
        break;
      case "broken":
        if (!flat) write(d.text);
        break;
      case "comment":
        write(d.text);
        break;
      default:
        d satisfies never;
    }
  }
  return out.join("");
}

/** Whether the command and what follows it up to the next possible break fit into `room` columns. */
function fits(first: Command, rest: readonly Command[], room: number): boolean {
  const stack: Command[] = [first];
  let next = rest.length - 1;
  while (room >= 0) {
    if (stack.length === 0) {
      if (next < 0) return true;
      stack.push(rest[next--]!);
    }
    const { flat, doc: d, indent: level } = stack.pop()!;
    if (typeof d === "string") {
      room -= d.length;
      continue;
    }
    switch (d.kind) {
      case "cat":
        for (let i = d.parts.length - 1; i >= 0; i--) stack.push({ indent: level, flat, doc: d.parts[i]! });
        break;
      case "indent":
      case "group":
        stack.push({ indent: level, flat, doc: d.doc });
        break;
      case "line":
        if (!flat || d.forced) return true;
        room -= d.flat.length;
        break;
      case "broken":
        if (!flat) room -= d.text.length;
        break;
      case "comment":
        if (d.forced) return true;
        break;
      default:
        d satisfies never;
    }
  }
  return false;
}
