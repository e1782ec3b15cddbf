/** The peers that run in Node. */
import { readFileSync } from "node:fs";
import { findPackageJSON, registerHooks } from "node:module";
import type { Wait } from "../../runtime/context.ts";
import type { Peer } from "./peer.ts";

/** The packages of all peers, those that run in a browser only too. */
export const PACKAGES = {
  jax: "@jax-js/jax",
  tfjs: "@tensorflow/tfjs-backend-webgpu",
  ort: "onnxruntime-web",
} as const;

export const NODE_PEERS: Readonly<Record<"jax" | "tfjs", (wait: Wait) => Promise<Peer>>> = {
  jax: async (wait) => (await import("./jax.ts")).openJax(wait, versionOf(PACKAGES.jax)),
  tfjs: async (wait) => (await import("./tfjs.ts")).openTfjs(wait, versionOf(PACKAGES.tfjs), registerGradients),
};

export function isInstalled(name: string): boolean {
  return packageFile(name) !== undefined;
}

/** A package's version, "?" if it is not installed. */
export function versionOf(name: string): string {
  const file = packageFile(name);
  return file ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : "?";
}

/** Its package.json, which its own `exports` may hide. */
function packageFile(name: string): string | undefined {
  try {
    return findPackageJSON(name, import.meta.url);
  } catch {
    return undefined;
  }
}

/** The imports of TensorFlow.js's module name files without the extension, which Node does not look for. */
async function registerGradients(): Promise<void> {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier.startsWith(".") && !specifier.endsWith(".js") && context.parentURL?.includes("/tfjs-core/dist/")
        ? next(`${specifier}.js`, context)
        : next(specifier, context),
  });
  // Not a literal: the package has no types for it.
  const registration: string = "@tensorflow/tfjs-core/dist/register_all_gradients.js";
  await import(registration);
  hooks.deregister();
}
