/**
 * Whether every cluster is as one that was built just now from the same objects: rows of the model, generated objects and
 * statuses, exports and what is remembered of them, replicas of agents and what their Envoys hold.
 */
import { meshKinds } from "../../src/core/api/mesh-kinds.ts";
import { objectKey } from "../../src/core/api/kube.ts";
import type { Condition, KubeObject, ResourceType } from "../../src/core/api/kube.ts";
import { builtin } from "../../src/core/api/resources.ts";
import type { Collection, Source } from "../../src/core/graph/collection.ts";
import { isEqual } from "../../src/core/graph/equal.ts";
import { wireMesh } from "../../src/core/mesh/mesh.ts";
import type { Mesh } from "../../src/core/mesh/mesh.ts";
import type { Export } from "../../src/core/mesh/model.ts";
import { decodeAddress, encodePolicy, encodeService, encodeWorkload } from "../../src/core/proto/codec.ts";
import type { Cluster } from "./cluster.ts";
import type { SimAgent } from "./agent.ts";
import { linkedTo, segmentOf } from "./oracle.ts";

/** Sentences, none when all is well. */
export function differencesFromFresh(clusters: readonly Cluster[]): readonly string[] {
  const fresh = freshMeshes(clusters);
  return clusters.flatMap((cluster) => {
    const mesh = fresh.get(cluster);
    if (mesh === undefined) return [];
    return [
      ...leaderDifferences(cluster),
      ...modelDifferences(cluster, mesh),
      ...objectDifferences(cluster, mesh),
      ...memoryDifferences(cluster, mesh),
      ...agentsDifferences(cluster, mesh),
    ].map((text) => `${cluster.name}: ${text}`);
  });
}

function freshMeshes(clusters: readonly Cluster[]): ReadonlyMap<Cluster, Mesh> {
  const meshes = new Map(clusters.map((cluster) => [cluster, meshOfObjects(cluster, clusters)]));
  for (const [reader, mesh] of meshes) {
    for (const [owner, other] of meshes) {
      if (owner === reader || !linkedTo(reader, owner.name)) continue;
      for (const [key, row] of other.exports.rows) {
        const seen = seenBy(row, reader, owner);
        if (seen !== undefined) mesh.sources.peerExports.set(key, seen);
      }
    }
  }
  for (const mesh of meshes.values()) mesh.graph.commit();
  return meshes;
}

/** What travels: endpoints only on a shared network, and what is of a segment only within it. */
function seenBy(row: Export, reader: Cluster, owner: Cluster): Export | undefined {
  if (row.scope === "segment" && segmentOf(reader) !== segmentOf(owner)) return undefined;
  return reader.options.network === owner.options.network ? row : { ...row, endpoints: [] };
}

function meshOfObjects(cluster: Cluster, clusters: readonly Cluster[]): Mesh {
  const mesh = wireMesh(cluster.settings.mesh);
  const { sources } = mesh;
  const feed = <T extends KubeObject>(source: Source<T>, type: ResourceType<T>) => {
    const all: readonly T[] = cluster.store.view(type);
    for (const object of all) source.set(objectKey(object), object);
  };
  feed(sources.namespaces, builtin.namespaces);
  feed(sources.nodes, builtin.nodes);
  feed(sources.pods, builtin.pods);
  feed(sources.services, builtin.services);
  feed(sources.serviceEntries, meshKinds.serviceEntries);
  feed(sources.workloadEntries, meshKinds.workloadEntries);
  feed(sources.gateways, meshKinds.gateways);
  feed(sources.segments, meshKinds.segments);
  feed(sources.authorizationPolicies, meshKinds.authorizationPolicies);
  feed(sources.peerAuthentications, meshKinds.peerAuthentications);
  for (const other of clusters) {
    const [reads, isRead] = [linkedTo(cluster, other.name), linkedTo(other, cluster.name)];
    if (other === cluster || (!reads && !isRead)) continue;
    const subscriber = isRead ? { subscriberNetwork: other.options.network } : {};
    sources.peerStates.set(other.name, { cluster: other.name, isConnected: reads, isStale: false, ...subscriber });
  }
  mesh.graph.commit();
  return mesh;
}

function leaderDifferences(cluster: Cluster): readonly string[] {
  const living = [...cluster.replicas.values()].filter(({ process, isStopping }) => process.isAlive && !isStopping);
  const problems = living.flatMap(({ control, process }) => (control ? [] : [`${process.name} has not started`]));
  if (!living.some(({ process }) => process.name === cluster.leaseHolder)) {
    problems.push(`the lease is held by "${cluster.leaseHolder}", which does not live`);
  }
  const leaders = living.filter(({ control }) => control?.isLeader === true);
  if (leaders.length !== 1) problems.push(`${leaders.length} replicas lead`);
  return problems;
}

const compared = [
  "workloads",
  "services",
  "policies",
  "exports",
  "generatedServiceEntries",
  "generatedWorkloadEntries",
  "serviceEntryAddresses",
  "problems",
] as const;

function modelDifferences(cluster: Cluster, fresh: Mesh): readonly string[] {
  return [...cluster.replicas.values()].flatMap(({ control, process }) => {
    if (control === undefined) return [];
    return compared.flatMap((name) =>
      rowDifferences(`${process.name} ${name}`, bare(rowsOf(control.mesh[name])), bare(rowsOf(fresh[name]))),
    );
  });
}

/** Rows of any collection. */
const rowsOf = (collection: Collection<object>): ReadonlyMap<string, unknown> => collection.rows;

/**
 * Without the endpoints of exports: a replica works them out only for a peer that reads them from it, and what peers read is
 * compared where they use it.
 */
