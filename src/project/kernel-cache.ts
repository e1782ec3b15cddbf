/**
 * Kernels of regions that a build has made before, for other sources with equal regions (what a library's functions share) and for the
 * same source after an edit elsewhere in it. A region is known by its form with its names, so that what is kept is what would be made.
 */
import type { Kernel } from "../../ir/kernel.ts";
import { type Definition, input } from "../../ir/tensor.ts";
import type { KernelMemo, Scheduled } from "../compile.ts";
import type { EmittedBodies } from "../emit.ts";
import { originsOf } from "../schedule/apply/builder.ts";
import { scheduleText } from "../schedule/choose.ts";
import type { Region } from "../schedule/region.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { type RegionForm, rebind, regionForm } from "../schedule/share.ts";
import type { Target } from "../schedule/target.ts";

interface Kept extends Scheduled {
  readonly form: RegionForm;
}

/** Regions kept for a target: those used last. */
const MOST = 500;

export class KernelCache implements KernelMemo {
  readonly #kept = new WeakMap<Target, Map<string, Kept>>();
  readonly #emitted = new WeakMap<Target, EmittedBodies>();

  scheduled(region: Region, target: Target, asked: Schedule | undefined, make: () => Scheduled): Scheduled {
    const kept = this.#of(target);
    const form = regionForm(region, true);
    const key = `${asked ? scheduleText(asked) : ""}\n${form.text}`;
    const old = kept.get(key);
    const again = old && rebind(old.kernels, old.form, form);
    if (again) {
      kept.delete(key);
      kept.set(key, old);
      const origin = originsOf(region);
      const at = (k: Kernel): Kernel => (k.origin.length > 0 ? { ...k, origin } : k);
      return { schedule: old.schedule, kernels: again.map((k) => ({ ...k, kernel: at(k.kernel) })) };
    }
    const made = make();
    const own = { text: form.text, definitions: form.definitions.map(standIn) };
    const kernels = rebind(made.kernels, form, own);
    if (kernels) kept.set(key, { schedule: made.schedule, kernels, form: own });
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST) break;
      kept.delete(oldest);
    }
    return made;
  }

  emitted(target: Target): EmittedBodies {
    const old = this.#emitted.get(target);
    if (old) return old;
    const made: EmittedBodies = new WeakMap();
    this.#emitted.set(target, made);
    return made;
  }

  #of(target: Target): Map<string, Kept> {
    const old = this.#kept.get(target);
    if (old) return old;
    const made = new Map<string, Kept>();
    this.#kept.set(target, made);
    return made;
  }
}

/** Keeps no program alive. */
function standIn(d: Definition): Definition {
  return { ...input(d.name, "f32", []), types: d.types };
}
