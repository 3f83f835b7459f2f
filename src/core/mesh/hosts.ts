/**
 * Who owns each hostname: a Kubernetes Service, else a global service (own segment first), else the oldest
 * ServiceEntry.
 */
import { meshKinds } from "../api/mesh-kinds.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import type { LocalService, LocalServices } from "./local-services.ts";
import { globalId } from "./local-services.ts";
import { accepted, compareAge, type ObjectConditions, refused } from "./problem.ts";
import type { ServiceEntries, UserEntry } from "./service-entries.ts";
import type { VisibleExport } from "./visible-exports.ts";

interface Claim {
  readonly host: string;
  /** 0 Kubernetes Service, 1 and 2 global service, 3 ServiceEntry. */
  readonly rank: number;
  readonly created: string;
  /** Claimant, see below. */
  readonly key: string;
}

export interface Hosts {
  /** Hostname → claimant. */
  readonly owners: Collection<string>;
  readonly conditions: Collection<ObjectConditions>;
}

export const claimant = {
  service: (namespace: string, name: string): string => `Service ${namespace}/${name}`,
  global: (id: string): string => `global service ${id}`,
  entry: (key: string): string => `ServiceEntry ${key}`,
} as const;

export const owns = (hosts: Hosts, read: Reader, host: string, who: string): boolean =>
  read.get(hosts.owners, host) === who;

export function wireHosts(
  graph: Graph,
  from: {
    readonly localServices: LocalServices;
    readonly visibleExports: Collection<VisibleExport>;
    readonly serviceEntries: ServiceEntries;
  },
): Hosts {
  const ofServices = graph.derive<LocalService, Claim>(
    "hosts.ofServices",
    from.localServices.rows,
    function* (row, _r, key) {
      const { hostname, published, namespace, name } = row;
      yield [`service/${key}`, { host: hostname, rank: 0, created: "", key: claimant.service(namespace, name) }];
      if (published === undefined) return;
      const id = globalId(published.segment, namespace, name);
      yield [`published/${key}`, { host: published.hostname, rank: 1, created: "", key: claimant.global(id) }];
    },
  );
  const ofPeers = graph.derive<VisibleExport, Claim>("hosts.ofPeers", from.visibleExports, function* (row, _read, key) {
    const rank = row.isOwnSegment ? 1 : 2;
    yield [`peer/${key}`, { host: row.hostname, rank, created: "", key: claimant.global(row.id) }];
  });
  const ofEntries = graph.derive<UserEntry, Claim>(
    "hosts.ofEntries",
    from.serviceEntries.users,
    function* (row, _r, key) {
      for (const host of row.hosts) {
        yield [`entry/${key}/${host}`, { host, rank: 3, created: row.created, key: claimant.entry(key) }];
      }
    },
  );
  const claims = graph.union("hosts.claims", ofServices, ofPeers, ofEntries);
  const byHost = graph.group("hosts.byHost", claims, (claim) => [claim.host]);
  const owners = graph.derive<readonly Claim[], string>("hosts.owners", byHost, function* (rivals, _read, host) {
    const owner = rivals.reduce((best, next) => (compareClaims(next, best) < 0 ? next : best));
    yield [host, owner.key];
  });
  const conditions = graph.derive<UserEntry, ObjectConditions>(
    "hosts.conditions",
    from.serviceEntries.users,
    function* (entry, read, key) {
      const lost = entry.hosts.find((host) => read.get(owners, host) !== claimant.entry(key));
      const owner = lost === undefined ? undefined : read.get(owners, lost);
      const message = `ServiceEntry ${key}: host ${lost} already belongs to ${owner}.`;
      const remedy = "Choose another host, or delete one of the two.";
      const said =
        owner === undefined
          ? accepted("The ServiceEntry is accepted.")
          : refused({ reason: "HostClash", message, remedy });
      const { generation } = entry;
      yield [`serviceentries/${key}`, { resource: meshKinds.serviceEntries, key, generation, conditions: [said] }];
    },
  );
  return { owners, conditions };
}

const compareClaims = (a: Claim, b: Claim): number => (a.rank === b.rank ? compareAge(a, b) : a.rank - b.rank);
