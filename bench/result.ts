/** What a run of the benchmark found: plain data, written as JSON and turned into the table and the report. */
import type { Ratio } from "./clock.ts";
import type { Roofline } from "./roofline.ts";

export interface ContenderResult {
  readonly name: string;
  /** Milliseconds of one run: the median over the rounds, the best, and the quartiles. */
  readonly ms: number;
  readonly best: number;
  readonly quartiles: readonly [number, number];
  /** Milliseconds of the first call; compiling is in it. */
  readonly first?: number;
  /** How many times as long as ours it took. */
  readonly ratio?: Ratio;
  /** Relative root mean square difference from our results. */
  readonly difference?: number;
  /** Which of several ways was the fastest, or why there is no time. */
  readonly note?: string;
}

export interface WorkloadResult {
  readonly workload: string;
  readonly family: string;
  readonly ours: ContenderResult;
  readonly peers: readonly ContenderResult[];
  readonly handWritten?: ContenderResult;
  /** Ours with the tuner's schedules, which its note lists. */
  readonly tuned?: ContenderResult;
  /** Peers that could not run it, and why. */
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
  readonly flops?: number;
  readonly bytes: number;
  readonly kernels: number;
  /** Our schedules, one line each. */
  readonly schedules: readonly string[];
  readonly compileMs: number;
}

export interface BenchResult {
  readonly adapter: {
    readonly name: string;
    readonly driver: string;
    readonly kind: string;
    readonly features: readonly string[];
  };
  readonly cores: number;
  readonly node: string;
  /** Where it ran in a page: the browser and its version. */
  readonly browser?: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly clock: "wall" | "cpu";
  readonly roofline: Roofline;
  readonly results: readonly WorkloadResult[];
}

/** The peer that was fastest against ours. */
export function bestPeer(r: WorkloadResult): ContenderResult | undefined {
  return r.peers.reduce<ContenderResult | undefined>(
    (best, p) => ((p.ratio?.median ?? Infinity) < (best?.ratio?.median ?? Infinity) ? p : best),
    undefined,
  );
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((s, v) => s + Math.log(v), 0) / values.length);
}
