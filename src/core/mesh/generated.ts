/**
 * The ServiceEntries and WorkloadEntries that show global services to users (spec 1.7), as they should be, without
 * status.
 */
import type { ServiceEntry, WorkloadEntry } from "../api/mesh-kinds.ts";
import { annotation, label, systemNamespace } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { entryName, flatEntryName, remoteEntryName } from "./generated-names.ts";
import { type GlobalService, type GlobalServices, parentLabels } from "./global-services.ts";
import type { Locality, ServicePort, Workload } from "./model.ts";
import { remoteUidParts } from "./remote-workloads.ts";
import { managedByTombolo } from "./service-entries.ts";

export interface Generated {
  /** Key `istio-system/<name>`. */
  readonly serviceEntries: Collection<ServiceEntry>;
  /** Key `istio-system/<name>`. */
  readonly workloadEntries: Collection<WorkloadEntry>;
}

/** What an object is made of. The objects themselves are many and large, and needed only where they are written. */
interface EntryParts {
  readonly service: GlobalService;
  readonly aliases: readonly string[];
}

interface WorkloadParts {
  readonly service: GlobalService;
  readonly workload: Workload;
}

export function wireGenerated(
  graph: Graph,
  from: { readonly globalServices: GlobalServices; readonly remoteWorkloads: Collection<Workload> },
): Generated {
  const { globalServices, remoteWorkloads } = from;
  const entries = graph.derive<GlobalService, EntryParts>(
    "generated.serviceEntries",
    globalServices.rows,
    function* (service, read, id) {
      const isMine = (alias: string): boolean => read.get(globalServices.aliasOwners, alias) === id;
      const aliases = service.aliases.every(isMine) ? service.aliases : service.aliases.filter(isMine);
      yield [`${systemNamespace}/${entryName(service)}`, { service, aliases }];
    },
  );
  const workloads = graph.derive<Workload, WorkloadParts>(
    "generated.workloadEntries",
    remoteWorkloads,
    function* (workload, read, uid) {
      const { id, endpoint } = remoteUidParts(uid);
      const service = read.get(globalServices.rows, id);
      if (service === undefined) return;
      const { cluster } = workload;
      const name =
        endpoint === undefined ? remoteEntryName(cluster, service) : flatEntryName(cluster, service, endpoint);
      yield [`${systemNamespace}/${name}`, { service, workload }];
    },
  );
  return {
    serviceEntries: graph.view("generatedServiceEntries", entries, serviceEntry),
    workloadEntries: graph.view("generatedWorkloadEntries", workloads, workloadEntry),
  };
}

const portName = (service: GlobalService, port: ServicePort): string =>
  service.local === undefined || port.name === "" ? `port-${port.port}` : port.name;

function serviceEntry({ service, aliases }: EntryParts): ServiceEntry {
  const { local, isTakenOver, subjectAltNames } = service;
  const targets = new Map((local?.ports ?? []).map(({ port, target }) => [port, target]));
  const parents = parentLabels(service);
  const selector = local === undefined || Object.keys(local.selector).length === 0 ? parents : { ...local.selector };
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: {
      name: entryName(service),
      namespace: systemNamespace,
      labels: {
        ...parents,
        [label.serviceScope]: service.scope,
        ...(isTakenOver ? { [label.serviceTakeover]: "true" } : {}),
        [label.managedBy]: managedByTombolo,
      },
      annotations: {
        [annotation.trafficDistribution]: service.trafficDistribution,
        ...(aliases.length > 0 ? { [annotation.serviceAliases]: aliases.join(",") } : {}),
      },
    },
    spec: {
      hosts: isTakenOver && local !== undefined ? [service.hostname, local.hostname] : [service.hostname],
      location: "MESH_INTERNAL",
      resolution: "STATIC",
      ports: service.ports.map((port) => {
        const target = targets.get(port.port);
        const base = { number: port.port, name: portName(service, port), protocol: port.protocol.toUpperCase() };
        // A named target differs per pod; a ServiceEntry can only carry numbers.
        return typeof target === "number" ? { ...base, targetPort: target } : base;
      }),
      ...(subjectAltNames.length > 0 ? { subjectAltNames: [...subjectAltNames] } : {}),
      workloadSelector: { labels: selector },
    },
  };
}

const localityText = ({ region, zone, subzone }: Locality): string =>
  [region, zone, subzone].join("/").replace(/\/+$/, "");

function workloadEntry({ workload, service }: WorkloadParts): WorkloadEntry {
  const { endpoint } = remoteUidParts(workload.uid);
  const { cluster, network, capacity, serviceAccount } = workload;
  const parents = parentLabels(service);
  const locality = localityText(workload.locality);
  const name = endpoint === undefined ? remoteEntryName(cluster, service) : flatEntryName(cluster, service, endpoint);
  const [address] = workload.addresses;
  const [mapped = []] = endpoint === undefined ? [] : Object.values(workload.services);
  const ports = mapped.flatMap(({ servicePort, targetPort }) => {
    const port = service.ports.find((one) => one.port === servicePort);
    return port === undefined ? [] : [[portName(service, port), targetPort] as const];
  });
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name, namespace: systemNamespace, labels: { ...parents, [label.managedBy]: managedByTombolo } },
    spec: {
      ...(address === undefined ? {} : { address }),
      ...(ports.length > 0 ? { ports: Object.fromEntries(ports) } : {}),
      labels: parents,
      network,
      ...(locality === "" ? {} : { locality }),
      weight: capacity,
      serviceAccount,
    },
  };
}
