/** "Did you mean": the nearest known word, if it is near enough to be a slip of the finger. */

/** Longer words are not compared; nobody mistypes them by two letters. */
const MAX_LENGTH = 64;

/**
 * The candidate with the smallest edit distance (insertions, deletions, substitutions and swaps of neighbours count 1, a change
 * of case a half), if it is at most a third of the word's length; the first of several. Undefined if none is near.
 */
export function suggest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length === 0 || name.length > MAX_LENGTH) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 0.25;
  for (const candidate of candidates) {
    if (candidate === name || candidate.length > MAX_LENGTH || Math.abs(candidate.length - name.length) > bestDistance)
      continue;
    const d = distance(name, candidate);
    // Of a word of one or two letters, something must be left.
    if (d < bestDistance && d < Math.max(name.length, candidate.length)) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** Optimal string alignment distance. */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let row: number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next: number[] = [i];
    for (let j = 1; j <= b.length; j++) {
      const x = a[i - 1]!;
      const y = b[j - 1]!;
      const cost = x === y ? 0 : x.toLowerCase() === y.toLowerCase() ? 0.5 : 1;
      let value = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + cost);
      if (i > 1 && j > 1 && x === b[j - 2] && a[i - 2] === y) value = Math.min(value, before[j - 2]! + 1);
      next.push(value);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
