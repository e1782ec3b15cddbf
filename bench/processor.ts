/** How long a process and those that it started have kept processors busy, as Linux tells. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

export const CAN_TELL: boolean = existsSync("/proc/self/schedstat");

/** Milliseconds of all threads that there are. */
export function processorTime(pid: number): number {
  const family = new Set([pid]);
  // By number, which is by age but for those that came after the last number was given: parents come first.
  for (const [child, parent] of parents()) if (family.has(parent)) family.add(child);
  let sum = 0;
  // Nanoseconds that it ran, that it waited, and how often it ran.
  for (const member of family)
    for (const thread of listed(`/proc/${member}/task`))
      sum += Number(text(`/proc/${member}/task/${thread}/schedstat`).split(" ")[0]) / 1e6;
  return sum;
}

function parents(): readonly (readonly [number, number])[] {
  const all = listed("/proc").map(Number).filter(Boolean);
  return all
    .sort((a, b) => a - b)
    .map((pid) => {
      // After the name, which is in brackets and may hold anything: the state, then the parent.
      const [, parent] = text(`/proc/${pid}/stat`)
        .replace(/^.*\) /s, "")
        .split(" ");
      return [pid, Number(parent)];
    });
}

// Threads and processes may end while they are looked at.
function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
