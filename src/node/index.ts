/** `fusum/node`: devices in Node, modules and arrays in files. */
export * from "../../runtime/node.ts";
export { ARRAY_EXTENSIONS, readArray, readArrays, writeArray, writeArrays } from "../io/index.ts";
export { compileFile, fileResolver } from "./compile-file.ts";
export { einsum } from "./einsum.ts";
