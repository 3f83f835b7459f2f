/**
 * Global services (spec 1.4): one per (segment, namespace, name) that any cluster publishes and this one may see,
 * merged from this cluster's own publication and those of its peers.
 */
import { label } from "../api/names.ts";
import type { Collection, Index, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import { globalId, type LocalService, localHostname, type LocalServices } from "./local-services.ts";
import type { Export, MeshSettings, ServicePort, TrafficDistribution } from "./model.ts";
import { mergePorts, withoutTarget } from "./ports.ts";
import { type Problem, problemKey } from "./problem.ts";
import { currentSegment, isReservedDomain, type Segments } from "./segments.ts";
import type { VisibleExport } from "./visible-exports.ts";
import { shared, trimmed } from "./shared.ts";
import { isEqual } from "../graph/equal.ts";

export interface GlobalService {
  /** `<segment>/<ns>/<name>`. */
  readonly id: string;
  readonly segment: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly scope: "global" | "segment";
  /** This cluster's own Service, when it is part of the global one. */
  readonly local: LocalService | undefined;
  /**
   * The local hostname has the endpoints of the global service, by the label of this cluster or, without a local
   * Service, of a peer.
   */
  readonly isTakenOver: boolean;
  readonly ports: readonly ServicePort[];
  readonly trafficDistribution: TrafficDistribution;
  /** Names of Segment aliases. */
  readonly aliases: readonly string[];
  /** Names of a local Service that does not exist here (takeover by a peer's label). */
  readonly localNames: readonly string[];
  /** SPIFFE ids of the remote workloads. */
  readonly subjectAltNames: readonly string[];
}

export interface GlobalServices {
  /** Key: id. */
  readonly rows: Collection<GlobalService>;
  /** Alias → id of the global service that has it: the first by id, unless a service has that hostname. */
  readonly aliasOwners: Collection<string>;
  readonly problems: Collection<Problem>;
}

/** What a global service is made of: this cluster's own part, and those of peers by cluster name. */
interface Parts {
  readonly local: LocalService | undefined;
  readonly remotes: readonly VisibleExport[];
}

export function wireGlobalServices(
  graph: Graph,
  settings: MeshSettings,
  from: {
    readonly segments: Segments;
    readonly localServices: LocalServices;
    readonly visibleExports: Collection<VisibleExport>;
    readonly hosts: Hosts;
  },
): GlobalServices {
  const { segments, localServices, visibleExports, hosts } = from;
  const localById = graph.index(localServices.rows, "byGlobalId", ({ published, namespace, name }) =>
    published === undefined ? [] : [globalId(published.segment, namespace, name)],
  );
  const visibleById = graph.index(visibleExports, "byGlobalId", (row) => [row.id]);
  const ids = graph.values("globalServices.ids", localById, visibleById);
  const rows = graph.derive<string, GlobalService>("globalServices", ids, function* (id, read) {
    const parts = { local: read.lookup(localById, id)[0], remotes: read.lookup(visibleById, id) };
    const service = merge(id, parts, settings, {
      isOwnSegment: id.startsWith(`${currentSegment(segments, read).name}/`),
      hasLocalService: (key) => read.get(localServices.rows, key) !== undefined,
    });
    if (service !== undefined && owns(hosts, read, service.hostname, claimant.global(id))) yield [id, service];
  });
  const claims = graph.derive<GlobalService, AliasClaim>(
    "globalServices.aliasClaims",
    rows,
    function* (service, _r, id) {
      for (const alias of new Set([...service.aliases, ...service.localNames])) yield [`${alias}|${id}`, { alias, id }];
    },
  );
  const byAlias = graph.group("globalServices.byAlias", claims, (claim) => [claim.alias]);
  const aliasOwners = graph.derive<readonly AliasClaim[], string>(
    "globalServices.aliasOwners",
    byAlias,
    function* (rivals, read, alias) {
      const first = rivals[0];
      if (first !== undefined && hosts.ownerOf(read, alias) === undefined) yield [alias, first.id];
    },
  );
  const problems = graph.derive<GlobalService, Problem>("globalServices.problems", rows, function* (service, read) {
    for (const problem of problemsOf(service, read, { aliasOwners, visibleById })) yield [problemKey(problem), problem];
  });
  return { rows, aliasOwners, problems };
}

interface AliasClaim {
  readonly alias: string;
  readonly id: string;
}

interface Surroundings {
  readonly isOwnSegment: boolean;
  readonly hasLocalService: (key: string) => boolean;
}

function merge(
  id: string,
  { local, remotes }: Parts,
  settings: MeshSettings,
  around: Surroundings,
): GlobalService | undefined {
  const published = local?.published;
  const first = published ?? remotes[0]?.exported;
  const hostname = published?.hostname ?? remotes[0]?.hostname;
  if (first === undefined || hostname === undefined) return undefined;
  const exported = remotes.map((remote) => remote.exported);
  const { namespace, name } = local ?? remotes[0]?.exported ?? { namespace: "", name: "" };
  // Asked only when needed, so that a local Service's changes do not touch services it has no part in.
  const isForeign = around.isOwnSegment && local === undefined && exported.some((row) => row.takeover);
  const isAdopted = isForeign && !around.hasLocalService(`${namespace}/${name}`);
  return {
    id,
    segment: first.segment,
    namespace,
    name,
    hostname,
    scope: published?.scope ?? (exported.some((row) => row.scope === "global") ? "global" : "segment"),
    local,
    isTakenOver: published === undefined ? isAdopted : published.takeover,
    ports: shared.of(mergePorts([(local?.ports ?? []).map(withoutTarget), ...exported.map((row) => row.ports)])),
    trafficDistribution: local?.trafficDistribution ?? distributionOf(exported) ?? "PreferNetwork",
    aliases: around.isOwnSegment ? aliasesOf(local, exported, { hostname, settings }) : [],
    localNames: isAdopted ? localNamesOf(name, namespace, settings) : [],
    subjectAltNames: identitiesOf(exported),
  };
}

/** Mostly all say the same list. */
function identitiesOf(exported: readonly Export[]): readonly string[] {
  const [first] = exported;
  if (first !== undefined && exported.every((row) => isEqual(row.identities, first.identities)))
    return first.identities;
  return trimmed([...new Set(exported.flatMap((row) => row.identities))].sort(compareKeys));
}

const distributionOf = (exported: readonly Export[]): TrafficDistribution | undefined =>
  exported.find((row) => row.trafficDistribution !== undefined)?.trafficDistribution;

/** A peer's words are not trusted with names of Kubernetes. */
function aliasesOf(
  local: LocalService | undefined,
  exported: readonly Export[],
  { hostname, settings }: { readonly hostname: string; readonly settings: MeshSettings },
): readonly string[] {
  const aliases = new Set([...(local?.published?.aliases ?? []), ...exported.flatMap((row) => row.aliases)]);
  aliases.delete(hostname);
  return trimmed([...aliases].filter((alias) => !isReservedDomain(alias, settings)).sort(compareKeys));
}

const localNamesOf = (name: string, namespace: string, settings: MeshSettings): readonly string[] => [
  localHostname(name, namespace, settings),
  `${name}.${namespace}.svc`,
  `${name}.${namespace}`,
];

/** Told to the owner of the local Service; what only concerns peers is told there. */
function problemsOf(
  service: GlobalService,
  read: Reader,
  from: { readonly aliasOwners: Collection<string>; readonly visibleById: Index<VisibleExport> },
): readonly Problem[] {
  if (service.local === undefined) return [];
  const { namespace, name } = service;
  const found: Problem[] = [];
  const add = (reason: string, what: string, remedy: string): void => {
    const message = `Service ${namespace}/${name}: ${what}.`;
    found.push({ kind: "Service", namespace, name, reason, message, remedy, shownAs: "event" });
  };
  const lost = service.aliases.find((alias) => read.get(from.aliasOwners, alias) !== service.id);
  if (lost !== undefined) {
    const owner = read.get(from.aliasOwners, lost);
    const whose = owner === undefined ? "a service with that host name" : `global service ${owner}`;
    add(
      "AliasClash",
      `alias ${lost} of its Segment already belongs to ${whose}`,
      "Narrow the selector of the alias in the Segment, or change its pattern.",
    );
  }
  const remotes = read.lookup(from.visibleById, service.id);
  const other = remotes.find((remote) => conflictingPort(service, remote) !== undefined);
  const port = other === undefined ? undefined : conflictingPort(service, other);
  if (port !== undefined) {
    const cluster = other?.exported.cluster ?? "";
    add(
      "PortConflict",
      `port ${port.port} is ${port.protocol} in cluster ${cluster} but not here, and this cluster's definition counts here`,
      "Give the port the same appProtocol in both clusters.",
    );
  }
  return found;
}

const conflictingPort = (service: GlobalService, remote: VisibleExport): ServicePort | undefined =>
  remote.exported.ports.find((theirs) =>
    service.ports.some((port) => port.port === theirs.port && port.protocol !== theirs.protocol),
  );

/** Labels that every object generated for a global service carries, and by which its WorkloadEntries are selected. */
export const parentLabels = (
  service: Pick<GlobalService, "segment" | "namespace" | "name">,
): Record<string, string> => ({
  [label.segment]: service.segment,
  [label.parentService]: service.name,
  [label.parentServiceNamespace]: service.namespace,
});