const bare = (rows: ReadonlyMap<string, unknown>): ReadonlyMap<string, unknown> =>
  new Map([...rows].map(([key, row]) => [key, isExport(row) ? { ...row, endpoints: [] } : row]));

const isExport = (row: unknown): row is Export => typeof row === "object" && row !== null && "generation" in row;

function rowDifferences(
  what: string,
  lived: ReadonlyMap<string, unknown>,
  fresh: ReadonlyMap<string, unknown>,
): readonly string[] {
  const problems: string[] = [];
  for (const [key, row] of fresh) {
    if (!lived.has(key)) problems.push(`${what}: ${key} is missing`);
    else if (!isEqual(lived.get(key), row)) {
      problems.push(`${what}: ${key} is ${JSON.stringify(lived.get(key))} instead of ${JSON.stringify(row)}`);
    }
  }
  for (const key of lived.keys()) if (!fresh.has(key)) problems.push(`${what}: ${key} should not be there`);
  return problems;
}

function objectDifferences(cluster: Cluster, fresh: Mesh): readonly string[] {
  const specs = <T extends KubeObject & { spec?: unknown }>(objects: Iterable<T>) =>
    new Map<string, unknown>([...objects].map((object) => [objectKey(object), object.spec]));
  const { store } = cluster;
  const { generatedServiceEntries, generatedWorkloadEntries } = fresh;
  return [
    ...rowDifferences(
      "generated ServiceEntry",
      specs(store.view(meshKinds.serviceEntries)),
      specs(generatedServiceEntries.rows.values()),
    ),
    ...rowDifferences(
      "generated WorkloadEntry",
      specs(store.view(meshKinds.workloadEntries)),
      specs(generatedWorkloadEntries.rows.values()),
    ),
    ...rowDifferences(
      "addresses in status",
      new Map(store.view(meshKinds.serviceEntries).map((entry) => [objectKey(entry), entry.status?.addresses])),
      rowsOf(fresh.serviceEntryAddresses),
    ),
    ...conditionDifferences(cluster, fresh),
  ];
}

/** Gateways have the conditions of links beside those of the model. */
function conditionDifferences({ store }: Cluster, fresh: Mesh): readonly string[] {
  const problems: string[] = [];
  for (const { resource, key, conditions } of fresh.conditions.rows.values()) {
    if (resource === meshKinds.gateways) continue;
    // Every object of these kinds may have a status with conditions.
    const all = store.view(resource) as readonly (KubeObject & { status?: { conditions?: Condition[] } })[];
    const held = all.find((object) => objectKey(object) === key)?.status?.conditions ?? [];
    for (const { type, status, reason, message } of conditions) {
      const isThere = held.some(
        (one) => one.type === type && one.status === status && one.reason === reason && one.message === message,
      );
      if (!isThere) problems.push(`${resource.plural}/${key} lacks condition ${type}=${status} ${reason}`);
    }
  }
  for (const gateway of store.view(meshKinds.gateways)) {
    const connected = gateway.status?.conditions?.find(({ type }) => type.endsWith("PeerConnected"));
    if (connected?.status !== "True") problems.push(`${gateway.metadata.name} is not connected: ${connected?.message}`);
  }
  return problems;
}

function memoryDifferences(cluster: Cluster, fresh: Mesh): readonly string[] {
  const wanted = new Map<string, unknown>();
  const held = new Map<string, unknown>();
  const peers = new Set([...fresh.peers.rows.values()].map((peer) => peer.cluster));
  for (const [key, row] of fresh.sources.peerExports.rows) wanted.set(key, { ...row, generation: 0 });
  for (const peer of peers) {
    for (const row of cluster.remembered(peer)) {
      held.set(`${row.cluster}/${row.namespace}/${row.name}`, { ...row, generation: 0 });
    }
  }
  return rowDifferences("remembered export", held, wanted);
}

type Rows = ReadonlyMap<string, unknown>;

function agentsDifferences(cluster: Cluster, fresh: Mesh): readonly string[] {
  const decoded = (bytes: Uint8Array): unknown => {
    const row = decodeAddress(bytes);
    return row.ok ? row.value : row.problem;
  };
  const wanted = new Map<string, unknown>();
  for (const [key, row] of fresh.services.rows) wanted.set(key, decoded(encodeService(row)));
  for (const [key, row] of fresh.workloads.rows) wanted.set(key, decoded(encodeWorkload(row)));
  for (const [key, row] of fresh.probes.rows) wanted.set(key, decoded(encodeWorkload(row)));
  const policies = policyRows(fresh.policies.rows.values());
  return cluster.livingAgents.flatMap((agent) => agentDifferences(agent, wanted, policies));
}

const policyRows = (rows: Iterable<Parameters<typeof encodePolicy>[0]>): Rows =>
  new Map<string, unknown>([...rows].map((row) => [`${row.namespace}/${row.name}`, [...encodePolicy(row)]]));

function agentDifferences(agent: SimAgent, wanted: Rows, policies: Rows): readonly string[] {
  const { replica, process } = agent;
  const lived = new Map<string, unknown>();
  for (const row of replica.services())
    lived.set(`${row.namespace}/${row.hostname}`, { kind: "service", service: row });
  for (const row of replica.workloads()) lived.set(row.uid, { kind: "workload", workload: row });
  const problems = [
    ...rowDifferences(`${process.name} replica`, lived, wanted),
    ...rowDifferences(`${process.name} policies`, policyRows(replica.policies()), policies),
  ];
  for (const [type, resources] of agent.fresh()) {
    problems.push(
      ...rowDifferences(`${process.name} ${type.split(".").at(-1)}`, agent.held.get(type) ?? new Map(), resources),
    );
  }
  return problems;
}
