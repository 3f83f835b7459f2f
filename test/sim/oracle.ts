/**
 * What is true of a world, worked out from what its users wrote and nothing else: who exports what to whom, and which
 * endpoints exist. It shares no code with the mesh. It remembers since when, because news takes time.
 */
import { meshKinds } from "../../src/core/api/mesh-kinds.ts";
import { builtin } from "../../src/core/api/resources.ts";
import type { Cluster } from "./cluster.ts";
import { gatewayNamespace, remoteGatewayName, segmentNames } from "./objects.ts";
import type { Timeline } from "./timeline.ts";
import { trustDomainOf } from "./trust.ts";

interface Fact {
  isTrue: boolean;
  lastTrueAt: number;
  lastFalseAt: number;
}

/** `<reader><<owner>/<namespace>/<service>`. */
export const factKey = (reader: string, owner: string, service: string): string => `${reader}<${owner}/${service}`;

export class Oracle {
  private readonly timeline: Timeline;
  private readonly clusters: readonly Cluster[];
  /** The owner's labels let the reader see the service. */
  private readonly exported = new Map<string, Fact>();
  /** It is exported, the reader is linked, and at least one pod is ready. */
  private readonly reachable = new Map<string, Fact>();
  /** `<cluster>/<namespace>/<pod>`: it exists. */
  private readonly pods = new Map<string, Fact>();

  constructor(timeline: Timeline, clusters: readonly Cluster[]) {
    this.timeline = timeline;
    this.clusters = clusters;
  }

  /** After every step of the users. */
  refresh(): void {
    const livePods = new Set<string>();
    for (const owner of this.clusters) {
      const published = publishedBy(owner);
      for (const { metadata } of owner.store.view(builtin.pods)) {
        livePods.add(`${owner.name}/${metadata.namespace}/${metadata.name}`);
      }
      for (const reader of this.clusters) {
        if (reader === owner) continue;
        const isLinked = linkedTo(reader, owner.name);
        for (const { service, scope, readyPods } of published) {
          const isShown = scope === "global" || (scope === "segment" && segmentOf(reader) === segmentOf(owner));
          const key = factKey(reader.name, owner.name, service);
          this.set(this.exported, key, isShown);
          this.set(this.reachable, key, isShown && isLinked && readyPods > 0);
        }
        for (const facts of [this.exported, this.reachable]) {
          for (const key of facts.keys()) {
            const prefix = `${reader.name}<${owner.name}/`;
            if (!key.startsWith(prefix)) continue;
            if (!published.some(({ service }) => `${prefix}${service}` === key)) this.set(facts, key, false);
          }
        }
      }
    }
    for (const key of this.pods.keys()) if (!livePods.has(key)) this.set(this.pods, key, false);
    for (const key of livePods) this.set(this.pods, key, true);
  }

  /** The cluster's names of things change: endpoints may go and come back under other names. */
  disturb(cluster: string): void {
    for (const [key, fact] of this.reachable) {
      if (key.startsWith(`${cluster}<`) || key.includes(`<${cluster}/`)) fact.lastFalseAt = this.timeline.nowMs;
    }
  }

  /** Replicas of the reader that start now do not know of it, unless the owner tells them. */
  forgive(key: string): void {
    const fact = this.reachable.get(key);
    if (fact !== undefined) fact.lastFalseAt = this.timeline.nowMs;
  }

  reachableKeys(reader: string): readonly string[] {
    return [...this.reachable].flatMap(([key, { isTrue }]) => (isTrue && key.startsWith(`${reader}<`) ? [key] : []));
  }

  /** Whether the owner's word was that the reader may see it, at some time in the last `withinMs`. */
  wasExported(key: string, withinMs: number): boolean {
    const fact = this.exported.get(key);
    if (fact === undefined) return false;
    return fact.isTrue || fact.lastTrueAt >= this.timeline.nowMs - withinMs;
  }

  /** It has been reachable without a break since this moment. */
  isReachableSince(key: string, ms: number): boolean {
    return holdsSince(this.reachable.get(key), ms);
  }

  /** The pod has existed without a break since this moment. */
  isPodSince(key: string, ms: number): boolean {
    return holdsSince(this.pods.get(key), ms);
  }

  private set(facts: Map<string, Fact>, key: string, isTrue: boolean): void {
    const now = this.timeline.nowMs;
    const known = facts.get(key);
    // What is there when the world begins has always been there.
    const never = -Infinity;
    const fact = known ?? { isTrue: isTrue && now === 0, lastTrueAt: never, lastFalseAt: now === 0 ? never : now };
    facts.set(key, fact);
    if (fact.isTrue) fact.lastTrueAt = now;
    else fact.lastFalseAt = now;
    if (isTrue) fact.lastTrueAt = now;
    else fact.lastFalseAt = now;
    fact.isTrue = isTrue;
  }
}

const holdsSince = (fact: Fact | undefined, ms: number): boolean =>
  fact !== undefined && fact.isTrue && fact.lastFalseAt < ms;

interface Published {
  readonly service: string;
  readonly scope: "global" | "segment" | undefined;
  readonly readyPods: number;
}

function publishedBy(cluster: Cluster): readonly Published[] {
  const namespaces = new Map(cluster.store.view(builtin.namespaces).map((one) => [one.metadata.name, one]));
  const pods = cluster.store.view(builtin.pods);
  return cluster.store.view(builtin.services).map(({ metadata, spec }) => {
    const { name, namespace = "", labels = {} } = metadata;
    const said =
      labels["solo.io/service-scope"] ?? namespaces.get(namespace)?.metadata.labels?.["solo.io/service-scope"];
    const scope = said === "segment" ? "segment" : said === "global" || said === "global-only" ? "global" : undefined;
    const readyPods = pods.filter(
      (pod) =>
        pod.metadata.namespace === namespace &&
        pod.metadata.labels?.["app"] === spec.selector?.["app"] &&
        pod.status?.conditions?.[0]?.status === "True",
    ).length;
    return { service: `${namespace}/${name}`, scope, readyPods };
  });
}

export function segmentOf({ store }: Cluster): string {
  const system = store.view(builtin.namespaces).find(({ metadata }) => metadata.name === "istio-system");
  const said = system?.metadata.labels?.["admin.solo.io/segment"];
  return segmentNames.find((name) => name === said) ?? "default";
}

export const linkedTo = ({ store }: Cluster, peer: string): boolean =>
  store
    .view(meshKinds.gateways)
    .some(({ metadata }) => metadata.namespace === gatewayNamespace && metadata.name === remoteGatewayName(peer));

/** Every pod runs as the service account that is named like its app. */
export const identityOfService = (owner: string, service: string): string => {
  const [namespace = "", app = ""] = service.split("/");
  return `spiffe://${trustDomainOf(owner)}/ns/${namespace}/sa/${app}`;
};
