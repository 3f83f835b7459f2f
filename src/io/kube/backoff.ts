/** How long to wait before trying again: exponential, bounded, and spread so that many clients do not return as one. */
import type { Random } from "../host/host.ts";

export interface BackoffLimits {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Between half of and the whole `baseMs × 2^failures`, at most `maxMs`. */
export function backoffMs(random: Random, failures: number, { baseMs, maxMs }: BackoffLimits): number {
  const whole = Math.min(maxMs, baseMs * 2 ** Math.min(failures, 30));
  const half = Math.max(1, Math.floor(whole / 2));
  return half + random.below(half + 1);
}
