/** What users, schedulers and kubelets do to a world, step by step. Each step is orderly: the API would admit it. */
import { meshKinds } from "../../src/core/api/mesh-kinds.ts";
import type { KubeObject, ResourceType } from "../../src/core/api/kube.ts";
import { label, systemNamespace } from "../../src/core/api/names.ts";
import { builtin } from "../../src/core/api/resources.ts";
import type { Cluster } from "./cluster.ts";
import {
  appNamespaces,
  apps,
  gatewayNamespace,
  nodes,
  podObject,
  policyObject,
  remoteGateway,
  remoteGatewayName,
  segmentNames,
  serviceObject,
  strictObject,
  withReady,
} from "./objects.ts";
import { linkedTo } from "./oracle.ts";
import type { operations } from "./plan.ts";
import type { World } from "./world.ts";

type Numbers = readonly [number, number, number, number];
export type Operation = (typeof operations)[number];

const at = <T>(from: readonly T[], number: number): T | undefined => from[number % Math.max(1, from.length)];
const scopes = ["global", "segment", "global-only", "local", undefined] as const;

/** A step that finds nothing to do its work on does nothing. */
export function operate(world: World, kind: Operation, numbers: Numbers): void {
  const cluster = at(world.clusters, numbers[0]);
  if (cluster === undefined) return;
  steps[kind](world, cluster, numbers);
  world.oracle.refresh();
}

const steps: Readonly<Record<Operation, (world: World, cluster: Cluster, numbers: Numbers) => void>> = {
  labelService: (world, cluster, [, which, scope]) => {
    const service = at(cluster.store.view(builtin.services), which);
    if (service !== undefined)
      setLabel(world, cluster, builtin.services, service, label.serviceScope, at(scopes, scope));
  },
  labelNamespace: (world, cluster, [, which, scope]) => {
    const namespace = find(cluster, builtin.namespaces, at(appNamespaces, which) ?? "");
    if (namespace === undefined) return;
    setLabel(world, cluster, builtin.namespaces, namespace, label.serviceScope, at(scopes, scope));
  },
  takeOver: (world, cluster, [, which, on]) => {
    const service = at(cluster.store.view(builtin.services), which);
    const value = on % 2 === 0 ? "true" : undefined;
    if (service !== undefined) setLabel(world, cluster, builtin.services, service, label.serviceTakeover, value);
  },
  addPod: (world, cluster, [, namespace, app, node]) => {
    const place = {
      namespace: at(appNamespaces, namespace) ?? "",
      app: at(apps, app) ?? "",
      node: at(nodes, node) ?? "",
    };
    addPod(world, cluster, place);
  },
  deletePod: (world, cluster, [, which]) => {
    const pod = at(cluster.store.view(builtin.pods), which);
    if (pod === undefined) return;
    remove(world, cluster, builtin.pods, pod);
    cluster.podChanged(pod, undefined);
  },
  flipReady: (world, cluster, [, which]) => {
    const pod = at(cluster.store.view(builtin.pods), which);
    if (pod === undefined) return;
    const isReady = pod.status?.conditions?.[0]?.status === "True";
    world.timeline.trace(() => `${cluster.name}: ${name(pod)} becomes ${isReady ? "unready" : "ready"}`);
    void cluster.store.update(builtin.pods, withReady(pod, !isReady), { subresource: "status" });
  },
  assignSegment: (world, cluster, [, which]) => {
    const system = find(cluster, builtin.namespaces, systemNamespace);
    if (system === undefined) return;
    setLabel(world, cluster, builtin.namespaces, system, label.segment, at([...segmentNames, undefined], which));
    world.oracle.disturb(cluster.name);
  },
  link: (world, cluster, [, to]) => {
    const peer = at(world.clusters, to);
    if (peer === undefined || peer === cluster || linkedTo(cluster, peer.name)) return;
    linkClusters(world, cluster, peer);
  },
  unlink: (world, cluster, [, to]) => {
    const peer = at(world.clusters, to);
    if (peer === undefined || !linkedTo(cluster, peer.name)) return;
    world.timeline.trace(() => `${cluster.name}: unlink ${peer.name}`);
    const ref = { name: remoteGatewayName(peer.name), namespace: gatewayNamespace };
    void cluster.store.delete(meshKinds.gateways, ref);
  },
  setPolicy: (world, cluster, [, namespace, from, action]) => {
    const made = policyObject(
      at(appNamespaces, namespace) ?? "",
      at(appNamespaces, from) ?? "",
      action % 2 === 0 ? "ALLOW" : "DENY",
    );
    world.timeline.trace(() => `${cluster.name}: policy ${name(made)} ${JSON.stringify(made.spec)}`);
    const before = find(cluster, meshKinds.authorizationPolicies, made.metadata.name, made.metadata.namespace);
    const next = before === undefined ? made : { ...made, metadata: before.metadata };
    if (before === undefined) void cluster.store.create(meshKinds.authorizationPolicies, next);
    else void cluster.store.update(meshKinds.authorizationPolicies, next);
  },
  deletePolicy: (world, cluster, [, which]) => {
    const policy = at(cluster.store.view(meshKinds.authorizationPolicies), which);
    if (policy !== undefined) remove(world, cluster, meshKinds.authorizationPolicies, policy);
  },
  toggleStrict: (world, cluster, [, namespace]) => {
    const made = strictObject(at(appNamespaces, namespace) ?? "");
    const before = find(cluster, meshKinds.peerAuthentications, made.metadata.name, made.metadata.namespace);
    if (before === undefined) void cluster.store.create(meshKinds.peerAuthentications, made);
    else remove(world, cluster, meshKinds.peerAuthentications, before);
  },
  deleteService: (world, cluster, [, which]) => {
    const service = at(cluster.store.view(builtin.services), which);
    if (service !== undefined) remove(world, cluster, builtin.services, service);
  },
  createService: (world, cluster, [, namespace, app, scope]) => {
    addService(
      world,
      cluster,
      { namespace: at(appNamespaces, namespace) ?? "", app: at(apps, app) ?? "" },
      at(scopes, scope),
    );
  },
  dial: (_world, cluster, [, which, from, to]) => {
    at(cluster.livingAgents, which)?.dial(from, to);
  },
};

