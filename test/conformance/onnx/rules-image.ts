import type { RuleTable } from "./call.ts";
export const IMAGE: RuleTable = {};
