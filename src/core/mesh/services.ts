/**
 * The services of the mesh: Kubernetes Services, global services, and users' ServiceEntries, under the hostnames they
 * own.
 */
import { systemNamespace } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { entryName } from "./generated-names.ts";
import type { GlobalService, GlobalServices } from "./global-services.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import { globalId, type LocalService, type LocalServices } from "./local-services.ts";
import { type MeshService, type MeshSettings, serviceKey } from "./model.ts";
import { withoutTarget } from "./ports.ts";
import type { EntryAddress, ServiceEntries, UserEntry } from "./service-entries.ts";
import { shared, trimmed } from "./shared.ts";

/** Key `<ns>/<hostname>`. */
export function wireServices(
  graph: Graph,
  settings: MeshSettings,
  from: {
    readonly localServices: LocalServices;
    readonly globalServices: GlobalServices;
    readonly serviceEntries: ServiceEntries;
    readonly hosts: Hosts;
    readonly desiredAddresses: Collection<readonly EntryAddress[]>;
  },
): Collection<MeshService> {
  const { localServices, globalServices, serviceEntries, hosts, desiredAddresses } = from;
  const { network } = settings;
  // Only addresses that stand in the status and should: the loser of a conflict gives its address up before it is told.
  const addressesOf = (read: Reader, key: string, host: string): readonly string[] => {
    const written = read.get(serviceEntries.statuses, key)?.addresses ?? [];
    const desired = settings.ipAutoallocate ? (read.get(desiredAddresses, key) ?? []) : written;
    const isDesired = (value: string): boolean => desired.some((one) => one.host === host && one.value === value);
    return written.filter((one) => one.host === host && isDesired(one.value)).map(({ value }) => value);
  };
  const local = graph.derive<LocalService, MeshService>("services.local", localServices.rows, function* (row, read) {
    const service = localMeshService(row, globalServices, read, network);
    // Without a selector the mesh knows no endpoints: such connections pass through to Kubernetes' own load balancing.
    if (Object.keys(row.selector).length > 0 || row.published !== undefined) yield [serviceKey(service), service];
  });
  const global = graph.derive<GlobalService, MeshService>(
    "services.global",
    globalServices.rows,
    function* (row, read, id) {
      const isMine = (alias: string): boolean => read.get(globalServices.aliasOwners, alias) === id;
      const vips = addressesOf(read, `${systemNamespace}/${entryName(row)}`, row.hostname);
      const service: MeshService = {
        name: row.name,
        namespace: row.namespace,
        hostname: row.hostname,
        aliases: trimmed([...row.localNames, ...row.aliases].filter(isMine)),
        addresses: vips.map((address) => ({ network, address })),
        ports: row.ports,
        subjectAltNames: row.subjectAltNames,
        trafficDistribution: row.trafficDistribution,
        publishNotReady: row.local?.publishNotReady ?? false,
        isHeadless: false,
      };
      yield [serviceKey(service), service];
    },
  );
  const entries = graph.derive<UserEntry, MeshService>(
    "services.entries",
    serviceEntries.users,
    function* (row, read, key) {
      for (const hostname of row.hosts.filter((host) => owns(hosts, read, host, claimant.entry(key)))) {
        const addresses = row.hasSpecAddresses ? row.addresses : addressesOf(read, key, hostname);
        const service = entryMeshService(row, hostname, addresses, network);
        yield [serviceKey(service), service];
      }
    },
  );
  return graph.union("services", local, global, entries);
}

function localMeshService(row: LocalService, globals: GlobalServices, read: Reader, network: string): MeshService {
  const { namespace, name, hostname, published } = row;
  const global =
    published?.takeover === true ? read.get(globals.rows, globalId(published.segment, namespace, name)) : undefined;
  return {
    name,
    namespace,
    hostname,
    aliases: trimmed([]),
    addresses: row.addresses.map((address) => ({ network, address })),
    ports: global?.ports ?? shared.of(row.ports.map(withoutTarget)),
    subjectAltNames: global?.subjectAltNames ?? trimmed([]),
    trafficDistribution: row.isNodeLocal
      ? "SameNode"
      : (global?.trafficDistribution ?? row.trafficDistribution ?? "Any"),
    publishNotReady: row.publishNotReady,
    isHeadless: row.isHeadless,
    ...(published === undefined ? {} : { exportedAs: published.hostname }),
  };
}

const entryMeshService = (
  row: UserEntry,
  hostname: string,
  addresses: readonly string[],
  network: string,
): MeshService => ({
  name: row.name,
  namespace: row.namespace,
  hostname,
  aliases: [],
  addresses: addresses.map((address) => ({ network, address })),
  ports: row.ports.map(withoutTarget),
  subjectAltNames: row.subjectAltNames,
  trafficDistribution: row.trafficDistribution,
  publishNotReady: false,
  isHeadless: false,
});
