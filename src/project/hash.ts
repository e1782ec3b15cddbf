/** What the build info is keyed by. */
import { hash } from "node:crypto";

/** SHA-256 in 43 characters. */
export function hashOf(content: string | Uint8Array): string {
  return hash("sha256", content, "base64url");
}

/** JSON with the keys of objects in order, so that equal values have equal texts. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, v: unknown) =>
    typeof v === "object" && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  );
}
