/**
 * What a link would change, before it is made: the mesh of one cluster is derived twice from its objects, without and with
 * what the other cluster exports, by the code that will derive it then. Nothing is written anywhere.
 */
import { objectKey, type KubeObject } from "../api/kube.ts";
import { defaultSegment } from "../api/names.ts";
import type { Gateway } from "../api/mesh-kinds.ts";
import { compareKeys } from "../graph/order.ts";
import { wireMesh, type Mesh } from "../mesh/mesh.ts";
import { serviceKey, type Export, type MeshService, type MeshSettings, type ServicePort } from "../mesh/model.ts";
import type { Problem } from "../mesh/problem.ts";
import type { MeshSources } from "../mesh/sources.ts";
import type { VisibleExport } from "../mesh/visible-exports.ts";

type ObjectSources = Omit<MeshSources, "peerExports" | "peerStates" | "reports">;

/** Everything of a cluster from which its mesh is derived. */
export interface ClusterObjects {
  readonly settings: MeshSettings;
  readonly objects: { readonly [K in keyof ObjectSources]: readonly KubeObject[] };
  /** What the peers that it has already export. */
  readonly peerExports: Readonly<Record<string, Export>>;
}

export interface PlannedService {
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly scope: "global" | "segment";
  readonly segment: string;
  readonly ports: readonly ServicePort[];
  readonly readyPods: number;
  /** Joins the endpoints of a service that this cluster has under that name already. */
  readonly isJoined: boolean;
  /** The local host name whose connections may now go to the other cluster too. */
  readonly takesOver?: string;
  /** Sentences: where the two definitions differ. */
  readonly differences: readonly string[];
}

export interface DirectionPlan {
  /** Whose workloads will reach. */
  readonly from: string;
  /** Whose services become visible. */
  readonly to: string;
  readonly services: readonly PlannedService[];
  /** Exports that stay hidden, and why. */
  readonly hidden: readonly string[];
  /** Faults that the link would bring to `from`. */
  readonly problems: readonly Problem[];
}

function meshOf({ settings, objects, peerExports }: ClusterObjects): Mesh {
  const mesh = wireMesh(settings);
  for (const kind of Object.keys(objects) as (keyof ObjectSources)[]) {
    // Each list was read as the kind whose source it fills.
    const source = mesh.sources[kind] as { set(key: string, row: KubeObject): void };
    for (const object of objects[kind]) source.set(objectKey(object), object);
  }
  for (const [key, row] of Object.entries(peerExports)) mesh.sources.peerExports.set(key, row);
  mesh.graph.commit();
  return mesh;
}

const rowsOf = <T>(mesh: Mesh, name: string): ReadonlyMap<string, T> =>
  // The name is that of a collection of T, see the callers.
  (mesh.graph.collections.find((one) => one.name === name)?.rows ?? new Map()) as ReadonlyMap<string, T>;

/** What `from` will see of `to`. `link` is the Gateway by which it will be linked. */
export function planDirection(from: ClusterObjects, to: ClusterObjects, link: Gateway): DirectionPlan {
  const peer = meshOf(to);
  const exported = peer.exports.rows;
  const mesh = meshOf(from);
  const before = {
    services: new Map(mesh.services.rows),
    problems: new Set(mesh.problems.rows.keys()),
    visible: new Set(rowsOf(mesh, "visibleExports").keys()),
  };
  mesh.sources.gateways.set(objectKey(link), link);
  // As it will be once the link stands.
  mesh.sources.peerStates.set(to.settings.cluster, {
    cluster: to.settings.cluster,
    isConnected: true,
    isStale: false,
    segment: [...peer.currentSegment.rows.values()][0]?.name ?? defaultSegment.name,
    segments: [...peer.segments.rows.values()].map(({ name, domain }) => ({ name, domain })),
  });
  for (const [key, row] of exported) mesh.sources.peerExports.set(key, { ...row, generation: 1 });
  mesh.graph.commit();
  const visible = rowsOf<VisibleExport>(mesh, "visibleExports");
  const services = [...visible]
    .filter(([key]) => exported.has(key) && !before.visible.has(key))
    .sort(([a], [b]) => compareKeys(a, b))
    .map(([, row]) => planned(mesh, row, before.services));
  return {
    from: from.settings.cluster,
    to: to.settings.cluster,
    services,
    hidden: [...exported]
      .filter(([key]) => !visible.has(key))
      .map(([, row]) => `Service ${row.namespace}/${row.name} stays hidden: ${whyHidden(row, mesh)}.`),
    problems: [...mesh.problems.rows].filter(([key]) => !before.problems.has(key)).map(([, problem]) => problem),
  };
}

