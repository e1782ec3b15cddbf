/** Writes the generated pages and parts: `npm run docs`. A test says when that is due. */
import { writeFileSync } from "node:fs";
import { generatedPages, pageUrl } from "./pages.ts";

for (const [page, text] of await generatedPages()) writeFileSync(pageUrl(page), text);
