/** The endpoints of one port of a service as one node reaches them: how, in which order, and who may answer. */
import type { Endpoint } from "../mesh/replica.ts";
import { identityOf, type Locality, type MeshService, type TrafficDistribution, type Workload } from "../mesh/model.ts";
import { isIp } from "../api/ip.ts";
import { sniOf, type Socket, socketText } from "./names.ts";
import type { LocalPod } from "./view.ts";

export type Way =
  /** Into the gate of a pod of this node: no TLS, the client's identity travels in filter state. */
  | { readonly kind: "local"; readonly podUid: string; readonly socket: Socket }
  /** To the pod's own address or a peer's gateway, by mutual TLS to one of `peers`. */
  | { readonly kind: "mtls"; readonly socket: Socket; readonly peers: readonly string[]; readonly sni: string }
  /** To a workload outside the mesh. */
  | { readonly kind: "plaintext"; readonly socket: Socket };

export interface RankedEndpoint {
  readonly way: Way;
  /** 0 is used first; a rank is used when no endpoint of the ranks before it can be reached. */
  readonly priority: number;
  readonly weight: number;
}

/** Where an Envoy stands; a gateway has no node. */
export interface Standpoint {
  readonly node: string;
  readonly cluster: string;
  readonly network: string;
  readonly locality: Locality;
  readonly podsByUid: ReadonlyMap<string, LocalPod>;
  /** DNS names of peers' gateways → their addresses, as far as they are known. */
  readonly addressesByName?: ReadonlyMap<string, readonly string[]>;
}

export const podWorkloadUid = (cluster: string, pod: { readonly namespace: string; readonly name: string }): string =>
  `${cluster}//Pod/${pod.namespace}/${pod.name}`;

/** All that may ever answer, ready or not, resolved or not: what TLS must be prepared for. */
export function waysTo(at: Standpoint, service: MeshService, port: number, endpoints: readonly Endpoint[]): Way[] {
  return endpoints.flatMap((endpoint) => waysOf(at, service, port, endpoint));
}

/** Why an endpoint of a service gets no connections from here. */
export type Exclusion =
  | "notReady"
  | "noReadyPods"
  | "draining"
  | "portNotServed"
  | "noIdentity"
  | "noGatewayAddress"
  | "otherNetwork"
  | "otherNode"
  | "noAddress"
  | "hboneOnly";

export type JudgedEndpoint = Endpoint &
  (
    | {
        readonly isUsed: true;
        /** More than one for a remote row: one per gateway. */
        readonly ways: readonly Way[];
        readonly priority: number;
        /** Of each way. */
        readonly weight: number;
      }
    | { readonly isUsed: false; readonly exclusion: Exclusion }
  );

/** Every endpoint, used or not and why, in the order given; priorities have no gaps. */
export function judgedEndpoints(
  at: Standpoint,
  service: MeshService,
  port: number,
  endpoints: readonly Endpoint[],
): readonly JudgedEndpoint[] {
  const rows = endpoints.map((endpoint) => {
    const reach = exclusionOf(at, service, endpoint.workload) ?? dialable(reachOf(at, service, port, endpoint));
    return { endpoint, reach, nearness: nearness(at, service.trafficDistribution, endpoint.workload) };
  });
  const used = rows.filter(({ reach }) => typeof reach !== "string");
  const ranks = [...new Set(used.map((row) => row.nearness))].sort((a, b) => b - a);
  return rows.map(({ endpoint, reach, nearness: own }): JudgedEndpoint => {
    if (typeof reach === "string") return { ...endpoint, isUsed: false, exclusion: reach };
    const weight = Math.max(1, Math.round(endpoint.workload.capacity / reach.length));
    return { ...endpoint, isUsed: true, ways: reach, priority: ranks.indexOf(own), weight };
  });
}

/** Those that take connections now, by priority. */
export const rankedEndpoints = (
  at: Standpoint,
  service: MeshService,
  port: number,
  endpoints: readonly Endpoint[],
): readonly RankedEndpoint[] => rankedOf(judgedEndpoints(at, service, port, endpoints));

export const rankedOf = (endpoints: readonly JudgedEndpoint[]): readonly RankedEndpoint[] =>
  endpoints
    .flatMap((one) => (one.isUsed ? one.ways.map((way) => ({ way, priority: one.priority, weight: one.weight })) : []))
    .sort((a, b) => a.priority - b.priority);

/** Envoy takes addresses only: the agent looks names up. */
function dialable(reach: readonly Way[] | Exclusion): readonly Way[] | Exclusion {
  if (typeof reach === "string") return reach;
  const ways = reach.filter((way) => way.kind !== "mtls" || isIp(way.socket.host));
  return ways.length === 0 ? "noGatewayAddress" : ways;
}

