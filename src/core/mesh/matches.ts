/**
 * What selects workloads by their labels, found once for all members that have the same ones: the pods of a Deployment
 * share one row, and one set of remembered reads.
 */
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import type { Member } from "./members.ts";
import type { Policies } from "./policies.ts";
import type { Selection, Selections } from "./selections.ts";
import { placesOf, selects } from "./selector.ts";

export interface Match {
  readonly selections: readonly Selection[];
  /** Keys of the policies that select pods with these labels. */
  readonly policies: readonly string[];
}

/** Key: `matchKey` of the member. */
export function wireMatches(
  graph: Graph,
  from: { readonly members: Collection<Member>; readonly selections: Selections; readonly policies: Policies },
): Collection<Match> {
  const { members, selections, policies } = from;
  const alike = graph.group("members.alike", members, (member) =>
    member.kind === "endpoint" ? [] : [matchKey(member)],
  );
  return graph.derive<readonly Member[], Match>("matches", alike, function* ([first], read, key) {
    if (first === undefined) return;
    const { namespace } = first.workload;
    const selecting = first.kind === "pod" ? policies.selecting(read, namespace, first.labels) : [];
    yield [key, { selections: selectionsOf(first, selections, read), policies: selecting }];
  });
}

export function matchKey({ kind, workload, labels }: Member): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `${kind}|${workload.namespace}|${pairs.sort(compareKeys).join(",")}`;
}

function selectionsOf(member: Member, selections: Selections, read: Reader): readonly Selection[] {
  const found = placesOf(member.workload.namespace, member.labels).flatMap((place) =>
    read.lookup(selections.byPair, place),
  );
  return found.filter((one) => (member.kind === "pod" || one.takesEntries) && selects(one.selector, member.labels));
}
