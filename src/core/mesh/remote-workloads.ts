/**
 * Workloads in peer clusters: one row per (peer, service) that leads through the peer's gateways, or, on a network that
 * both share, one row per exported endpoint. A service without ready pods there, or without a known gateway, has none.
 */
import type { Collection } from "../graph/collection.ts";
import { isEqual } from "../graph/equal.ts";
import type { Graph } from "../graph/graph.ts";
import type { GlobalService, GlobalServices } from "./global-services.ts";
import type { Export, ExportedEndpoint, Locality, MeshSettings, Peer, PortMapping, Workload } from "./model.ts";
import { globalId } from "./local-services.ts";
import type { Peers } from "./peers.ts";
import { servicePorts } from "./service-ports.ts";
import type { VisibleExport } from "./visible-exports.ts";

/** Key: uid. */
export function wireRemoteWorkloads(
  graph: Graph,
  settings: MeshSettings,
  from: {
    readonly visibleExports: Collection<VisibleExport>;
    readonly globalServices: GlobalServices;
    readonly peers: Peers;
  },
): Collection<Workload> {
  const { visibleExports, globalServices, peers } = from;
  const attachments = new Attachments();
  return graph.derive<VisibleExport, Workload>("remoteWorkloads", visibleExports, function* (visible, read) {
    const { id, exported, hostname } = visible;
    const service = read.get(globalServices.rows, id);
    if (service === undefined) return;
    const base = remoteBase(exported);
    if (exported.network === settings.network) {
      for (const endpoint of exported.endpoints) {
        const workload = flatWorkload(base, endpoint, attachments.of(service, endpoint.ports));
        yield [workload.uid, workload];
      }
      return;
    }
    const ports = exported.ports.map(({ port }) => ({ servicePort: port, targetPort: port }));
    const services = attachments.of(service, ports);
    const links = read.lookup(peers.byCluster, exported.cluster);
    const workload = gatewayWorkload({ ...base, services }, exported, { links, hostname });
    if (workload !== undefined) yield [workload.uid, workload];
  });
}

/** The global service, and the local one when it has taken the global endpoints over. */
function keysOf({ namespace, hostname, local, isTakenOver }: GlobalService): readonly string[] {
  const hostnames = local === undefined || !isTakenOver ? [hostname] : [hostname, local.hostname];
  return hostnames.map((host) => `${namespace}/${host}`).sort();
}

/**
 * What the workloads of one global service are endpoints of: mostly the same in every cluster, and a record of names takes
 * much memory.
 */
class Attachments {
  readonly #known = new WeakMap<GlobalService, Workload["services"]>();

  of(service: GlobalService, ports: readonly PortMapping[]): Workload["services"] {
    const known = this.#known.get(service);
    if (known !== undefined && Object.values(known).every((one) => isEqual(one, ports))) return known;
    const made = servicePorts(keysOf(service).map((key) => [key, ports]));
    this.#known.set(service, made);
    return made;
  }
}

const nowhere: Locality = { region: "", zone: "", subzone: "" };

function remoteBase(exported: Export): Workload {
  const { cluster, network, namespace, name, trustDomain } = exported;
  return {
    uid: `${cluster}/Remote/${exported.segment}/${namespace}/${name}`,
    name,
    namespace,
    cluster,
    network,
    node: "",
    addresses: [],
    trustDomain,
    serviceAccount: accountOf(exported.identities[0]) ?? "default",
    tunnel: "native",
    hostNetwork: false,
    locality: nowhere,
    isHealthy: true,
    capacity: 1,
    services: {},
    policies: [],
    canonicalName: name,
    canonicalRevision: "latest",
    workloadName: name,
    workloadType: "deployment",
  };
}

function gatewayWorkload(
  base: Workload,
  exported: Export,
  reach: { readonly links: readonly Peer[]; readonly hostname: string },
): Workload | undefined {
  const capacity = exported.ready.reduce((sum, count) => sum + count.pods, 0);
  const [only] = reach.links;
  const gateways =
    only !== undefined && reach.links.length === 1 ? only.dataPlane : reach.links.flatMap((link) => link.dataPlane);
  if (capacity === 0 || gateways.length === 0) return undefined;
  const said = `${exported.name}.${exported.namespace}.${exported.segmentDomain}`;
  // Mostly both call it the same.
  const hostname = said === reach.hostname ? reach.hostname : said;
  const region = reach.links.find((link) => link.region !== "")?.region ?? commonRegion(exported);
  return {
    ...base,
    capacity,
    locality: region === "" ? nowhere : { ...nowhere, region },
    remote: { gateways, hostname, identities: exported.identities },
  };
}

/** The region of all ready pods, when it is one. */
function commonRegion(exported: Export): string {
  const regions = new Set(exported.ready.map((count) => count.locality.region));
  const [region = ""] = regions;
  return regions.size === 1 ? region : "";
}

function flatWorkload(base: Workload, endpoint: ExportedEndpoint, services: Workload["services"]): Workload {
  const identity = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(endpoint.identity);
  return {
    ...base,
    uid: `${base.uid}/${endpoint.name}`,
    name: endpoint.name,
    namespace: identity?.[2] ?? base.namespace,
    addresses: [endpoint.address],
    trustDomain: identity?.[1] ?? base.trustDomain,
    serviceAccount: identity?.[3] ?? base.serviceAccount,
    locality: endpoint.locality,
    services,
  };
}

/** What a row's uid says: the id of its global service and, on the shared network, the name of the endpoint. */
export function remoteUidParts(uid: string): { readonly id: string; readonly endpoint: string | undefined } {
  const [, , segment = "", namespace = "", name = "", endpoint] = uid.split("/");
  return { id: globalId(segment, namespace, name), endpoint };
}

const accountOf = (identity: string | undefined): string | undefined => /\/sa\/([^/]+)$/.exec(identity ?? "")?.[1];
