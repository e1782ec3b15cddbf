/** A server with a folder of its own, and short words for what tests ask of it. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CompletionItem, Hover, MarkupContent, Position, WorkspaceEdit } from "vscode-languageserver-protocol";
import { applied, type Client, marked, startClient } from "./client.ts";

export interface Opened {
  readonly uri: string;
  readonly text: string;
  readonly at: readonly Position[];
}

export interface Session {
  readonly client: Client;
  readonly folder: string;
  /** Opens a file of its own; `¦` marks positions. */
  open(source: string, name?: string): Opened;
  hoverText(o: Opened, k?: number): Promise<string | undefined>;
  complete(o: Opened, k?: number): Promise<readonly CompletionItem[]>;
  /** The file's text after a renaming. */
  renamed(o: Opened, to: string, k?: number): Promise<string>;
  stop(): Promise<void>;
}

/** The file and the k-th marked position, as requests take them. */
export const at = (o: Opened, k: number = 0): object => ({ textDocument: { uri: o.uri }, position: o.at[k] });

export const labels = (list: readonly CompletionItem[]): readonly string[] => list.map((c) => c.label);

export const WHOLE: { readonly start: Position; readonly end: Position } = {
  start: { line: 0, character: 0 },
  end: { line: 9999, character: 0 },
};

export async function startSession(): Promise<Session> {
  const folder = mkdtempSync(join(tmpdir(), "fusum lsp "));
  mkdirSync(join(folder, "lib"));
  const client = await startClient(pathToFileURL(folder).href);
  let count = 0;
  return {
    client,
    folder,
    open(source, name = `t${count++}.ein`) {
      const uri = pathToFileURL(join(folder, name)).href;
      const m = marked(source);
      client.open(uri, m.text);
      return { uri, ...m };
    },
    async hoverText(o, k = 0) {
      const h = await client.request<Hover | null>("textDocument/hover", at(o, k));
      return (h?.contents as MarkupContent | undefined)?.value;
    },
    complete: (o, k = 0) => client.request("textDocument/completion", at(o, k)),
    async renamed(o, to, k = 0) {
      const edit = await client.request<WorkspaceEdit>("textDocument/rename", { ...at(o, k), newName: to });
      return applied(o.text, edit.changes?.[o.uri] ?? []);
    },
    async stop() {
      await client.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
