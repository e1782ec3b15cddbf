import type { RuleTable } from "./call.ts";
export const QUANTIZE: RuleTable = {};
