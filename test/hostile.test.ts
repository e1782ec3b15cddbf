/**
 * Bad input along the whole path, from the command line in a process of its own with 512 MiB: a diagnostic and its exit code, never a
 * stack trace, within a second of processor time beyond what an empty command takes.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../runtime/index.ts";
import { CompileError, compile, einsumProgram } from "../src/index.ts";
import { openTestDevice } from "./device.ts";

const MAIN = resolve(import.meta.dirname, "../src/cli/main.ts");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fusum-hostile-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(resolve(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

interface Outcome {
  readonly code: number | null;
  readonly text: string;
  /** Processor time, in ms. */
  readonly cpu: number;
}

/** Ends the child's output with the processor time that it took. */
const METER = `data:text/javascript,${encodeURIComponent(
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the child's own template
  'process.on("exit", () => { const { user, system } = process.cpuUsage(); process.stderr.write(`\\ncpu ${(user + system) / 1000}\\n`); });',
)}`;

function fusum(args: readonly string[], cwd: string = folder): Outcome {
  const done = spawnSync(process.execPath, ["--max-old-space-size=512", "--import", METER, MAIN, ...args], {
    cwd,
    encoding: "utf8",
    timeout: 50_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  const cpu = Number(/\ncpu ([\d.]+)\n$/.exec(done.stderr)?.[1] ?? Number.NaN);
  return { code: done.status, text: done.stdout + done.stderr.replace(/\ncpu [\d.]+\n$/, ""), cpu };
}

let idle = 0;
beforeAll(() => {
  const fine = put("fine.ein", "export fn f(x: f32[N]) { x + 1 }\n");
  idle = Math.min(...[0, 1].map(() => fusum(["build", fine, "--noEmit"]).cpu));
  expect(idle).toBeGreaterThan(0);
});

/** Refused with exit code 1 (or 2 for usage) and these words, quickly. The best of three, so that a busy machine does not fail the test. */
function refused(args: readonly string[], words: RegExp, code = 1, cwd?: string): void {
  let cpu = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3 && cpu > idle + 1000; i++) {
    const outcome = fusum(args, cwd);
    expect(outcome.text.slice(0, 2000)).toMatch(words);
    expect(outcome.text).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
    expect(outcome.text).not.toMatch(/internal|heap out of memory|call stack/i);
    expect(outcome.text.length).toBeLessThan(20_000);
    expect(outcome.code).toBe(code);
    cpu = Math.min(cpu, outcome.cpu);
  }
  expect(cpu).toBeLessThan(idle + 1000);
}

describe("sources", () => {
  test.each([
    ["a megabyte of open brackets", "(".repeat(1e6), /EIN1003/],
    ["a megabyte of open brackets in a function", `export fn f(x: f32) { ${"[".repeat(1e6)} }`, /EIN1003/],
    ["a sum of 10^5 operands", `export fn f(x: f32) { x${" + x".repeat(1e5)} }`, /EIN1003/],
    [
      "an einsum of 10^5 operands",
      `export fn f(x: f32[N]) { einsum("${"i,".repeat(99_999)}i->i"${", x".repeat(1e5)}) }`,
      /EIN\d{4}/,
    ],
    ["an einsum of 10^5 letters", `export fn f(x: f32[N]) { einsum("${"i".repeat(1e5)}->", x) }`, /EIN\d{4}/],
    ["an extent beyond 2^31", "export fn f(x: f32[N]) { zeros([2147483648]) + x[0] }", /EIN1206/],
    ["an extent beyond 2^53", "export fn f(x: f32[9007199254740993]) { x }", /EIN1004/],
    ["an extent of a thousand digits", `export fn f(x: f32[${"9".repeat(1000)}]) { x }`, /EIN1004/],
    ["elements beyond 2^53", "export fn f() { zeros([2000000000, 2000000000, 2000000000]) }", /EIN1206/],
    ["a name of a megabyte", `export fn f(x: f32) { ${"y".repeat(1e6)} }`, /EIN\d{4}/],
    [
      "10^5 parameters",
      `export fn f(${Array.from({ length: 1e5 }, (_, i) => `a${i}: f32`).join(", ")}) { a0 }`,
      /EIN\d{4}/,
    ],
    ["a function that calls itself", "export fn f(x: f32) { f(x) }", /EIN\d{4}/],
    [
      "functions that call each other",
      "fn g(x: f32) { h(x) }\nfn h(x: f32) { g(x) }\nexport fn f(x: f32) { g(x) }",
      /EIN\d{4}/,
    ],
  ])("%s", (name, source, words) => {
    refused(["build", put(`${name.replace(/\W+/g, "-")}.ein`, source), "--noEmit"], words);
  });

  test("bytes that are no UTF-8", () => {
    refused(["build", put("bytes.ein", Uint8Array.of(0x65, 0xff, 0xfe, 0x80)), "--noEmit"], /EIN1006/);
    refused(["fmt", "--check", put("bytes2.ein", Uint8Array.of(0xc0, 0xaf))], /EIN1006/);
    refused(["build", put("half.ein", Uint8Array.of(0xe2, 0x82)), "--noEmit"], /EIN1006/);
  });
  test("no file, a folder, something else", () => {
    refused(["build", "nowhere.ein"], /no such file|cannot read/, 2);
    refused(["run", folder, "f"], /folder/, 2);
    const pipe = join(folder, "pipe.ein");
    spawnSync("mkfifo", [pipe]);
    refused(["run", pipe, "f"], /not a file/, 2);
    refused(["build", pipe, "--noEmit"], /EIN2001/);
    refused(["build", put("reader.ein", 'import { f } from "./pipe.ein"\n'), "--noEmit"], /EIN1103/);
    rmSync(pipe);
    refused(["run", put("fine.ein", "export fn f(x: f32[N]) { x + 1 }\n"), "g"], /no exported function g/, 2);
  });
});

describe("imports", () => {
  const user = (specifier: string): string =>
    `import { g } from ${JSON.stringify(specifier)}\nexport fn f(x: f32[N]) { g(x) }\n`;
  test("that are cyclic", () => {
    put("cycle/a.ein", `import { g } from "./b.ein"\nexport fn f(x: f32[N]) { g(x) }\n`);
    put("cycle/b.ein", `import { f } from "./a.ein"\nexport fn g(x: f32[N]) { f(x) }\n`);
    put("cycle/self.ein", `import { g } from "./self.ein"\nexport fn g(x: f32[N]) { g(x) }\n`);
    refused(["build", "a.ein", "--noEmit"], /EIN\d{4}/, 1, join(folder, "cycle"));
    refused(["build", "self.ein", "--noEmit"], /EIN\d{4}/, 1, join(folder, "cycle"));
  });
  test("of files outside the root", () => {
    const outside = put("secret.ein", "export fn g(x: f32[N]) { x * 2 }\n");
    mkdirSync(join(folder, "root"), { recursive: true });
    symlinkSync(outside, join(folder, "root/link.ein"));
    symlinkSync(folder, join(folder, "root/up"));
    for (const specifier of [
      "../secret.ein",
      outside,
      "./link.ein",
      "./up/secret.ein",
      "./sub/../../secret.ein",
      `file://${outside}`,
      "std/../nn",
      "std/../../secret",
      "https://example.org/x.ein",
      "",
      ".",
      "./",
      "\0",
    ]) {
      put("root/user.ein", user(specifier));
      refused(["build", "user.ein", "--noEmit"], /EIN\d{4}/, 1, join(folder, "root"));
    }
  });
  test("in a chain of hundreds of modules", () => {
    for (let i = 0; i < 300; i++)
      put(
        `chain/m${i}.ein`,
        i === 299
          ? "export fn g(x: f32[N]) { x }"
          : `import { g as h } from "./m${i + 1}.ein"\nexport fn g(x: f32[N]) { h(x) }\n`,
      );
    const { code, text } = fusum(["build", "m0.ein", "--noEmit"], join(folder, "chain"));
    expect(text).not.toMatch(/^\s+at /m);
    expect([0, 1]).toContain(code);
    if (code === 1) expect(text).toMatch(/EIN\d{4}/);
  });
});

/** A version 1 file with this header and these many bytes of data. */
function npy(header: string, dataBytes = 0): Uint8Array {
  const bytes = new Uint8Array(10 + header.length + dataBytes);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  return bytes;
}

describe("arrays on the command line", () => {
  test.each([
    ["nothing", new Uint8Array(0)],
    ["another magic", new TextEncoder().encode("PK\u0003\u0004nothing")],
    ["a header cut off", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,").subarray(0, 30)],
    ["code for a header", npy("__import__('os').system('true')")],
    ["a shape beyond 2^53", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }")],
    ["a negative shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4)],
    ["data that is missing", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,), }", 4)],
    ["objects", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8)],
    ["brackets without end", npy(`{'descr': ${"(".repeat(60_000)}`)],
  ])("npy: %s", (name, bytes) => {
    const fine = put("fine.ein", "export fn f(x: f32[N]) { x + 1 }\n");
    refused(
      ["run", fine, "f", "--interpret", "--input", `x=${put(`${name.replace(/\W+/g, "-")}.npy`, bytes)}`],
      /EIN\d{4}/,
    );
  });
  test("JSON that is deep, safetensors that lie", () => {
    const fine = put("fine.ein", "export fn f(x: f32[N]) { x + 1 }\n");
    refused(["run", fine, "f", "--interpret", "--input", `x=${put("deep.json", "[".repeat(1e6))}`], /EIN\d{4}/);
    refused(
      [
        "run",
        fine,
        "f",
        "--interpret",
        "--input",
        `x=${put("x.safetensors", Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127, 123))}`,
      ],
      /EIN\d{4}/,
    );
  });
  test("shapes too large to be", () => {
    const fine = put("fine.ein", "export fn f(x: f32[N]) { x + 1 }\n");
    for (const shape of ["99999999999999999999", "2147483648", "-1", "4294967296x4294967296"]) {
      const outcome = fusum(["run", fine, "f", "--interpret", "--random", `x=${shape}`]);
      expect([1, 2]).toContain(outcome.code);
      expect(outcome.text).not.toMatch(/^\s+at |heap out of memory|Invalid typed array/m);
      expect(outcome.cpu).toBeLessThan(idle + 1000);
    }
    refused(["run", fine, "f", "--interpret", "--random", "__proto__=3"], /./, 2);
  });
});

test("einsum in one call: a diagnostic for every bad string", () => {
  const shapes = [
    [2, 3],
    [3, 4],
  ];
  for (const bad of [
    "",
    "->",
    "ij,jk",
    "(".repeat(1e5),
    `${"i,".repeat(1e5)}i->i`,
    "i".repeat(1e6),
    "\0",
    "ij,jk->\u{1F600}",
    "__proto__,jk->ik",
  ]) {
    const before = process.cpuUsage();
    try {
      einsumProgram(
        bad,
        shapes.map((shape) => ({ dtype: "f32" as const, rank: shape.length })),
      );
      expect(bad).toBe("ij,jk");
    } catch (error) {
      expect(error).toBeInstanceOf(CompileError);
    }
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(1500);
  }
});

describe("names that mean something elsewhere", () => {
  const NAMES = [
    ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"],
    ...[
      "array",
      "atomic",
      "bitcast",
      "bool",
      "break",
      "case",
      "default",
      "diagnostic",
      "discard",
      "else",
      "enable",
      "f",
      "fallthrough",
      "function",
      "if",
      "loop",
      "main",
    ],
    ...[
      "mat4x4f",
      "override",
      "ptr",
      "requires",
      "return",
      "sampler",
      "struct",
      "switch",
      "texture_2d",
      "u",
      "var",
      "vec3",
      "vec4f",
      "while",
      "workgroup",
      "NULL",
      "Self",
      "async",
      "self",
      "_",
      "a_",
      "__a",
    ],
    ...["sizes", "group", "local", "result", "input", "output", "kernel", "program", "max", "exp", "select"],
  ];
  let device: Device;
  beforeAll(async () => {
    device = await openTestDevice();
  });
  afterAll(() => device?.close());

  test("as functions, parameters, locals, extents and indices, on the device", async () => {
    const refusedNames: string[] = [];
    for (const name of NAMES) {
      const other = name === "x" ? "z" : "x";
      const source = `export fn ${name}(${name}: f32[n_${name}], ${other}: f32[n_${name}]) {
  let local_${name} = ${name} * 2
  ${name}2[i] = local_${name}[i] + ${other}[i]
  t[${name}] = ${name}2[${name}] * 2
  t
}
`;
      let program: ReturnType<typeof compile>;
      try {
        program = compile(source);
      } catch (error) {
        expect(error).toBeInstanceOf(CompileError);
        refusedNames.push(name);
        continue;
      }
      const inputs = Object.fromEntries(
        [
          [name, [1, 2, 3]],
          [other, [10, 20, 30]],
        ].map(([k, v]) => [k, { dtype: "f32" as const, shape: [3], data: Float32Array.from(v as number[]) }]),
      );
      const kernel = await device.load(program, name, {});
      const results = Object.values(await kernel.run(inputs));
      expect([name, ...results[0]!.data]).toEqual([name, 24, 48, 72]);
    }
    expect(refusedNames).toEqual([]);
  });
});
