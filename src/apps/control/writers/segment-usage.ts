/**
 * Who uses a segment, for its status: the clusters in it and the number of global services under its domain. Counts as
 * changes come, so that a mesh of many services does not count them all for each.
 */
import { label } from "../../../core/api/names.ts";
import { compareKeys } from "../../../core/graph/order.ts";
import type { ServiceEntry } from "../../../core/api/mesh-kinds.ts";
import type { Mesh } from "../../../core/mesh/mesh.ts";

export interface SegmentStatus {
  readonly clusters: readonly string[];
  readonly services: number;
}

const segmentOf = (entry: ServiceEntry | undefined): string => entry?.metadata.labels?.[label.segment] ?? "";

export class SegmentUsage {
  /** Called with the name of a segment of which the status may have changed. */
  changed: (segment: string) => void = () => undefined;
  private readonly mesh: Mesh;
  private readonly cluster: string;
  private readonly servicesBySegment = new Map<string, number>();

  /** Before the first commit, so that no service is missed. */
  constructor(mesh: Mesh, cluster: string) {
    this.mesh = mesh;
    this.cluster = cluster;
    const { graph, generatedServiceEntries, currentSegment, sources } = mesh;
    graph.watch(generatedServiceEntries, (changes) => {
      const touched = new Set<string>();
      for (const { before, after } of changes) {
        const [from, to] = [segmentOf(before), segmentOf(after)];
        if (from === to) continue;
        this.count(from, -1);
        this.count(to, 1);
        touched.add(from).add(to);
      }
      for (const segment of touched) this.changed(segment);
    });
    graph.watch(currentSegment, (changes) => {
      for (const { before, after } of changes) {
        for (const row of [before, after]) if (row !== undefined) this.changed(row.name);
      }
    });
    graph.watch(sources.peerStates, (changes) => {
      for (const { before, after } of changes) {
        for (const row of [before, after]) if (row?.segment !== undefined) this.changed(row.segment);
      }
    });
  }

  of(segment: string): SegmentStatus {
    const { currentSegment, sources } = this.mesh;
    const isOwn = currentSegment.rows.get("current")?.name === segment;
    const peers = [...sources.peerStates.rows.values()].flatMap((peer) =>
      peer.segment === segment ? [peer.cluster] : [],
    );
    const clusters = [...(isOwn ? [this.cluster] : []), ...peers].sort(compareKeys);
    return { clusters, services: this.servicesBySegment.get(segment) ?? 0 };
  }

  private count(segment: string, by: 1 | -1): void {
    const count = (this.servicesBySegment.get(segment) ?? 0) + by;
    if (count > 0) this.servicesBySegment.set(segment, count);
    else this.servicesBySegment.delete(segment);
  }
}
