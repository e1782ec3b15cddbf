/** "Did you mean", for every part of the compiler. */
export { distance, suggest } from "../../grammar/suggest.ts";
