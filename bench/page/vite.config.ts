/** How the page is served and built: the peers' versions are in it, and its clock is as fine as browsers have it. */
import type { UserConfig } from "vite";
import { PACKAGES, versionOf } from "../peers/node.ts";

const versions = Object.fromEntries(Object.entries(PACKAGES).map(([name, p]) => [name, versionOf(p)]));
/** An isolated page's clock has steps of 5 µs instead of 100. */
const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const config: UserConfig = {
  root: import.meta.dirname,
  define: { PEER_VERSIONS: JSON.stringify(versions) },
  server: { headers },
  preview: { headers },
  build: { target: "esnext", chunkSizeWarningLimit: 4096 },
};
export default config;
