/**
 * The embedded software adapter: SwiftShader and a Vulkan loader out of the npm package `@sparticuz/chromium`, unpacked once
 * into a cache folder, so that kernels run on a machine with nothing installed.
 */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { DeviceError } from "./errors.ts";
import { readTar } from "./tar.ts";

const PACKAGE = "@sparticuz/chromium";
const LOADER = "libvulkan.so.1";
const ICD = "vk_swiftshader_icd.json";
const FILES: readonly string[] = [LOADER, "libvk_swiftshader.so", ICD];

export interface SoftwareAdapter {
  /** The folder with the unpacked files. */
  readonly folder: string;
  /** The Vulkan loader, a shared library. */
  readonly loader: string;
  /** The driver's manifest, what VK_DRIVER_FILES names. */
  readonly manifest: string;
}

/**
 * Finds the package, seen from this module or from the working folder, and unpacks it if that has not been done.
 * Throws DeviceError "no-device" that says what is missing and how to get it.
 */
export function softwareAdapter(): SoftwareAdapter {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new DeviceError(
      "no-device",
      `the embedded software adapter is for Linux on x86-64, not for ${process.platform} on ${process.arch}`,
    );
  }
  const archive = findArchive(import.meta.url) ?? findArchive(join(process.cwd(), "package.json"));
  if (archive === undefined) {
    throw new DeviceError(
      "no-device",
      `the embedded software adapter comes from the package ${PACKAGE}, and none with SwiftShader in it is installed: npm install ${PACKAGE}`,
    );
  }
  const packed = readFileSync(archive);
  const hash = createHash("sha256").update(packed).digest("hex").slice(0, 16);
  const folder = join(cacheFolder(), `swiftshader-${hash}`);
  if (!isComplete(folder)) unpack(packed, folder);
  return { folder, loader: join(folder, LOADER), manifest: join(folder, ICD) };
}

/**
 * The package's archive of SwiftShader, seen from a module or from a folder's package.json, given as its path or URL; undefined if the
 * package is not there. The package exports its entry only, and its versions have that at other depths (build/cjs/index.cjs,
 * build/index.js), so every folder above is looked at.
 */
export function findArchive(from: string): string | undefined {
  let folder: string;
  try {
    folder = dirname(createRequire(from).resolve(PACKAGE));
  } catch {
    return undefined;
  }
  for (;;) {
    const archive = join(folder, "bin", "swiftshader.tar.br");
    if (statSync(archive, { throwIfNoEntry: false })?.isFile()) return archive;
    const above = dirname(folder);
    if (above === folder || basename(folder) === "node_modules") return undefined;
    folder = above;
  }
}

/** $XDG_CACHE_HOME/fusum, ~/.cache/fusum, or a folder of the user's own under the system's temporary folder. */
export function cacheFolder(): string {
  const xdg = process.env["XDG_CACHE_HOME"];
  const bases = [...(xdg?.startsWith("/") ? [xdg] : []), join(homedir(), ".cache")];
  for (const base of bases) {
    const folder = join(base, "fusum");
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // A folder that cannot be written (a read-only home) does as long as all is there already.
      rmSync(mkdtempSync(join(folder, "try-")), { recursive: true });
      return folder;
    } catch {
      // Tried next: another base.
    }
  }
  const user = process.getuid?.() ?? 0;
  const folder = join(tmpdir(), `fusum-${user}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Everybody may write to the temporary folder: libraries are loaded only from a folder that is ours alone.
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== user || (found.mode & 0o022) !== 0) {
    throw new DeviceError(
      "no-device",
      `${folder} belongs to somebody else; set XDG_CACHE_HOME to a folder of your own`,
    );
  }
  return folder;
}

function isComplete(folder: string): boolean {
  return FILES.every((name) => (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0) > 0);
}

/** Unpacks beside the target and renames, so that others see all of it or nothing. Two at once: the second finds the first's. */
function unpack(packed: Uint8Array, folder: string): void {
  const files = new Map(readTar(brotliDecompressSync(packed)).map((f) => [f.name.replace(/^\.\//, ""), f.data]));
  const temporary = mkdtempSync(`${folder}-`);
  try {
    for (const name of FILES) {
      const data = files.get(name);
      if (!data) throw new DeviceError("no-device", `the package ${PACKAGE} has no ${name} in its SwiftShader archive`);
      writeFileSync(join(temporary, name), data, { mode: 0o755 });
    }
    try {
      renameSync(temporary, folder);
    } catch (error) {
      if (isComplete(folder)) return;
      // Something is there and not whole: a cleaner of temporary files has been here. It makes way.
      const broken = mkdtempSync(`${folder}-`);
      renameSync(folder, join(broken, "old"));
      rmSync(broken, { recursive: true, force: true });
      try {
        renameSync(temporary, folder);
      } catch {
        if (!isComplete(folder)) throw error;
      }
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
