import type { RuleTable } from "./call.ts";
export const RECURRENT: RuleTable = {};
