/**
 * The Envoy cluster for connections of one identity to one captured destination, and its endpoints. Made when the first
 * connection asks for it. The identity is part of the cluster's name, so no two identities ever share a connection.
 */
import { serviceKey } from "../mesh/model.ts";
import { waysTo, waysToWorkload, rankedEndpoints, type RankedEndpoint, type Way } from "./endpoints.ts";
import {
  metadataKey,
  parseDialClusterName,
  podListenerName,
  sniOf,
  socketText,
  type Dial,
  type Socket,
} from "./names.ts";
import { ads, bindInNamespace, circuitBreakers, connectTimeout, internalUpstream, loadBalancing } from "./parts.ts";
import { outlierDetection, rawBuffer, tcpKeepalive, upstreamTls } from "./parts.ts";
import { envoyType, type EnvoyResource, type JsonObject } from "./resource.ts";
import type { NodeView } from "./view.ts";

export type Destination =
  /** Not ours: on to the address the app dialled, in the clear as the app made it. */
  | { readonly kind: "passthrough"; readonly serviceKey?: string }
  | {
      readonly kind: "endpoints";
      /** What TLS must be prepared for, including those that are not ready. */
      readonly ways: readonly Way[];
      readonly ranked: readonly RankedEndpoint[];
      readonly serviceKey?: string;
    };

/** A Service of Kubernetes has an address that leads somewhere without us; the mesh's own names do not. */
const isRoutedByKubernetes = (hostname: string): boolean => hostname.includes(".svc.");

export function destinationOf(view: NodeView, { host, port }: Socket): Destination {
  const service = view.replica.serviceByAddress(view.network, host);
  if (service) {
    const key = serviceKey(service);
    const endpoints = view.replica.endpointsOf(key);
    const ways = waysTo(view, service, port, endpoints);
    const isMeshed = ways.some(({ kind }) => kind !== "plaintext");
    if (!isMeshed && isRoutedByKubernetes(service.hostname)) return { kind: "passthrough", serviceKey: key };
    return { kind: "endpoints", ways, ranked: rankedEndpoints(view, service, port, endpoints), serviceKey: key };
  }
  const workload = view.replica.workloadByAddress(view.network, host);
  if (!workload || workload.tunnel === "none" || workload.hostNetwork) return { kind: "passthrough" };
  const sni = sniOf(port, `${workload.name}.${workload.namespace}`);
  // The address dialled, not the workload's first one: a pod may have several.
  const ways = waysToWorkload(view, { ...workload, addresses: [host] }, { port, sni });
  return { kind: "endpoints", ways, ranked: ways.map((way) => ({ way, priority: 0, weight: 1 })) };
}

/** What a name of a dial stands for; undefined for other names. */
export interface Dialled {
  readonly dial: Dial;
  readonly destination: Destination;
}

export function dialledBy(view: NodeView, name: string): Dialled | undefined {
  const dial = parseDialClusterName(name);
  return dial && { dial, destination: destinationOf(view, dial) };
}

export function dialCluster(
  view: NodeView,
  name: string,
  dialled: Dialled | undefined = dialledBy(view, name),
): EnvoyResource | undefined {
  if (!dialled) return undefined;
  const { dial, destination } = dialled;
  const resource =
    destination.kind === "passthrough" ? passthroughCluster(name) : edsCluster(name, dial, destination.ways, view);
  return { type: envoyType.cluster, name, resource };
}

/** Undefined for a passthrough, which has no endpoints of its own. */
export function dialEndpoints(
  view: NodeView,
  name: string,
  dialled: Dialled | undefined = dialledBy(view, name),
): EnvoyResource | undefined {
  const destination = dialled?.destination;
  if (destination?.kind !== "endpoints") return undefined;
  return { type: envoyType.endpoints, name, resource: loadAssignment(name, destination.ranked, lbEndpoint) };
}

