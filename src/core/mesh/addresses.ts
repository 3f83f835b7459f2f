/**
 * Virtual addresses of ServiceEntry hosts (spec section 6): one IPv4 and one IPv6 per host. An address that stands in a
 * status is kept by the oldest that has it; the rest get theirs by hash, probing in key order. The range is cut into
 * blocks of 254, and probing stays within the host's block, so that a change costs one block and not the whole range.
 */
import type { ServiceEntry } from "../api/mesh-kinds.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import type { MeshSettings } from "./model.ts";
import { compareAge } from "./problem.ts";
import type { EntryAddress, EntryStatus, ServiceEntries, UserEntry } from "./service-entries.ts";

type Family = 4 | 6;

/** One address that is wanted. */
interface Request {
  /** `<ServiceEntry key>|<host>|<family>`. */
  readonly key: string;
  readonly entry: string;
  readonly host: string;
  readonly family: Family;
  readonly created: string;
  /** What stands in the status, when it is usable. */
  readonly current: string | undefined;
}

interface Allocation {
  readonly entry: string;
  readonly host: string;
  readonly value: string;
}

const blocks = 256;
/** Usable addresses of a block: .1 to .254. */
const blockSize = 254;

/** Desired `status.addresses` by ServiceEntry key, generated and users' alike. */
export function wireAddresses(
  graph: Graph,
  settings: MeshSettings,
  from: {
    readonly generated: Collection<ServiceEntry>;
    readonly serviceEntries: ServiceEntries;
    readonly hosts: Hosts;
  },
): Collection<readonly EntryAddress[]> {
  const requests = wireRequests(graph, settings, from);
  const fixed = graph.index(from.serviceEntries.users, "byFixedAddress", (entry) => entry.addresses);
  const byCurrent = graph.index(requests, "byCurrent", (row) => (row.current === undefined ? [] : [row.current]));
  const isTaken = (read: Reader, address: string): boolean =>
    read.lookup(fixed, address).length > 0 || read.lookup(byCurrent, address).length > 0;

  const kept = graph.derive<Request, Allocation>("addresses.kept", requests, function* (row, read, key) {
    if (row.current === undefined || read.lookup(fixed, row.current).length > 0) return;
    const oldest = [...read.lookup(byCurrent, row.current)].sort(compareAge)[0];
    if (oldest?.key === key) yield [key, allocation(row, row.current)];
  });
  const pending = graph.derive<Request, Request>("addresses.pending", requests, function* (row, read, key) {
    if (read.get(kept, key) === undefined) yield [key, row];
  });
  const byBlock = graph.group("addresses.byBlock", pending, (row) => [`${row.family}/${placeOf(row.host).block}`]);
  const placed = graph.derive<readonly Request[], Allocation>("addresses.placed", byBlock, function* (rows, read) {
    const used = new Set<string>();
    for (const row of rows) {
      const address = probeBlock(row, (one) => !used.has(one) && !isTaken(read, one));
      if (address === undefined) continue;
      used.add(address);
      yield [row.key, allocation(row, address)];
    }
  });
  const overflow = wireOverflow(graph, { pending, placed, isTaken });
  const all = graph.union("addresses.all", kept, placed, overflow);
  const byEntry = graph.group("addresses.byEntry", all, (row) => [row.entry]);
  return graph.derive<readonly Allocation[], readonly EntryAddress[]>(
    "serviceEntryAddresses",
    byEntry,
    function* (rows, _r, key) {
      yield [key, rows.map(({ host, value }) => ({ host, value }))];
    },
  );
}

