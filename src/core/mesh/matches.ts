/**
 * What selects workloads, found once for all that look alike: the pods of a Deployment share one row, and one set of
 * remembered reads.
 */
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import { type Attached, isEntryMember, isPodMember, namedPortsOf } from "./members.ts";
import type { PortMapping } from "./model.ts";
import type { Policies } from "./policies.ts";
import { mapPorts } from "./ports.ts";
import type { Selection, Selections } from "./selections.ts";
import { type Labels, placesOf, selects } from "./selector.ts";
import { servicePorts } from "./service-ports.ts";
import type { MeshSources } from "./sources.ts";
import type { Pod } from "../api/pod.ts";
import type { WorkloadEntry } from "../api/mesh-kinds.ts";
import { shared, trimmed } from "./shared.ts";

/** All that selectors and ports of services ask of a workload. */
interface Shape {
  readonly kind: "pod" | "entry";
  readonly namespace: string;
  readonly labels: Labels;
  /** Numbers of named ports. */
  readonly namedPorts: Readonly<Record<string, number>>;
}

const sorted = <T>(record: Readonly<Record<string, T>>): readonly (readonly [string, T])[] =>
  Object.entries(record).sort(([a], [b]) => compareKeys(a, b));

/** The same text for all that look alike. */
const shapeText = ({ kind, namespace, labels, namedPorts }: Shape): string =>
  JSON.stringify([kind, namespace, sorted(labels), sorted(namedPorts)]);

type Pairs<T> = readonly (readonly [string, T])[];

function shapeIn(text: string): Shape {
  // Only `shapeText` makes such texts.
  const [kind, namespace, labels, namedPorts] = JSON.parse(text) as [
    Shape["kind"],
    string,
    Pairs<string>,
    Pairs<number>,
  ];
  return { kind, namespace, labels: Object.fromEntries(labels), namedPorts: Object.fromEntries(namedPorts) };
}

export const podShape = (pod: Pod): string => {
  const { namespace = "", labels = {} } = pod.metadata;
  return shapeText({ kind: "pod", namespace, labels, namedPorts: namedPortsOf(pod) });
};

export const entryLabels = ({ metadata, spec }: WorkloadEntry): Labels => ({ ...metadata.labels, ...spec.labels });

export const entryShape = (entry: WorkloadEntry): string => {
  const { namespace = "" } = entry.metadata;
  return shapeText({ kind: "entry", namespace, labels: entryLabels(entry), namedPorts: entry.spec.ports ?? {} });
};

/** Key: the text of the shape. */
export function wireMatches(
  graph: Graph,
  from: { readonly sources: MeshSources; readonly selections: Selections; readonly policies: Policies },
): Collection<Attached> {
  const { sources, selections, policies } = from;
  const pods = graph.index(sources.pods, "byShape", (pod) => (isPodMember(pod) ? [podShape(pod)] : []));
  const entries = graph.index(sources.workloadEntries, "byShape", (entry) =>
    isEntryMember(entry) ? [entryShape(entry)] : [],
  );
  const shapes = graph.values("shapes", pods, entries);
  return graph.derive<string, Attached>("matches", shapes, function* (text, read, key) {
    const shape = shapeIn(text);
    const selecting = trimmed(shape.kind === "pod" ? policies.selecting(read, shape.namespace, shape.labels) : []);
    yield [key, { services: servicesOf(shape, selectionsOf(shape, selections, read)), policies: selecting }];
  });
}

function selectionsOf({ kind, namespace, labels }: Shape, selections: Selections, read: Reader): readonly Selection[] {
  const found = placesOf(namespace, labels).flatMap((place) => read.lookup(selections.byPair, place));
  return found.filter((one) => (kind === "pod" || one.takesEntries) && selects(one.selector, labels));
}

function servicesOf({ namedPorts }: Shape, selecting: readonly Selection[]): Attached["services"] {
  const found: (readonly [string, readonly PortMapping[]])[] = [];
  for (const selection of selecting) {
    const ports = shared.of(mapPorts(selection.ports, namedPorts));
    for (const service of selection.services) found.push([service, ports]);
  }
  return servicePorts(found.sort(([a], [b]) => compareKeys(a, b)));
}
