/** Arrays in files. */
export { ARRAY_EXTENSIONS, readArray, readArrays, writeArray, writeArrays, writePng } from "./files.ts";
export { arrayFromJson, type DTypeHint, readJson, writeJson, writeJsonMap } from "./json.ts";
export { readNpy, writeNpy } from "./npy.ts";
export { readNpz, writeNpz } from "./npz.ts";
export { decodePng, encodePng } from "./png.ts";
export { readSafetensors, writeSafetensors } from "./safetensors.ts";
