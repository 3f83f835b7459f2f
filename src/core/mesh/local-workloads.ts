/** Workloads of this cluster: each with the services it is an endpoint of and the policies that select it by label. */
import type { Collection, Index, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import type { Member } from "./members.ts";
import type { PortMapping, Workload } from "./model.ts";
import type { Policies } from "./policies.ts";
import { mapPorts } from "./ports.ts";
import type { Selections } from "./selections.ts";
import { placesOf, selects } from "./selector.ts";

export interface LocalWorkloads {
  /** Key: uid. */
  readonly rows: Collection<Workload>;
  /** By service key. */
  readonly byService: Index<Workload>;
}

export function wireLocalWorkloads(
  graph: Graph,
  from: { readonly members: Collection<Member>; readonly selections: Selections; readonly policies: Policies },
): LocalWorkloads {
  const { members, selections, policies } = from;
  const rows = graph.derive<Member, Workload>("localWorkloads", members, function* (member, read, uid) {
    const services = servicesOf(member, selections, read);
    const { namespace } = member.workload;
    const selecting = member.kind === "pod" ? policies.selecting(read, namespace, member.labels) : [];
    yield [uid, { ...member.workload, services, policies: selecting }];
  });
  return { rows, byService: graph.index(rows, "byService", (row) => Object.keys(row.services)) };
}

function servicesOf(member: Member, selections: Selections, read: Reader): Workload["services"] {
  if (member.kind === "endpoint") return member.attached;
  const found = new Map<string, readonly PortMapping[]>();
  for (const place of placesOf(member.workload.namespace, member.labels)) {
    for (const selection of read.lookup(selections.byPair, place)) {
      if (member.kind === "entry" && !selection.takesEntries) continue;
      if (!selects(selection.selector, member.labels)) continue;
      const ports = mapPorts(selection.ports, member.namedPorts);
      for (const service of selection.services) found.set(service, ports);
    }
  }
  return Object.fromEntries([...found].sort(([a], [b]) => compareKeys(a, b)));
}