function exclusionOf(at: Standpoint, service: MeshService, workload: Workload): Exclusion | undefined {
  if (workload.capacity < 1) return "noReadyPods";
  if (!workload.isHealthy && !service.publishNotReady) return "notReady";
  if (service.trafficDistribution === "SameNode" && !isOnNode(at, workload)) return "otherNode";
  return localPod(at, workload)?.isDraining === true ? "draining" : undefined;
}

function localPod(at: Standpoint, workload: Workload): LocalPod | undefined {
  if (workload.cluster !== at.cluster || workload.node !== at.node || workload.node === "") return undefined;
  for (const pod of at.podsByUid.values()) {
    // The first comparison spares most of them the making of a text.
    if (workload.uid.endsWith(pod.name) && podWorkloadUid(at.cluster, pod) === workload.uid) return pod;
  }
  return undefined;
}

const waysOf = (at: Standpoint, service: MeshService, port: number, endpoint: Endpoint): readonly Way[] => {
  const reach = reachOf(at, service, port, endpoint);
  return typeof reach === "string" ? [] : reach;
};

/** At least one way, or why there is none. */
function reachOf(
  at: Standpoint,
  service: MeshService,
  port: number,
  { workload, ports }: Endpoint,
): readonly Way[] | Exclusion {
  const targetPort = ports.find(({ servicePort }) => servicePort === port)?.targetPort;
  if (targetPort === undefined) return "portNotServed";
  if (workload.remote) {
    const { gateways, hostname, identities: peers } = workload.remote;
    // An empty list of peers would let anyone answer.
    if (peers.length === 0) return "noIdentity";
    if (gateways.length === 0) return "noGatewayAddress";
    return socketsOf(at, gateways).map((socket) => ({ kind: "mtls", socket, peers, sni: sniOf(port, hostname) }));
  }
  if (workload.network !== at.network) return "otherNetwork";
  return reachWorkload(at, workload, { port: targetPort, sni: sniOf(port, service.exportedAs ?? service.hostname) });
}

/** Each once, though several names may lead to it; a name without known addresses stands for itself. */
function socketsOf(at: Standpoint, gateways: readonly Socket[]): readonly Socket[] {
  const sockets = gateways.flatMap((gateway) => {
    const addresses = at.addressesByName?.get(gateway.host) ?? [];
    return addresses.length === 0 ? [gateway] : addresses.map((host) => ({ host, port: gateway.port }));
  });
  return [...new Map(sockets.map((socket) => [socketText(socket), socket])).values()];
}

export interface WorkloadPort {
  readonly port: number;
  readonly sni: string;
}

export function waysToWorkload(at: Standpoint, workload: Workload, to: WorkloadPort): readonly Way[] {
  const reach = reachWorkload(at, workload, to);
  return typeof reach === "string" ? [] : reach;
}

/** A ztunnel's HBONE is not spoken: rather no way than one in the clear. */
function reachWorkload(at: Standpoint, workload: Workload, { port, sni }: WorkloadPort): readonly Way[] | Exclusion {
  const host = workload.addresses[0];
  if (host === undefined) return "noAddress";
  if (workload.tunnel === "hbone") return "hboneOnly";
  const socket = { host, port };
  if (workload.tunnel === "none") return [{ kind: "plaintext", socket }];
  const pod = localPod(at, workload);
  if (pod) return [{ kind: "local", podUid: pod.uid, socket }];
  return [{ kind: "mtls", socket, peers: [identityOf(workload)], sni }];
}

type Scope = "network" | "region" | "zone" | "node";

const scopes: Readonly<Record<TrafficDistribution, readonly Scope[]>> = {
  Any: [],
  PreferNetwork: ["network"],
  PreferRegion: ["network", "region"],
  PreferClose: ["network", "region", "zone"],
  PreferSameNode: ["network", "region", "zone", "node"],
  // Those of other nodes are left out before anything is ranked.
  SameNode: [],
};

const isOnNode = (at: Standpoint, workload: Workload): boolean =>
  workload.cluster === at.cluster && workload.node === at.node && at.node !== "";

/** Larger is nearer. Earlier scopes outweigh later ones; a zone counts only within the own region. */
function nearness(at: Standpoint, distribution: TrafficDistribution, workload: Workload): number {
  const isSameRegion = workload.locality.region === at.locality.region;
  const isIn: Readonly<Record<Scope, boolean>> = {
    network: workload.network === at.network,
    region: isSameRegion,
    zone: isSameRegion && workload.locality.zone === at.locality.zone,
    node: isOnNode(at, workload),
  };
  return scopes[distribution].reduce((sum, scope) => sum * 2 + (isIn[scope] ? 1 : 0), 0);
}
