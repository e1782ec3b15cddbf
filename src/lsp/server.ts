/**
 * The language server: `fusum lsp --stdio`. Every request is answered from the analysis of the text as it is now, so nothing is out of
 * date; a request that fails is logged and answered with nothing.
 */
import {
  type Connection,
  ErrorCodes,
  type InitializeParams,
  type InitializeResult,
  type Location,
  ResponseError,
  type SemanticTokens,
  TextDocumentSyncKind,
  TextDocuments,
} from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Analysis } from "./analysis.ts";
import { completion } from "./completion.ts";
import { diagnosticsFor, fixesIn } from "./diagnostics.ts";
import { format } from "./format.ts";
import { hover } from "./hover.ts";
import { documentSymbols, inlayHints } from "./outline.ts";
import { linesOf, offsetAt, rangeOf } from "./position.ts";
import { prepareRename, RenameRefused, rename } from "./rename.ts";
import { meaningOf, occurrenceAt, type Place, placesOf } from "./resolve.ts";
import { LEGEND, semanticTokens } from "./semantic.ts";
import { signatureHelp } from "./signature-help.ts";
import { fileOf, Workspace } from "./workspace.ts";

const CAPABILITIES: InitializeResult["capabilities"] = {
  textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental },
  hoverProvider: true,
  definitionProvider: true,
  referencesProvider: true,
  documentHighlightProvider: true,
  documentSymbolProvider: true,
  documentFormattingProvider: true,
  renameProvider: { prepareProvider: true },
  codeActionProvider: { codeActionKinds: ["quickfix"] },
  completionProvider: { triggerCharacters: [".", '"', "/", "(", ","] },
  signatureHelpProvider: { triggerCharacters: ["(", ","], retriggerCharacters: [":"] },
  inlayHintProvider: true,
  semanticTokensProvider: { legend: LEGEND, full: true, range: true },
};