function whyHidden({ scope, segment, segmentDomain }: Export, mesh: Mesh): string {
  const own = [...mesh.currentSegment.rows.values()][0]?.name ?? defaultSegment.name;
  if (scope === "segment" && segment !== own) return `its scope is segment ${segment}, and this cluster is in ${own}`;
  return `its domain ${segmentDomain} is reserved here`;
}

function planned(mesh: Mesh, visible: VisibleExport, before: ReadonlyMap<string, MeshService>): PlannedService {
  const { exported, hostname } = visible;
  const { namespace, name, scope, segment, ports, ready } = exported;
  const local = before.get(serviceKey({ namespace, hostname }));
  const after = mesh.services.rows.get(serviceKey({ namespace, hostname }));
  const takesOver = takenOver(mesh, visible, before);
  return {
    namespace,
    name,
    hostname,
    scope,
    segment,
    ports,
    readyPods: ready.reduce((sum, { pods }) => sum + pods, 0),
    isJoined: local !== undefined,
    ...(takesOver === undefined ? {} : { takesOver }),
    differences: local === undefined ? [] : differencesOf(exported, local, after ?? local),
  };
}

/** A local name that has endpoints in the other cluster only once the link is there. */
function takenOver(
  mesh: Mesh,
  { exported }: VisibleExport,
  before: ReadonlyMap<string, MeshService>,
): string | undefined {
  for (const [key, service] of mesh.services.rows) {
    if (service.namespace !== exported.namespace || !service.hostname.startsWith(`${exported.name}.`)) continue;
    const [alias] = service.aliases.filter(
      (one) => one.includes(".svc.") && !(before.get(key)?.aliases ?? []).includes(one),
    );
    if (alias !== undefined) return alias;
    if (!service.hostname.includes(".svc.")) continue;
    const isReached = [...mesh.workloads.rows.values()].some(
      ({ cluster, services }) => cluster === exported.cluster && key in services,
    );
    if (isReached) return service.hostname;
  }
  return undefined;
}

const portText = ({ name, port, protocol }: ServicePort): string =>
  `${port}/${protocol}${name === "" ? "" : ` (${name})`}`;

/** `here` as it was defined before the link; this cluster's own definition counts in it. */
function differencesOf(exported: Export, here: MeshService, after: MeshService): readonly string[] {
  const found: string[] = [];
  const both = `${exported.namespace}/${exported.name}`;
  for (const theirs of exported.ports) {
    const own = here.ports.find(({ port }) => port === theirs.port);
    if (own === undefined) {
      found.push(`Port ${portText(theirs)} of ${both} exists in ${exported.cluster} only; it will lead there.`);
    } else if (own.protocol !== theirs.protocol) {
      found.push(
        `Port ${own.port} of ${both} is ${own.protocol} here and ${theirs.protocol} in ${exported.cluster}; make them equal.`,
      );
    }
  }
  for (const own of here.ports) {
    if (exported.ports.some(({ port }) => port === own.port)) continue;
    found.push(`Port ${portText(own)} of ${both} does not exist in ${exported.cluster}; it will not lead there.`);
  }
  const theirs = exported.trafficDistribution;
  if (theirs !== undefined && theirs !== after.trafficDistribution) {
    found.push(
      `Traffic distribution of ${both} is ${after.trafficDistribution} here and ${theirs} in ${exported.cluster}; each cluster follows its own.`,
    );
  }
  return found;
}
