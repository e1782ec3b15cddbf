/** The VS Code extension: bundled, packed by VS Code's own packer, unpacked again; the server in it answers. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { unzipSync } from "fflate";
import { afterAll, expect, test } from "vitest";
import { startClient } from "./client.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "fusum-vscode-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}\n${stdout}\n${stderr}`);
}

test("packs, and its server works from where it is installed", { timeout: 180_000 }, async () => {
  const extension = join(folder, "extension");
  cpSync(join(ROOT, "editors/vscode"), extension, { recursive: true, filter: (path) => !/[\\/]dist$/.test(path) });
  run([join(ROOT, "editors/vscode/build.ts"), join(extension, "dist")], ROOT);
  const vsce = createRequire(import.meta.url).resolve("@vscode/vsce/package.json");
  const packed = join(folder, "fusum.vsix");
  run(
    [join(dirname(vsce), "vsce"), "package", "--no-dependencies", "--allow-missing-repository", "-o", packed],
    extension,
  );

  const installed = join(folder, "installed");
  for (const [path, bytes] of Object.entries(unzipSync(readFileSync(packed)))) {
    mkdirSync(dirname(join(installed, path)), { recursive: true });
    writeFileSync(join(installed, path), bytes);
  }
  const at = (path: string): string => join(installed, "extension", path);
  const manifest = JSON.parse(readFileSync(at("package.json"), "utf8")) as {
    readonly main: string;
    readonly contributes: {
      readonly grammars: readonly { readonly path: string }[];
      readonly languages: readonly { readonly configuration: string }[];
    };
  };
  // What the manifest names is there and can be read.
  expect(readFileSync(at(manifest.main), "utf8")).toContain("fusum.restartServer");
  for (const { path } of manifest.contributes.grammars)
    expect(JSON.parse(readFileSync(at(path), "utf8"))).toMatchObject({ scopeName: "source.ein" });
  for (const { configuration } of manifest.contributes.languages)
    expect(JSON.parse(readFileSync(at(configuration), "utf8"))).toHaveProperty("brackets");

  const client = await startClient(pathToFileURL(folder).href, [at("dist/server.mjs")]);
  const uri = pathToFileURL(join(folder, "a.ein")).href;
  client.open(uri, 'import { softmax } from "std/nn"\nfn f(x: f32[N]) { softmax(x, axis: 0) + exq(x) }\n');
  expect((await client.diagnostics(uri)).map((d) => d.code)).toEqual(["EIN1101"]);
  expect(client.initialized.serverInfo?.name).toBe("fusum");
  await client.stop();
});
