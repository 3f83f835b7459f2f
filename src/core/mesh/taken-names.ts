/**
 * Objects of others that stand under names which generated ones should have. They are never touched; what they hide is
 * only the view that users have of a global service, which works without.
 */
import type { KubeObject } from "../api/kube.ts";
import type { WorkloadEntry } from "../api/mesh-kinds.ts";
import { label } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import type { Generated } from "./generated.ts";
import { type Problem, problemKey } from "./problem.ts";
import { managedByTombolo, type ServiceEntries, type UserEntry } from "./service-entries.ts";
import type { MeshSources } from "./sources.ts";

export function wireTakenNames(
  graph: Graph,
  from: { readonly sources: MeshSources; readonly serviceEntries: ServiceEntries; readonly generated: Generated },
): Collection<Problem> {
  const { sources, serviceEntries, generated } = from;
  // Asked from the side of the users' objects, of which there are few.
  const entries = graph.derive<UserEntry, Problem>(
    "takenNames.serviceEntries",
    serviceEntries.users,
    function* (row, read) {
      const wanted = read.get(generated.serviceEntries, row.key);
      if (wanted !== undefined) yield taken(wanted);
    },
  );
  const workloads = graph.derive<WorkloadEntry, Problem>(
    "takenNames.workloadEntries",
    sources.workloadEntries,
    function* (row, read, key) {
      if (row.metadata.labels?.[label.managedBy] === managedByTombolo) return;
      const wanted = read.get(generated.workloadEntries, key);
      if (wanted !== undefined) yield taken(wanted);
    },
  );
  return graph.union("takenNames", entries, workloads);
}

function taken({ kind, metadata: { name, namespace = "", labels = {} } }: KubeObject): readonly [string, Problem] {
  const service = `${labels[label.parentServiceNamespace]}/${labels[label.parentService]}`;
  const problem: Problem = {
    kind,
    namespace,
    name,
    reason: "NameTaken",
    message:
      `${kind} ${namespace}/${name}: it was made by somebody else and is left alone, so that global service ` +
      `${service} is not shown under this name.`,
    remedy: "Delete it or give it another name.",
    shownAs: "event",
  };
  return [problemKey(problem), problem];
}