/** One group per priority. Whatever is left of a priority is used before the next one is. */
export function loadAssignment(
  name: string,
  ranked: readonly RankedEndpoint[],
  toEndpoint: (endpoint: RankedEndpoint) => JsonObject,
): JsonObject {
  const priorities = [...new Set(ranked.map(({ priority }) => priority))].sort((a, b) => a - b);
  return {
    cluster_name: name,
    endpoints: priorities.map((priority) => ({
      priority,
      lb_endpoints: ranked.filter((one) => one.priority === priority).map(toEndpoint),
    })),
    policy: { overprovisioning_factor: 10_000 },
  };
}

export const socketAddress = ({ host, port }: Socket): JsonObject => ({
  socket_address: { address: host, port_value: port },
});

const passthroughCluster = (name: string): JsonObject => ({
  name,
  type: "ORIGINAL_DST",
  lb_policy: "CLUSTER_PROVIDED",
  connect_timeout: "10s",
  cleanup_interval: "60s",
  upstream_bind_config: bindInNamespace,
  circuit_breakers: circuitBreakers,
});

const localGroup = "local";
const plaintextGroup = "plaintext";

function edsCluster(name: string, dial: Dial, ways: readonly Way[], view: NodeView): JsonObject {
  const [first, ...rest] = tlsGroups(ways);
  // With nobody to verify, TLS asks for an identity that nobody has.
  const { peers, sni } = first ?? { peers: [`spiffe://${view.trustDomain}/nobody`], sni: "nobody" };
  const match = (group: string, transportSocket: JsonObject): JsonObject => ({
    name: group,
    match: { group },
    transport_socket: transportSocket,
  });
  return {
    name,
    type: "EDS",
    eds_cluster_config: { eds_config: ads },
    lb_policy: "LEAST_REQUEST",
    connect_timeout: connectTimeout,
    upstream_bind_config: bindInNamespace,
    upstream_connection_options: { tcp_keepalive: tcpKeepalive },
    circuit_breakers: circuitBreakers,
    common_lb_config: loadBalancing,
    outlier_detection: outlierDetection,
    // Endpoints always name their group, so the first one may change; an unknown group fails closed here.
    transport_socket: upstreamTls(dial.identity, peers, sni),
    transport_socket_matches: [
      match(localGroup, internalUpstream),
      ...(ways.some(({ kind }) => kind === "plaintext") ? [match(plaintextGroup, rawBuffer)] : []),
      ...rest.map((group) => match(group.name, upstreamTls(dial.identity, group.peers, group.sni))),
    ],
  };
}

interface TlsGroup {
  readonly name: string;
  readonly peers: readonly string[];
  readonly sni: string;
}

/** Endpoints that may present the same identities under one name share a TLS context; others must not. */
function tlsGroups(ways: readonly Way[]): readonly TlsGroup[] {
  const groups = new Map<string, TlsGroup>();
  for (const way of ways) {
    if (way.kind !== "mtls") continue;
    const name = groupName(way);
    groups.set(name, { name, peers: [...way.peers].sort(), sni: way.sni });
  }
  return [...groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const groupName = (way: { readonly peers: readonly string[]; readonly sni: string }): string =>
  [way.sni, ...[...way.peers].sort()].join(" ");

function lbEndpoint({ way, weight }: RankedEndpoint): JsonObject {
  if (way.kind === "local") {
    const address = socketText(way.socket);
    return {
      endpoint: {
        address: {
          envoy_internal_address: { server_listener_name: podListenerName.gate(way.podUid), endpoint_id: address },
        },
      },
      metadata: {
        filter_metadata: {
          [metadataKey.socketMatch]: { group: localGroup },
          [metadataKey.originalDst]: { local: address },
        },
      },
      load_balancing_weight: weight,
    };
  }
  const group = way.kind === "plaintext" ? plaintextGroup : groupName(way);
  return {
    endpoint: { address: socketAddress(way.socket) },
    metadata: { filter_metadata: { [metadataKey.socketMatch]: { group } } },
    load_balancing_weight: weight,
  };
}
