/** Workloads of this cluster: each with the services it is an endpoint of and the policies that select it by label. */
import type { Collection, Index } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import { type Match, matchKey } from "./matches.ts";
import type { Member } from "./members.ts";
import type { PortMapping, Workload } from "./model.ts";
import { mapPorts } from "./ports.ts";
import { servicePorts } from "./service-ports.ts";

export interface LocalWorkloads {
  /** Key: uid. */
  readonly rows: Collection<Workload>;
  /** By service key. */
  readonly byService: Index<Workload>;
}

export function wireLocalWorkloads(
  graph: Graph,
  from: { readonly members: Collection<Member>; readonly matches: Collection<Match> },
): LocalWorkloads {
  const { members, matches } = from;
  const rows = graph.derive<Member, Workload>("localWorkloads", members, function* (member, read, uid) {
    const match = member.kind === "endpoint" ? undefined : read.get(matches, matchKey(member));
    const services = match === undefined ? member.attached : servicesOf(member, match);
    yield [uid, { ...member.workload, services, policies: match?.policies ?? [] }];
  });
  return { rows, byService: graph.index(rows, "byService", (row) => Object.keys(row.services)) };
}

function servicesOf(member: Member, match: Match): Workload["services"] {
  const found: (readonly [string, readonly PortMapping[]])[] = [];
  for (const selection of match.selections) {
    const ports = mapPorts(selection.ports, member.namedPorts);
    for (const service of selection.services) found.push([service, ports]);
  }
  return servicePorts(found.sort(([a], [b]) => compareKeys(a, b)));
}
