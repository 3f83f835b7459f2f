/**
 * A world: clusters with their control planes and agents on one timeline, a network between them, users and faults as
 * planned. It runs until a rule is broken, or until everything is again as a fresh build would be.
 */
import { meshKinds } from "../../src/core/api/mesh-kinds.ts";
import { label, systemNamespace } from "../../src/core/api/names.ts";
import { builtin } from "../../src/core/api/resources.ts";
import type { Random } from "../../src/io/host/host.ts";
import { agentPlaces, Cluster } from "./cluster.ts";
import type { Plant } from "./cluster.ts";
import { disturb } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { differencesFromFresh } from "./liveness.ts";
import { endSilence } from "./kube.ts";
import { Network } from "./network.ts";
import {
  appNamespaces,
  apps,
  gatewayNamespace,
  namespaceObject,
  nodeObject,
  nodes,
  segmentNames,
  segmentObject,
} from "./objects.ts";
import { addPod, addService, linkClusters, operate } from "./operations.ts";
import type { Operation } from "./operations.ts";
import { factKey, Oracle } from "./oracle.ts";
import { calmStartMs, operations, troubleMs } from "./plan.ts";
import type { Plan, Step } from "./plan.ts";
import { Safety } from "./safety.ts";
import type { Breach } from "./safety.ts";
import { Timeline } from "./timeline.ts";
import { clusterNames, trustOfAll } from "./trust.ts";
import type { Trust } from "./trust.ts";

/** The longest that anybody waits before trying again is a minute. */
const calmMsMax = 180_000;
const firstLookMs = 15_000;

export interface Outcome {
  readonly breach: Breach | undefined;
  readonly fingerprint: string;
  readonly virtualMs: number;
  readonly events: number;
  /** The newest lines of the trace. */
  readonly tail: readonly string[];
}

export interface RunOptions {
  readonly plant?: Plant;
  readonly isTracing?: boolean;
}

export async function runWorld(plan: Plan, options: RunOptions = {}): Promise<Outcome> {
  return new World(plan, await trustOfAll(), options).run();
}

const isOperation = (kind: Step["kind"]): kind is Operation => operations.some((one) => one === kind);

export class World {
  readonly plan: Plan;
  readonly timeline: Timeline;
  readonly net: Network;
  readonly clusters: readonly Cluster[];
  readonly oracle: Oracle;
  readonly safety: Safety;
  /** Made so far, for names and addresses that are never used twice. */
  pods = 0;
  services = 0;

  constructor(plan: Plan, trust: ReadonlyMap<string, Trust>, { plant = {}, isTracing = false }: RunOptions) {
    this.plan = plan;
    this.timeline = new Timeline(plan.seed);
    this.timeline.isTracing = isTracing;
    this.net = new Network(this.timeline);
    this.clusters = clusterNames.slice(0, plan.clusters).map((name, at) => {
      const own = trust.get(name);
      if (own === undefined) throw new Error(`Cluster ${name} has no certificate.`);
      return new Cluster(this.timeline, this.net, {
        name,
        network: plan.isFlat && at < 2 ? "flat" : `net-${name}`,
        replicas: plan.replicas,
        trust: own,
        plant,
        writing: (cluster, process, write) => this.safety.writing(cluster, process, write),
        agentStarted: (cluster, agent) => this.safety.follow(cluster, agent),
        replicaStarted: (cluster) => this.forgiveWhatIsForgotten(cluster),
      });
    });
    this.oracle = new Oracle(this.timeline, this.clusters);
    this.safety = new Safety(this.timeline, this.oracle);
    this.net.sniffer = {
      served: (stream, message) => this.safety.served(stream.server?.name.split("/")[0], stream, message),
    };
    this.timeline.afterEvent = () => this.safety.afterEvent();
  }

  async run(): Promise<Outcome> {
    this.populate(this.timeline.random("world"));
    const { plan, timeline } = this;
    const isOver = () => this.safety.breach !== undefined;
    const crashed = (error: unknown) =>
      this.safety.report("no crash", error instanceof Error ? (error.stack ?? "") : String(error));
    process.on("uncaughtException", crashed);
    process.on("unhandledRejection", crashed);
    try {
      for (const cluster of this.clusters) {
        for (let index = 0; index < plan.replicas; index += 1) cluster.startReplica(index);
        for (const place of agentPlaces) cluster.startAgent(place);
      }
      for (const step of plan.steps) timeline.clock.after(step.atMs, () => this.take(step));
      timeline.clock.after(calmStartMs, () => {
        this.net.weather = plan.weather;
        this.dialAll();
      });
      await timeline.runUntil(calmStartMs + troubleMs, isOver);
      if (!isOver()) await this.calmDown(isOver);
    } finally {
      process.off("uncaughtException", crashed);
      process.off("unhandledRejection", crashed);
    }
    const { events, fingerprint, nowMs, tail } = timeline;
    return { breach: this.safety.breach, fingerprint, virtualMs: nowMs, events, tail };
  }

