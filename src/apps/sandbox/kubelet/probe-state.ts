/** When a probe's results change what it says: thresholds and delays, without clock and network. Pure. */
import type { Probe } from "../../../core/api/pod.ts";

export type ProbeKind = "startup" | "readiness" | "liveness";

export interface ProbeSettings {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export const probeSettings = (probe: Probe): ProbeSettings => ({
  initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
  periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
  timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
  successThreshold: Math.max(1, probe.successThreshold ?? 1),
  failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
});

export interface ProbeState {
  /** What the probe says now; a probe that has not decided yet says no for startup and readiness. */
  readonly isPassing: boolean;
  readonly successes: number;
  readonly failures: number;
}

export const firstState = (kind: ProbeKind): ProbeState => ({
  isPassing: kind === "liveness",
  successes: 0,
  failures: 0,
});

export function nextState(state: ProbeState, isSuccess: boolean, settings: ProbeSettings): ProbeState {
  const successes = isSuccess ? state.successes + 1 : 0;
  const failures = isSuccess ? 0 : state.failures + 1;
  const isPassing =
    (isSuccess && successes >= settings.successThreshold) || (state.isPassing && failures < settings.failureThreshold);
  return { isPassing, successes, failures };
}

/** A startup or liveness probe that failed often enough in a row ends the container. */
export const mustRestart = (kind: ProbeKind, state: ProbeState, settings: ProbeSettings): boolean =>
  kind !== "readiness" && state.failures >= settings.failureThreshold;
