/**
 * Loading the rest of the compiler when it is needed. The compiler is one synchronous, pure computation; where it meets a function that is
 * not there yet, it is given up, the rest is loaded, and it is begun anew. That happens once a page at most.
 */
type Late = (this: unknown, ...args: unknown[]) => unknown;
type Rest = Readonly<Record<string, Late>>;

let loaded: Rest | undefined;
let wanted = false;

/** Ends a computation that needs what is not loaded. */
class NotLoaded extends Error {}

/** The functions of the rest, by keys that the build for pages gives them; it puts calls of them into the places of what it moved. */
export const late: Rest = new Proxy<Record<string, Late>>(
  {},
  {
    get: (known, key: string) => {
      known[key] ??= function (this: unknown, ...args) {
        if (loaded) return loaded[key]?.apply(this, args);
        wanted = true;
        throw new NotLoaded("the rest of the compiler is not loaded");
      };
      return known[key];
    },
  },
);

/** Loads the rest of the compiler; a page that will need it may call this early. Rejects as `import` does. */
export async function preload(): Promise<void> {
  loaded ??= (await import("./rest.ts")).default;
}

/** What the computation gives, once all that it needs is loaded. Rejects with what it throws, and as `import` does. */
export async function whenLoaded<R>(run: () => R): Promise<R> {
  wanted = false;
  try {
    const value = run();
    // Whoever caught the error may have gone on with something else.
    if (!needed()) return value;
  } catch (error) {
    if (!needed()) throw error;
  }
  await preload();
  return run();
}

function needed(): boolean {
  return wanted;
}
