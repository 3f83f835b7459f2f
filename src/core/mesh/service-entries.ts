/** ServiceEntries: those of users as services to be, those we generated only for the addresses in their status. */
import type { ServiceEntry, WorkloadEntrySpec } from "../api/mesh-kinds.ts";
import { annotation, label } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { canonicalIp } from "../api/ip.ts";
import type { TrafficDistribution } from "./model.ts";
import { appProtocolOf, type TargetedPort } from "./ports.ts";
import type { Labels } from "./selector.ts";
import type { MeshSources } from "./sources.ts";
import { firstDistribution } from "./traffic-distribution.ts";

export const managedByTombolo = "tombolo";

export interface EntryAddress {
  readonly host: string;
  readonly value: string;
}

/** A ServiceEntry written by a user. */
export interface UserEntry {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly created: string;
  readonly generation: number | undefined;
  readonly hosts: readonly string[];
  /** Single addresses of spec.addresses, canonical; blocks are not among them. */
  readonly addresses: readonly string[];
  readonly hasSpecAddresses: boolean;
  readonly ports: readonly TargetedPort[];
  readonly resolution: NonNullable<ServiceEntry["spec"]["resolution"]>;
  readonly endpoints: readonly WorkloadEntrySpec[];
  readonly selector: Labels;
  readonly subjectAltNames: readonly string[];
  readonly trafficDistribution: TrafficDistribution;
  readonly isAllocating: boolean;
}

/** What stands in the status of any ServiceEntry, and its age. */
export interface EntryStatus {
  readonly created: string;
  readonly addresses: readonly EntryAddress[];
}

export interface ServiceEntries {
  readonly users: Collection<UserEntry>;
  readonly statuses: Collection<EntryStatus>;
}

export function wireServiceEntries(graph: Graph, sources: MeshSources): ServiceEntries {
  const users = graph.derive<ServiceEntry, UserEntry>(
    "serviceEntries.users",
    sources.serviceEntries,
    function* (entry, _read, key) {
      if (entry.metadata.labels?.[label.managedBy] !== managedByTombolo) yield [key, userEntry(entry, key)];
    },
  );
  const statuses = graph.derive<ServiceEntry, EntryStatus>(
    "serviceEntries.statuses",
    sources.serviceEntries,
    function* (entry, _read, key) {
      const addresses = canonicalAddresses(entry.status?.addresses ?? [], entry.spec.hosts[0] ?? "");
      yield [key, { created: entry.metadata.creationTimestamp ?? "", addresses }];
    },
  );
  return { users, statuses };
}

type Written = NonNullable<NonNullable<ServiceEntry["status"]>["addresses"]>[number];

const isCanonical = (one: Written): one is Written & EntryAddress =>
  one.host !== undefined && canonicalIp(one.value) === one.value;

/** With a host each, and in the one form that is compared; mostly they are written so. */
function canonicalAddresses(written: readonly Written[], firstHost: string): readonly EntryAddress[] {
  if (written.every(isCanonical)) return written;
  return written.map(({ host, value }) => ({ host: host ?? firstHost, value: canonicalIp(value) ?? value }));
}

function userEntry({ metadata, spec }: ServiceEntry, key: string): UserEntry {
  const resolution = spec.resolution ?? "NONE";
  return {
    key,
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    created: metadata.creationTimestamp ?? "",
    generation: metadata.generation,
    hosts: [...new Set((spec.hosts ?? []).map((host) => host.toLowerCase()))],
    addresses: (spec.addresses ?? []).flatMap((address) => canonicalIp(address) ?? []),
    hasSpecAddresses: (spec.addresses ?? []).length > 0,
    ports: (spec.ports ?? []).map((one) => ({
      name: one.name,
      port: one.number,
      protocol: appProtocolOf(one.protocol, one.name),
      target: one.targetPort ?? one.number,
    })),
    resolution,
    endpoints: spec.endpoints ?? [],
    selector: spec.workloadSelector?.labels ?? {},
    subjectAltNames: spec.subjectAltNames ?? [],
    trafficDistribution: firstDistribution(metadata.annotations?.[annotation.trafficDistribution]) ?? "Any",
    isAllocating: resolution !== "NONE" && metadata.labels?.[label.autoallocateIp] !== "false",
  };
}
