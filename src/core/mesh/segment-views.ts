/**
 * How this cluster's Segments compare with those of linked clusters: every cluster must have the same ones (spec 1.6).
 * Differences break nothing here, since a name's owner says its domain, but they surprise, so they are told.
 */
import type { Segment } from "../api/mesh-kinds.ts";
import { meshKinds } from "../api/mesh-kinds.ts";
import { condition, defaultSegment, systemNamespace } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import type { SegmentName } from "./model.ts";
import type { PeerState } from "./peer-state.ts";
import { type MeshCondition, type ObjectConditions, type Problem, problemKey, refused } from "./problem.ts";
import type { MeshSources } from "./sources.ts";

/** What one linked cluster knows of segments. */
export interface PeerSegments {
  readonly cluster: string;
  readonly segments: readonly SegmentName[];
}

/** Key: cluster. Only of peers that say it. */
export const wirePeerSegments = (graph: Graph, sources: MeshSources): Collection<PeerSegments> =>
  graph.derive<PeerState, PeerSegments>("segments.ofPeers", sources.peerStates, function* ({ segments }, _r, cluster) {
    if (segments !== undefined) yield [cluster, { cluster, segments }];
  });

/** Nothing when no peer says what it knows, and for the default segment, which everybody knows. */
export function sharedCondition(own: SegmentName, peers: readonly PeerSegments[]): readonly MeshCondition[] {
  if (peers.length === 0 || own.name === defaultSegment.name) return [];
  const type = condition.segmentShared;
  const domainOf = (peer: PeerSegments) => peer.segments.find(({ name }) => name === own.name)?.domain;
  const without = peers.filter((peer) => domainOf(peer) === undefined).map(({ cluster }) => cluster);
  if (without.length > 0) {
    const message = `Segment ${own.name}: linked clusters do not have it: ${without.join(", ")}.`;
    const remedy = "Apply the same Segment there; every linked cluster must have all Segments.";
    return [{ type, status: "False", reason: "MissingInPeer", message, remedy }];
  }
  const other = peers.find((peer) => domainOf(peer) !== own.domain);
  if (other === undefined) {
    return [{ type, status: "True", reason: "Shared", message: "Every linked cluster has the same Segment." }];
  }
  const message =
    `Segment ${own.name}: cluster ${other.cluster} gives it domain ${domainOf(other)} instead of ${own.domain}, ` +
    "so that each cluster calls its services otherwise.";
  return [{ type, status: "False", reason: "DomainDiffers", message, remedy: "Give it the same domain everywhere." }];
}

interface Mention extends SegmentName {
  readonly cluster: string;
}

/** Segments that linked clusters have and this one does not. */
export function wireForeignSegments(
  graph: Graph,
  peers: Collection<PeerSegments>,
  isHere: (read: Reader, name: string) => boolean,
): Collection<Problem> {
  const mentions = graph.derive<PeerSegments, Mention>("segments.mentions", peers, function* ({ cluster, segments }) {
    const told = new Set<string>();
    for (const { name, domain } of segments) {
      if (name === defaultSegment.name || told.has(name)) continue;
      told.add(name);
      yield [`${cluster}/${name}`, { cluster, name, domain }];
    }
  });
  const byName = graph.group("segments.mentioned", mentions, ({ name }) => [name]);
  return graph.derive<readonly Mention[], Problem>("segments.foreign", byName, function* (rows, read, name) {
    const [first] = rows;
    if (first === undefined || isHere(read, name)) return;
    const problem: Problem = {
      kind: "Namespace",
      namespace: "",
      name: systemNamespace,
      reason: "MissingSegment",
      message:
        `Namespace ${systemNamespace}: linked clusters have Segment ${name} and this one does not: ` +
        `${rows.map(({ cluster }) => cluster).join(", ")}.`,
      remedy: `Create Segment ${systemNamespace}/${name} with domain ${first.domain} here too.`,
      shownAs: "event",
    };
    yield [`${problemKey(problem)}/${name}`, problem];
  });
}

/** A Segment outside of istio-system means nothing. */
export function misplacedConditions({ metadata }: Segment, key: string): ObjectConditions {
  const said = refused({
    reason: "WrongNamespace",
    message: `Segment ${key}: only Segments in namespace ${systemNamespace} count.`,
    remedy: `Create it in ${systemNamespace}, and delete this one.`,
  });
  return { resource: meshKinds.segments, key, generation: metadata.generation, conditions: [said] };
}
