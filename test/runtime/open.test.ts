import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findArchive } from "../../runtime/software.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "fusum-open-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a module in a fresh Node, without drivers named by the user unless `env` names some. */
function node(source: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    cwd: root,
    env: { ...inherited, ...env },
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    err += data;
  });
  // What drivers of this machine make Dawn print is not ours to judge.
  const ours = (text: string): string => text.replace(/^Warning: .*\n( {4}at .*\n)*/gm, "");
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err: ours(err) })));
}

const openAndPrint = (options: string): string => `
  import { openDevice } from "./runtime/node.ts";
  try {
    const device = await openDevice(${options});
    console.log(device.info.kind, process.env.VK_DRIVER_FILES ?? "unset");
    device.close();
  } catch (error) {
    console.log(error.name, error.kind, error.message);
  }`;

// Where a GPU answers, "auto" takes it: these tests are about machines without one.
const noGpu = !process.env["FUSUM_ADAPTER"] || process.env["FUSUM_ADAPTER"] === "swiftshader";

describe.runIf(noGpu)("opening", () => {
  it("says once on stderr that it is software, leaves the environment alone, and exits", async () => {
    const twice = await node(openAndPrint("") + openAndPrint("").replace(/import .*;/, ""));
    expect(twice.out).toBe("software unset\nsoftware unset\n");
    expect(twice.err.trim().split("\n")).toEqual([
      expect.stringMatching(/^fusum: no GPU was found; using the embedded software adapter \(SwiftShader/),
    ]);
    expect(twice.code).toBe(0);
  });
  it("is quiet when asked for software, or to be quiet", async () => {
    for (const options of ['{ adapter: "software" }', "{ quiet: true }"]) {
      expect(await node(openAndPrint(options))).toEqual({ code: 0, out: "software unset\n", err: "" });
    }
  });
  it('"gpu" without one is an error', async () => {
    const { out, code } = await node(openAndPrint('{ adapter: "gpu" }'));
    expect(out).toMatch(/^DeviceError no-device no GPU was found/);
    expect(code).toBe(0);
  });
  it("a driver that does not exist is an error that names it", async () => {
    const { out } = await node(openAndPrint('{ adapter: "software" }'), { VK_DRIVER_FILES: "/no/such/driver.json" });
    expect(out).toMatch(
      /^DeviceError no-device VK_DRIVER_FILES names a Vulkan driver that offers no adapter to WebGPU: \/no\/such\/driver\.json/,
    );
  });
  it("an open device does not keep the process alive by itself", async () => {
    const { code } = await node(
      'import { openDevice } from "./runtime/node.ts"; globalThis.device = await openDevice({ quiet: true });',
    );
    expect(code).toBe(0);
  });
});

describe("the package of the software adapter", () => {
  // Its entry is build/cjs/index.cjs in version 147, build/index.js in 153.
  it.each(["build/cjs/index.cjs", "build/index.js", "index.js"])("is found where its entry is %s", (entry) => {
    const app = mkdtempSync(join(folder, "app-"));
    const root = join(app, "node_modules/@sparticuz/chromium");
    for (const file of [join(root, entry), join(root, "bin/swiftshader.tar.br")]) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, "");
    }
    writeFileSync(join(root, "package.json"), JSON.stringify({ type: "module", exports: { ".": `./${entry}` } }));
    expect(findArchive(join(app, "package.json"))).toBe(join(root, "bin/swiftshader.tar.br"));
    rmSync(join(root, "bin"), { recursive: true });
    expect(findArchive(join(app, "package.json"))).toBeUndefined();
  });
});

describe.runIf(noGpu)("the cache of the software adapter", () => {
  const unpack = `import { softwareAdapter } from "./runtime/software.ts"; console.log(softwareAdapter().folder);`;
  it("is filled once by many processes at the same time", async () => {
    const cache = join(folder, "race");
    const ended = await Promise.all(Array.from({ length: 4 }, () => node(unpack, { XDG_CACHE_HOME: cache })));
    const folders = new Set(ended.map((e) => e.out.trim()));
    expect(ended.map((e) => e.err)).toEqual(["", "", "", ""]);
    expect(folders.size).toBe(1);
    expect(readdirSync(join(cache, "fusum"))).toHaveLength(1);
    expect(readdirSync([...folders][0]!).sort()).toEqual([
      "libvk_swiftshader.so",
      "libvulkan.so.1",
      "vk_swiftshader_icd.json",
    ]);
  });
  it("is mended where something of it is gone, and used as it is where not", async () => {
    const cache = join(folder, "mend");
    const { out } = await node(unpack, { XDG_CACHE_HOME: cache });
    const driver = join(out.trim(), "libvk_swiftshader.so");
    const { size, ino } = statSync(driver);
    await node(unpack, { XDG_CACHE_HOME: cache });
    expect(statSync(driver).ino).toBe(ino);
    rmSync(driver);
    truncateSync(join(out.trim(), "libvulkan.so.1"), 0);
    expect((await node(openAndPrint('{ adapter: "software" }'), { XDG_CACHE_HOME: cache })).out).toBe(
      "software unset\n",
    );
    expect(statSync(driver).size).toBe(size);
    expect(readdirSync(join(cache, "fusum"))).toHaveLength(1);
  });
  it("goes to the temporary folder if there is no home, and only to one of our own", async () => {
    const temporary = join(folder, "temporary");
    const home = join(folder, "file");
    mkdirSync(temporary);
    writeFileSync(home, "");
    const env = { HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: "" };
    const { out } = await node(unpack, env);
    const own = join(temporary, `fusum-${process.getuid?.()}`);
    expect(out.trim().startsWith(own)).toBe(true);
    expect(statSync(own).mode & 0o777).toBe(0o700);
    rmSync(own, { recursive: true });
    mkdirSync(own, { mode: 0o777 });
    const { chmodSync } = await import("node:fs");
    chmodSync(own, 0o777);
    expect((await node(unpack, env)).err).toMatch(/belongs to somebody else/);
  });
});

describe.runIf(noGpu)("memory that there is not", () => {
  it("is an error that names the program, and what fits still runs", async () => {
    const source = `
      import { openDevice } from "./runtime/node.ts";
      import { affine, buffer, dispatch, f32, kernel, N, plan } from "./test/runtime/plans.ts";
      const device = await openDevice({ adapter: "software" });
      const temporaries = Array.from({ length: 24 }, () => buffer("temporary", { op: "mul", left: N, right: 250_000_000 }));
      const big = await device.loadPlan(plan("big", {
        buffers: [buffer("param"), buffer("result"), ...temporaries],
        kernels: [kernel("copy", ["f32", "f32"], "b1[i] = b0[i];")],
        steps: [dispatch(0, [0, 2]), ...temporaries.map((_, i) => dispatch(0, [2 + i, i === 23 ? 1 : 3 + i]))],
      }));
      const error = await big.run({ x: f32(1) }).catch((e) => e);
      console.log(error.name, error.kind, error.kernel, error.message.split("\\n")[0]);
      const small = await device.loadPlan(affine);
      console.log((await small.run({ x: f32(1, 2) })).y.data.join());
      device.close();`;
    // Twenty-four gigabytes are asked for; the process may have sixteen, and what is not touched costs nothing.
    const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, ...env } = process.env;
    const child = spawn(
      "bash",
      ["-c", 'ulimit -v 16000000 && exec "$0" --input-type=module-typescript -e "$1"', process.execPath, source],
      { cwd: root, env },
    );
    const out = (await child.stdout.toArray()).join("");
    expect(out).toBe("DeviceError out-of-memory big big: the device is out of memory\n3,5\n");
  });
});