export function addPod(world: World, cluster: Cluster, place: { namespace: string; app: string; node: string }): void {
  world.pods += 1;
  const pod = podObject({ ...place, serial: world.pods }, cluster.number);
  world.timeline.trace(() => `${cluster.name}: new pod ${name(pod)} on ${place.node}`);
  void cluster.store.create(builtin.pods, pod);
  // As stored, with its uid.
  cluster.podChanged(undefined, find(cluster, builtin.pods, pod.metadata.name, place.namespace));
}

export function addService(
  world: World,
  cluster: Cluster,
  { namespace, app }: { namespace: string; app: string },
  scope: string | undefined,
): void {
  if (find(cluster, builtin.services, app, namespace) !== undefined) return;
  world.services += 1;
  const made = serviceObject(namespace, app, world.services);
  const metadata = { ...made.metadata, ...(scope !== undefined && { labels: { [label.serviceScope]: scope } }) };
  world.timeline.trace(() => `${cluster.name}: new service ${name(made)} ${scope ?? ""}`);
  void cluster.store.create(builtin.services, { ...made, metadata });
}

export function linkClusters(world: World, from: Cluster, to: Cluster): void {
  world.timeline.trace(() => `${from.name}: link to ${to.name}`);
  void from.store.create(meshKinds.gateways, remoteGateway(to.name, to.options.network));
}

function setLabel<T extends KubeObject>(
  world: World,
  cluster: Cluster,
  type: ResourceType<T>,
  object: T,
  key: string,
  value: string | undefined,
): void {
  world.timeline.trace(() => `${cluster.name}: ${type.kind} ${name(object)} gets ${key}=${value ?? "(none)"}`);
  const labels = { ...object.metadata.labels };
  if (value === undefined) delete labels[key];
  else labels[key] = value;
  void cluster.store.update(type, { ...object, metadata: { ...object.metadata, labels } });
}

function remove<T extends KubeObject>(world: World, cluster: Cluster, type: ResourceType<T>, object: T): void {
  world.timeline.trace(() => `${cluster.name}: delete ${type.kind} ${name(object)}`);
  void cluster.store.delete(type, { name: object.metadata.name, namespace: object.metadata.namespace });
}

const name = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ""}/${metadata.name}`;

function find<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  wanted: string,
  namespace?: string,
): T | undefined {
  const all: readonly T[] = cluster.store.view(type);
  return all.find(({ metadata }) => metadata.name === wanted && metadata.namespace === namespace);
}
