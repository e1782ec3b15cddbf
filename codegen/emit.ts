/** From a kernel to WGSL: verified against the target's limits, made legal, printed. */
import type { Kernel } from "../ir/kernel.ts";
import { type KernelLimits, verifyKernel } from "../ir/verify-kernel.ts";
import type { AdapterInfo, PlanSize } from "../runtime/plan.ts";
import { isLlvmpipe } from "./adapter.ts";
import { declareLate } from "./declare.ts";
import { type LegaliseOptions, legalise, originLines } from "./legalise.ts";
import { planSize } from "./plan.ts";
import { rolled } from "./rolled.ts";
import { commentOf, type PrintedKernel, printWgsl } from "./wgsl.ts";

export interface EmittedWgsl extends Omit<PrintedKernel, "groups"> {
  readonly groups: readonly [PlanSize, PlanSize, PlanSize];
}

export function limitsOf(target: AdapterInfo): KernelLimits {
  const l = target.limits;
  return {
    invocations: l.maxComputeInvocationsPerWorkgroup,
    workgroupSize: [l.maxComputeWorkgroupSizeX, l.maxComputeWorkgroupSizeY, l.maxComputeWorkgroupSizeZ],
    workgroupBytes: l.maxComputeWorkgroupStorageSize,
    storageBuffers: l.maxStorageBuffersPerShaderStage,
  };
}

/** Throws KernelError if the kernel breaks an invariant or a limit of the target. */
export function emitKernel(kernel: Kernel, target: AdapterInfo, options: LegaliseOptions = {}): EmittedWgsl {
  const llvmpipe = isLlvmpipe(target);
  const made = declareLate(legalise(verifyKernel(kernel, limitsOf(target)), { ...options, halfByBits: llvmpipe }));
  const printed = printWgsl(llvmpipe ? rolled(made) : made);
  const [x, y, z] = printed.groups;
  return { ...printed, groups: [planSize(x), planSize(y), planSize(z)] };
}

/** What was emitted for a kernel, for one that differs in its origin only. */
export function emitAgain(made: EmittedWgsl, kernel: Kernel, options: LegaliseOptions = {}): EmittedWgsl {
  const comment = commentOf(originLines(kernel, options));
  return { ...made, code: comment + made.code.slice(made.comment.length), comment };
}
