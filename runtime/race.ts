/**
 * Kernels timed beside each other, for the tuner and for benchmarks: rounds of A B C, so that whatever slows the machine for a while slows
 * all of them.
 */
import type { Command } from "./commands.ts";
import type { Context } from "./context.ts";
import { hostTime, StampClock } from "./time.ts";

/** The commands of one entrant; `inner` times in one pass, for kernels that are shorter than what the clock resolves. */
export interface Entrant {
  readonly commands: readonly Command[];
  readonly inner: number;
}

export interface RaceTimes {
  readonly source: "timestamps" | "clock";
  /** Nanoseconds of one run of each entrant's commands, one for each round. */
  readonly ns: readonly (readonly number[])[];
}

/** Entrants that share a submit: more would let other programs on the device wait for long. */
const TOGETHER = 16;

/** `now` is a clock of the caller's, in nanoseconds, that is read around a submit each; without it the device's timestamps where it has them. */
export async function race(
  context: Context,
  label: string,
  entrants: readonly Entrant[],
  rounds: number,
  now?: () => number,
): Promise<RaceTimes> {
  const ns = entrants.map((): number[] => []);
  const stamps =
    !now && context.info.features.includes("timestamp-query") && entrants.every((e) => e.commands.length > 0);
  const clock = stamps ? new StampClock(context, label, Math.min(TOGETHER, entrants.length)) : undefined;
  try {
    for (let round = 0; round < rounds; round++)
      for (let from = 0; from < entrants.length; from += TOGETHER) {
        const some = entrants.slice(from, from + TOGETHER);
        const times = clock ? await clock.measure(some.map(repeated)) : await oneByOne(context, label, some, now);
        times.forEach((t, i) => {
          ns[from + i]!.push(t / some[i]!.inner);
        });
      }
  } finally {
    clock?.destroy();
  }
  return { source: clock ? "timestamps" : "clock", ns };
}

function repeated(e: Entrant): readonly Command[] {
  return e.inner === 1 ? e.commands : Array.from({ length: e.inner }, () => e.commands).flat();
}

async function oneByOne(
  context: Context,
  label: string,
  entrants: readonly Entrant[],
  now: (() => number) | undefined,
): Promise<number[]> {
  const times: number[] = [];
  for (const e of entrants) times.push(await hostTime(context, label, repeated(e), now));
  return times;
}
