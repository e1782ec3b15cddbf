/**
 * The host code that an emitted module's functions share, as JavaScript text: it stands once in a module, without the parts that the
 * module has no use for. Names begin with `$`, which no name of the language does.
 */
import type { PlanDType } from "../../runtime/plan.ts";

export interface PreludeNeeds {
  readonly dtypes: ReadonlySet<PlanDType>;
  /** Some parameter has `...`. */
  readonly folded: boolean;
  /** Some kernel has a uniform of sizes. */
  readonly sizes: boolean;
  /** Some function has scratch buffers. */
  readonly scratch: boolean;
  /** Some kernel's grid may be larger than a dispatch. */
  readonly grids: boolean;
  /** Some function has loops. */
  readonly loops: boolean;
  /** Some loop keeps what its rounds compute. */
  readonly rows: boolean;
  /** Some function has conditions on its extents. */
  readonly facts: boolean;
  /** Some extent of a shape could come out negative, or divided by zero. */
  readonly differences: boolean;
}

const ARRAYS = {
  f32: "Float32Array",
  f16: "Uint16Array",
  i32: "Int32Array",
  u32: "Uint32Array",
  bool: "Uint8Array",
} as const satisfies Record<PlanDType, string>;

/** The typed array that holds a dtype. */
export function arrayOf(dtype: PlanDType): string {
  return ARRAYS[dtype];
}

export function prelude(needs: PreludeNeeds): string {
  const dtypes = (Object.keys(ARRAYS) as PlanDType[]).filter((d) => needs.dtypes.has(d));
  const half = needs.dtypes.has("f16");
  const bool = needs.dtypes.has("bool");
  const part = (wanted: boolean, text: string, otherwise = ""): string => (wanted ? text : otherwise);
  const several = dtypes.length > 1;
  const arrays = `/** Typed arrays of the element types. */
const $arrays = { ${dtypes.map((d) => `${d}: ${ARRAYS[d]}`).join(", ")} };

`;
  const arrayType = several ? "$arrays[dtype(n)]" : ARRAYS[dtypes[0] ?? "f32"];
  return `\
${part(several, arrays)}\
${part(half, HALVES)}\
${part(needs.grids, GRID)}\
/** Every error of this module: an Error called "EinError" with its kind. */
const $fail = (kind, message, parameter) => {
  throw Object.assign(new Error(message), { name: "EinError", kind, parameter });
};

/** Runs an async function whose commands come before its first await; rejects if WebGPU reports an error of them. */
const $guard = async (device, name, commands) => {
  device.pushErrorScope("validation");
  const [work, scope] = await Promise.allSettled([commands(), device.popErrorScope()]);
  const error = scope.value ?? work.reason;
  if (error?.kind) throw error;
  if (error) $fail(scope.value ? "validation" : "lost", name + ": " + (error.message || "the device was lost"));
  return work.value;
};

/** A function on a device. \`fixed\` are extents known from now on, which its shaders hold as literals. */
const $create = async (device, fixed, plan) => {
  const { name, extents, params, results } = plan;
  const types = { ...params, ...results };
${part(several || bool, '  const dtype = (n) => types[n].split("[")[0];\n')}\
  const product = (shape) => shape.reduce((a, b) => a * b, 1);
  const bytes = (p, n) => ${bytesText(half, several)};
  const padded = (size) => 16 * Math.ceil((size || 1) / 16);
  const buffer = (size, usage) => device.createBuffer({ size: padded(size), usage });
  const reject = (n, text) => $fail("shape", \`\${name}: \${n} \${text}\`, n);
  const match = (given, known) => {
    for (const n in given) n in known || reject(n, "is none of " + Object.keys(known));
  };
  match(fixed, extents);

  const kernels = await $guard(device, name, async () => {
${part(needs.sizes, "    const { uniforms } = plan.at(fixed);\n")}\
    const compile = (parts${part(needs.sizes, ", k")}) => {
${part(
  needs.sizes,
  `\
      const known = {};
      let code = parts.join("\\n");
      let i = 0;
      for (const [, field] of code.matchAll(/^(\\w+):i32,/gm)) known[field] = uniforms[k][i++];
      code = code.replace(/\\bsizes\\.(\\w+)/g, (use, field) => (known[field] > 0 ? known[field] + "i" : use));
`,
  `      const code = parts.join("\\n");\n`,
)}\
      const module = device.createShaderModule({ code });
      return device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    };
    return Promise.all(plan.kernels.map(compile));
  });
  const recent = new Map();
${part(needs.scratch, "  const scratch = [];\n")}\
  let disposed;

${part(needs.loops, UNROLL)}\
  /** All numbers for some extents, checked; kept for the next call. */
  const prepare = (given = {}, found = {}) => {
    if (disposed) $fail("disposed", name + " was disposed");
    match(given, extents);
    const sizes = {};
    for (const e in extents) {
      const n = (sizes[e] = fixed[e] ?? given[e] ?? found[e]);
      const asked = given[e] ?? n;
      if (!(n >= 0 && n % 1 == 0 && n == asked)) reject(e, \`cannot be \${asked}; fixed are \${JSON.stringify(fixed)}\`);
    }
    const key = JSON.stringify(sizes);
    if (recent.has(key)) return recent.get(key);
    const p = plan.at(sizes);
${part(needs.facts, "    for (const [holds, text] of p.facts ?? []) holds || reject(key, text);\n")}\
${part(
  needs.differences,
  `    for (const n in types) p.shapes[n].every((e) => e >= 0) || reject(n, \`would be [\${p.shapes[n]}]\`);\n`,
)}\
    p.sizes = sizes;
