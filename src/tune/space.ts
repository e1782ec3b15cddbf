/**
 * Which schedules of a region are tried next: the model's order, random ones of the same list, and neighbours of the best so far, in turn. Each legal
 * schedule comes once.
 */
import { choose, considered, isLegal, scheduleText } from "../schedule/choose.ts";
import { contractionPrice } from "../schedule/choose-contraction.ts";
import type { Region } from "../schedule/region.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { type Target, unmeasured } from "../schedule/target.ts";
import { neighbours } from "./mutate.ts";

/** Neighbours of the best that are looked at before another way of finding schedules has its turn. */
const FROM_BEST = 2;

/** Software adapters run an invocation after the other: workgroup memory and barriers only cost there, and take long to compile. */
function worthwhile(s: Schedule, target: Target): boolean {
  if (target.kind !== "software") return true;
  return s.kind === "contraction" ? s.stage === "none" : s.kind !== "online" || s.share === "subgroup";
}

export class Space {
  readonly #region: Region;
  readonly #target: Target;
  readonly #list: readonly Schedule[];
  readonly #seen = new Set<string>();
  /** Neighbours of the best, of the second best, …, not looked at yet. */
  #near: Schedule[] = [];
  #nearOf = "";
  #at = 0;
  #turn = 0;
  #random: number;

  constructor(region: Region, target: Target, seed: number) {
    this.#region = region;
    this.#target = target;
    this.#list = considered(region, target);
    this.#random = seed >>> 0;
  }

  /** The default schedule, which is that of the tabulated costs. Throws ScheduleError if the region has none. */
  first(): Schedule {
    const s = choose(this.#region, unmeasured(this.#target));
    this.#seen.add(scheduleText(s));
    return s;
  }

  /** A legal schedule that has not come yet, given the best so far, best first; undefined when there are no more. */
  next(best: readonly Schedule[]): Schedule | undefined {
    const ways = [
      () => this.#byModel(),
      ...Array.from({ length: FROM_BEST }, () => () => this.#byBest(best)),
      () => this.#byChance(),
    ];
    for (let i = 0; i < ways.length; i++) {
      const way = ways[this.#turn++ % ways.length]!;
      const found = way();
      if (found) return found;
    }
    return undefined;
  }

  /** A schedule of one's own, if it is legal and has not come yet. */
  take(s: Schedule): boolean {
    const text = scheduleText(s);
    if (this.#seen.has(text)) return false;
    this.#seen.add(text);
    return isLegal(this.#region, s, this.#target);
  }

  #byModel(): Schedule | undefined {
    while (this.#at < this.#list.length) {
      const s = this.#list[this.#at++]!;
      if (this.take(s)) return s;
    }
    return undefined;
  }

  /** A few draws: those that have come already do not count. */
  #byChance(): Schedule | undefined {
    for (let i = 0; i < 8 && this.#list.length > 0; i++) {
      const s = this.#list[this.#draw(this.#list.length)]!;
      if (this.take(s)) return s;
    }
    return this.#byModel();
  }

  #byBest(best: readonly Schedule[]): Schedule | undefined {
    const key = best.map(scheduleText).join("\n");
    if (key !== this.#nearOf) {
      this.#nearOf = key;
      this.#near = best.flatMap((s) => this.#ordered(this.#shuffled(neighbours(s))));
    }
    for (;;) {
      const s = this.#near.shift();
      if (!s) return undefined;
      if (this.take(s)) return s;
    }
  }

  /** By the model's price where it has one. */
  #ordered(list: readonly Schedule[]): readonly Schedule[] {
    const price = (s: Schedule): number =>
      s.kind === "contraction" && this.#region.kind === "contraction"
        ? (contractionPrice(this.#region, s, this.#target) ?? 0)
        : 0;
    return list
      .filter((s) => worthwhile(s, this.#target))
      .map((s) => ({ s, price: price(s) }))
      .sort((x, y) => x.price - y.price)
      .map(({ s }) => s);
  }

  #shuffled(list: readonly Schedule[]): Schedule[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.#draw(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }

  #draw(n: number): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * n);
  }
}
