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
  return `\
/** Typed arrays of the element types. */
const $arrays = { ${dtypes.map((d) => `${d}: ${ARRAYS[d]}`).join(", ")} };

/** Every error of this module: an Error called "EinError" with its kind. */
const $fail = (kind, message, parameter) => {
  throw Object.assign(new Error(message), { name: "EinError", kind, parameter });
};

/** Runs an async function whose commands come before its first await; rejects if WebGPU reports an error of them. */
const $guard = async (device, name, commands) => {
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  const [work, ...errors] = await Promise.allSettled([commands(), device.popErrorScope(), device.popErrorScope()]);
  errors.forEach((e, i) => e.value && $fail(i ? "validation" : "out-of-memory", name + ": " + e.value.message));
  if (work.reason) throw work.reason.kind ? work.reason : $fail("lost", name + ": " + work.reason.message);
  return work.value;
};

/** A function on a device. \`fixed\` are extents known from now on, which its shaders hold as literals. */
const $create = async (device, fixed, plan) => {
  const { name, extents, params, results } = plan;
  const types = { ...params, ...results };
  const dtype = (n) => types[n].split("[")[0];
  const product = (shape) => shape.reduce((a, b) => a * b, 1);
  const bytes = (p, n) => ${
    half
      ? '(dtype(n) == "f16" ? 4 * Math.ceil(product(p.shapes[n]) / 2) : 4 * product(p.shapes[n]))'
      : "4 * product(p.shapes[n])"
  };
  const padded = (size) => 16 * Math.ceil((size || 1) / 16);
  const buffer = (size, usage, mappedAtCreation) => device.createBuffer({ size: padded(size), usage, mappedAtCreation });
  const reject = (n, text) => $fail("shape", \`\${name}: \${n} \${text}\`, n);
  const match = (given, known) => {
    for (const n in given) n in known || reject(n, "is none of " + Object.keys(known));
  };
  match(fixed, extents);

  const kernels = await $guard(device, name, async () => {
${part(needs.sizes, "    const { uniforms } = plan.at(fixed);\n")}\
    return Promise.all(
      plan.kernels.map(async (parts${part(needs.sizes, ", k")}) => {
${part(
  needs.sizes,
  `\
        let code = parts.join("\\n");
        let i = 0;
        const known = {};
        for (const [, field] of code.matchAll(/^  (\\w+): i32,/gm)) known[field] = uniforms[k][i++];
        code = code.replace(/\\bsizes\\.(\\w+)/g, (use, field) => (known[field] > 0 ? known[field] + "i" : use));
`,
  `        const code = parts.join("\\n");\n`,
)}\
        const module = device.createShaderModule({ code });
        const pipeline = await device.createComputePipelineAsync({ label: name, layout: "auto", compute: { module } });
        return ${part(needs.sizes, `{ pipeline, sized: /\\bsizes\\./.test(code) }`, "{ pipeline }")};
      }),
    );
  });
  const recent = new Map();
${part(needs.scratch, "  const scratch = [];\n")}\
  let disposed;

  /** All numbers for some extents, checked; kept for the next call. */
  const prepare = (given = {}, found = {}) => {
    if (disposed) $fail("validation", name + " was disposed");
    match(given, extents);
    const sizes = {};
    for (const e in extents) {
      const n = (sizes[e] = fixed[e] ?? given[e] ?? found[e]);
      const asked = given[e] ?? n;
      if (!(n >= 0 && n % 1 == 0 && n == asked)) reject(e, \`cannot be \${asked}; fixed are \${JSON.stringify(fixed)}\`);
    }
    const key = Object.values(sizes).join();
    if (recent.has(key)) return recent.get(key);
    const p = plan.at(sizes);
    for (const [holds, text] of p.facts ?? []) holds || reject(JSON.stringify(sizes), text);
    for (const n in types) p.shapes[n].every((e) => e >= 0) || reject(n, \`would be [\${p.shapes[n]}]\`);
    p.sizes = sizes;
    p.steps = p.steps.filter(([, , groups]) => product(groups));
${part(
  needs.sizes,
  `\
    p.uniforms = p.uniforms.map((values, k) => {
      values.every((v) => v == (v | 0)) || $fail("limits", name + " has a size of more than 32 bits");
      if (!kernels[k].sized) return;
      const uniform = buffer(4 * values.length, 64, true);
      new Int32Array(uniform.getMappedRange()).set(values);
      uniform.unmap();
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
      const bound = {};
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
        if (buffer) bound["#" + k] = { buffer };
      });
