import type { RuleTable } from "./call.ts";
export const CONTROL: RuleTable = {};
