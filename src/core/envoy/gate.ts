/**
 * A pod's gate: the internal listener that every connection to the pod passes, from TLS, plaintext or the same node. It
 * decides by the client's identity before the app sees a connection, then dials the app as the client's address.
 */
import type { LocalPod } from "./view.ts";
import { chainName, gateMatcher } from "./gate-matcher.ts";
import { filterState, gateClusterName, newcomerClusterFormat, podListenerName, staticCluster } from "./names.ts";
import type { PodClient } from "./names.ts";
import { accessLog, ads, circuitBreakers, internalUpstream, namespaceState, onDemand } from "./parts.ts";
import { originalDst, originalSrc, setFilterState, type StateValue, tcpProxy } from "./parts.ts";
import type { Decision } from "./policy.ts";
import { envoyType, type EnvoyResource, type JsonObject } from "./resource.ts";

export interface Gate {
  readonly pod: LocalPod;
  readonly decision: Decision;
  /** Those that came already. */
  readonly clients: Iterable<PodClient>;
  readonly logPath?: string | undefined;
}

export function gateListener({ pod, decision, clients, logPath }: Gate): EnvoyResource {
  const name = podListenerName.gate(pod.uid);
  const { matcher, openChains } = gateMatcher(decision, clients);
  const resource = {
    name,
    internal_listener: {},
    listener_filters: [originalDst, originalSrc],
    filter_chain_matcher: matcher,
    filter_chains: [
      ...openChains.map((chain) => openFilterChain(chain, pod, logPath)),
      newcomerFilterChain(pod),
      denyFilterChain(logPath),
    ],
  };
  return { type: envoyType.listener, name, resource };
}

/** From the pod's inbound listener into its gate. */
export function gateCluster(pod: LocalPod): EnvoyResource {
  const name = gateClusterName(pod.uid);
  const resource = {
    name,
    type: "STATIC",
    connect_timeout: "2s",
    circuit_breakers: circuitBreakers,
    load_assignment: toGate(name, pod.uid),
    transport_socket: internalUpstream,
  };
  return { type: envoyType.cluster, name, resource };
}

/**
 * From the gate back into it, for a client that came for the first time. Its endpoint is asked for after the cluster, and
 * so is answered after the gate has the client's chain.
 */
export const newcomerCluster = (name: string): EnvoyResource => ({
  type: envoyType.cluster,
  name,
  resource: {
    name,
    type: "EDS",
    eds_cluster_config: { eds_config: ads },
    connect_timeout: "2s",
    circuit_breakers: circuitBreakers,
    transport_socket: internalUpstream,
  },
});

export const newcomerEndpoints = (name: string, podUid: string): EnvoyResource => ({
  type: envoyType.endpoints,
  name,
  resource: toGate(name, podUid),
});

const toGate = (clusterName: string, podUid: string): JsonObject => {
  const gate = { envoy_internal_address: { server_listener_name: podListenerName.gate(podUid) } };
  return { cluster_name: clusterName, endpoints: [{ lb_endpoints: [{ endpoint: { address: gate } }] }] };
};

/** One attempt only: a refused port then fails the caller's connect, who goes on to its next endpoint. */
const openFilterChain = (name: string, pod: LocalPod, logPath: string | undefined): JsonObject => ({
  name,
  filters: [
    setFilterState([namespaceState(pod.netnsPath)]),
    tcpProxy("gate", staticCluster.inbound, accessLog(logPath, "inbound")),
  ],
});

const met: StateValue = { key: filterState.met, value: "1", factory: "envoy.hashable_string" };
const sourceAddress: StateValue = { key: filterState.originalRemote, value: "%DOWNSTREAM_REMOTE_ADDRESS%" };
const destinationAddress: StateValue = { key: filterState.originalLocal, value: "%DOWNSTREAM_LOCAL_ADDRESS%" };

function newcomerFilterChain(pod: LocalPod): JsonObject {
  const cluster: StateValue = { key: filterState.tcpCluster, value: newcomerClusterFormat(pod.uid), isLocal: true };
  return {
    name: chainName.newcomer,
    filters: [
      setFilterState([met, sourceAddress, destinationAddress, cluster]),
      tcpProxy("newcomer", staticCluster.nowhere, { on_demand: onDemand }),
    ],
  };
}

/**
 * Denies a moment later instead of at once: a gate that closes within the caller's connect() would look like a dead
 * endpoint, and the caller would try the next one.
 */
const denyFilterChain = (logPath: string | undefined): JsonObject => ({
  name: chainName.deny,
  filters: [
    tcpProxy("deny", staticCluster.denied, {
      max_connect_attempts: 2,
      backoff_options: { base_interval: "0.001s", max_interval: "0.002s" },
      ...accessLog(logPath, "denied"),
    }),
  ],
});
