/**
 * Segments (spec 1.6): which ones are valid here, which one this cluster is in, and the domain of each. A Segment that
 * becomes invalid, and a label that names an unknown one, leave the last good state and are reported. So is a segment
 * that some of the linked clusters do not know, or know by another domain.
 */
import type { Segment } from "../api/mesh-kinds.ts";
import { meshKinds } from "../api/mesh-kinds.ts";
import { defaultSegment, label, systemNamespace } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { type AliasPattern, isAliasPattern } from "./alias.ts";
import { misplacedConditions, sharedCondition, wireForeignSegments, wirePeerSegments } from "./segment-views.ts";
import { isDnsName } from "../api/dns-names.ts";
import type { MeshSettings } from "./model.ts";
import {
  accepted,
  compareAge,
  type Fault,
  type ObjectConditions,
  type Problem,
  problemKey,
  refused,
} from "./problem.ts";
import type { MeshSources } from "./sources.ts";

export interface SegmentRow {
  readonly name: string;
  readonly domain: string;
  readonly aliases: readonly AliasPattern[];
}

export interface Segments {
  /** Valid Segments by name. */
  readonly known: Collection<SegmentRow>;
  /** One row, key `current`: the segment of this cluster. */
  readonly current: Collection<SegmentRow>;
  readonly conditions: Collection<ObjectConditions>;
  readonly problems: Collection<Problem>;
}

interface Judged {
  readonly key: string;
  readonly created: string;
  readonly generation: number | undefined;
  readonly segment: SegmentRow;
  readonly fault: Fault | undefined;
}

const implicitDefault: SegmentRow = { ...defaultSegment, aliases: [] };

export function wireSegments(graph: Graph, settings: MeshSettings, sources: MeshSources): Segments {
  const judged = graph.derive<Segment, Judged>("segments.judged", sources.segments, function* (segment, _read, key) {
    if (segment.metadata.namespace === systemNamespace) yield [segment.metadata.name, judge(segment, key, settings)];
  });
  const misplaced = graph.derive<Segment, ObjectConditions>(
    "segments.misplaced",
    sources.segments,
    function* (row, _r, key) {
      if (row.metadata.namespace !== systemNamespace) yield [`segments/${key}`, misplacedConditions(row, key)];
    },
  );
  // What a Segment said when it was last in order: a domain stays taken while its owner is being mended.
  const sound = graph.derive<Judged, Judged>("segments.sound", judged, function* (row, read, key) {
    if (row.fault === undefined) yield [key, row];
    else read.keep(row.fault.message);
  });
  const byDomain = graph.index(sound, "byDomain", (row) => [row.segment.domain]);
  const faultOf = (row: Judged, read: Reader): Fault | undefined => {
    if (row.fault !== undefined) return row.fault;
    const { name, domain } = row.segment;
    const oldest = [...read.lookup(byDomain, domain)].sort(compareAge)[0];
    if (oldest === undefined || oldest.key === row.key) return undefined;
    const message = `Segment ${name}: domain ${domain} already belongs to Segment ${oldest.segment.name}.`;
    return { reason: "DuplicateDomain", message, remedy: "Give each Segment a domain of its own." };
  };
  const known = graph.derive<Judged, SegmentRow>("segments.known", sound, function* (row, read, key) {
    const fault = faultOf(row, read);
    if (fault === undefined) yield [key, row.segment];
    else read.keep(fault.message);
  });
  const peerSegments = wirePeerSegments(graph, sources);
  const found = graph.derive<Judged, ObjectConditions>("segments.judgements", judged, function* (row, read) {
    const fault = faultOf(row, read);
    const good = `Global services of segment ${row.segment.name} have names under ${row.segment.domain}.`;
    const said = fault === undefined ? [accepted(good)] : [refused(fault)];
    if (fault === undefined) said.push(...sharedCondition(row.segment, read.all(peerSegments)));
    const { key, generation } = row;
    yield [`segments/${key}`, { resource: meshKinds.segments, key, generation, conditions: said }];
  });
  const conditions = graph.union("segments.conditions", found, misplaced);
  const assigned = graph.derive<{ metadata: { labels?: Record<string, string> } }, string>(
    "segments.assigned",
    sources.namespaces,
    function* (namespace, _read, key) {
      if (key === systemNamespace) yield ["current", namespace.metadata.labels?.[label.segment] ?? defaultSegment.name];
    },
  );
  const current = graph.derive<string, SegmentRow>("segments.current", assigned, function* (name, read, key) {
    const segment = read.get(known, name);
    if (segment === undefined && name !== defaultSegment.name && read.keep(`Segment ${name} is unknown`)) return;
    yield [key, segment ?? implicitDefault];
  });
  const unassigned = graph.derive<string, Problem>("segments.unassigned", assigned, function* (name, read) {
    if (name === defaultSegment.name || read.get(known, name) !== undefined) return;
    const problem = unknownSegment(name, read.get(current, "current")?.name ?? defaultSegment.name);
    yield [problemKey(problem), problem];
  });
  const isHere = (read: Reader, name: string): boolean => read.get(judged, name) !== undefined;
  const problems = graph.union("segments.problems", unassigned, wireForeignSegments(graph, peerSegments, isHere));
  return { known, current, conditions, problems };
}

