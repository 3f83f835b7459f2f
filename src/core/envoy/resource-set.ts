/** All that one Envoy may be given: what it always has, and what is made when it asks for it by name. */
import { serviceKey } from "../mesh/model.ts";
import { addressKey, type ReplicaChange } from "../mesh/replica.ts";
import { dialCluster, dialEndpoints, dialledBy } from "./dial.ts";
import type { Dialled } from "./dial.ts";
import { podWorkloadUid } from "./endpoints.ts";
import { gateCluster, gateListener, newcomerCluster, newcomerEndpoints } from "./gate.ts";
import { exportedPort, gatewayResources, isProbeAffected, sniCluster, sniEndpoints } from "./gateway.ts";
import { isGateName, parseDialClusterName, parseNewcomerClusterName } from "./names.ts";
import type { PodClient } from "./names.ts";
import { PodClients } from "./pod-clients.ts";
import { inboundListener, outboundListener } from "./pod-listeners.ts";
import { decisionOf } from "./policy.ts";
import { envoyType, type EnvoyResource, type TypeUrl } from "./resource.ts";
import { parseProbeName, probeCluster, probeListeners } from "./probe.ts";
import { secretOf } from "./secrets.ts";
import { nodeClusters } from "./static-clusters.ts";
import type { GatewayView, LocalPod, NodeView, SecretSource } from "./view.ts";

/** Reads its view anew at each call, so that the owner of the view may change it in place. */
export interface ResourceSet {
  always(): readonly EnvoyResource[];
  /** Undefined: there is no such thing. */
  onDemand(type: TypeUrl, name: string): EnvoyResource | undefined;
  /** What `always` gives otherwise since something was asked for on demand. */
  takeGrown(): readonly EnvoyResource[];
  /** Needed for a moment only: those who use it later on do so under another name. */
  isPassing(name: string): boolean;
  /** Whether a change of the replica may change what `always` gives. */
  isAlwaysAffected(change: ReplicaChange): boolean;
  /** Whether a change of the replica may change what the name stands for. */
  isAffected(name: string, change: ReplicaChange): boolean;
  /** Better gone than as it was before, when Envoy refuses what it should become. */
  isClosedWhenRefused(name: string): boolean;
}

export interface ResourceOptions {
  /** File to which every connection is logged as one JSON line; none when absent. */
  readonly accessLogPath?: string | undefined;
  /** How long the names of clusters on demand last; see `periodFormatDefault`. */
  readonly periodFormat?: string | undefined;
}

export function nodeResourceSet(
  viewOf: () => NodeView,
  secrets: SecretSource,
  { accessLogPath, periodFormat }: ResourceOptions = {},
): ResourceSet {
  const clients = new PodClients();
  const gateOf = (view: NodeView, pod: LocalPod): readonly EnvoyResource[] => {
    const workload = view.replica.workload(podWorkloadUid(view.cluster, pod));
    // Closed until the model knows the pod: before that nobody can say which policies select it.
    if (workload === undefined) return [];
    const decision = decisionOf(view.replica.policiesFor(workload));
    return [gateListener({ pod, decision, clients: clients.of(pod.uid), logPath: accessLogPath })];
  };
  return {
    always: () => {
      const view = viewOf();
      clients.retain(view.podsByUid);
      const pods = [...view.podsByUid.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1));
      return [
        ...nodeClusters,
        ...pods.flatMap((pod) => [
          gateCluster(pod),
          ...gateOf(view, pod),
          inboundListener(pod, accessLogPath),
          outboundListener(pod, accessLogPath, periodFormat),
        ]),
        ...probeListeners(view, (identity) => secrets.certificateOf(identity) !== undefined),
      ];
    },
    isPassing: (name) => {
      const newcomer = parseNewcomerClusterName(name);
      return newcomer !== undefined && clients.has(newcomer.podUid, newcomer.client);
    },
    takeGrown: () => {
      const view = viewOf();
      return clients.takeGrown().flatMap((uid) => {
        const pod = view.podsByUid.get(uid);
        return pod === undefined ? [] : gateOf(view, pod);
      });
    },
    onDemand: (type, name) => {
      const newcomer = parseNewcomerClusterName(name);
      if (newcomer !== undefined) return newcomerResource(viewOf(), clients, { type, name, ...newcomer });
      if (type === envoyType.secret) return secretOf(secrets, name);
      if (type !== envoyType.cluster && type !== envoyType.endpoints) return undefined;
      const view = viewOf();
      const dialled = dialledBy(view, name);
      if (dialled === undefined) return type === envoyType.cluster ? probeCluster(view, name) : undefined;
      meetDialled(clients, dialled);
      return type === envoyType.cluster ? dialCluster(view, name, dialled) : dialEndpoints(view, name, dialled);
    },
    isAlwaysAffected: (change) => {
      if (change.policies.size > 0) return true;
      const view = viewOf();
      return [...view.podsByUid.values()].some((pod) => change.workloads.has(podWorkloadUid(view.cluster, pod)));
    },
    isAffected: (name, change) => isDialAffected(viewOf, name, change),
    // The old gate may let in whom a new policy forbids.
    isClosedWhenRefused: isGateName,
  };
}

function isDialAffected(viewOf: () => NodeView, name: string, change: ReplicaChange): boolean {
  const dial = parseDialClusterName(name);
  if (!dial) return change.workloads.has(parseProbeName(name)?.uid ?? "");
  const view = viewOf();
  const isAddressChanged = [view.network, ""].some((network) => change.addresses.has(addressKey(network, dial.host)));
  if (isAddressChanged) return true;
  const service = view.replica.serviceByAddress(view.network, dial.host);
  return service !== undefined && change.services.has(serviceKey(service));
}

interface Newcomer {
  readonly type: TypeUrl;
  readonly name: string;
  readonly podUid: string;
  readonly client: PodClient;
}

function newcomerResource(
  view: NodeView,
  clients: PodClients,
  { type, name, podUid, client }: Newcomer,
): EnvoyResource | undefined {
  if (!view.podsByUid.has(podUid)) return undefined;
  clients.meet(podUid, client);
  if (type === envoyType.cluster) return newcomerCluster(name);
  return type === envoyType.endpoints ? newcomerEndpoints(name, podUid) : undefined;
}

/** Pods of this node get to know here who dials them, which spares the first connection a detour. */
function meetDialled(clients: PodClients, { dial, destination }: Dialled): void {
  if (destination.kind !== "endpoints") return;
  for (const { way } of destination.ranked) {
    if (way.kind === "local") clients.meet(way.podUid, { identity: dial.identity, port: way.socket.port });
  }
}

export function gatewayResourceSet(viewOf: () => GatewayView, { accessLogPath }: ResourceOptions = {}): ResourceSet {
  return {
    always: () => gatewayResources(viewOf(), accessLogPath),
    takeGrown: () => [],
    isPassing: () => false,
    onDemand: (type, name) => {
      if (type === envoyType.cluster) return sniCluster(viewOf(), name);
      if (type === envoyType.endpoints) return sniEndpoints(viewOf(), name);
      return undefined;
    },
    isAlwaysAffected: () => false,
    isClosedWhenRefused: () => false,
    isAffected: (name, change) => {
      if (isProbeAffected(viewOf(), name, change)) return true;
      const keys = exportedPort(viewOf(), name)?.serviceKeys ?? [];
      // A name that leads nowhere may lead somewhere after any change of a service.
      return keys.length === 0 ? change.services.size > 0 : keys.some((key) => change.services.has(key));
    },
  };
}
