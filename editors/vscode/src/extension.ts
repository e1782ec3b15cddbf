/** The VS Code side: starts the language server and nothing else; everything that it shows comes over the protocol. */
import { commands, type ExtensionContext, window, workspace } from "vscode";
import { LanguageClient, type ServerOptions, TransportKind } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

function serverOptions(context: ExtensionContext): ServerOptions {
  const [command, ...args] = workspace.getConfiguration("fusum").get<string[]>("server.command") ?? [];
  if (command !== undefined) {
    const cwd = workspace.workspaceFolders?.[0]?.uri.fsPath;
    return { command, args, options: { ...(cwd === undefined ? {} : { cwd }), shell: process.platform === "win32" } };
  }
  return { module: context.asAbsolutePath("dist/server.mjs"), transport: TransportKind.stdio };
}

async function start(context: ExtensionContext): Promise<void> {
  client = new LanguageClient("fusum", "Fusum", serverOptions(context), {
    documentSelector: [{ language: "ein" }],
    synchronize: { fileEvents: workspace.createFileSystemWatcher("**/*.ein") },
  });
  try {
    await client.start();
  } catch (error) {
    await window.showErrorMessage(`Fusum's language server did not start: ${String(error)}`);
  }
}

export async function activate(context: ExtensionContext): Promise<void> {
  context.subscriptions.push(
    commands.registerCommand("fusum.restartServer", async () => {
      await client?.stop();
      await start(context);
    }),
    workspace.onDidChangeConfiguration(async (e) => {
      if (e.affectsConfiguration("fusum.server")) await commands.executeCommand("fusum.restartServer");
    }),
  );
  await start(context);
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