${part(needs.loops, "    p.steps = unroll(p);\n")}\
${part(
  needs.sizes,
  `\
    p.uniforms = p.uniforms.map((values${part(needs.rows, ", k")}) => {
      ${part(needs.rows, "let", "const")} words = new Int32Array(values);
      if (\`\${words}\` != \`\${values}\`) reject(key, "do not fit 32 bits");
${part(needs.rows, KEPT_SIZES)}\
      const uniform = buffer(4 * words.length, 72);
      device.queue.writeBuffer(uniform, 0, words);
      return uniform;
    });
`,
)}\
    if (recent.size > 15) recent.clear();
    recent.set(key, p);
    return p;
  };

  /** A caller's buffer, or a part of it, as it is bound: whole vectors of four where it reaches so far. */
  const range = (n, value, least) => {
    const { buffer, offset = 0, size = buffer.size - offset } = value?.buffer ? value : { buffer: value ?? reject(n, "is missing") };
    size >= (least || 16) || reject(n, \`has \${size} bytes, but \${least || 16} are needed\`);
    return { buffer, offset, size: Math.min(padded(least), size - (size % 4)) };
  };

  const kernel = {
    encode(target, buffers, given${part(needs.scratch, ", workspace")}) {
      const p = prepare(given);
      match(buffers, types);
      const bound = { __proto__: null };
      for (const n in types) bound[n] = range(n, buffers[n], bytes(p, n));
${part(
  needs.scratch,
  `\
      p.scratch.forEach((size, i) => {
        if (workspace) bound[i] = range("workspace " + i, workspace[i], size);
        else bound[i] = { buffer: scratch[i]?.size >= size ? scratch[i] : (scratch[i] = buffer(size, 128)) };
      });
`,
)}\
${part(
  needs.sizes,
  `\
      p.uniforms.forEach((buffer, k) => {
        bound["#" + k] = { buffer };
      });
`,
)}\
      const same = (a, b = {}) => a.buffer == b.buffer && a.offset == b.offset && a.size == b.size;
      if (!Object.keys(bound).every((n) => same(bound[n], p.bound?.[n]))) {
        p.bound = bound;
${part(needs.rows, KEPT_RESOURCE)}\
${part(needs.loops, "        const made = {};\n")}\
        p.groups = p.steps.map(([k, names]) => {
          const entries = names.split(" ").map((n, binding) => ({ binding, resource: ${part(needs.rows, "resource(n)", "bound[n]")} }));
          return ${part(needs.loops, "(made[[k, names]] ??= ")}device.createBindGroup({ layout: kernels[k].getBindGroupLayout(0), entries })${part(needs.loops, ")")};
        });
      }
      const pass = target.beginComputePass?.() ?? target;
      p.steps.forEach(([k, , groups], i) => {
        pass.setPipeline(kernels[k]);
        pass.setBindGroup(0, p.groups[i]);
        pass.dispatchWorkgroups(...groups);
      });
      if (pass != target) pass.end();
    },

    async run(arrays, given) {
      match(arrays, params);
      // Without a prototype "__proto__" is a name like any other.
      const data = { __proto__: null };
      const shapes = { __proto__: null };
      const found = {};
${part(needs.folded, "      let lead;\n")}\
      for (const n in params) {
        const a = arrays[n] ?? reject(n, "is missing");
        data[n] = a.data ?? (a.length >= 0 ? a : ${part(half, several ? `(dtype(n) == "f16" ? Float16Array : ${arrayType})` : "Float16Array", arrayType)}.of(a));
        shapes[n] = a.shape;
${part(
  needs.folded,
  `\
        if (a.shape && types[n].includes("[...")) {
          const here = a.shape.slice(0, a.shape.length + 1 - plan.ranks[n]);
          lead ??= here;
          if (\`\${here}\` != \`\${lead}\`) reject(n, \`has the leading axes [\${here}], but others have [\${lead}]\`);
          shapes[n] = [product(here), ...a.shape.slice(here.length)];
        }
`,
)}\
      }
      for (const e in extents) {
        const [n, axis] = extents[e];
        const shape = shapes[n];
        found[e] = (shape ?? [data[n].length])[axis] ?? (shape && reject(n, \`is \${types[n]}, but its shape is [\${shape}]\`));
      }
      const p = prepare(given, found);
      for (const n in params) {
        const array = data[n];
        const wanted = p.shapes[n];
        const shape = shapes[n] ?? wanted;
        const fits = array instanceof ${arrayType}${part(half, ` || (${several ? 'dtype(n) == "f16" && ' : ""}array[Symbol.toStringTag] == "Float16Array")`)};
        if (!fits || \`\${shape}\` != \`\${wanted}\` || array.length != product(wanted))
          reject(n, \`is \${types[n]} = [\${wanted}], not \${array.constructor.name}(\${array.length}) with shape [\${shape}]\`);
      }
      return $guard(device, name, async () => {
        const buffers = { __proto__: null };
        for (const n in types) buffers[n] = buffer(bytes(p, n), 140);
        for (const n in data) device.queue.writeBuffer(buffers[n], 0, ${uploadText(bool, half)});
        const encoder = device.createCommandEncoder();
        kernel.encode(encoder, buffers, p.sizes);
        const reads = Object.keys(results).map((n) => {
          const read = buffer(bytes(p, n), 9);
          encoder.copyBufferToBuffer(buffers[n], 0, read, 0, read.size);
          return [n, read];
        });
        device.queue.submit([encoder.finish()]);
        for (const n in buffers) buffers[n].destroy();
        const done = reads.map(async ([n, read]) => {
          await read.mapAsync(1);
          const shape = p.shapes[n];
          const memory = read.getMappedRange().slice(0);
          read.destroy();
          const Type = ${arrayType};
          const array = ${part(
            bool,
            'dtype(n) == "bool" ? Type.from(new Uint32Array(memory, 0, product(shape)), (v) => +!!v) : ',
          )}new Type(memory, 0, product(shape));
          return [n, Object.assign(array, { shape${part(
            needs.folded,
            `: lead && results[n].includes("[...") ? [...lead, ...shape.slice(1)] : shape`,
          )} })];
        });
        return Object.fromEntries(await Promise.all(done));
      });
    },

    workspace: (given) => prepare(given).scratch${part(needs.scratch, "", " ?? []")},

    dispose() {
      disposed = true;
${part(needs.sizes, "      for (const p of recent.values()) for (const u of p.uniforms) u?.destroy();\n")}\
${part(needs.scratch, "      for (const b of scratch) b?.destroy();\n")}\
      recent.clear();
    },
  };
  return kernel;
};
`;
}

const GRID = `\
/** Workgroups of a grid, in rows of 65,535 where a dispatch cannot hold it as it is. */
const $grid = (x, y, z) =>
  Math.max(x, y, z) > 65535 ? [Math.min(x * y * z, 65535), Math.ceil((x * y * z) / 65535), 1] : [x, y, z];

`;

const HALVES = `\
/** The bits of halves, an even number of them. */
const $halves = (a) => {
  const bits = new Uint16Array(a.length + (a.length & 1));
  bits.set(new Uint16Array(a.buffer, a.byteOffset, a.length));
  return bits;
};

`;

const UNROLL = `\
  /** The steps of all rounds. ~0, ~1, … become the buffers that are at these places in a round, @ the number of the round. */
  const unroll = ({ steps, places }) => {
    const flat = [];
    const walk = (some, round) => {
      for (const s of some) {
        if (flat.length + (s.rounds ?? 1) > 2 ** 20) $fail("shape", name + ": its loops take more than 1048576 dispatches");
        for (let n = 0; n < s.rounds; n++) {
          walk(s.steps, n);
          for (const [a, b] of s.swaps) [places[a], places[b]] = [places[b], places[a]];
        }
        if (s.steps) continue;
        const [k, names, groups] = s;
        const here = names.replace(/~(\\d+)/g, (_, i) => places[i]).replace("@", "@" + round);
        flat.push([k, here, groups]);
      }
    };
    walk(steps);
    return flat;
  };

`;

const KEPT_SIZES = `\
      const rows = p.rows?.[k];
      if (rows >= 0) {
        words = new Int32Array(64 * rows);
        for (let n = 0; n < rows; n++) words.set([...values, n], 64 * n);
      }
`;

const KEPT_RESOURCE = `\
        const resource = (n) => {
          const [name, row] = n.split("@");
          return row ? { ...bound[name], offset: 256 * row, size: 16 } : bound[n];
        };
`;

/** Bytes of an array on the device. */
function bytesText(half: boolean, several: boolean): string {
  const full = "4 * product(p.shapes[n])";
  if (!half) return full;
  const halves = "4 * Math.ceil(product(p.shapes[n]) / 2)";
  return several ? `(dtype(n) == "f16" ? ${halves} : ${full})` : halves;
}

/** An input as the device holds it: booleans are words, and halves come in pairs. */
function uploadText(bool: boolean, half: boolean): string {
  const words = bool ? "data[n] instanceof Uint8Array ? Uint32Array.from(data[n], (v) => +!!v) : " : "";
  return `${words}${half ? "data[n].BYTES_PER_ELEMENT == 2 ? $halves(data[n]) : " : ""}data[n]`;
}
