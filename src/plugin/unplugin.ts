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
  return { name: NAME, ...loading(compiler), ...effectFree() };
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

/** webpack and Rspack are told by a rule that a module which nobody uses has no effects. */
function effectFree(): Pick<UnpluginOptions, "webpack" | "rspack"> {
  const rule = { test: SOURCES, sideEffects: false };
  return {
    webpack: (compiler): number => compiler.options.module.rules.push(rule),
    rspack: (compiler): number => compiler.options.module.rules.push(rule),
  };
}

function setUpEsbuild(build: PluginBuild, compiler: PluginCompiler): void {
  const { sourcemap } = build.initialOptions;
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
