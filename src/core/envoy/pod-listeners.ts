/** The two listeners that a captured pod has inside its own network namespace, one for what leaves and one for what comes. */
import { port } from "../api/names.ts";
import {
  dialClusterFormat,
  periodFormatDefault,
  filterState,
  gateClusterName,
  podListenerName,
  staticCluster,
} from "./names.ts";
import { accessLog, alpn, connectAttemptsMax, connectBackoff, downstreamTls, identityState } from "./parts.ts";
import {
  namespaceState,
  onDemand,
  originalDst,
  setFilterState,
  tcpKeepalive,
  tcpProxy,
  tlsInspector,
} from "./parts.ts";
import type { StateValue } from "./parts.ts";
import { envoyType, type EnvoyResource, type JsonObject } from "./resource.ts";
import type { LocalPod } from "./view.ts";

/** A plaintext client that waits for the server's greeting waits so long for it. */
const firstBytesTimeout = "1s";

const sourceAddress: StateValue = { key: filterState.originalRemote, value: "%DOWNSTREAM_REMOTE_ADDRESS%" };
const destinationAddress: StateValue = { key: filterState.originalLocal, value: "%DOWNSTREAM_LOCAL_ADDRESS%" };

/** What a pod of the same node sees as its client: never an address that the app gave itself. */
const ownAddress = (pod: LocalPod): StateValue => ({
  key: filterState.originalRemote,
  value: `${pod.ip}:%DOWNSTREAM_REMOTE_PORT%`,
});

/** Connections of the pod: the agent is asked for the cluster of each new pair of destination and identity. */
export function outboundListener(pod: LocalPod, logPath?: string, periodFormat = periodFormatDefault): EnvoyResource {
  const cluster: StateValue = {
    key: filterState.tcpCluster,
    value: dialClusterFormat(pod.identity, periodFormat),
    isLocal: true,
  };
  const proxy = tcpProxy("outbound", staticCluster.nowhere, {
    on_demand: onDemand,
    max_connect_attempts: connectAttemptsMax,
    backoff_options: connectBackoff,
    ...accessLog(logPath, "outbound"),
  });
  const name = podListenerName.outbound(pod.uid);
  const resource = {
    name,
    stat_prefix: "outbound",
    address: inNamespace(pod, "127.0.0.1", port.outbound),
    tcp_keepalive: tcpKeepalive,
    listener_filters: [originalDst],
    filter_chains: [
      {
        name: "outbound",
        filters: [
          setFilterState([identityState(pod.identity), namespaceState(pod.netnsPath), ownAddress(pod), cluster]),
          proxy,
        ],
      },
    ],
  };
  return { type: envoyType.listener, name, resource };
}

/** Connections to the pod: by mutual TLS or in the clear, both end at the gate, which knows the client or knows none. */
export function inboundListener(pod: LocalPod, logPath?: string): EnvoyResource {
  const toGate = [namespaceState(pod.netnsPath), destinationAddress, sourceAddress];
  const name = podListenerName.inbound(pod.uid);
  const resource = {
    name,
    stat_prefix: "inbound",
    address: inNamespace(pod, "0.0.0.0", port.inbound),
    tcp_keepalive: tcpKeepalive,
    listener_filters: [originalDst, tlsInspector],
    listener_filters_timeout: firstBytesTimeout,
    continue_on_listener_filters_timeout: true,
    filter_chains: [
      {
        name: "mtls",
        filter_chain_match: { transport_protocol: "tls", application_protocols: [alpn] },
        transport_socket: downstreamTls(pod.identity),
        filters: [
          setFilterState(toGate, [identityState("%DOWNSTREAM_PEER_URI_SAN%")]),
          // The gate is dialled when the client is known, not before, and not only when it speaks.
          tcpProxy("inbound", gateClusterName(pod.uid), {
            upstream_connect_mode: "ON_DOWNSTREAM_TLS_HANDSHAKE",
            max_early_data_bytes: 16_384,
            ...accessLog(logPath, "mtls"),
          }),
        ],
      },
      {
        name: "plaintext",
        filters: [
          setFilterState(toGate),
          tcpProxy("plaintext", gateClusterName(pod.uid), accessLog(logPath, "plaintext")),
        ],
      },
    ],
  };
  return { type: envoyType.listener, name, resource };
}

const inNamespace = (pod: LocalPod, address: string, portValue: number): JsonObject => ({
  socket_address: { address, port_value: portValue, network_namespace_filepath: pod.netnsPath },
});