/** Wires the server to a connection and starts listening. `version` is the package's. */
export function startServer(connection: Connection, version: string): void {
  const documents = new TextDocuments(TextDocument);
  const log = (error: unknown): void => {
    connection.console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  };
  const workspace = new Workspace(documents, log);
  const published = new Set<string>();

  connection.onInitialize((p: InitializeParams): InitializeResult => {
    const folders = p.workspaceFolders?.map((f) => f.uri) ?? (p.rootUri ? [p.rootUri] : []);
    workspace.setRoots(folders.map(fileOf));
    return { capabilities: CAPABILITIES, serverInfo: { name: "fusum", version } };
  });

  // ---- Diagnostics: the edited file at once, then the open files that may depend on it --------------------------------

  const publish = (document: TextDocument): void => {
    const a = workspace.analysis(fileOf(document.uri));
    if (!a) return;
    published.add(document.uri);
    const diagnostics = [...diagnosticsFor(workspace, a)];
    void connection.sendDiagnostics({ uri: document.uri, version: document.version, diagnostics });
  };
  const waiting = new Set<string>();
  let scheduled = false;
  const schedule = (): void => {
    if (scheduled || waiting.size === 0) return;
    scheduled = true;
    // Messages that have arrived already come first: of a burst of edits only the last is checked.
    setImmediate(() => {
      scheduled = false;
      const [uri] = waiting;
      if (uri === undefined) return;
      waiting.delete(uri);
      const document = documents.get(uri);
      try {
        if (document) publish(document);
      } catch (error) {
        log(error);
      }
      schedule();
    });
  };
  const changed = (uri: string | undefined): void => {
    workspace.changed();
    const others = [...waiting, ...documents.keys()].filter((u) => u !== uri);
    waiting.clear();
    if (uri !== undefined) waiting.add(uri);
    for (const u of others) waiting.add(u);
    schedule();
  };

  documents.onDidChangeContent((e) => changed(e.document.uri));
  documents.onDidClose((e) => {
    waiting.delete(e.document.uri);
    workspace.closed(fileOf(e.document.uri));
    if (published.delete(e.document.uri)) void connection.sendDiagnostics({ uri: e.document.uri, diagnostics: [] });
    changed(undefined);
  });
  connection.onDidChangeWatchedFiles(() => changed(undefined));

  // ---- Requests -------------------------------------------------------------------------------------------------------

  /** The answer, or `none` if the file is unknown or the answer fails. */
  const answer = <R>(uri: string, none: R, make: (a: Analysis) => R): R => {
    try {
      const a = workspace.analysis(fileOf(uri));
      return a ? make(a) : none;
    } catch (error) {
      if (error instanceof RenameRefused) throw new ResponseError(ErrorCodes.InvalidRequest, error.message);
      log(error);
      return none;
    }
  };
  const offset = (a: Analysis, position: { line: number; character: number }): number =>
    offsetAt(linesOf(a.module.module), position);
  const locationOf = (p: Place): Location[] => {
    const uri = workspace.uriOf(p.module.file);
    return uri === undefined ? [] : [{ uri, range: rangeOf(linesOf(p.module.module), p.occurrence.name.span) }];
  };
  const places = (a: Analysis, at: number): readonly Place[] => {
    const o = occurrenceAt(workspace, a.module, at);
    const meaning = o && meaningOf(workspace, a.module, o);
    return meaning?.kind === "declared" ? placesOf(workspace, meaning.module, meaning.declared) : [];
  };

  connection.onHover((p) =>
    answer(p.textDocument.uri, null, (a) => hover(workspace, a, offset(a, p.position)) ?? null),
  );
  connection.onDefinition((p) =>
    answer<Location | null>(p.textDocument.uri, null, (a) => {
      const at = offset(a, p.position);
      const from = a.module.module.items.find(
        (i) => i.kind === "import" && i.from.span.start <= at && at <= i.from.span.end,
      );
      if (from?.kind === "import") return moduleLocation(workspace, a, from.names[0]?.name.text);
      const o = occurrenceAt(workspace, a.module, at);
      const meaning = o && meaningOf(workspace, a.module, o);
      if (meaning?.kind !== "declared") return null;
      const uri = workspace.uriOf(meaning.module.file);
      const range = rangeOf(linesOf(meaning.module.module), meaning.declared.name.span);
      return uri === undefined ? null : { uri, range };
    }),
  );
  connection.onReferences((p) =>
    answer<Location[]>(p.textDocument.uri, [], (a) =>
      places(a, offset(a, p.position))
        .filter((x) => p.context.includeDeclaration || x.occurrence.role !== "declaration")
        .flatMap(locationOf),
    ),
  );
  connection.onDocumentHighlight((p) =>
    answer(p.textDocument.uri, [], (a) =>
      places(a, offset(a, p.position))
        .filter((x) => x.module === a.module)
        .map((x) => ({ range: rangeOf(linesOf(a.module.module), x.occurrence.name.span) })),
    ),
  );
  connection.onDocumentSymbol((p) => answer(p.textDocument.uri, [], (a) => [...documentSymbols(a)]));
  connection.onDocumentFormatting((p) => answer(p.textDocument.uri, [], (a) => [...format(a.module.module)]));
  connection.onPrepareRename((p) =>
    answer(p.textDocument.uri, null, (a) => prepareRename(workspace, a, offset(a, p.position))),
  );
  connection.onRenameRequest((p) =>
    answer(p.textDocument.uri, null, (a) => rename(workspace, a, offset(a, p.position), p.newName)),
  );
  connection.onCodeAction((p) => answer(p.textDocument.uri, [], (a) => [...fixesIn(workspace, a, p.range)]));
  connection.onCompletion((p) =>
    answer(p.textDocument.uri, [], (a) => [...completion(workspace, a, offset(a, p.position))]),
  );
  connection.onSignatureHelp((p) =>
    answer(p.textDocument.uri, null, (a) => signatureHelp(workspace, a, offset(a, p.position)) ?? null),
  );
  connection.languages.inlayHint.on((p) =>
    answer(p.textDocument.uri, [], (a) => [...inlayHints(workspace, a, p.range)]),
  );
  const noTokens: SemanticTokens = { data: [] };
  connection.languages.semanticTokens.on((p) =>
    answer(p.textDocument.uri, noTokens, (a) => semanticTokens(workspace, a)),
  );
  connection.languages.semanticTokens.onRange((p) =>
    answer(p.textDocument.uri, noTokens, (a) =>
      semanticTokens(workspace, a, offset(a, p.range.start), offset(a, p.range.end)),
    ),
  );

  documents.listen(connection);
  connection.listen();
}

/** The beginning of the module that an import names. */
function moduleLocation(w: Workspace, a: Analysis, name: string | undefined): Location | null {
  const target = name === undefined ? undefined : [...a.module.imports.values()].find((i) => i.name === name)?.module;
  const uri = target && w.uriOf(target.file);
  const start = { line: 0, character: 0 };
  return uri === undefined ? null : { uri, range: { start, end: start } };
}
