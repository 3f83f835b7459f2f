/**
 * Who owns each hostname: a Kubernetes Service, else a global service (own segment first), else the oldest
 * ServiceEntry.
 */
import { meshKinds } from "../api/mesh-kinds.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import type { LocalService, LocalServices } from "./local-services.ts";
import { globalId } from "./local-services.ts";
import { accepted, compareAge, type ObjectConditions, refused } from "./problem.ts";
import type { ServiceEntries, UserEntry } from "./service-entries.ts";
import type { VisibleExport } from "./visible-exports.ts";

export interface Hosts {
  /** The claimant (see below) that a hostname belongs to; nothing when nobody claims it. */
  readonly ownerOf: (read: Reader, host: string) => string | undefined;
  readonly conditions: Collection<ObjectConditions>;
}

export const claimant = {
  service: (namespace: string, name: string): string => `Service ${namespace}/${name}`,
  global: (id: string): string => `global service ${id}`,
  entry: (key: string): string => `ServiceEntry ${key}`,
} as const;

export const owns = (hosts: Pick<Hosts, "ownerOf">, read: Reader, host: string, who: string): boolean =>
  hosts.ownerOf(read, host) === who;

export function wireHosts(
  graph: Graph,
  from: {
    readonly localServices: LocalServices;
    readonly visibleExports: Collection<VisibleExport>;
    readonly serviceEntries: ServiceEntries;
  },
): Hosts {
  const { localServices, visibleExports, serviceEntries } = from;
  const services = graph.index(localServices.rows, "byHost", ({ hostname, published }) =>
    published === undefined ? [hostname] : [hostname, published.hostname],
  );
  const exported = graph.index(visibleExports, "byHost", (row) => [row.hostname]);
  const entries = graph.index(serviceEntries.users, "byHost", (row) => row.hosts);
  // One after the other, since what decides early depends on nothing that comes later.
  const ownerOf = (read: Reader, host: string): string | undefined => {
    const own = read.lookup(services, host);
    const service = own.find((row) => row.hostname === host);
    if (service !== undefined) return claimant.service(service.namespace, service.name);
    const theirs = read.lookup(exported, host);
    const nearest = first([
      ...own.flatMap(publishedId),
      ...theirs.filter((row) => row.isOwnSegment).map(({ id }) => id),
    ]);
    const id = nearest ?? first(theirs.map((row) => row.id));
    if (id !== undefined) return claimant.global(id);
    const oldest = [...read.lookup(entries, host)].sort(compareAge)[0];
    return oldest === undefined ? undefined : claimant.entry(oldest.key);
  };
  const conditions = graph.derive<UserEntry, ObjectConditions>(
    "hosts.conditions",
    from.serviceEntries.users,
    function* (entry, read, key) {
      const lost = entry.hosts.find((host) => !owns({ ownerOf }, read, host, claimant.entry(key)));
      const owner = lost === undefined ? undefined : ownerOf(read, lost);
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
  return { ownerOf, conditions };
}

const publishedId = ({ published, namespace, name }: LocalService): readonly string[] =>
  published === undefined ? [] : [globalId(published.segment, namespace, name)];

const first = (ids: readonly string[]): string | undefined => [...ids].sort(compareKeys)[0];
