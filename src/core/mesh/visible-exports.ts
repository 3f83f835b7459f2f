/** Exports of peers that this cluster may see: `global` ones of any segment, `segment` ones of its own (spec 1.6). */
import { defaultSegment } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { isDnsLabel, isDnsName } from "../api/dns-names.ts";
import { globalId } from "./local-services.ts";
import type { Export, MeshSettings } from "./model.ts";
import { currentSegment, domainOf, isReservedDomain, type Segments } from "./segments.ts";
import type { MeshSources } from "./sources.ts";

export interface VisibleExport {
  /** `<segment>/<ns>/<name>`. */
  readonly id: string;
  /** Domain of the owner's segment, as this cluster calls it. */
  readonly domain: string;
  /** Name of the service here. */
  readonly hostname: string;
  readonly isOwnSegment: boolean;
  readonly exported: Export;
}

export function wireVisibleExports(
  graph: Graph,
  settings: MeshSettings,
  from: { readonly sources: MeshSources; readonly segments: Segments },
): Collection<VisibleExport> {
  return graph.derive<Export, VisibleExport>("visibleExports", from.sources.peerExports, function* (row, read, key) {
    if (row.cluster === settings.cluster || !isWellNamed(row, key)) return;
    const isOwnSegment = row.segment === currentSegment(from.segments, read).name;
    if (row.scope !== "global" && !isOwnSegment) return;
    const domain = domainOf(from.segments, read, row.segment, row.segmentDomain);
    // A peer's words about domains are not trusted with Kubernetes' names, nor with the default segment's.
    if (isReservedDomain(domain, settings)) return;
    if (domain === defaultSegment.domain && row.segment !== defaultSegment.name) return;
    const id = globalId(row.segment, row.namespace, row.name);
    const hostname = `${row.name}.${row.namespace}.${domain}`;
    // Generations grow with every change of a row; nothing here depends on them.
    const exported = row.generation === 0 ? row : { ...row, generation: 0 };
    yield [key, { id, domain, hostname, isOwnSegment, exported }];
  });
}

/** Names of generated objects are made of these parts, so a peer must not be able to make two of them meet. */
const isWellNamed = ({ cluster, namespace, name, segment, endpoints }: Export, key: string): boolean =>
  key === `${cluster}/${namespace}/${name}` &&
  [cluster, namespace, name].every(isDnsLabel) &&
  isDnsName(segment) &&
  new Set(endpoints.map((endpoint) => endpoint.name)).size === endpoints.length &&
  endpoints.every((endpoint) => isDnsName(endpoint.name));