function wireRequests(
  graph: Graph,
  settings: MeshSettings,
  from: {
    readonly generated: Collection<ServiceEntry>;
    readonly serviceEntries: ServiceEntries;
    readonly hosts: Hosts;
  },
): Collection<Request> {
  const { generated, serviceEntries, hosts } = from;
  const { statuses } = serviceEntries;
  const ofGenerated = graph.derive<ServiceEntry, Request>(
    "addresses.ofGenerated",
    generated,
    function* (entry, read, key) {
      // Only the global host: a taken-over local name keeps the ClusterIP of its Service.
      const host = entry.spec.hosts[0];
      if (settings.ipAutoallocate && host !== undefined) yield* requestsFor(key, host, read.get(statuses, key));
    },
  );
  const ofUsers = graph.derive<UserEntry, Request>(
    "addresses.ofUsers",
    serviceEntries.users,
    function* (entry, read, key) {
      if (!settings.ipAutoallocate || !entry.isAllocating || entry.hasSpecAddresses) return;
      // In the place of a generated entry, a user's keeps the address of the global service.
      if (read.get(generated, key) !== undefined) return;
      for (const host of entry.hosts) {
        if (host.startsWith("*") && entry.resolution !== "DYNAMIC_DNS") continue;
        if (owns(hosts, read, host, claimant.entry(key))) yield* requestsFor(key, host, read.get(statuses, key));
      }
    },
  );
  return graph.union("addresses.requests", ofGenerated, ofUsers);
}

/** For those whose block is full: the whole range in order. */
function wireOverflow(
  graph: Graph,
  from: {
    readonly pending: Collection<Request>;
    readonly placed: Collection<Allocation>;
    readonly isTaken: (read: Reader, address: string) => boolean;
  },
): Collection<Allocation> {
  const homeless = graph.derive<Request, Request>("addresses.homeless", from.pending, function* (row, read, key) {
    if (read.get(from.placed, key) === undefined) yield [key, row];
  });
  const byPlaced = graph.index(from.placed, "byAddress", (row) => [row.value]);
  const together = graph.group("addresses.homelessTogether", homeless, (row) => [`${row.family}`]);
  return graph.derive<readonly Request[], Allocation>("addresses.overflow", together, function* (rows, read) {
    const used = new Set<string>();
    const isFree = (one: string): boolean =>
      !used.has(one) && !from.isTaken(read, one) && read.lookup(byPlaced, one).length === 0;
    for (const row of rows) {
      const address = probeAll(row, isFree);
      if (address === undefined) return;
      used.add(address);
      yield [row.key, allocation(row, address)];
    }
  });
}

const allocation = ({ entry, host }: Request, value: string): Allocation => ({ entry, host, value });

function* requestsFor(
  entry: string,
  host: string,
  status: EntryStatus | undefined,
): Iterable<readonly [string, Request]> {
  for (const family of [4, 6] as const) {
    const key = `${entry}|${host}|${family}`;
    const mine = (status?.addresses ?? []).filter((address) => address.host === host);
    const current = mine.find((address) => isInRange(address.value, family))?.value;
    yield [key, { key, entry, host, family, created: status?.created ?? "", current }];
  }
}

function isInRange(address: string, family: Family): boolean {
  if (family === 6) return address.startsWith("2001:2::") || address.startsWith("2001:2:0:");
  const last = /^240\.240\.\d+\.(\d+)$/.exec(address)?.[1];
  return last !== undefined && last !== "0" && last !== "255";
}

const addressAt = (family: Family, block: number, offset: number): string =>
  family === 4 ? `240.240.${block}.${offset + 1}` : `2001:2::${(block * 256 + offset + 1).toString(16)}`;

/** The first free address of the host's block, beginning at the host's own place. */
function probeBlock(row: Request, isFree: (address: string) => boolean): string | undefined {
  const { block, start } = placeOf(row.host);
  for (let step = 0; step < blockSize; step++) {
    const address = addressAt(row.family, block, (start + step) % blockSize);
    if (isFree(address)) return address;
  }
  return undefined;
}

/** The first free address of the whole range. */
function probeAll(row: Request, isFree: (address: string) => boolean): string | undefined {
  for (let step = 0; step < blocks * blockSize; step++) {
    const address = addressAt(row.family, Math.floor(step / blockSize), step % blockSize);
    if (isFree(address)) return address;
  }
  return undefined;
}

/** FNV-1a. */
function placeOf(host: string): { readonly block: number; readonly start: number } {
  let hash = 0x811c9dc5;
  for (let at = 0; at < host.length; at++) hash = Math.imul(hash ^ host.charCodeAt(at), 0x01000193) >>> 0;
  return { block: hash % blocks, start: (hash >>> 8) % blockSize };
}
