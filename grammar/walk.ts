/** Looking at whole syntax trees without recursion. */
import type { Item } from "./ast.ts";

/** True if a path from the root passes more than `limit` nodes. */
export function treeDepthExceeds(root: Item, limit: number): boolean {
  const values: object[] = [root];
  const depths: number[] = [0];
  while (values.length > 0) {
    const value = values.pop()!;
    const depth = depths.pop()! + ("kind" in value ? 1 : 0);
    if (depth > limit) return true;
    for (const key in value) {
      if (key === "span" || key === "opSpan") continue;
      const child: unknown = value[key as keyof typeof value];
      if (typeof child === "object" && child !== null) {
        values.push(child);
        depths.push(depth);
      }
    }
  }
  return false;
}
