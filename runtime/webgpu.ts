/** WebGPU's flags as numbers: Node has no globals for them, and the runtime puts none there. */
export const BUFFER_USAGE = {
  MAP_READ: 0x0001,
  COPY_SRC: 0x0004,
  COPY_DST: 0x0008,
  UNIFORM: 0x0040,
  STORAGE: 0x0080,
  QUERY_RESOLVE: 0x0200,
} as const;

export const STORAGE_USAGE: number = BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC | BUFFER_USAGE.COPY_DST;
export const MAP_MODE_READ = 1;
export const STAGE_COMPUTE = 4;