export const currentSegment = (segments: Segments, read: Reader): SegmentRow =>
  read.get(segments.current, "current") ?? read.get(segments.known, defaultSegment.name) ?? implicitDefault;

/** The domain this cluster gives to a segment's hosts: its own Segment object's, else what the export says. */
export function domainOf(segments: Segments, read: Reader, name: string, said: string): string {
  const current = currentSegment(segments, read);
  if (current.name === name) return current.domain;
  const known = read.get(segments.known, name);
  return known?.domain ?? (name === defaultSegment.name ? defaultSegment.domain : said);
}

/** Domains that belong to Kubernetes itself. */
export const isReservedDomain = (domain: string, settings: MeshSettings): boolean =>
  ["cluster.local", settings.clusterDomain].some((own) => domain === own || domain.endsWith(`.${own}`));

const unknownSegment = (name: string, kept: string): Problem => ({
  kind: "Namespace",
  namespace: "",
  name: systemNamespace,
  reason: "UnknownSegment",
  message:
    `Namespace ${systemNamespace}: label ${label.segment}=${name} names a Segment that does not exist or is refused; ` +
    `the cluster stays in segment ${kept}.`,
  remedy: `Create or mend Segment ${systemNamespace}/${name}, or change the label.`,
  shownAs: "event",
});

function judge(segment: Segment, key: string, settings: MeshSettings): Judged {
  const { name, creationTimestamp, generation } = segment.metadata;
  const domain = segment.spec?.domain?.toLowerCase() ?? "";
  const aliases = (segment.spec?.aliases ?? []).map((alias) => ({
    pattern: alias.pattern,
    selector: alias.selector?.matchLabels ?? {},
  }));
  const row = { name, domain, aliases };
  return { key, created: creationTimestamp ?? "", generation, segment: row, fault: faultIn(row, settings) };
}

function faultIn({ name, domain, aliases }: SegmentRow, settings: MeshSettings): Fault | undefined {
  const fault = (reason: string, what: string, remedy: string): Fault => ({
    reason,
    message: `Segment ${name}: ${what}.`,
    remedy,
  });
  if (domain === "") return fault("MissingDomain", "spec.domain is empty", "Set it to the DNS suffix of its services.");
  if (!isDnsName(domain)) {
    return fault("BadDomain", `domain ${domain} is not a DNS name`, "Use one such as prod.internal.");
  }
  if (isReservedDomain(domain, settings)) {
    const way = `Choose another such as ${name}.internal.`;
    return fault("ReservedDomain", `domain ${domain} belongs to Kubernetes`, way);
  }
  const isDefault = name === defaultSegment.name;
  if (isDefault !== (domain === defaultSegment.domain)) {
    const what = `segment ${defaultSegment.name} and domain ${defaultSegment.domain} belong together`;
    return fault(
      "ReservedDomain",
      what,
      isDefault ? "Rename the Segment." : `Choose another such as ${name}.internal.`,
    );
  }
  const greedy = aliases.find(({ pattern }) => isReservedDomain(pattern.toLowerCase(), settings));
  if (greedy !== undefined) {
    const what = `alias pattern ${greedy.pattern} makes names that belong to Kubernetes`;
    return fault("BadAlias", what, "Choose another domain for it.");
  }
  const bad = aliases.find((alias) => !isAliasPattern(alias.pattern));
  if (bad === undefined) return undefined;
  const way = "Use {service}, {namespace}, {labels['key']} and {annotations['key']} within a DNS name.";
  return fault("BadAlias", `alias pattern ${bad.pattern} cannot be read`, way);
}
