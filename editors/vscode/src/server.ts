/** The language server as the extension ships it: one file, run by the editor's own Node. */

import { serve } from "../../../src/cli/lsp.ts";
import manifest from "../package.json" with { type: "json" };

serve(manifest.version);
