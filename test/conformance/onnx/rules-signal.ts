import type { RuleTable } from "./call.ts";
export const SIGNAL: RuleTable = {};
