import { expect, test } from "vitest";
import { einsum } from "../../src/node/index.ts";

const matrix = { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;

test("einsum on a device in one call", async () => {
  const product = await einsum("ij,kj->ik", matrix, matrix);
  const shape: readonly [number, number] = product.shape;
  expect(shape).toEqual([2, 2]);
  expect([...product.data]).toEqual([14, 32, 32, 77]);
});

test("shapes that do not fit are diagnostics", async () => {
  await expect(einsum("ij,jk->ik", matrix, matrix)).rejects.toThrow(/EIN1402/);
});