`,
)}\
      const old = p.bound ?? {};
      const same = (a, b = {}) => a.buffer == b.buffer && a.offset == b.offset && a.size == b.size;
      if (!Object.keys(bound).every((n) => same(bound[n], old[n]))) {
        p.bound = bound;
        p.groups = p.steps.map(([k, names]) => {
          const used = ${part(needs.sizes, '(names + " #" + k)', "names")}.split(" ")${part(needs.sizes, ".filter((n) => bound[n])")};
          const entries = used.map((n, binding) => ({ binding, resource: bound[n] }));
          return device.createBindGroup({ layout: kernels[k].pipeline.getBindGroupLayout(0), entries });
        });
      }
      const pass = target.beginComputePass?.({ label: name }) ?? target;
      p.steps.forEach(([k, , groups], i) => {
        pass.setPipeline(kernels[k].pipeline);
        pass.setBindGroup(0, p.groups[i]);
        pass.dispatchWorkgroups(...groups);
      });
      if (pass != target) pass.end();
    },

    async run(arrays, given) {
      match(arrays, params);
      const data = {};
      const shapes = {};
      const found = {};
${part(needs.folded, "      let lead;\n")}\
      for (const n in params) {
        const a = arrays[n] ?? reject(n, "is missing");
        const Type = $arrays[dtype(n)];
        const array = (data[n] = a.data ?? (a.length >= 0 ? a : ${part(half, '(dtype(n) == "f16" ? Float16Array : Type)', "Type")}.of(a)));
        array instanceof Type ||
${part(half, `          (dtype(n) == "f16" && array[Symbol.toStringTag] == "Float16Array") ||\n`)}\
          reject(n, \`is \${types[n]}, which a \${array.constructor.name} cannot hold\`);
        shapes[n] = a.shape ?? (/^\\w+\\[[^,]+$/.test(types[n]) && [array.length]);
${part(
  needs.folded,
  `\
        if (shapes[n] && types[n].includes("[...")) {
          const here = shapes[n].slice(0, shapes[n].length + 1 - plan.ranks[n]);
          lead ??= here;
          if (\`\${here}\` != \`\${lead}\`) reject(n, \`has the leading axes [\${here}], but others have [\${lead}]\`);
          shapes[n] = [product(here), ...shapes[n].slice(here.length)];
        }
`,
)}\
      }
      for (const e in extents) found[e] = shapes[extents[e][0]]?.[extents[e][1]];
      const p = prepare(given, found);
      for (const n in params) {
        const wanted = p.shapes[n];
        const shape = shapes[n] || wanted;
        if (\`\${shape}\` != \`\${wanted}\` || data[n].length != product(wanted))
          reject(n, \`is \${types[n]} = [\${wanted}], but has the shape [\${shape}] and \${data[n].length} elements\`);
      }
      return $guard(device, name, async () => {
        const buffers = {};
        for (const n in types) buffers[n] = buffer(bytes(p, n), 132, n in data);
        for (const n in data) {
          const memory = buffers[n].getMappedRange();
${
  bool
    ? `\
          if (dtype(n) == "bool") new Uint32Array(memory).set(Uint32Array.from(data[n], (v) => +!!v));
          else new data[n].constructor(memory).set(data[n]);
`
    : `          new data[n].constructor(memory).set(data[n]);\n`
}\
          buffers[n].unmap();
        }
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
          const Type = $arrays[dtype(n)];
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
