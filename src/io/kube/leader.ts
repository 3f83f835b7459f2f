/**
 * Leader election on a Lease: of all processes that name the same Lease at most one leads at a time, as long as clocks
 * run at similar speed. Compatible with the leases other Kubernetes programs write. The Lease is the only shared state.
 */
import { setMaxListeners } from "node:events";
import { errorText } from "../../core/api/error-text.ts";
import type { Lease } from "../../core/api/kube.ts";
import { builtin } from "../../core/api/resources.ts";
import type { Host } from "../host/host.ts";
import { isoMicros } from "../host/iso-time.ts";
import { KubeError } from "./client.ts";
import type { KubeClient } from "./client.ts";

export interface ElectionOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique per process; the pod's name. */
  readonly identity: string;
  /** How long a lease holds that nobody renews. */
  readonly leaseMs?: number;
  /** A leader that could not renew for so long stops leading; shorter than `leaseMs`. */
  readonly renewMs?: number;
  readonly retryMs?: number;
  /** Ends the candidacy; a lease that is held is released. */
  readonly signal: AbortSignal;
}

export interface Leadership {
  /** Who holds the lease, as last seen. */
  readonly holder: string | undefined;
  readonly isLeader: boolean;
  /** Ended, and the lease released when it was held. Never rejects. */
  readonly ended: Promise<void>;
}

/**
 * Calls `lead` each time this process becomes the leader; the signal given to it aborts when it no longer is. The lease
 * is given up only after what `lead` returned has settled, or the lease has run out.
 */
