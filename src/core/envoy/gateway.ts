/**
 * The east-west gateway's Envoy: it reads the SNI and passes TLS on without opening it. What it leads to are the ready
 * pods of its own cluster only, so no connection can go round in circles.
 */
import { port, probeHostname, systemNamespace } from "../api/names.ts";
import { serviceKey } from "../mesh/model.ts";
import type { ReplicaChange } from "../mesh/replica.ts";
import { loadAssignment, socketAddress } from "./dial.ts";
import { judgedEndpoints, rankedOf, type JudgedEndpoint, type RankedEndpoint } from "./endpoints.ts";
import { filterState, parseSniClusterName, sniClusterFormat, type SniTarget, staticCluster } from "./names.ts";
import { accessLog, ads, alpn, circuitBreakers, connectAttemptsMax, connectBackoff, connectTimeout } from "./parts.ts";
import {
  loadBalancing,
  onDemand,
  outlierDetection,
  setFilterState,
  tcpKeepalive,
  tcpProxy,
  tlsInspector,
} from "./parts.ts";
import { envoyType, type EnvoyResource } from "./resource.ts";
import { agentsOf } from "./probe.ts";
import { nowhereCluster } from "./static-clusters.ts";
import type { GatewayView } from "./view.ts";

const crossNetworkName = "cross-network";
const controlPlaneListenerName = "control-plane";

const anyAddress = (portValue: number) => ({ socket_address: { address: "0.0.0.0", port_value: portValue } });

export function gatewayResources(view: GatewayView, logPath?: string): readonly EnvoyResource[] {
  return [nowhereCluster, controlPlaneCluster(view), crossNetworkListener(logPath), controlPlaneListener()];
}

/** A connection that is not the mesh's TLS matches no chain and is closed. */
function crossNetworkListener(logPath: string | undefined): EnvoyResource {
  const cluster = { key: filterState.tcpCluster, value: sniClusterFormat, isLocal: true };
  const chain = {
    name: crossNetworkName,
    filter_chain_match: { transport_protocol: "tls", application_protocols: [alpn] },
    filters: [
      setFilterState([cluster]),
      tcpProxy(crossNetworkName, staticCluster.nowhere, {
        on_demand: onDemand,
        max_connect_attempts: connectAttemptsMax,
        backoff_options: connectBackoff,
        ...accessLog(logPath, crossNetworkName),
      }),
    ],
  };
  const resource = {
    name: crossNetworkName,
    stat_prefix: crossNetworkName,
    address: anyAddress(port.crossNetwork),
    tcp_keepalive: tcpKeepalive,
    listener_filters: [tlsInspector],
    filter_chains: [chain],
  };
  return { type: envoyType.listener, name: crossNetworkName, resource };
}

function controlPlaneListener(): EnvoyResource {
  const resource = {
    name: controlPlaneListenerName,
    stat_prefix: controlPlaneListenerName,
    address: anyAddress(port.controlPlane),
    tcp_keepalive: tcpKeepalive,
    filter_chains: [{ filters: [tcpProxy(controlPlaneListenerName, staticCluster.controlPlane)] }],
  };
  return { type: envoyType.listener, name: controlPlaneListenerName, resource };
}

function controlPlaneCluster({ controlPlane }: GatewayView): EnvoyResource {
  const name = staticCluster.controlPlane;
  const address = socketAddress(controlPlane);
  const resource = {
    name,
    // The Service may be named or addressed; either way Envoy looks it up by itself.
    type: "STRICT_DNS",
    connect_timeout: "2s",
    circuit_breakers: circuitBreakers,
    upstream_connection_options: { tcp_keepalive: tcpKeepalive },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
  return { type: envoyType.cluster, name, resource };
}

interface ExportedPort {
  readonly ranked: readonly RankedEndpoint[];
  readonly serviceKeys: readonly string[];
}

export interface ExportedService {
  readonly key: string;
  /** Every workload of it in this cluster, used or not. */
  readonly endpoints: readonly JudgedEndpoint[];
}

/** What a server name leads to; none for a name that this cluster does not export, or a port that nobody has. */
export function exportedServices(view: GatewayView, wanted: SniTarget): readonly ExportedService[] {
  const at = { ...view, node: "", locality: { region: "", zone: "", subzone: "" }, podsByUid: new Map() };
  return view.replica
    .servicesByExport(wanted.hostname)
    .filter((service) => service.ports.some(({ port: number }) => number === wanted.port))
    .map((service) => {
      const key = serviceKey(service);
      const own = view.replica
        .endpointsOf(key)
        .filter(
          ({ workload }) => workload.cluster === view.cluster && !workload.remote && workload.tunnel === "native",
        );
      return { key, endpoints: judgedEndpoints(at, { ...service, trafficDistribution: "Any" }, wanted.port, own) };
    });
}

/** Undefined for a name that this cluster does not export, or a port that the service does not have. */
export function exportedPort(view: GatewayView, name: string): ExportedPort | undefined {
  const wanted = parseSniClusterName(name);
  if (wanted?.hostname === probeHostname(view.cluster)) return probedAgents(view);
  const services = wanted === undefined ? [] : exportedServices(view, wanted);
  if (services.length === 0) return undefined;
  return {
    ranked: services.flatMap(({ endpoints }) => rankedOf(endpoints)),
    serviceKeys: services.map(({ key }) => key),
  };
}

/** Probes of peers end at the nodes' own Envoys. */
function probedAgents(view: GatewayView): ExportedPort {
  const ways = agentsOf(view.replica, view.cluster).flatMap(({ addresses: [host] }): readonly RankedEndpoint[] =>
    host === undefined
      ? []
      : [{ way: { kind: "plaintext", socket: { host, port: port.probe } }, priority: 0, weight: 1 }],
  );
  return { ranked: ways, serviceKeys: [] };
}

/** Whether the change may concern what a probe's name leads to. */
export const isProbeAffected = (view: GatewayView, name: string, { workloads }: ReplicaChange): boolean =>
  parseSniClusterName(name)?.hostname === probeHostname(view.cluster) &&
  [...workloads].some((uid) => uid.startsWith(`${view.cluster}//Pod/${systemNamespace}/`));

export function sniCluster(view: GatewayView, name: string): EnvoyResource | undefined {
  if (!exportedPort(view, name)) return undefined;
  const resource = {
    name,
    type: "EDS",
    eds_cluster_config: { eds_config: ads },
    lb_policy: "ROUND_ROBIN",
    connect_timeout: connectTimeout,
    upstream_connection_options: { tcp_keepalive: tcpKeepalive },
    circuit_breakers: circuitBreakers,
    common_lb_config: loadBalancing,
    outlier_detection: outlierDetection,
  };
  return { type: envoyType.cluster, name, resource };
}

export function sniEndpoints(view: GatewayView, name: string): EnvoyResource | undefined {
  const found = exportedPort(view, name);
  if (!found) return undefined;
  const toEndpoint = ({ way, weight }: RankedEndpoint) => ({
    endpoint: { address: socketAddress(way.socket) },
    load_balancing_weight: weight,
  });
  return { type: envoyType.endpoints, name, resource: loadAssignment(name, found.ranked, toEndpoint) };
}
