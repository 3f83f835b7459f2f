/**
 * Workloads of this cluster: pods with an address, users' WorkloadEntries, and the inline endpoints of users'
 * ServiceEntries, each with the services it is an endpoint of and the policies that select it by label.
 */
import type { Node } from "../api/kube.ts";
import type { WorkloadEntry } from "../api/mesh-kinds.ts";
import type { Pod } from "../api/pod.ts";
import type { Collection, Index } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import { entryLabels, entryShape, podShape } from "./matches.ts";
import {
  type Attached,
  externalWorkload,
  isEntryMember,
  isPodMember,
  localityOf,
  nowhere,
  podWorkload,
} from "./members.ts";
import type { Locality, MeshSettings, Workload } from "./model.ts";
import type { ServiceEntries, UserEntry } from "./service-entries.ts";
import { servicePorts } from "./service-ports.ts";
import type { MeshSources } from "./sources.ts";

export interface LocalWorkloads {
  /** Key: uid. */
  readonly rows: Collection<Workload>;
  /** By service key. */
  readonly byService: Index<Workload>;
}

interface Inputs {
  readonly sources: MeshSources;
  readonly serviceEntries: ServiceEntries;
  readonly hosts: Hosts;
  /** By shape. */
  readonly matches: Collection<Attached>;
}

const unattached: Attached = { services: servicePorts([]), policies: [] };

export function wireLocalWorkloads(graph: Graph, settings: MeshSettings, from: Inputs): LocalWorkloads {
  const { sources, serviceEntries, hosts, matches } = from;
  const localities = graph.derive<Node, Locality>("localities", sources.nodes, function* (node, _read, name) {
    yield [name, localityOf(node)];
  });
  const pods = graph.derive<Pod, Workload>("localWorkloads.pods", sources.pods, function* (pod, read) {
    if (!isPodMember(pod)) return;
    const locality = read.get(localities, pod.spec.nodeName ?? "") ?? nowhere;
    const workload = podWorkload(pod, settings, locality, read.get(matches, podShape(pod)) ?? unattached);
    yield [workload.uid, workload];
  });
  const entries = graph.derive<WorkloadEntry, Workload>(
    "localWorkloads.entries",
    sources.workloadEntries,
    function* (entry, read) {
      if (!isEntryMember(entry)) return;
      const { name, namespace = "" } = entry.metadata;
      const uid = `${settings.cluster}/networking.istio.io/WorkloadEntry/${namespace}/${name}`;
      const external = { uid, name, namespace, labels: entryLabels(entry), spec: entry.spec };
      yield [uid, externalWorkload(external, settings, read.get(matches, entryShape(entry)) ?? unattached)];
    },
  );
  const endpoints = graph.derive<UserEntry, Workload>(
    "localWorkloads.endpoints",
    serviceEntries.users,
    function* (entry, read, key) {
      const owned = entry.hosts.filter((host) => owns(hosts, read, host, claimant.entry(key)));
      if (owned.length === 0) return;
      for (const [at, spec] of entry.endpoints.entries()) {
        const { namespace } = entry;
        const uid = `${settings.cluster}/networking.istio.io/ServiceEntry/${key}/${at}`;
        const ports = entry.ports.map((port) => ({
          servicePort: port.port,
          targetPort: spec.ports?.[port.name] ?? (typeof port.target === "number" ? port.target : port.port),
        }));
        const services = servicePorts(owned.map((host) => [`${namespace}/${host}`, ports]));
        const external = { uid, name: `${entry.name}-${at}`, namespace, labels: spec.labels ?? {}, spec };
        yield [uid, externalWorkload(external, settings, { services, policies: [] })];
      }
    },
  );
  const rows = graph.union("localWorkloads", pods, entries, endpoints);
  return { rows, byService: graph.index(rows, "byService", (row) => Object.keys(row.services)) };
}
