/**
 * Devices for tests. Test files that open one, directly or through a helper, are run once more on other adapters
 * (`test/run.ts --device`), with FUSUM_ADAPTER naming what VK_DRIVER_FILES is expected to give.
 */
import { type Device, type OpenOptions, openDevice } from "../runtime/node.ts";

const EXPECTED: Readonly<Record<string, RegExp>> = { swiftshader: /SwiftShader/i, lavapipe: /llvmpipe/i, gpu: /./ };

/** The software adapter, or the one that FUSUM_ADAPTER asks for; an error if another one answers. Close it in `afterAll`. */
export async function openTestDevice(options: OpenOptions = {}): Promise<Device> {
  const wanted = process.env["FUSUM_ADAPTER"] ?? "swiftshader";
  const pattern = EXPECTED[wanted];
  if (!pattern) throw new Error(`FUSUM_ADAPTER is ${wanted}; known are ${Object.keys(EXPECTED).join(", ")}`);
  const device = await openDevice({ adapter: wanted === "gpu" ? "gpu" : "software", quiet: true, ...options });
  if (!pattern.test(device.info.name))
    throw new Error(`${wanted} was expected, but the adapter is ${device.info.name}`);
  return device;
}