  later(ms: number, act: () => void): void {
    this.timeline.clock.after(ms, act);
  }

  /** Pods everywhere connect to everything that they know. */
  private dialAll(): void {
    for (const agent of this.clusters.flatMap(({ livingAgents }) => livingAgents)) {
      if (agent.options.mode === "node") agent.askSecrets();
      agent.dialAll();
    }
  }

  private take({ kind, numbers }: Step): void {
    if (isOperation(kind)) operate(this, kind, numbers);
    // A step is an operation or a fault.
    else disturb(this, kind as Fault, numbers);
  }

  /** Faults end, what is dead is started, and all must become as a fresh build would be. */
  private async calmDown(isOver: () => boolean): Promise<void> {
    const { timeline, net, plan } = this;
    // The last faults may still have to end by themselves.
    await timeline.runUntil(timeline.nowMs + 20_000, isOver);
    net.healAll();
    net.weather = { delayMsMax: 10, slowOneIn: 0, slowMsMax: 0 };
    for (const cluster of this.clusters) {
      Object.assign(cluster.health, { delayMsMax: 8, isRefusing: false, conflictOneIn: 0 });
      endSilence(cluster.health);
      cluster.store.cutWatches();
      for (let index = 0; index < plan.replicas; index += 1) cluster.startReplica(index);
      for (const place of agentPlaces) cluster.startAgent(place);
    }
    this.dialAll();
    timeline.trace(() => "calm");
    const endMs = timeline.nowMs + calmMsMax;
    for (let waitMs = firstLookMs; ; waitMs *= 2) {
      await timeline.runUntil(Math.min(endMs, timeline.nowMs + waitMs), isOver);
      if (isOver()) return;
      const differences = differencesFromFresh(this.clusters);
      if (differences.length === 0) return;
      if (timeline.nowMs >= endMs) {
        return this.safety.report("equals a fresh build", differences.slice(0, 8).join("\n  "));
      }
    }
  }

  /** A peer's word that was not written down yet is lost with the last replica that heard it. */
  private forgiveWhatIsForgotten(cluster: Cluster): void {
    // When the world begins, nobody has anything to lose.
    if (this.timeline.nowMs === 0) return;
    for (const key of this.oracle.reachableKeys(cluster.name)) {
      const [peer, service] = splitAtFirst(key.slice(cluster.name.length + 1));
      const row = cluster.remembered(peer).find((one) => `${one.namespace}/${one.name}` === service);
      if (row === undefined || row.ready.every(({ pods }) => pods === 0)) {
        this.oracle.forgive(factKey(cluster.name, peer, service));
      }
    }
  }

  private populate(random: Random): void {
    for (const cluster of this.clusters) {
      const { store, number } = cluster;
      const system = namespaceObject(systemNamespace, { [label.network]: cluster.options.network });
      const plain = appNamespaces.map((name) => namespaceObject(name, { [label.dataplaneMode]: "ambient" }));
      for (const one of [system, namespaceObject(gatewayNamespace), ...plain])
        void store.create(builtin.namespaces, one);
      for (const node of nodes) void store.create(builtin.nodes, nodeObject(node, `region${number}`));
      for (const segment of segmentNames) void store.create(meshKinds.segments, segmentObject(segment));
      for (const namespace of appNamespaces) {
        for (const app of apps) {
          if (random.below(3) === 0) continue;
          const scope = [undefined, undefined, "global", "global", "segment"][random.below(5)];
          addService(this, cluster, { namespace, app }, scope);
          for (let pod = random.below(3); pod >= 0; pod -= 1) {
            addPod(this, cluster, { namespace, app, node: nodes[random.below(nodes.length)] ?? "n1" });
          }
        }
      }
      for (const peer of this.clusters) {
        if (peer !== cluster && random.below(5) > 0) linkClusters(this, cluster, peer);
      }
    }
    this.oracle.refresh();
  }
}

function splitAtFirst(text: string): readonly [string, string] {
  const at = text.indexOf("/");
  return [text.slice(0, at), text.slice(at + 1)];
}
