/** The command in this process: what it prints and its exit code. */
import { vi } from "vitest";
import { main } from "../../src/cli/main.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `fusum` with these arguments in a folder, and stays there. */
export async function fusumIn(folder: string, args: readonly string[]): Promise<Outcome> {
  process.chdir(folder);
  const text = { out: "", err: "" };
  const spies = (["out", "err"] as const).map((to) =>
    vi.spyOn(to === "out" ? process.stdout : process.stderr, "write").mockImplementation((chunk) => {
      text[to] += String(chunk);
      return true;
    }),
  );
  try {
    return { code: await main(args), ...text };
  } finally {
    for (const s of spies) s.mockRestore();
  }
}
