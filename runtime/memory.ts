/** Recipes of one kernel with the device memory that they keep, by the sizes they were made for. */
import { type Binding, bindCommands, type Command, type Pipelines } from "./commands.ts";
import type { Context } from "./context.ts";
import type { Plan } from "./plan.ts";
import { makeRecipe, type Recipe } from "./recipe.ts";
import type { Sizes } from "./size.ts";
import { BUFFER_USAGE, STORAGE_USAGE } from "./webgpu.ts";

const KEPT_RECIPES = 16;
const KEPT_BINDINGS = 4;

const bufferIds = new WeakMap<GPUBuffer, number>();
let nextBufferId = 1;
function bufferId(buffer: GPUBuffer): number {
  let id = bufferIds.get(buffer);
  if (id === undefined) {
    id = nextBufferId++;
    bufferIds.set(buffer, id);
  }
  return id;
}

/** A recipe, its uniform buffer, and its bind groups for the buffers that it was last used with. */
export class Prepared {
  readonly recipe: Recipe;
  readonly uniforms: GPUBuffer | undefined;
  readonly #context: Context;
  readonly #pipelines: Pipelines;
  readonly #bound: Map<string, readonly Command[]> = new Map();
  #temporaries: readonly GPUBuffer[] | undefined;

  constructor(context: Context, pipelines: Pipelines, recipe: Recipe, label: string) {
    this.recipe = recipe;
    this.#context = context;
    this.#pipelines = pipelines;
    if (recipe.uniforms.byteLength > 0) {
      this.uniforms = context.gpu.createBuffer({
        label: `${label} sizes`,
        size: recipe.uniforms.byteLength,
        usage: BUFFER_USAGE.UNIFORM | BUFFER_USAGE.COPY_DST,
      });
      context.gpu.queue.writeBuffer(this.uniforms, 0, recipe.uniforms);
    }
  }

  /** Memory for temporaries that stays with the recipe: commands that the caller submits later may use it. */
  temporaries(label: string): readonly GPUBuffer[] {
    this.#temporaries ??= this.recipe.slots.map((size, i) =>
      this.#context.gpu.createBuffer({ label: `${label} temporary ${i}`, size, usage: STORAGE_USAGE }),
    );
    return this.#temporaries;
  }

  /** The recipe's steps, and the copies of its aliases where memory is bound for them, on these bindings. */
  commands(bindings: readonly (Binding | undefined)[]): readonly Command[] {
    const key = bindings.map((b) => (b ? `${bufferId(b.buffer)}+${b.offset}+${b.size}` : "")).join(" ");
    let commands = this.#bound.get(key);
    if (!commands) {
      const { recipe } = this;
      const copies = recipe.aliases.map((a) => a.copy).filter((c) => c.bytes > 0 && bindings[c.to] !== undefined);
      commands = bindCommands(this.#context, [...recipe.steps, ...copies], this.#pipelines, bindings, this.uniforms);
      if (this.#bound.size >= KEPT_BINDINGS) this.#bound.delete(this.#bound.keys().next().value!);
      this.#bound.set(key, commands);
    }
    return commands;
  }

  /** Forgets the bind groups, so that the buffers in them can be freed. */
  forgetBindings(): void {
    this.#bound.clear();
  }

  destroy(): void {
    this.uniforms?.destroy();
    for (const buffer of this.#temporaries ?? []) buffer.destroy();
    this.#bound.clear();
  }

  /** Whether commands may exist that are not submitted yet and use its memory. */
  get isEncoded(): boolean {
    return this.#temporaries !== undefined;
  }
}

/** The recipes made last, by sizes. */
export class PreparedCache {
  readonly #context: Context;
  readonly #plan: Plan;
  readonly #pipelines: Pipelines;
  readonly #prepared: Map<string, Prepared> = new Map();

  constructor(context: Context, plan: Plan, pipelines: Pipelines) {
    this.#context = context;
    this.#plan = plan;
    this.#pipelines = pipelines;
  }

  get(sizes: Sizes): Prepared {
    const key = [...sizes.values()].join(" ");
    let prepared = this.#prepared.get(key);
    if (prepared) {
      this.#prepared.delete(key);
    } else {
      const recipe = makeRecipe(this.#plan, sizes, this.#context.info.limits);
      prepared = new Prepared(this.#context, this.#pipelines, recipe, this.#plan.name);
      if (this.#prepared.size >= KEPT_RECIPES) this.#evict();
    }
    this.#prepared.set(key, prepared);
    return prepared;
  }

  #evict(): void {
    const [key, oldest] = this.#prepared.entries().next().value!;
    this.#prepared.delete(key);
    // What the caller encoded and has not submitted yet still needs the memory: the collector frees it then.
    if (!oldest.isEncoded) oldest.destroy();
  }

  destroy(): void {
    for (const prepared of this.#prepared.values()) prepared.destroy();
    this.#prepared.clear();
  }
}
