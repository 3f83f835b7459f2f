/** What the debug pages of a node's agent answer, as its programs and its readers both have it. */
import type { CallExplanation } from "./call.ts";
import type { EnvoyState } from "./envoy-state.ts";

/** Of `/debug/explain`. */
export interface ExplainAnswer {
  readonly call: CallExplanation;
  /** Absent where no connection has been made yet, or none would be. */
  readonly envoy?: EnvoyState | undefined;
}

/** Of `/debug/probe`: one row per way. */
export interface ProbeAnswer {
  readonly cluster: string;
  /** Node of this cluster that was meant; "" for a peer. */
  readonly node: string;
  readonly via: string;
  readonly isGood: boolean;
  readonly ms: number;
  /** Who answered, and whom it saw. */
  readonly reached?: {
    readonly cluster: string;
    readonly node: string;
    readonly server: string;
    readonly client: string;
  };
  /** A sentence, when it is not good. */
  readonly problem?: string;
}
