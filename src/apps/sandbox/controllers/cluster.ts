/** What every controller gets: the mirrors of the kinds that several of them read, the client, the events. */
import type { ConfigMap, EndpointSlice, KubeObject, Lease, Node, ResourceType } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { startEvents, type EventRecorder } from "./events.ts";
import {
  kinds,
  type BalancedService,
  type ControllerRevision,
  type CountedDaemonSet,
  type CountedReplicaSet,
  type CronJob,
  type FinalizedNamespace,
  type Job,
  type RolledDeployment,
  type StatefulSet,
} from "./kinds.ts";
import { Mirror } from "./mirror.ts";
import { ObjectGraph, type ServedKinds } from "./object-graph.ts";
import { startQueue, type Queue, type QueueOptions } from "./queue.ts";

export interface Mirrors {
  readonly namespaces: Mirror<FinalizedNamespace>;
  readonly nodes: Mirror<Node>;
  readonly leases: Mirror<Lease>;
  readonly pods: Mirror<Pod>;
  readonly services: Mirror<BalancedService>;
  readonly endpointSlices: Mirror<EndpointSlice>;
  readonly deployments: Mirror<RolledDeployment>;
  readonly replicaSets: Mirror<CountedReplicaSet>;
  readonly daemonSets: Mirror<CountedDaemonSet>;
  readonly statefulSets: Mirror<StatefulSet>;
  readonly jobs: Mirror<Job>;
  readonly cronJobs: Mirror<CronJob>;
  readonly controllerRevisions: Mirror<ControllerRevision>;
  readonly serviceAccounts: Mirror<KubeObject>;
  readonly configMaps: Mirror<ConfigMap>;
}

export interface Cluster {
  readonly host: Host;
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  readonly mirrors: Mirrors;
  /** Every served kind, those of `mirrors` included. */
  readonly graph: ObjectGraph;
  /** All mirrors hold what the API server held at the start. */
  readonly ready: Promise<void>;
  /** Events of the component with this name. */
  events(component: string): EventRecorder;
  queue(options: Omit<QueueOptions, "ready" | "signal">): Queue;
}

export function watchCluster(host: Host, client: KubeClient, signal: AbortSignal, served: ServedKinds): Cluster {
  const mirror = <T extends KubeObject>(type: ResourceType<T>): Mirror<T> => new Mirror(host, client, type, signal);
  const mirrors: Mirrors = {
    namespaces: mirror(kinds.namespaces),
    nodes: mirror(kinds.nodes),
    leases: mirror(kinds.leases),
    pods: mirror(kinds.pods),
    services: mirror(kinds.services),
    endpointSlices: mirror(kinds.endpointSlices),
    deployments: mirror(kinds.deployments),
    replicaSets: mirror(kinds.replicaSets),
    daemonSets: mirror(kinds.daemonSets),
    statefulSets: mirror(kinds.statefulSets),
    jobs: mirror(kinds.jobs),
    cronJobs: mirror(kinds.cronJobs),
    controllerRevisions: mirror(kinds.controllerRevisions),
    serviceAccounts: mirror(kinds.serviceAccounts),
    configMaps: mirror(kinds.configMaps),
  };
  const all: readonly Mirror<KubeObject>[] = Object.values(mirrors);
  const graph = new ObjectGraph({ host, client, signal }, all, served);
  const ready = graph.synced;
  ready.catch(() => undefined);
  return {
    host,
    client,
    signal,
    mirrors,
    graph,
    ready,
    events: (component) => startEvents(host, client, component, signal),
    queue: (options) => startQueue(host, { ...options, ready, signal }),
  };
}

/**
 * Nothing may be created in a namespace that is going away. One that the mirror does not know yet may well be there: the
 * server knows.
 */
export function isNamespaceOpen({ mirrors }: Cluster, namespace: string | undefined): boolean {
  return mirrors.namespaces.get(namespace ?? "default")?.metadata.deletionTimestamp === undefined;
}
