/** The benchmark in a page: built, served, and opened in a headless Chromium out of an npm package. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Plugin } from "vite";
import { findArchive } from "../runtime/software.ts";
import { launchBrowser } from "../test/browser/chromium.ts";
import type { Outcome } from "./page/contract.ts";
import { isInstalled, PACKAGES } from "./peers/node.ts";
import { CAN_TELL, processorTime } from "./processor.ts";
import type { Conditions, Run, RunOptions } from "./run.ts";

export interface BrowserOptions extends RunOptions {
  readonly against: readonly (keyof typeof PACKAGES)[];
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** What a page is made of; all the peers can be in it, whichever are asked for. */
const NEEDED: readonly string[] = ["vite", "@tensorflow/tfjs-core", ...Object.values(PACKAGES)];

/** What is not installed, with the command that installs it; undefined if everything is there. */
export function missing(isThere: (name: string) => boolean = isInstalled): string | undefined {
  const absent = NEEDED.filter((name) => !isThere(name));
  if (!findArchive(import.meta.url)) absent.push("@sparticuz/chromium");
  return absent.length > 0 ? `not installed: ${absent.join(", ")}. npm i -D ${absent.join(" ")}` : undefined;
}

/** Answers a page that asks how long the browser has kept processors busy. */
function processorClock(pid: number): Plugin {
  return {
    name: "processor-clock",
    configurePreviewServer: ({ middlewares }) => {
      middlewares.use("/processor-time", (_, response) => response.end(String(processorTime(pid))));
    },
  };
}

/** Everything is in a temporary folder, which `close` removes. Throws if Chromium does not have the adapter or the clock. */
export async function openInBrowser(o: BrowserOptions): Promise<Run> {
  if (o.source === "cpu" && !CAN_TELL) throw new Error("only Linux tells how long a browser keeps processors busy");
  const { build, preview } = await import("vite");
  const { default: config } = await import("./page/vite.config.ts");
  const folder = mkdtempSync(join(tmpdir(), "fusum-bench-"));
  const settings = {
    ...config,
    configFile: false,
    logLevel: "error",
    cacheDir: join(folder, "cache"),
    build: { ...config.build, outDir: join(folder, "page"), emptyOutDir: true },
    preview: { ...config.preview, port: 0, host: "localhost" },
  } as const;
  const open: { close(): Promise<unknown> }[] = [];
  const close = async (): Promise<void> => {
    for (const signal of SIGNALS) process.off(signal, stop);
    for (const part of open.reverse()) await part.close();
    rmSync(folder, { recursive: true, force: true });
  };
  // A browser would outlive this process.
  const stop = (): void => void close().finally(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    await build(settings);
    const browser = await launchBrowser({ adapter: o.adapter === "software" ? "software" : "system" });
    open.push(browser);
    const server = await preview({ ...settings, plugins: [processorClock(browser.pid)] });
    open.push(server);
    const query = new URLSearchParams({
      against: o.against.join(","),
      rounds: String(o.rounds),
      clock: o.source,
      ...(o.only ? { only: o.only } : {}),
    });
    const page = await browser.open(`${server.resolvedUrls!.local[0]!}?${query}`);
    const conditions = (await page.run("return await fusumBench.conditions;")) as Conditions;
    const { name, kind } = conditions.adapter;
    if (o.adapter === "gpu" && kind !== "gpu") throw new Error(`Chromium finds no GPU, only ${name}`);
    return {
      conditions,
      row: async (at) => {
        const outcome = (await page.run(`return await fusumBench.row(${at});`)) as Outcome;
        if ("error" in outcome) throw new Error(outcome.error);
        return outcome.result;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
