/**
 * Loading the rest of the compiler when it is needed. The compiler is one synchronous, pure computation; where it meets a function that is
 * not there yet, it is given up, the rest is loaded, and it is begun anew. That happens once a page at most.
 */
type Rest = readonly ((...args: readonly unknown[]) => unknown)[];

let loaded: Rest | undefined;
let wanted = false;

/** Ends a computation that needs what is not loaded. */
class NotLoaded extends Error {}

/** The build for pages puts calls of this into the places of functions that it moved. */
export function callOfRest(index: number, args: ArrayLike<unknown>, self?: unknown): unknown {
  if (!loaded) {
    wanted = true;
    throw new NotLoaded("the rest of the compiler is not loaded");
  }
  return loaded[index]?.apply(self, Array.from(args));
}

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
