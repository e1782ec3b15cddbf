/** Names that WGSL accepts, near to the hints, each once. */

/** Keywords and reserved words of WGSL (sections 16.1 and 16.2 of the specification). */
const RESERVED =
  `alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop
override requires return struct switch true var while NULL Self abstract active alignas alignof as asm asm_fragment async attribute
auto await become cast catch class co_await co_return co_yield coherent column_major common compile compile_fragment concept const_cast
consteval constexpr constinit crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends extern
external fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import inline instanceof
interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace new nil noexcept noinline
nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset partial pass patch pixelfragment
precise precision premerge priv protected pub public readonly ref regardless register reinterpret_cast require resource restrict self set
shared sizeof smooth snorm static static_assert static_cast std subroutine super target template this thread_local throw trait try type
typedef typeid typename typeof union unless unorm unsafe unsized use using varying virtual volatile wgsl where with writeonly yield`.split(
    /\s+/,
  );
/** Predeclared types and functions that emitted code uses, or that a reader would take for them. */
const PREDECLARED =
  `bool i32 u32 f32 f16 vec2 vec3 vec4 vec2f vec3f vec4f vec2i vec3i vec4i vec2u vec3u vec4u vec2h vec3h vec4h mat2x2 mat3x3 mat4x4
mat2x2f mat2x4f mat4x2f mat4x4f mat2x2h mat2x4h mat4x2h mat4x4h
array atomic ptr sampler texture_2d bitcast all any select arrayLength abs acos acosh asin asinh atan atanh atan2 ceil clamp cos cosh
countLeadingZeros countOneBits countTrailingZeros cross degrees determinant distance dot exp exp2 extractBits faceForward firstLeadingBit
firstTrailingBit floor fma fract frexp insertBits inverseSqrt ldexp length log log2 max min mix modf normalize pow quantizeToF16 radians
reflect refract reverseBits round saturate sign sin sinh smoothstep sqrt step tan tanh transpose trunc workgroupBarrier storageBarrier
atomicLoad atomicStore atomicAdd atomicSub atomicMax atomicMin atomicAnd atomicOr atomicXor atomicExchange subgroupAdd subgroupMul
subgroupMin subgroupMax subgroupAnd subgroupOr subgroupAll subgroupAny subgroupBroadcast subgroupShuffle subgroupShuffleXor quadSwapX
quadSwapY quadSwapDiagonal
subgroupMatrixLoad subgroupMatrixStore subgroupMatrixMultiply subgroupMatrixMultiplyAccumulate subgroup_matrix_left
subgroup_matrix_right subgroup_matrix_result row_major col_major main Sizes`.split(/\s+/);

const BLOCKED: ReadonlySet<string> = new Set([...RESERVED, ...PREDECLARED]);
const NONE: ReadonlySet<string> = new Set();

export class Names {
  private readonly taken = new Set<string>();
  /** Names beyond WGSL's own that are not to be given. */
  private readonly blocked: ReadonlySet<string>;
  /** Where to go on counting, by hint. */
  private readonly last = new Map<string, number>();
  constructor(blocked: ReadonlySet<string> = NONE) {
    this.blocked = blocked;
  }
  private isTaken(name: string): boolean {
    return this.taken.has(name) || this.blocked.has(name) || BLOCKED.has(name);
  }

  /** A name not given before: ASCII letters, digits and single underscores, beginning with a letter. */
  fresh(hint: string): string {
    const base = baseOf(hint);
    let name = base;
    if (this.isTaken(name)) {
      const stem = /\d$/.test(base) ? `${base}_` : base;
      let i = this.last.get(base) ?? 1;
      for (; this.isTaken(name); i++) name = `${stem}${i}`;
      this.last.set(base, i);
    }
    this.taken.add(name);
    return name;
  }
}

/** Most names of a kernel are made from a handful of hints. */
const bases = new Map<string, string>();
const MAX_BASES = 4096;

function baseOf(hint: string): string {
  const old = bases.get(hint);
  if (old !== undefined) return old;
  const ascii = hint
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9_]+/g, "_")
    .replace(/__+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 40);
  const base = /^[A-Za-z]/.test(ascii) ? ascii : `v${ascii === "" ? "" : `_${ascii}`}`;
  if (bases.size >= MAX_BASES) bases.clear();
  bases.set(hint, base);
  return base;
}
