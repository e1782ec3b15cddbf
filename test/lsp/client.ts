/** A real client of a real server: the process is spawned and spoken to through the protocol's own library. */
import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import type {
  Diagnostic,
  InitializeResult,
  Position,
  ProtocolConnection,
  PublishDiagnosticsParams,
} from "vscode-languageserver-protocol";
import {
  createProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver-protocol/node";

const ROOT = resolve(import.meta.dirname, "../..");

export interface Client {
  readonly connection: ProtocolConnection;
  readonly process: ChildProcess;
  readonly initialized: InitializeResult;
  /** What the server wrote to its log. */
  readonly log: readonly string[];
  open(uri: string, text: string): void;
  /** Replaces the whole text. */
  set(uri: string, text: string): void;
  /** Replaces a range of it, as typing does. */
  edit(uri: string, range: { start: Position; end: Position }, text: string): void;
  close(uri: string): void;
  /** The diagnostics of the newest version of a file. */
  diagnostics(uri: string): Promise<readonly Diagnostic[]>;
  request<R>(method: string, params: object): Promise<R>;
  stop(): Promise<void>;
}

/** Long enough for a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;

/** Starts a server for a folder, given as a URI. `program` is what Node runs. */
export async function startClient(
  folder: string | null,
  program: readonly string[] = ["src/cli/main.ts", "lsp", "--stdio"],
): Promise<Client> {
  const child = spawn(process.execPath, [...program], {
    cwd: ROOT,
    stdio: "pipe",
  });
  const connection = createProtocolConnection(
    new StreamMessageReader(child.stdout!),
    new StreamMessageWriter(child.stdin!),
  );
  const log: string[] = [];
  child.stderr!.on("data", (d: Buffer) => log.push(d.toString()));
  connection.onNotification("window/logMessage", (p: { message: string }) => {
    log.push(p.message);
  });
  const versions = new Map<string, number>();
  const arrived = new Map<string, PublishDiagnosticsParams>();
  const waiting: (() => void)[] = [];
  connection.onNotification("textDocument/publishDiagnostics", (p: PublishDiagnosticsParams) => {
    arrived.set(p.uri, p);
    for (const w of waiting.splice(0)) w();
  });
  connection.listen();
  const initialized = await connection.sendRequest<InitializeResult>("initialize", {
    processId: process.pid,
    rootUri: folder,
    workspaceFolders: folder === null ? null : [{ uri: folder, name: "test" }],
    capabilities: {},
  });
  await connection.sendNotification("initialized", {});
  const next = (u: string): number => {
    const version = (versions.get(u) ?? 0) + 1;
    versions.set(u, version);
    return version;
  };
  const notify = (method: string, params: object): void => {
    void connection.sendNotification(method, params);
  };
  const change = (u: string, contentChanges: readonly object[]): void =>
    notify("textDocument/didChange", { textDocument: { uri: u, version: next(u) }, contentChanges });
  return {
    connection,
    process: child,
    initialized,
    log,
    open: (u, text) =>
      notify("textDocument/didOpen", { textDocument: { uri: u, languageId: "ein", version: next(u), text } }),
    set: (u, text) => change(u, [{ text }]),
    edit: (u, range, text) => change(u, [{ range, text }]),
    close: (u) => notify("textDocument/didClose", { textDocument: { uri: u } }),
    async diagnostics(u) {
      const end = Date.now() + PATIENCE_MS;
      for (;;) {
        const found = arrived.get(u);
        if (found && found.version === versions.get(u)) return found.diagnostics;
        if (Date.now() > end) throw new Error(`no diagnostics of ${u} version ${versions.get(u)}\n${log.join("")}`);
        await Promise.race([new Promise<void>((r) => waiting.push(r)), new Promise((r) => setTimeout(r, 1000))]);
      }
    },
    request: (method, params) => connection.sendRequest(method, params),
    async stop() {
      await connection.sendRequest("shutdown");
      await connection.sendNotification("exit");
      connection.dispose();
      child.kill();
    },
  };
}

/** A text with `¦` marks: without them, and the position of each. */
export function marked(text: string): { readonly text: string; readonly at: readonly Position[] } {
  const at: Position[] = [];
  let plain = "";
  for (const [k, part] of text.split("¦").entries()) {
    plain += part;
    const lines = plain.split("\n");
    if (k < text.split("¦").length - 1) at.push({ line: lines.length - 1, character: lines[lines.length - 1]!.length });
  }
  return { text: plain, at };
}

/** Applies edits to a text. */
export function applied(
  text: string,
  edits: readonly { range: { start: Position; end: Position }; newText: string }[],
): string {
  const lines = text.split("\n");
  const offset = (p: Position): number => lines.slice(0, p.line).reduce((n, l) => n + l.length + 1, 0) + p.character;
  const sorted = [...edits].sort((a, b) => offset(b.range.start) - offset(a.range.start));
  return sorted.reduce((t, e) => t.slice(0, offset(e.range.start)) + e.newText + t.slice(offset(e.range.end)), text);
}
