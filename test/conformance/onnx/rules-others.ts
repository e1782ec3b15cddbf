import type { RuleTable } from "./call.ts";
export const OTHERS: RuleTable = {};
