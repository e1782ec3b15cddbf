/** The plugin: `.ein` files become modules, in every bundler that unplugin knows. */
import type { PluginBuild } from "esbuild";
import { createUnplugin, type UnpluginInstance, type UnpluginOptions } from "unplugin";
import { failingModule, openCompiler, type PluginCompiler } from "./compiler.ts";
import type { FusumOptions } from "./options.ts";
import { esbuildMessage, report } from "./report.ts";

const NAME = "fusum";
const SOURCES = /\.ein$/;

export const unplugin: UnpluginInstance<FusumOptions | undefined, false> = createUnplugin((options = {}, meta) => {
  const compiler = openCompiler(options);
  // esbuild shows more of a message than unplugin hands on.
  if (meta.framework === "esbuild")
    return { name: NAME, esbuild: { setup: (build): void => setUpEsbuild(build, compiler) } };
  return { name: NAME, ...loading(compiler), ...rooted(compiler) };
});

function loading(compiler: PluginCompiler): Pick<UnpluginOptions, "load"> {
  return {
    load: {
      filter: { id: SOURCES },
      async handler(id) {
        const { module, messages, files } = await compiler.compile(id);
        for (const file of files) this.addWatchFile(file);
        report(this, messages);
        if (!module) return failingModule(id);
        // Rollup and its kin drop what nobody uses of such a module without looking for effects; others do not read it.
        return { code: module.code, map: module.map, moduleSideEffects: false };
      },
    },
  };
}

/** Bundlers say in their own ways where their root is. */
function rooted(compiler: PluginCompiler): Pick<UnpluginOptions, "vite" | "webpack" | "rspack"> {
  const effectFree = { test: SOURCES, sideEffects: false };
  return {
    vite: {
      configResolved(config) {
        compiler.setRoot(config.root);
      },
    },
    webpack(w) {
      compiler.setRoot(w.context);
      w.options.module.rules.push(effectFree);
    },
    rspack(r) {
      compiler.setRoot(r.context);
      r.options.module.rules.push(effectFree);
    },
  };
}

function setUpEsbuild(build: PluginBuild, compiler: PluginCompiler): void {
  const { absWorkingDir, sourcemap } = build.initialOptions;
  if (absWorkingDir !== undefined) compiler.setRoot(absWorkingDir);
  build.onLoad({ filter: SOURCES }, async ({ path }) => {
    const { module, messages, files } = await compiler.compile(path);
    const of = (isError: boolean): ReturnType<typeof esbuildMessage>[] =>
      messages.filter((m) => (m.severity === "error") === isError).map(esbuildMessage);
    return {
      contents: module ? (sourcemap ? `${module.code}${inlineMap(module.map)}` : module.code) : "",
      loader: "js",
      errors: of(true),
      warnings: of(false),
      watchFiles: [...files],
    };
  });
}

function inlineMap(map: object): string {
  const data = Buffer.from(JSON.stringify(map)).toString("base64");
  return `//# sourceMappingURL=data:application/json;charset=utf-8;base64,${data}\n`;
}
