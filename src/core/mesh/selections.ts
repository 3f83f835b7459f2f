/**
 * Which workloads belong to which services: selectors of Services and of users' ServiceEntries, found by a workload's
 * labels.
 */
import type { Collection, Index } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import type { LocalService, LocalServices } from "./local-services.ts";
import type { TargetedPort } from "./ports.ts";
import { filedUnder, type Labels } from "./selector.ts";
import type { ServiceEntries, UserEntry } from "./service-entries.ts";

export interface Selection {
  readonly namespace: string;
  readonly selector: Labels;
  /** Keys of the services: the local one and, when it is published, the global one. */
  readonly services: readonly string[];
  readonly ports: readonly TargetedPort[];
  /** Whether WorkloadEntries can be selected too; Services select only pods. */
  readonly takesEntries: boolean;
}

export interface Selections {
  readonly rows: Collection<Selection>;
  readonly byPair: Index<Selection>;
}

export function wireSelections(
  graph: Graph,
  from: { readonly localServices: LocalServices; readonly serviceEntries: ServiceEntries; readonly hosts: Hosts },
): Selections {
  const ofServices = graph.view<LocalService, Selection>("selections.ofServices", from.localServices.rows, selectionOf);
  const ofEntries = graph.derive<UserEntry, Selection>(
    "selections.ofEntries",
    from.serviceEntries.users,
    function* (row, read, key) {
      const { namespace, selector, ports } = row;
      const hosts = row.hosts.filter((host) => owns(from.hosts, read, host, claimant.entry(key)));
      if (hosts.length === 0 || Object.keys(selector).length === 0) return;
      const services = hosts.map((host) => `${namespace}/${host}`);
      yield [`entry/${key}`, { namespace, selector, services, ports, takesEntries: true }];
    },
  );
  const rows = graph.union("selections", ofServices, ofEntries);
  return { rows, byPair: graph.index(rows, "byPair", (row) => filedUnder(row.namespace, row.selector)) };
}

function selectionOf({ namespace, selector, ports, hostname, published }: LocalService): Selection {
  const hostnames = published === undefined ? [hostname] : [hostname, published.hostname];
  const services = hostnames.map((host) => `${namespace}/${host}`);
  return { namespace, selector, services, ports, takesEntries: false };
}
