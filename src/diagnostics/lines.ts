/** Lines and columns of a text. Lines end with `\n`, `\r\n` or `\r`. */

/** Both count from 1; columns count UTF-16 units, as editors and `tsc` do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export class Lines {
  readonly source: string;
  readonly #starts: number[] = [0];

  constructor(source: string) {
    this.source = source;
    for (let i = 0; i < source.length; i++) {
      const c = source.charCodeAt(i);
      if (c === 10 || (c === 13 && source.charCodeAt(i + 1) !== 10)) this.#starts.push(i + 1);
    }
  }

  get count(): number {
    return this.#starts.length;
  }

  /** An offset outside the text counts as its nearest end. */
  at(offset: number): Position {
    const at = this.clamp(offset);
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - this.#starts[low]! + 1 };
  }

  /** Offset of the first character of a line. */
  start(line: number): number {
    return this.#starts[line - 1] ?? this.source.length;
  }

  /** The line without its end. */
  text(line: number): string {
    const end = this.#starts[line] ?? this.source.length;
    return this.source.slice(this.start(line), end).replace(/\r?\n$|\r$/, "");
  }

  clamp(offset: number): number {
    if (!(offset > 0)) return 0;
    return Math.min(Math.floor(offset), this.source.length);
  }
}
