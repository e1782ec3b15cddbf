/** A project in a temporary folder, built in this process. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import {
  type BuildHooks,
  type BuildReport,
  type BuildState,
  buildProject,
  openBuild,
} from "../../src/project/build.ts";
import { readConfig } from "../../src/project/config.ts";
import { CONFIG_NAME } from "../../src/project/find.ts";
import { type Overrides, type Project, projectOf } from "../../src/project/project.ts";

export interface Folder {
  readonly path: string;
  readonly put: (name: string, text: string) => void;
  readonly read: (name: string) => string;
  readonly remove: (name: string) => void;
  /** All files but the sources and the configuration, in order, with their texts. */
  readonly outputs: () => ReadonlyMap<string, string>;
}

/** Files by name; `config` is the text or the value of the configuration. The folder goes when the test ends. */
export function makeFolder(files: Readonly<Record<string, string>>, config?: string | object): Folder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "fusum-project-")));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  };
  for (const [name, text] of Object.entries(files)) put(name, text);
  if (config !== undefined) put(CONFIG_NAME, typeof config === "string" ? config : JSON.stringify(config));
  return {
    path,
    put,
    read: (name) => readFileSync(join(path, name), "utf8"),
    remove: (name) => rmSync(join(path, name), { recursive: true }),
    outputs: () => {
      const names = readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((e) => e.isFile() && !e.name.endsWith(".ein") && e.name !== CONFIG_NAME)
        .map((e) => join(e.parentPath, e.name).slice(path.length + 1));
      return new Map(names.sort().map((name) => [name, readFileSync(join(path, name), "utf8")]));
    },
  };
}

export async function openProject(folder: Folder, o: Overrides = {}): Promise<Project> {
  return projectOf(await readConfig(join(folder.path, CONFIG_NAME), CONFIG_NAME), o);
}

export async function openState(folder: Folder, o: Overrides = {}): Promise<BuildState> {
  return openBuild(await openProject(folder, o), "test");
}

/** One build as a process of its own would do it. */
export async function buildOnce(
  folder: Folder,
  o: Overrides = {},
  hooks: BuildHooks = { workers: 0 },
): Promise<BuildReport> {
  return await buildProject(await openState(folder, o), hooks);
}

/** `CODE file: message`, for comparing. */
export function said(report: BuildReport): string[] {
  return report.diagnostics.map((d) => `${d.code} ${d.labels[0]?.span.file}: ${d.message}`);
}
