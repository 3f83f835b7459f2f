/** What a Namespace says about the services in it. */
import type { Namespace } from "../api/kube.ts";
import { annotation, label, systemNamespace } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import type { MeshSettings } from "./model.ts";
import { type Fault, type Problem, problemKey } from "./problem.ts";
import { isScopeValue, type ScopeOfNamespace, unknownScope } from "./scope.ts";
import type { MeshSources } from "./sources.ts";

export interface NamespaceFacts extends ScopeOfNamespace {
  readonly trafficDistribution: string | undefined;
}

export interface Namespaces {
  readonly facts: Collection<NamespaceFacts>;
  readonly problems: Collection<Problem>;
}

export function wireNamespaces(graph: Graph, settings: MeshSettings, sources: MeshSources): Namespaces {
  const facts = graph.derive<Namespace, NamespaceFacts>(
    "namespaces.facts",
    sources.namespaces,
    function* (row, _r, key) {
      yield [
        key,
        {
          scope: row.metadata.labels?.[label.serviceScope],
          takeover: row.metadata.labels?.[label.serviceTakeover],
          trafficDistribution: row.metadata.annotations?.[annotation.trafficDistribution],
        },
      ];
    },
  );
  const problems = graph.derive<Namespace, Problem>(
    "namespaces.problems",
    sources.namespaces,
    function* (row, _r, name) {
      const problem = (fault: Fault): readonly [string, Problem] => {
        const found = { kind: "Namespace", namespace: "", name, ...fault, shownAs: "event" } as const;
        return [problemKey(found), found];
      };
      const scope = row.metadata.labels?.[label.serviceScope];
      if (scope !== undefined && !isScopeValue(scope)) yield problem(unknownScope(`Namespace ${name}`, scope));
      const network = row.metadata.labels?.[label.network];
      if (name !== systemNamespace || network === undefined || network === settings.network) return;
      yield problem({
        reason: "NetworkMismatch",
        message:
          `Namespace ${name}: label ${label.network}=${network} differs from network ${settings.network} of the ` +
          "installation; the installation's counts.",
        remedy: `Set the label to ${settings.network}, or install with network ${network}.`,
      });
    },
  );
  return { facts, problems };
}
