/**
 * Probes of the data path: a request from one node's Envoy to another's, over the same mutual TLS, gateways and certificates
 * as users' connections. The agent hands its request to the door, names the Envoy cluster to take, and the responder of
 * the node that it reached says who came.
 */
import { isIp } from "../api/ip.ts";
import { agentName, port, probeHostname, systemNamespace } from "../api/names.ts";
import { isProbe } from "../mesh/probes.ts";
import { identityOf, type Workload } from "../mesh/model.ts";
import type { MeshReplica } from "../mesh/replica.ts";
import { parseSocket, sniOf, socketText, type Socket } from "./names.ts";
import { ads, circuitBreakers, connectTimeout, downstreamTls, upstreamTls } from "./parts.ts";
import { envoyType, extension, type EnvoyResource, type JsonObject } from "./resource.ts";
import type { NodeView, ProbeEnds } from "./view.ts";

/** Request header that names the Envoy cluster. */
export const probeHeader = "x-tombolo-probe";
/** Answer headers. */
export const probeAnswer = {
  client: "x-tombolo-client",
  cluster: "x-tombolo-cluster",
  node: "x-tombolo-node",
  server: "x-tombolo-server",
} as const;

const door = "probe-door";
const responder = "probe-responder";
const clusterPrefix = "probe|";

/** One way to probe: to a node of this cluster, or through one gateway of a peer. */
export interface ProbeTarget {
  readonly cluster: string;
  /** Node of this cluster; "" for a peer. */
  readonly node: string;
  readonly via: Socket;
  readonly envoyCluster: string;
}

const nameOf = (uid: string, via: Socket): string => `${clusterPrefix}${uid}|${socketText(via)}`;

const isNodeAgent = ({ namespace, workloadName, hostNetwork, remote }: Workload): boolean =>
  namespace === systemNamespace && workloadName === agentName && hostNetwork && remote === undefined;

/** Agents of the nodes of `cluster` that answer now. */
export const agentsOf = (replica: MeshReplica, cluster: string): readonly Workload[] =>
  [...replica.workloads()].filter(
    (workload) => workload.cluster === cluster && workload.isHealthy && isNodeAgent(workload),
  );

const viasOf = (workload: Workload): readonly Socket[] =>
  workload.remote?.gateways ?? workload.addresses.slice(0, 1).map((host) => ({ host, port: port.probe }));

export function probeTargets(view: NodeView): readonly ProbeTarget[] {
  const probes = [...view.replica.workloads()].filter(isProbe);
  const others = agentsOf(view.replica, view.cluster).filter(({ node }) => node !== view.node);
  return [...probes, ...others]
    .flatMap((workload) =>
      viasOf(workload).map((via) => ({
        cluster: workload.cluster,
        node: workload.node,
        via,
        envoyCluster: nameOf(workload.uid, via),
      })),
    )
    .sort((a, b) => (a.envoyCluster < b.envoyCluster ? -1 : 1));
}

interface Named {
  readonly uid: string;
  readonly via: Socket;
}

export function parseProbeName(name: string): Named | undefined {
  if (!name.startsWith(clusterPrefix)) return undefined;
  const at = name.lastIndexOf("|");
  const via = parseSocket(name.slice(at + 1));
  return via && { uid: name.slice(clusterPrefix.length, at), via };
}

/** Undefined when the model has no such gateway or node (any more). */
export function probeCluster(view: NodeView, name: string): EnvoyResource | undefined {
  const named = parseProbeName(name);
  const workload = named && view.replica.workload(named.uid);
  if (!workload || !view.probe || !(isProbe(workload) || isNodeAgent(workload))) return undefined;
  if (!viasOf(workload).some((via) => socketText(via) === socketText(named.via))) return undefined;
  const { hostname, identities } = workload.remote ?? {
    hostname: probeHostname(workload.cluster),
    identities: [identityOf(workload)],
  };
  const { host, port: portValue } = named.via;
  const address = { socket_address: { address: host, port_value: portValue } };
  const resource = {
    name,
    // A gateway may have a DNS name.
    type: isIp(host) ? "STATIC" : "STRICT_DNS",
    connect_timeout: connectTimeout,
    circuit_breakers: circuitBreakers,
    transport_socket: upstreamTls(view.probe.identity, identities, sniOf(port.probe, hostname)),
    // Each probe is a connection of its own: what an earlier one set up says nothing about now.
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": extension("upstreams.http.v3.HttpProtocolOptions", {
        common_http_protocol_options: { max_requests_per_connection: 1 },
        explicit_http_config: { http_protocol_options: {} },
      }),
    },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
  return { type: envoyType.cluster, name, resource };
}

const httpConnectionManager = (name: string, route: JsonObject, filters: readonly JsonObject[]): JsonObject => ({
  name: "http",
  typed_config: extension("filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: name,
    codec_type: "HTTP1",
    route_config: { name, virtual_hosts: [{ name, domains: ["*"], routes: [route] }] },
    http_filters: [...filters, { name: "router", typed_config: extension("filters.http.router.v3.Router") }],
  }),
});

const added = (header: string, value: string): JsonObject => ({
  header: { key: header, value },
  append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
});

const probeTimeout = "5s";

/** A unix socket in the agent's own folder: only this node's agent probes. */
function doorListener({ doorPath }: ProbeEnds): EnvoyResource {
  const route: JsonObject = {
    match: { prefix: "/" },
    route: { cluster_header: probeHeader, timeout: probeTimeout },
    response_headers_to_add: [added(probeAnswer.server, "%UPSTREAM_PEER_URI_SAN%")],
  };
  const onDemand = {
    name: "on_demand",
    typed_config: extension("filters.http.on_demand.v3.OnDemand", { odcds: { source: ads, timeout: "3s" } }),
  };
  const resource = {
    name: door,
    stat_prefix: door,
    address: { pipe: { path: doorPath, mode: 0o600 } },
    filter_chains: [{ filters: [httpConnectionManager(door, route, [onDemand])] }],
  };
  return { type: envoyType.listener, name: door, resource };
}

/** Says to whoever proves an identity of the mesh which one it was. Nothing lies behind it. */
function responderListener({ cluster, node }: NodeView, { nodeIp, identity }: ProbeEnds): EnvoyResource {
  const route: JsonObject = {
    match: { prefix: "/" },
    direct_response: { status: 200 },
    response_headers_to_add: [
      added(probeAnswer.client, "%DOWNSTREAM_PEER_URI_SAN%"),
      added(probeAnswer.cluster, cluster),
      added(probeAnswer.node, node),
    ],
  };
  const chain = {
    transport_socket: downstreamTls(identity),
    filters: [httpConnectionManager(responder, route, [])],
  };
  const resource = {
    name: responder,
    stat_prefix: responder,
    address: { socket_address: { address: nodeIp, port_value: port.probe } },
    filter_chains: [chain],
  };
  return { type: envoyType.listener, name: responder, resource };
}

/** The responder waits for its certificate outside Envoy, so that it never holds up the start of anything else. */
export function probeListeners(
  view: NodeView,
  hasCertificate: (identity: string) => boolean,
): readonly EnvoyResource[] {
  if (!view.probe) return [];
  const isProvable = hasCertificate(view.probe.identity);
  return [doorListener(view.probe), ...(isProvable ? [responderListener(view, view.probe)] : [])];
}
