/** Runs the probes of one run of a container, and holds what they say. Ends with `stop`. */
import type { Container } from "../../../core/api/pod.ts";
import type { Host } from "../../../io/host/host.ts";
import type { EventType } from "../controllers/events.ts";
import { attempt } from "./probe-action.ts";
import type { ProbeTarget } from "./probe-action.ts";
import { firstState, mustRestart, nextState, probeSettings } from "./probe-state.ts";
import type { ProbeKind, ProbeState } from "./probe-state.ts";

export interface ProbeListener {
  changed(): void;
  record(type: EventType, reason: string, message: string): void;
  /** The container must be restarted. */
  fail(message: string): void;
}

export class Prober {
  private readonly host: Host;
  private readonly target: ProbeTarget;
  private readonly container: Container;
  private readonly listener: ProbeListener;
  private readonly stopping = new AbortController();
  private readonly states = new Map<ProbeKind, ProbeState>();

  constructor(host: Host, target: ProbeTarget, container: Container, listener: ProbeListener) {
    this.host = host;
    this.target = target;
    this.container = container;
    this.listener = listener;
    for (const kind of ["startup", "readiness", "liveness"] as const) {
      if (this.probeOf(kind) !== undefined) this.states.set(kind, firstState(kind));
    }
    void this.run();
  }

  get isStarted(): boolean {
    return this.states.get("startup")?.isPassing ?? true;
  }

  get isReady(): boolean {
    return this.isStarted && (this.states.get("readiness")?.isPassing ?? true);
  }

  stop(): void {
    this.stopping.abort(new Error("The container has ended."));
  }

  private probeOf(kind: ProbeKind): Container["readinessProbe"] {
    return this.container[`${kind}Probe`];
  }

  private async run(): Promise<void> {
    try {
      // The others wait until the program says that it has started.
      await this.repeat("startup");
      await Promise.all([this.repeat("readiness"), this.repeat("liveness")]);
    } catch (error) {
      if (!this.stopping.signal.aborted) throw error;
    }
  }

  private async repeat(kind: ProbeKind): Promise<void> {
    const probe = this.probeOf(kind);
    if (probe === undefined) return;
    const settings = probeSettings(probe);
    const { signal } = this.stopping;
    await this.host.clock.sleep(settings.initialDelayMs, signal);
    for (;;) {
      const { isSuccess, message } = await attempt(this.host, this.target, probe, settings.timeoutMs);
      signal.throwIfAborted();
      const before = this.states.get(kind) ?? firstState(kind);
      const after = nextState(before, isSuccess, settings);
      this.states.set(kind, after);
      const title = `${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}`;
      if (!isSuccess) this.listener.record("Warning", "Unhealthy", `${title} probe failed: ${message}`);
      if (after.isPassing !== before.isPassing) this.listener.changed();
      if (kind === "startup" && after.isPassing) return;
      if (mustRestart(kind, after, settings)) {
        this.listener.fail(`failed ${kind} probe`);
        this.stop();
      }
      // A program that is just starting is asked more often at first, so that it counts as ready soon. Failures of the
      // other kinds end containers, so those keep their period.
      const isEager = kind === "readiness" && !after.isPassing && after.failures <= eagerAttempts;
      await this.host.clock.sleep(isEager ? Math.min(eagerMs, settings.periodMs) : settings.periodMs, signal);
    }
  }
}

const eagerAttempts = 5;
const eagerMs = 200;
