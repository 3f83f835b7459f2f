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
import type { Locality, ServicePort } from "./model.ts";
import type { RemoteWorkload } from "./remote-workloads.ts";
import { managedByTombolo } from "./service-entries.ts";

export interface Generated {
  /** Key `istio-system/<name>`. */
  readonly serviceEntries: Collection<ServiceEntry>;
  /** Key `istio-system/<name>`. */
  readonly workloadEntries: Collection<WorkloadEntry>;
}

export function wireGenerated(
  graph: Graph,
  from: { readonly globalServices: GlobalServices; readonly remoteWorkloads: Collection<RemoteWorkload> },
): Generated {
  const { globalServices, remoteWorkloads } = from;
  const serviceEntries = graph.derive<GlobalService, ServiceEntry>(
    "generatedServiceEntries",
    globalServices.rows,
    function* (service, read, id) {
      const aliases = service.aliases.filter((alias) => read.get(globalServices.aliasOwners, alias) === id);
      const entry = serviceEntry(service, aliases);
      yield [`${systemNamespace}/${entry.metadata.name}`, entry];
    },
  );
  const workloadEntries = graph.derive<RemoteWorkload, WorkloadEntry>(
    "generatedWorkloadEntries",
    remoteWorkloads,
    function* (row, read) {
      const service = read.get(globalServices.rows, row.id);
      if (service === undefined) return;
      const entry = workloadEntry(row, service);
      yield [`${systemNamespace}/${entry.metadata.name}`, entry];
    },
  );
  return { serviceEntries, workloadEntries };
}

const portName = (service: GlobalService, port: ServicePort): string =>
  service.local === undefined || port.name === "" ? `port-${port.port}` : port.name;

function serviceEntry(service: GlobalService, aliases: readonly string[]): ServiceEntry {
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

function workloadEntry({ workload, endpoint }: RemoteWorkload, service: GlobalService): WorkloadEntry {
  const { cluster, network, capacity, serviceAccount } = workload;
  const parents = parentLabels(service);
  const locality = localityText(workload.locality);
  const name =
    endpoint === undefined ? remoteEntryName(cluster, service) : flatEntryName(cluster, service, endpoint.name);
  const [address] = workload.addresses;
  const ports = (endpoint?.ports ?? []).flatMap(({ servicePort, targetPort }) => {
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