export function startElection(
  host: Host,
  client: KubeClient,
  options: ElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Leadership {
  return new Candidate(host, client, options, lead);
}

interface Seen {
  readonly lease: Lease;
  /** When, by our own clock, this version of the lease was first seen: clocks of others are not trusted. */
  readonly at: number;
}

class Candidate implements Leadership {
  readonly ended: Promise<void>;
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly options: ElectionOptions;
  private readonly lead: (signal: AbortSignal) => Promise<void>;
  private readonly leaseMs: number;
  private readonly renewMs: number;
  private readonly retryMs: number;
  private seen: Seen | undefined;
  private term: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  private renewedAt = 0;

  constructor(host: Host, client: KubeClient, options: ElectionOptions, lead: (signal: AbortSignal) => Promise<void>) {
    this.host = host;
    this.client = client;
    this.options = options;
    this.lead = lead;
    this.leaseMs = options.leaseMs ?? 15_000;
    this.renewMs = options.renewMs ?? 10_000;
    this.retryMs = options.retryMs ?? 2_000;
    this.ended = this.run();
  }

  get isLeader(): boolean {
    return this.term !== undefined;
  }

  get holder(): string | undefined {
    return this.seen?.lease.spec?.holderIdentity;
  }

  private async run(): Promise<void> {
    const { signal } = this.options;
    while (!signal.aborted) {
      const holds = await this.tryHold();
      if (signal.aborted) break;
      if (holds && this.term === undefined) this.begin();
      const isLate = this.patienceMs() <= 0;
      const isTaken = !holds && this.holder !== this.options.identity;
      if (this.term !== undefined && !holds && (isLate || isTaken)) await this.end("lost");
      const jitterMs = this.host.random.below(Math.max(1, Math.floor(this.retryMs / 5)));
      const pauseMs = Math.min(this.retryMs + jitterMs, this.term === undefined ? Infinity : this.patienceMs());
      await this.host.clock.sleep(pauseMs, signal).catch(() => undefined);
    }
    await this.end("stopped");
    await this.release();
  }

  /** A leader leads on for so long without a renewal: another one may begin when the lease has run out. */
  private patienceMs(): number {
    return this.renewedAt + this.renewMs - this.host.clock.elapsed();
  }

  private begin(): void {
    const stop = new AbortController();
    // Everything that is done while leading listens to it.
    setMaxListeners(0, stop.signal);
    this.host.log.info("leader.started", { lease: this.options.name, identity: this.options.identity });
    const done = this.lead(stop.signal).catch((error: unknown) => {
      if (stop.signal.aborted) return;
      const cause = errorText(error);
      this.host.log.error("leader.failed", { lease: this.options.name, cause });
    });
    this.term = { stop, done };
  }

  private async end(why: string): Promise<void> {
    const { term } = this;
    if (term === undefined) return;
    this.term = undefined;
    this.host.log.info("leader.ended", { lease: this.options.name, identity: this.options.identity, why });
    term.stop.abort(new Error(`the leadership of ${this.options.name} ended`));
    const patience = new AbortController();
    await Promise.race([term.done, this.host.clock.sleep(this.leaseMs, patience.signal).catch(() => undefined)]);
    patience.abort(new Error("settled"));
  }

  /** Takes or renews the lease; true when this process holds it for sure. */
  private async tryHold(): Promise<boolean> {
    const limit = new AbortController();
    const limitMs = this.term === undefined ? this.renewMs : Math.max(0, this.patienceMs());
    const cancel = this.host.clock.after(limitMs, () => limit.abort(new Error("the API server did not answer")));
    try {
      return await this.hold(AbortSignal.any([limit.signal, this.options.signal]));
    } catch (error) {
      if (this.options.signal.aborted) return false;
      const cause = errorText(error);
      if (!(error instanceof KubeError && (error.reason === "Conflict" || error.reason === "AlreadyExists"))) {
        this.host.log.warn("leader.retry", { lease: this.options.name, cause });
      }
      return false;
    } finally {
      cancel();
    }
  }

  private async hold(signal: AbortSignal): Promise<boolean> {
    const { namespace, name, identity } = this.options;
    // Before the request: the lease counts from when it was asked for, not from when the answer came.
    const askedAt = this.host.clock.elapsed();
    const current = await this.read(signal);
    if (current === undefined) {
      const made: Lease = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name, namespace },
        spec: this.specOf(undefined),
      };
      this.see(await this.client.create(builtin.leases, made, { signal }));
      this.renewedAt = askedAt;
      return true;
    }
    this.see(current);
    const held = current.spec?.holderIdentity ?? "";
    const validMs = (current.spec?.leaseDurationSeconds ?? 0) * 1000;
    const isFree = held === "" || held === identity || askedAt >= (this.seen?.at ?? askedAt) + validMs;
    if (!isFree) return false;
    const next = { ...current, spec: this.specOf(current) };
    this.see(await this.client.update(builtin.leases, next, { signal }));
    this.renewedAt = askedAt;
    return true;
  }

  private async read(signal: AbortSignal): Promise<Lease | undefined> {
    const { namespace, name } = this.options;
    try {
      return await this.client.get(builtin.leases, { namespace, name }, { signal });
    } catch (error) {
      if (error instanceof KubeError && error.code === 404) return undefined;
      throw error;
    }
  }

  private see(lease: Lease): void {
    const isNew = this.seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion;
    if (isNew || this.seen === undefined) this.seen = { lease, at: this.host.clock.elapsed() };
  }

  private specOf(current: Lease | undefined): NonNullable<Lease["spec"]> {
    const { identity } = this.options;
    const before = current?.spec;
    const isMine = before?.holderIdentity === identity;
    const transitions = before?.leaseTransitions ?? 0;
    const time = isoMicros(this.host.clock.now());
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.leaseMs / 1000),
      acquireTime: isMine ? (before?.acquireTime ?? time) : time,
      renewTime: time,
      leaseTransitions: isMine || before === undefined ? transitions : transitions + 1,
    };
  }

  /** Lets another candidate begin at once instead of after `leaseMs`. */
  private async release(): Promise<void> {
    const lease = this.seen?.lease;
    if (lease === undefined || lease.spec?.holderIdentity !== this.options.identity) return;
    const time = isoMicros(this.host.clock.now());
    const spec = {
      holderIdentity: "",
      leaseDurationSeconds: 1,
      acquireTime: time,
      renewTime: time,
      leaseTransitions: lease.spec.leaseTransitions ?? 0,
    };
    const limit = new AbortController();
    const cancel = this.host.clock.after(2_000, () => limit.abort(new Error("the API server did not answer")));
    try {
      await this.client.update(builtin.leases, { ...lease, spec }, { signal: limit.signal });
    } catch (error) {
      const cause = errorText(error);
      this.host.log.warn("leader.release_failed", { lease: this.options.name, cause });
    } finally {
      cancel();
    }
  }
}
