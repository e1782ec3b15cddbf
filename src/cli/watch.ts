/** `fusum build --watch`: screen and messages as of `tsc --watch`. */
import type { Project } from "../project/project.ts";
import { watchProject } from "../project/watch.ts";
import { VERSION } from "../version.ts";
import { type GlobalOptions, reportFailure } from "./context.ts";
import { errorsOf, type Progress, printFindings, progress, reportJson } from "./report.ts";

export interface WatchOptions extends GlobalOptions {
  readonly preserveWatchOutput?: boolean;
}

/** Until the process is interrupted. */
export async function watch(open: () => Promise<Project>, o: WatchOptions, workers?: number): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const bar: Progress = await progress(o);
  const say = (text: string): void => {
    if (!o.json) process.stdout.write(`[${new Date().toLocaleTimeString()}] ${text}\n\n`);
  };
  await watchProject(
    open,
    VERSION,
    {
      workers,
      onProgress: bar.update,
      onStart: (changes) => {
        if (!o.json && !o.preserveWatchOutput && process.stdout.isTTY) process.stdout.write("\x1b[2J\x1b[3J\x1b[H");
        say(
          changes
            ? "File change detected. Starting incremental compilation..."
            : "Starting compilation in watch mode...",
        );
      },
      onReport: (report, project, milliseconds) => {
        bar.stop();
        if (o.json) {
          const text = JSON.stringify({ ...reportJson(report, project), milliseconds: Math.round(milliseconds) });
          process.stdout.write(`${text}\n`);
          return;
        }
        printFindings(report, project, o);
        const errors = errorsOf(report);
        say(`Found ${errors} ${errors === 1 ? "error" : "errors"}. Watching for file changes.`);
      },
      onError: (error) => {
        bar.stop();
        reportFailure(error, o);
        say("Watching for file changes.");
      },
    },
    stop.signal,
  );
}
