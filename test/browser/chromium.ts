/**
 * A headless Chromium out of an npm package, with WebGPU on SwiftShader, and a server that gives it this repository's sources
 * with their types stripped: what runs there is what is written here, with no bundle between.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, normalize, resolve, sep } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { findArchive } from "../../runtime/software.ts";
import { readTar } from "../../runtime/tar.ts";

const root = resolve(import.meta.dirname, "../..");

export interface Page {
  /** Evaluates the body of an async function; gives its JSON result. */
  run(body: string): Promise<unknown>;
  close(): Promise<void>;
}

/** `run` is in a page of this repository. */
export interface Browser extends Page {
  /** The first of its processes. */
  readonly pid: number;
  /** Another page, loaded. */
  open(url: string): Promise<Page>;
}

export interface LaunchOptions {
  /** "software": SwiftShader, out of the package. "system": what Vulkan finds on the machine. */
  readonly adapter?: "software" | "system";
}

/** Starts everything in a temporary folder, which `close` removes. Throws if the package is not installed. */
export async function launchBrowser({ adapter = "software" }: LaunchOptions = {}): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), "fusum-browser-"));
  const server = await serve();
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const chromium = spawn(
    unpackChromium(folder),
    [...FLAGS, ...ADAPTER_FLAGS[adapter], `--user-data-dir=${join(folder, "profile")}`, "about:blank"],
    {
      stdio: ["ignore", "ignore", "pipe"],
      // The package's own copies of two libraries, for machines that have none.
      env: {
        ...process.env,
        LD_LIBRARY_PATH: [process.env["LD_LIBRARY_PATH"], join(folder, "lib")].filter(Boolean).join(":"),
      },
    },
  );
  const close = async (): Promise<void> => {
    const ended = new Promise((done) => chromium.once("exit", done));
    if (chromium.exitCode === null && chromium.kill("SIGKILL")) await ended;
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const session = await connect(await debuggerUrl(chromium));
    const { run } = await openPage(session, `${origin}/`);
    return { run, pid: chromium.pid!, open: (url) => openPage(session, url), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const FLAGS: readonly string[] = [
  "--headless=shell",
  "--no-sandbox",
  "--disable-dev-shm-usage",
  "--enable-unsafe-webgpu",
  "--enable-webgpu-developer-features",
  // A kernel may take a software adapter longer than what counts as a hang of a GPU.
  "--disable-gpu-watchdog",
  "--remote-debugging-port=0",
];
const ADAPTER_FLAGS: Readonly<Record<"software" | "system", readonly string[]>> = {
  software: ["--use-webgpu-adapter=swiftshader"],
  system: ["--ignore-gpu-blocklist", "--enable-features=Vulkan", "--use-angle=vulkan", "--disable-vulkan-surface"],
};

function unpackChromium(folder: string): string {
  const archive = findArchive(import.meta.url);
  if (!archive) throw new Error("Chromium is not installed: npm i -D @sparticuz/chromium");
  const bin = dirname(archive);
  const unpacked = (name: string): Buffer => brotliDecompressSync(readFileSync(join(bin, name)));
  for (const archive of ["swiftshader.tar.br", "al2023.tar.br"]) {
    for (const { name, data } of readTar(unpacked(archive))) {
      const file = join(folder, archive.startsWith("al2023") ? join("lib", name.split("/").at(-1)!) : name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, data, { mode: 0o755 });
    }
  }
  const path = join(folder, "chromium");
  writeFileSync(path, unpacked("chromium.br"), { mode: 0o755 });
  return path;
}

/** The packages that the compiler imports, for the page's import map. */
function importMap(): string {
  const names = [
    "chevrotain",
    "@chevrotain/cst-dts-gen",
    "@chevrotain/gast",
    "@chevrotain/regexp-to-ast",
    "@chevrotain/types",
    "@chevrotain/utils",
    "fflate",
  ];
  const entries = names.flatMap((name) => {
    try {
      return [[name, import.meta.resolve(name).slice(`file://${root}`.length)]];
    } catch {
      return [];
    }
  });
  return JSON.stringify({ imports: Object.fromEntries(entries) });
}

function serve(): Promise<Server> {
  const page = `<!doctype html><meta charset="utf-8"><title>Fusum</title><script type="importmap">${importMap()}</script>`;
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    if (path === "/") {
      response.writeHead(200, { "content-type": "text/html" }).end(page);
      return;
    }
    try {
      const file = join(root, path);
      if (!file.startsWith(root + sep)) throw new Error("outside");
      const text = readFileSync(file, "utf8");
      const type = /\.[jt]s$/.test(file) ? "text/javascript" : "text/plain";
      response.writeHead(200, { "content-type": type }).end(file.endsWith(".ts") ? stripTypeScriptTypes(text) : text);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((done) => server.listen(0, "localhost", () => done(server)));
}

function debuggerUrl(chromium: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    let text = "";
    chromium.stderr?.on("data", (data: Buffer) => {
      text += data;
      const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (url) done(url);
    });
    chromium.once("error", fail);
    chromium.once("exit", (code) => fail(new Error(`Chromium ended with ${code}:\n${text}`)));
  });
}

interface Reply {
  readonly id?: number;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}
interface Evaluated {
  readonly result?: { readonly value?: unknown };
  readonly exceptionDetails?: { readonly exception?: { readonly description?: string }; readonly text: string };
}

type Send = (method: string, params: object, sessionId?: unknown) => Promise<Readonly<Record<string, unknown>>>;

/** Calls of the DevTools protocol. */
async function connect(url: string): Promise<Send> {
  const socket = new WebSocket(url);
  await new Promise((done, fail) => {
    socket.addEventListener("open", done);
    socket.addEventListener("error", fail);
  });
  const waiting = new Map<number, (reply: Reply) => void>();
  socket.addEventListener("close", () => {
    for (const answer of waiting.values()) answer({ error: { message: "Chromium has ended" } });
  });
  socket.addEventListener("message", ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
  });
  let last = 0;
  return async (method, params, sessionId) => {
    const id = ++last;
    const reply = await new Promise<Reply>((done) => {
      waiting.set(id, done);
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
    waiting.delete(id);
    if (reply.error) throw new Error(`${method}: ${reply.error.message}`);
    return reply.result ?? {};
  };
}

async function openPage(send: Send, url: string): Promise<Page> {
  const { targetId } = await send("Target.createTarget", { url });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = (await send(
      "Runtime.evaluate",
      { expression, awaitPromise: true, returnByValue: true },
      sessionId,
    )) as Evaluated;
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result?.value;
  };
  // The target exists before its page does, and between one page and the next there is none to ask.
  const loaded = `document.readyState === "complete" && location.href === ${JSON.stringify(url)}`;
  const ready = (): Promise<unknown> =>
    evaluate(loaded).catch((e: unknown) => {
      if (/execution context|context was destroyed|navigated/i.test(String(e))) return false;
      throw e;
    });
  while ((await ready()) !== true) await new Promise((done) => setTimeout(done, 50));
  return {
    run: (body) => evaluate(`(async () => { ${body} })()`),
    close: async () => {
      await send("Target.closeTarget", { targetId });
    },
  };
}
