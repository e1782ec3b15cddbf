/** `fusum lsp`: the language server, over standard input and output. */
import { createConnection, ProposedFeatures } from "vscode-languageserver/node";
import { startServer } from "../lsp/server.ts";

/** Returns at once; the process ends when the client says so or goes away. */
export function serve(version: string): void {
  // Standard output is the protocol's: what is printed by mistake goes to standard error.
  console.log = console.error;
  startServer(createConnection(ProposedFeatures.all, process.stdin, process.stdout), version);
}
