/** `fusum build`: compiles a project, or files that are named, once or whenever they change. */
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { buildProject, openBuild } from "../project/build.ts";
import { readConfig } from "../project/config.ts";
import { CONFIG_NAME, configAt, findConfig } from "../project/find.ts";
import { hasErrors } from "../project/findings.ts";
import { type Overrides, type Project, projectOf, projectOfFiles, wasValid } from "../project/project.ts";
import { VERSION } from "../version.ts";
import {
  type BindingOptions,
  CliError,
  constsOf,
  EXIT,
  extentsOf,
  findSources,
  shownPath,
  usageError,
} from "./context.ts";
import type { Stage } from "./listing.ts";
import { printReport, progress } from "./report.ts";

export interface BuildOptions extends BindingOptions {
  readonly project?: string;
  readonly init?: boolean;
  readonly watch?: boolean;
  readonly preserveWatchOutput?: boolean;
  readonly outDir?: string;
  readonly noEmit?: boolean;
  readonly incremental?: boolean;
  readonly sourceMap?: boolean;
  readonly threads?: string;
  readonly function: readonly string[];
  readonly emit?: Stage | "module" | "plans";
  readonly printAfter?: string;
  readonly timePasses?: boolean;
  readonly repeat?: string;
}

export async function build(files: readonly string[], o: BuildOptions): Promise<void> {
  if (o.init) return await init(o.project ?? ".");
  if (files.length > 0 && o.project !== undefined) throw usageError("--project and files exclude each other");
  const stage = o.emit === "module" || o.emit === "plans" ? undefined : o.emit;
  if (stage !== undefined || o.printAfter !== undefined || o.timePasses) {
    if (o.repeat !== undefined && !o.timePasses) throw usageError("--repeat goes with --time-passes");
    const { list } = await import("./listing.ts");
    return await list(files.length > 0 ? findSources(files) : await projectFiles(o), { ...o, stage });
  }
  if (o.repeat !== undefined) throw usageError("--repeat goes with --time-passes");
  if (o.function.length > 0) throw usageError("--function goes with --emit STAGE, --print-after or --time-passes");
  const open = (): Promise<Project> => openProject(files, o);
  if (o.watch) return await (await import("./watch.ts")).watch(open, o, threadsOf(o));
  const project = await open();
  const bar = await progress(o);
  const hooks = { onProgress: bar.update, workers: threadsOf(o) };
  const report = await buildProject(openBuild(project, VERSION), hooks).finally(bar.stop);
  printReport(report, project, o);
  if (hasErrors(report.diagnostics)) throw new CliError(EXIT.diagnostics, "", true);
}

/** Threads beside the main one, if the command line says how many. */
function threadsOf(o: BuildOptions): number | undefined {
  if (o.threads === undefined) return undefined;
  if (!/^[1-9]\d{0,2}$/.test(o.threads)) throw usageError(`--threads must be a number from 1, not ${o.threads}`);
  return Number(o.threads) - 1;
}

function overridesOf(o: BuildOptions): Overrides {
  return {
    outDir: o.outDir,
    noEmit: o.noEmit,
    incremental: o.incremental,
    strict: o.strict,
    fastMath: o.fastMath,
    sourceMap: o.sourceMap,
    emit: o.emit === "module" || o.emit === "plans" ? [o.emit] : undefined,
    extents: extentsOf(o),
    consts: constsOf(o),
  };
}

async function openProject(files: readonly string[], o: BuildOptions): Promise<Project> {
  const overrides = overridesOf(o);
  if (files.length > 0) {
    findSources(files);
    return projectOfFiles(
      files,
      () => findSources(files.filter((f) => statSync(f, { throwIfNoEntry: false }))),
      overrides,
    );
  }
  const path = configPath(o);
  return projectOf(await readConfig(path, basename(path), wasValid(path, VERSION, overrides)), overrides);
}

function configPath(o: BuildOptions): string {
  if (o.project !== undefined) {
    const path = configAt(o.project);
    if (path === undefined) throw usageError(`there is no ${CONFIG_NAME} in ${o.project}`);
    return path;
  }
  const path = findConfig(process.cwd());
  if (path === undefined)
    throw usageError(`no files given, and no ${CONFIG_NAME} here or above: fusum build FILE… or fusum build --init`);
  return path;
}

async function init(folder: string): Promise<void> {
  const { writeInitialConfig } = await import("../project/init.ts");
  const path = writeInitialConfig(folder);
  if (path === undefined) throw usageError(`there is a ${CONFIG_NAME} in ${folder} already`);
  process.stdout.write(`${shownPath(path)}\n`);
}

async function projectFiles(o: BuildOptions): Promise<readonly string[]> {
  const project = await openProject([], o);
  return project.find().map((f) => shownPath(join(project.unit.root, f)));
}
