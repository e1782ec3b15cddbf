import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Processes, not threads: a software adapter is found through the environment of a process, and a crash of one is seen.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A test that takes this long is worth a look.
    slowTestThreshold: 1000,
  },
});
export default config;
