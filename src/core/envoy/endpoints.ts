/** The endpoints of one port of a service as one node reaches them: how, in which order, and who may answer. */
import type { Endpoint } from "../mesh/replica.ts";
import { identityOf, type Locality, type MeshService, type TrafficDistribution, type Workload } from "../mesh/model.ts";
import { sniOf, type Socket } from "./names.ts";
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
}

export const podWorkloadUid = (cluster: string, pod: { readonly namespace: string; readonly name: string }): string =>
  `${cluster}//Pod/${pod.namespace}/${pod.name}`;

const isIpAddress = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(":");

/** All that may ever answer, ready or not: what TLS must be prepared for. */
export function waysTo(at: Standpoint, service: MeshService, port: number, endpoints: readonly Endpoint[]): Way[] {
  return endpoints.flatMap((endpoint) => waysOf(at, service, port, endpoint));
}

/** Those that take connections now, with priorities without gaps. */
export function rankedEndpoints(
  at: Standpoint,
  service: MeshService,
  port: number,
  endpoints: readonly Endpoint[],
): readonly RankedEndpoint[] {
  const rows = endpoints
    .filter(({ workload }) => takesConnections(at, service, workload))
    .map((endpoint) => ({
      ways: waysOf(at, service, port, endpoint),
      nearness: nearness(at, service.trafficDistribution, endpoint.workload),
      capacity: endpoint.workload.capacity,
    }))
    .filter(({ ways }) => ways.length > 0);
  const ranks = [...new Set(rows.map((row) => row.nearness))].sort((a, b) => b - a);
  return rows
    .flatMap(({ ways, nearness: own, capacity }) =>
      ways.map((way) => ({
        way,
        priority: ranks.indexOf(own),
        weight: Math.max(1, Math.round(capacity / ways.length)),
      })),
    )
    .sort((a, b) => a.priority - b.priority);
}

function takesConnections(at: Standpoint, service: MeshService, workload: Workload): boolean {
  if (workload.capacity < 1 || !(workload.isHealthy || service.publishNotReady)) return false;
  return localPod(at, workload)?.isDraining !== true;
}

function localPod(at: Standpoint, workload: Workload): LocalPod | undefined {
  if (workload.cluster !== at.cluster || workload.node !== at.node || workload.node === "") return undefined;
  for (const pod of at.podsByUid.values()) {
    if (podWorkloadUid(at.cluster, pod) === workload.uid) return pod;
  }
  return undefined;
}

/** More than one for a remote row: one per gateway. None when the workload does not serve the port or cannot be reached. */
function waysOf(at: Standpoint, service: MeshService, port: number, { workload, ports }: Endpoint): readonly Way[] {
  const targetPort = ports.find(({ servicePort }) => servicePort === port)?.targetPort;
  if (targetPort === undefined) return [];
  if (workload.remote) {
    const { gateways, hostname, identities: peers } = workload.remote;
    // An empty list of peers would let anyone answer.
    if (peers.length === 0) return [];
    return gateways
      .filter(({ host }) => isIpAddress(host))
      .map((socket) => ({ kind: "mtls", socket, peers, sni: sniOf(port, hostname) }));
  }
  if (workload.network !== at.network) return [];
  return waysToWorkload(at, workload, { port: targetPort, sni: sniOf(port, service.exportedAs ?? service.hostname) });
}

export interface WorkloadPort {
  readonly port: number;
  readonly sni: string;
}

/** A ztunnel's HBONE is not spoken: rather no way than one in the clear. */
export function waysToWorkload(at: Standpoint, workload: Workload, { port, sni }: WorkloadPort): readonly Way[] {
  const host = workload.addresses[0];
  if (host === undefined || workload.tunnel === "hbone") return [];
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
};

/** Larger is nearer. Earlier scopes outweigh later ones; a zone counts only within the own region. */
function nearness(at: Standpoint, distribution: TrafficDistribution, workload: Workload): number {
  const isSameRegion = workload.locality.region === at.locality.region;
  const isIn: Readonly<Record<Scope, boolean>> = {
    network: workload.network === at.network,
    region: isSameRegion,
    zone: isSameRegion && workload.locality.zone === at.locality.zone,
    node: workload.cluster === at.cluster && workload.node === at.node && at.node !== "",
  };
  return scopes[distribution].reduce((sum, scope) => sum * 2 + (isIn[scope] ? 1 : 0), 0);
}
