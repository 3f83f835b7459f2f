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
import { shared } from "./shared.ts";
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
    if (exported.network === settings.network) {
      for (const endpoint of exported.endpoints) {
        const workload = flatWorkload(exported, endpoint, attachments.of(service, endpoint.ports));
        yield [workload.uid, workload];
      }
      return;
    }
    const ports = exported.ports.map(({ port }) => ({ servicePort: port, targetPort: port }));
    const services = attachments.of(service, ports);
    const links = read.lookup(peers.byCluster, exported.cluster);
    const workload = gatewayWorkload(exported, { services, links, hostname });
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

/** What tells the rows of one export apart. */
type Own = Pick<
  Workload,
  | "uid"
  | "name"
  | "namespace"
  | "addresses"
  | "trustDomain"
  | "serviceAccount"
  | "locality"
  | "capacity"
  | "services"
  | "remote"
>;

const uidOf = ({ cluster, segment, namespace, name }: Export): string =>
  `${cluster}/Remote/${segment}/${namespace}/${name}`;

const nothing: readonly never[] = [];

/** Field by field, so that all rows have one shape (see `Kept`). */
function remoteWorkload({ cluster, network, name }: Export, own: Own): Workload {
  const { uid, namespace, addresses, trustDomain, serviceAccount, locality, capacity, services, remote } = own;
  const workload: { -readonly [Field in keyof Workload]: Workload[Field] } = {
    uid,
    name: own.name,
    namespace,
    cluster,
    network,
    node: "",
    addresses,
    trustDomain,
    serviceAccount,
    tunnel: "native",
    hostNetwork: false,
    locality,
    isHealthy: true,
    capacity,
    services,
    policies: nothing,
    canonicalName: name,
    canonicalRevision: "latest",
    workloadName: name,
    workloadType: "deployment",
  };
  if (remote !== undefined) workload.remote = remote;
  return workload;
}

interface Reach {
  readonly services: Workload["services"];
  readonly links: readonly Peer[];
  /** Name of the service here. */
  readonly hostname: string;
}

function gatewayWorkload(exported: Export, { services, links, hostname: named }: Reach): Workload | undefined {
  const { name, namespace, trustDomain, identities } = exported;
  const capacity = exported.ready.reduce((sum, count) => sum + count.pods, 0);
  const [only] = links;
  const gateways = only !== undefined && links.length === 1 ? only.dataPlane : links.flatMap((link) => link.dataPlane);
  if (capacity === 0 || gateways.length === 0) return undefined;
  const said = `${name}.${namespace}.${exported.segmentDomain}`;
  // Mostly both call it the same.
  const hostname = said === named ? named : said;
  const region = links.find((link) => link.region !== "")?.region ?? commonRegion(exported);
  return remoteWorkload(exported, {
    uid: uidOf(exported),
    name,
    namespace,
    addresses: nothing,
    trustDomain,
    serviceAccount: shared.word(accountOf(identities[0]) ?? "default"),
    locality: region === "" ? nowhere : shared.of({ ...nowhere, region }),
    capacity,
    services,
    remote: { gateways, hostname, identities },
  });
}

/** The region of all ready pods, when it is one. */
function commonRegion(exported: Export): string {
  const regions = new Set(exported.ready.map((count) => count.locality.region));
  const [region = ""] = regions;
  return regions.size === 1 ? region : "";
}

function flatWorkload(exported: Export, endpoint: ExportedEndpoint, services: Workload["services"]): Workload {
  const identity = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(endpoint.identity);
  const { name, address, locality } = endpoint;
  return remoteWorkload(exported, {
    uid: `${uidOf(exported)}/${name}`,
    name,
    namespace: shared.word(identity?.[2] ?? exported.namespace),
    addresses: [address],
    trustDomain: shared.word(identity?.[1] ?? exported.trustDomain),
    serviceAccount: shared.word(identity?.[3] ?? accountOf(exported.identities[0]) ?? "default"),
    locality,
    capacity: 1,
    services,
  });
}

/** What a row's uid says: the id of its global service and, on the shared network, the name of the endpoint. */
export function remoteUidParts(uid: string): { readonly id: string; readonly endpoint: string | undefined } {
  const [, , segment = "", namespace = "", name = "", endpoint] = uid.split("/");
  return { id: globalId(segment, namespace, name), endpoint };
}

const accountOf = (identity: string | undefined): string | undefined => /\/sa\/([^/]+)$/.exec(identity ?? "")?.[1];
