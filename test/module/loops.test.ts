import { expect, test } from "vitest";
import { compile } from "../../src/index.ts";
import { emitModule } from "../../src/module/index.ts";

test("a function with a loop is left out, and that is said", () => {
  const source = "export fn f(x: f32[N]) { iterate 3 from x as v { v * 2 } }\nexport fn g(x: f32[N]) { x + 1 }\n";
  const told: string[] = [];
  const files = emitModule(
    { fileName: "a.ein", source, program: compile(source) },
    { onWarning: (d) => told.push(`${d.code}: ${d.notes.join("; ")}`) },
  );
  const text = files.find((f) => f.path === "a.ein.js")!.text;
  expect(text).toMatch(/\bg\b/);
  expect(text).not.toMatch(/export function f\b/);
  expect(told).toEqual([
    expect.stringContaining("EIN1107: `f` is not in the module; the runtime's `device.load` runs it"),
  ]);
});
