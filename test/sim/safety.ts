/** What must hold after every event of a world, whatever goes wrong in it. The first breach ends the world. */
import type { Workload } from "../../src/core/mesh/model.ts";
import { decodeExport } from "../../src/core/proto/codec.ts";
import { typeUrl } from "../../src/core/proto/wire.ts";
import { decodeResponse } from "../../src/io/xds/discovery.ts";
import { peerHeader } from "../../src/io/peering/wire-names.ts";
import type { SimAgent } from "./agent.ts";
import type { Cluster } from "./cluster.ts";
import { problemOfReferences } from "./closure.ts";
import type { Write } from "./kube.ts";
import type { Stream } from "./network.ts";
import { factKey, identityOfService, type Oracle } from "./oracle.ts";
import type { Process, Timeline } from "./timeline.ts";
import { trustDomainOf } from "./trust.ts";

export type Rule =
  | "exported"
  | "identity"
  | "references"
  | "no wipe"
  | "one leader"
  | "no crash"
  | "equals a fresh build";

export interface Breach {
  readonly rule: Rule;
  readonly what: string;
}

/**
 * How far behind its users a control plane may be: outages of its API and of its ways, added up. What it says later than
 * that must not be older.
 */
const behindMsMax = 60_000;
/** Another replica may be so far behind the one that an agent followed before. */
const replicaBehindMsMax = 60_000;

/** Writes that need no lease. */
const openKinds: ReadonlySet<string> = new Set(["Lease", "TokenReview", "Secret"]);

type Remote = Pick<Workload, "uid" | "cluster" | "trustDomain" | "remote" | "services">;

interface Known {
  readonly agent: SimAgent;
  readonly cluster: Cluster;
  /** Key of an endpoint → since when the agent has it. */
  readonly since: Map<string, number>;
}

export class Safety {
  breach: Breach | undefined;
  private readonly timeline: Timeline;
  private readonly oracle: Oracle;
  private readonly agents: Known[] = [];
  /** What owners were seen to send, by fact key. */
  private readonly sent = new Set<string>();

  constructor(timeline: Timeline, oracle: Oracle) {
    this.timeline = timeline;
    this.oracle = oracle;
  }

  report(rule: Rule, what: string): void {
    this.breach ??= { rule, what };
  }

  follow(cluster: Cluster, agent: SimAgent): void {
    this.agents.push({ cluster, agent, since: new Map() });
  }

  /** A replica lets a write go. */
  writing(cluster: Cluster, process: Process, { verb, kind, name }: Write): void {
    if (openKinds.has(kind)) return;
    const holder = cluster.leaseHolder;
    if (holder === process.name) return;
    this.report("one leader", `${process.name} does ${verb} ${kind} ${name} while the lease is held by "${holder}".`);
  }

  /** A control plane says something to a peer. */
  served(owner: string | undefined, stream: Stream, message: Uint8Array): void {
    const reader = stream.metadata.get(peerHeader.cluster);
    if (owner === undefined || reader === undefined) return;
    const response = decodeResponse(message);
    if (response.typeUrl !== typeUrl.export) return;
    for (const { name, bytes } of response.resources) {
      const row = decodeExport(bytes);
      if (!row.ok) return this.report("exported", `${owner} sends ${name} to ${reader}, which nobody can read.`);
      const service = `${row.value.namespace}/${row.value.name}`;
      const key = factKey(reader, owner, service);
      this.sent.add(key);
      if (!this.oracle.wasExported(key, behindMsMax)) {
        this.report("exported", `${owner} sends ${service} to ${reader}, to whom it does not export it.`);
      }
    }
  }

  afterEvent(): void {
    for (const known of this.agents) {
      const { agent } = known;
      if (!agent.isDirty || !agent.process.isAlive) continue;
      agent.isDirty = false;
      this.checkEndpoints(known);
      const problem = problemOfReferences(agent);
      if (problem !== undefined) this.report("references", `${agent.process.name}: ${problem}`);
    }
  }

  private checkEndpoints({ agent, cluster, since }: Known): void {
    const now = this.timeline.nowMs;
    const present = new Set<string>();
    for (const workload of agent.replica.workloads()) {
      if (workload.cluster === cluster.name) {
        present.add(`${cluster.name}/${workload.namespace}/${workload.name}`);
        continue;
      }
      const [, kind = "", , namespace = "", name = ""] = workload.uid.split("/");
      if (kind === "Probe") {
        this.checkProbe(agent, workload);
        continue;
      }
      const service = `${namespace}/${name}`;
      const key = factKey(cluster.name, workload.cluster, service);
      present.add(key);
      if (since.has(key)) continue;
      if (!this.sent.has(key)) {
        this.report("exported", `${agent.process.name} has ${workload.uid}, which its owner never sent.`);
      }
      this.checkIdentities(agent, workload, service);
    }
    for (const key of present) if (!since.has(key)) since.set(key, now);
    for (const [key, sinceMs] of since) {
      if (present.has(key)) continue;
      since.delete(key);
      const ms = sinceMs - replicaBehindMsMax;
      const exists = this.oracle.isReachableSince(key, ms) || this.oracle.isPodSince(key, ms);
      if (exists) this.report("no wipe", `${agent.process.name} lost ${key}, which was there all the time.`);
    }
  }

  /** What every link is probed with is no endpoint of anything, and is answered by agents only. */
  private checkProbe(agent: SimAgent, workload: Remote): void {
    const services = Object.keys(workload.services);
    if (services.length > 0)
      this.report("exported", `${agent.process.name}: ${workload.uid} serves ${services.join()}.`);
    this.checkIdentities(agent, workload, "istio-system/tombolo-agent");
  }

  private checkIdentities(agent: SimAgent, workload: Remote, service: string): void {
    const good = identityOfService(workload.cluster, service);
    for (const identity of workload.remote?.identities ?? []) {
      if (identity === good) continue;
      this.report("identity", `${agent.process.name} would believe ${identity} behind ${workload.uid}.`);
    }
    if (workload.trustDomain !== trustDomainOf(workload.cluster)) {
      this.report("identity", `${agent.process.name} has ${workload.uid} in trust domain ${workload.trustDomain}.`);
    }
  }
}
