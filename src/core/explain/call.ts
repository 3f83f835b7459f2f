/**
 * Why a connection of one pod to a host and port goes where it goes: computed from the same view and by the same functions
 * that make the Envoy resources of the pod's node. What a name means is found before, by DNS.
 */
import { destinationOf } from "../envoy/dial.ts";
import { judgedEndpoints, podWorkloadUid, type JudgedEndpoint } from "../envoy/endpoints.ts";
import { dialClusterStem } from "../envoy/names.ts";
import type { NodeView } from "../envoy/view.ts";
import { serviceKey, type MeshService } from "../mesh/model.ts";
import { type Candidate, candidateOf, type Client } from "./candidate.ts";

export interface NameAnswer {
  /** Who knew the name. */
  readonly by: "mesh" | "cluster DNS" | "nobody" | "itself";
  readonly addresses: readonly string[];
  /** The name that was found, when it is not the one asked for. */
  readonly alias?: string;
}

export interface CallQuestion {
  readonly pod: { readonly namespace: string; readonly name: string };
  readonly host: string;
  readonly port: number;
  readonly answer: NameAnswer;
}

export interface CalledService {
  readonly key: string;
  readonly hostname: string;
  readonly trafficDistribution: string;
  readonly ports: readonly string[];
}

export interface CallExplanation {
  readonly client: {
    readonly namespace: string;
    readonly name: string;
    readonly cluster: string;
    readonly network: string;
    readonly node: string;
    readonly ip: string;
    /** Undefined for a pod outside the mesh. */
    readonly identity: string | undefined;
  };
  readonly host: string;
  readonly port: number;
  readonly answer: NameAnswer;
  /** Undefined when the name has none. */
  readonly address: string | undefined;
  readonly service: CalledService | undefined;
  /**
   * `endpoints`: the mesh chooses one; `passthrough`: on to the address as dialled, in the clear; `outside`: the client is
   * not captured, Kubernetes chooses; `unresolved`: there is no address to dial.
   */
  readonly route: "endpoints" | "passthrough" | "outside" | "unresolved";
  /** Name of the Envoy cluster that carries it. */
  /** What the names of its Envoy clusters begin with. */
  readonly envoyCluster: string | undefined;
  readonly candidates: readonly Candidate[];
}

const calledService = (service: MeshService): CalledService => ({
  key: serviceKey(service),
  hostname: service.hostname,
  trafficDistribution: service.trafficDistribution,
  ports: service.ports.map(({ name, port, protocol }) => `${name === "" ? "" : `${name} `}${port}/${protocol}`),
});

/** Undefined when the node knows no such pod. */
export function explainCall(view: NodeView, { pod, host, port, answer }: CallQuestion): CallExplanation | undefined {
  const captured = [...view.podsByUid.values()].find(
    ({ namespace, name }) => namespace === pod.namespace && name === pod.name,
  );
  const workload = view.replica.workload(podWorkloadUid(view.cluster, pod));
  const ip = captured?.ip ?? workload?.addresses[0];
  if (ip === undefined) return undefined;
  const { cluster, network, node } = view;
  const [address] = answer.addresses;
  const base = {
    client: { ...pod, cluster, network, node, ip, identity: captured?.identity },
    host,
    port,
    answer,
    address,
  };
  if (address === undefined) {
    return { ...base, service: undefined, route: "unresolved", envoyCluster: undefined, candidates: [] };
  }
  const service = view.replica.serviceByAddress(view.network, address);
  const known = service && calledService(service);
  if (captured === undefined) {
    const candidates = plainCandidates(view, { host: address, port }, { identity: undefined, ip });
    return { ...base, service: known, route: "outside", envoyCluster: undefined, candidates };
  }
  const destination = destinationOf(view, { host: address, port });
  const client: Client = { identity: captured.identity, ip };
  return {
    ...base,
    service: known,
    route: destination.kind,
    envoyCluster: dialClusterStem({ host: address, port }, captured.identity),
    candidates:
      destination.kind === "passthrough"
        ? plainCandidates(view, { host: address, port }, client)
        : judgedAt(view, { host: address, port }).map((one) =>
            candidateOf(one, { replica: view.replica, cluster, client }),
          ),
  };
}

interface Target {
  readonly host: string;
  readonly port: number;
}

function judgedAt(view: NodeView, { host, port }: Target): readonly JudgedEndpoint[] {
  const service = view.replica.serviceByAddress(view.network, host);
  if (service) return judgedEndpoints(view, service, port, view.replica.endpointsOf(serviceKey(service)));
  const workload = view.replica.workloadByAddress(view.network, host);
  const destination = destinationOf(view, { host, port });
  if (workload === undefined || destination.kind !== "endpoints") return [];
  const ports = [{ servicePort: port, targetPort: port }];
  const ways = destination.ranked.map(({ way }) => way);
  if (ways.length === 0) return [{ workload, ports, isUsed: false, exclusion: "hboneOnly" }];
  return [{ workload, ports, isUsed: true, ways, priority: 0, weight: 1 }];
}

/**
 * What Kubernetes' own service proxy, or the address itself, leads to: endpoints of this cluster in the clear. The pods'
 * own gates still decide.
 */
function plainCandidates(view: NodeView, { host, port }: Target, client: Client): readonly Candidate[] {
  const judge = { replica: view.replica, cluster: view.cluster, client: { ...client, identity: undefined } };
  const service = view.replica.serviceByAddress(view.network, host);
  const endpoints = service
    ? view.replica.endpointsOf(serviceKey(service))
    : [view.replica.workloadByAddress(view.network, host)].flatMap((workload) =>
        workload === undefined ? [] : [{ workload, ports: [{ servicePort: port, targetPort: port }] }],
      );
  return endpoints
    .filter(({ workload }) => workload.cluster === view.cluster && workload.remote === undefined)
    .map(({ workload, ports }) => {
      const targetPort = ports.find(({ servicePort }) => servicePort === port)?.targetPort;
      const [address] = workload.addresses;
      const isReady = service === undefined || workload.isHealthy || service.publishNotReady;
      if (targetPort === undefined)
        return candidateOf({ workload, ports, isUsed: false, exclusion: "portNotServed" }, judge);
      if (address === undefined) return candidateOf({ workload, ports, isUsed: false, exclusion: "noAddress" }, judge);
      if (!isReady) return candidateOf({ workload, ports, isUsed: false, exclusion: "notReady" }, judge);
      const way = { kind: "plaintext", socket: { host: address, port: targetPort } } as const;
      return candidateOf({ workload, ports, isUsed: true, ways: [way], priority: 0, weight: 1 }, judge);
    });
}
