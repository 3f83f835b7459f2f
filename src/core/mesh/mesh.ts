/**
 * The mesh of one cluster: what is written (sources), and everything derived from it. The wiring reads top to bottom in
 * the order in which a commit brings it up to date.
 */
import type { ServiceEntry, WorkloadEntry } from "../api/mesh-kinds.ts";
import type { Collection } from "../graph/collection.ts";
import { Graph } from "../graph/graph.ts";
import { wireAddresses } from "./addresses.ts";
import { wireExports } from "./exports.ts";
import { wireGenerated } from "./generated.ts";
import { wireGlobalServices } from "./global-services.ts";
import { wireHosts } from "./hosts.ts";
import { wireLocalServices } from "./local-services.ts";
import { wireLocalWorkloads } from "./local-workloads.ts";
import { wireMatches } from "./matches.ts";
import type { Export, MeshService, MeshSettings, Peer, Policy, Workload } from "./model.ts";
import { wireNamespaces } from "./namespace-facts.ts";
import { wirePeerAuthenticationConditions } from "./peer-authentication-conditions.ts";
import { wirePeers } from "./peers.ts";
import { wirePolicies } from "./policies.ts";
import { type ObjectConditions, type Problem, problemsInConditions } from "./problem.ts";
import { wireProbes } from "./probes.ts";
import { wireRefusals } from "./refusals.ts";
import { wireRemoteWorkloads } from "./remote-workloads.ts";
import { wireSegments, type SegmentRow } from "./segments.ts";
import { wireSelections } from "./selections.ts";
import { type EntryAddress, wireServiceEntries } from "./service-entries.ts";
import { wireServices } from "./services.ts";
import { type MeshSources, meshSources } from "./sources.ts";
import { wireTakenNames } from "./taken-names.ts";
import { wireVisibleExports } from "./visible-exports.ts";

export interface Mesh {
  readonly graph: Graph;
  readonly sources: MeshSources;
  /** Key: uid. */
  readonly workloads: Collection<Workload>;
  /** Key: uid. One row per peer, see `wireProbes`. */
  readonly probes: Collection<Workload>;
  /** Key `<ns>/<hostname>`. */
  readonly services: Collection<MeshService>;
  /** Key `<ns>/<name>`. */
  readonly policies: Collection<Policy>;
  /** Key `<cluster>/<ns>/<name>`; generations are 0 and are given by peering. */
  readonly exports: Collection<Export>;
  /** Key: `<ns>/<name>` of the Gateway; one per peer cluster. */
  readonly peers: Collection<Peer>;
  /** Key: name. Only valid Segments. */
  readonly segments: Collection<SegmentRow>;
  /** One row, key `current`, when Namespace istio-system exists; without it the cluster is in segment `default`. */
  readonly currentSegment: Collection<SegmentRow>;
  /** Key `istio-system/<name>`; without status. */
  readonly generatedServiceEntries: Collection<ServiceEntry>;
  /** Key `istio-system/<name>`. */
  readonly generatedWorkloadEntries: Collection<WorkloadEntry>;
  /** Desired `status.addresses` by ServiceEntry key, for generated and users' entries. */
  readonly serviceEntryAddresses: Collection<readonly EntryAddress[]>;
  /** Key `<plural>/<ns>/<name>`. */
  readonly conditions: Collection<ObjectConditions>;
  /** All that is wrong, whatever shows it on the object. Key `<kind>/<ns>/<name>/<reason>`. */
  readonly problems: Collection<Problem>;
}

export function wireMesh(settings: MeshSettings): Mesh {
  const graph = new Graph();
  const sources = meshSources(graph);

  const segments = wireSegments(graph, settings, sources);
  const namespaces = wireNamespaces(graph, settings, sources);
  const peers = wirePeers(graph, settings, sources);
  const localServices = wireLocalServices(graph, settings, { sources, namespaces, segments });
  const visibleExports = wireVisibleExports(graph, settings, { sources, segments });
  const serviceEntries = wireServiceEntries(graph, sources);
  const hosts = wireHosts(graph, { localServices, visibleExports, serviceEntries });
  const selections = wireSelections(graph, { localServices, serviceEntries, hosts });
  const refusals = wireRefusals(graph, sources);
  const policies = wirePolicies(graph, sources, refusals);
  const matches = wireMatches(graph, { sources, selections, policies });
  const localWorkloads = wireLocalWorkloads(graph, settings, { sources, serviceEntries, hosts, matches });
  const exports = wireExports(graph, settings, { localServices, localWorkloads, peers });
  const globalServices = wireGlobalServices(graph, settings, { segments, localServices, visibleExports, hosts });
  const remoteWorkloads = wireRemoteWorkloads(graph, settings, { visibleExports, globalServices, peers });
  const workloads = graph.union("workloads", localWorkloads.rows, remoteWorkloads);
  const generated = wireGenerated(graph, { globalServices, remoteWorkloads });
  const serviceEntryAddresses = wireAddresses(graph, settings, {
    generated: generated.serviceEntries,
    serviceEntries,
    hosts,
  });
  const services = wireServices(graph, settings, {
    localServices,
    globalServices,
    serviceEntries,
    hosts,
    desiredAddresses: serviceEntryAddresses,
  });
  const authentications = wirePeerAuthenticationConditions(graph, sources);
  const parts = [segments.conditions, peers.conditions, hosts.conditions, policies.conditions, authentications];
  const conditions = graph.union("conditions", ...parts);

  return {
    graph,
    sources,
    workloads,
    probes: wireProbes(graph, peers),
    services,
    policies: policies.rows,
    exports: exports.rows,
    peers: peers.rows,
    segments: segments.known,
    currentSegment: segments.current,
    generatedServiceEntries: generated.serviceEntries,
    generatedWorkloadEntries: generated.workloadEntries,
    serviceEntryAddresses,
    conditions,
    problems: graph.union(
      "problems",
      segments.problems,
      namespaces.problems,
      localServices.problems,
      exports.problems,
      globalServices.problems,
      refusals.problems,
      wireTakenNames(graph, { sources, serviceEntries, generated }),
      problemsInConditions(graph, conditions),
      sources.reports,
    ),
  };
}
