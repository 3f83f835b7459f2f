/**
 * Virtual addresses of ServiceEntry hosts (spec section 6): one IPv4 and one IPv6 per host. An address that stands in a
 * status is kept by the oldest that has it; the rest get theirs by hash, probing in key order. The range is cut into
 * blocks of 254, and probing stays within the host's block, so that a change costs one block and not the whole range.
 */
import type { ServiceEntry } from "../api/mesh-kinds.ts";
import type { Collection, Index, Reader } from "../graph/collection.ts";
import { isEqual } from "../graph/equal.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import type { MeshSettings } from "./model.ts";
import { compareAge } from "./problem.ts";
import type { EntryAddress, EntryStatus, ServiceEntries, UserEntry } from "./service-entries.ts";
import { trimmed } from "./shared.ts";

type Family = 4 | 6;

/** The hosts of one ServiceEntry that want addresses, and those that are taken by it. */
interface Wish {
  readonly entry: string;
  readonly created: string;
  readonly hosts: readonly string[];
  /** What stands in the status. */
  readonly written: readonly EntryAddress[];
  /** Written by a user in the spec: nobody else gets them. */
  readonly fixed: readonly string[];
}

/** One address that is wanted and must be found. */
interface Request {
  /** `<ServiceEntry key>|<host>|<family>`. */
  readonly key: string;
  readonly host: string;
  readonly family: Family;
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
  const wishes = wireWishes(graph, settings, from);
  const byAddress = graph.index(wishes, "byAddress", (wish) => [...wish.fixed, ...currentOf(wish).values()]);
  const isTaken = (read: Reader, address: string): boolean => read.lookup(byAddress, address).length > 0;

  const pending = graph.derive<Wish, Request>("addresses.pending", wishes, function* (wish, read) {
    const kept = keptAddresses(wish, byAddress, read);
    for (const request of requestsOf(wish)) if (!kept.has(request.key)) yield [request.key, request];
  });
  const byBlock = graph.group("addresses.byBlock", pending, (row) => [`${row.family}/${placeOf(row.host).block}`]);
  const placed = graph.derive<readonly Request[], string>("addresses.placed", byBlock, function* (rows, read) {
    const used = new Set<string>();
    for (const row of rows) {
      const address = probeBlock(row, (one) => !used.has(one) && !isTaken(read, one));
      if (address === undefined) continue;
      used.add(address);
      yield [row.key, address];
    }
  });
  const overflow = wireOverflow(graph, { pending, placed, isTaken });
  return graph.derive<Wish, readonly EntryAddress[]>("serviceEntryAddresses", wishes, function* (wish, read) {
    const kept = keptAddresses(wish, byAddress, read);
    const found = requestsOf(wish).flatMap(({ key, host }) => {
      const value = kept.get(key) ?? read.get(placed, key) ?? read.get(overflow, key);
      return value === undefined ? [] : [{ host, value }];
    });
    // Most of the time what should stand there does: one list is enough.
    if (found.length > 0) yield [wish.entry, isEqual(found, wish.written) ? wish.written : trimmed(found)];
  });
}

/** What stands in the status for each request, where it is usable. */
function currentOf(wish: Wish): ReadonlyMap<string, string> {
  const current = new Map<string, string>();
  for (const { key, host, family } of requestsOf(wish)) {
    const address = wish.written.find((one) => one.host === host && isInRange(one.value, family));
    if (address !== undefined) current.set(key, address.value);
  }
  return current;
}

/** What stands in the status stays, unless a user has fixed it elsewhere or an older one has it too. */
function keptAddresses(wish: Wish, byAddress: Index<Wish>, read: Reader): ReadonlyMap<string, string> {
  const kept = new Map<string, string>();
  const seen = new Set<string>();
  for (const [key, address] of currentOf(wish)) {
    const isFirst = !seen.has(address);
    seen.add(address);
    const rivals = read.lookup(byAddress, address);
    const oldest = rivals.length > 1 ? [...rivals].sort((a, b) => compareAge(aged(a), aged(b)))[0] : wish;
    const isFixed = rivals.some((rival) => rival.fixed.includes(address));
    if (isFirst && !isFixed && oldest?.entry === wish.entry) kept.set(key, address);
  }
  return kept;
}

const aged = ({ created, entry }: Wish): { readonly created: string; readonly key: string } => ({
  created,
  key: entry,
});

function wireWishes(
  graph: Graph,
  settings: MeshSettings,
  from: {
    readonly generated: Collection<ServiceEntry>;
    readonly serviceEntries: ServiceEntries;
    readonly hosts: Hosts;
  },
): Collection<Wish> {
  const { generated, serviceEntries, hosts } = from;
  const { statuses } = serviceEntries;
  const ofGenerated = graph.derive<ServiceEntry, Wish>("addresses.ofGenerated", generated, function* (row, read, key) {
    // Only the global host: a taken-over local name keeps the ClusterIP of its Service.
    if (settings.ipAutoallocate) yield [key, wish(key, row.spec.hosts.slice(0, 1), read.get(statuses, key))];
  });
  const ofUsers = graph.derive<UserEntry, Wish>("addresses.ofUsers", serviceEntries.users, function* (row, read, key) {
    const isWishing =
      settings.ipAutoallocate &&
      row.isAllocating &&
      !row.hasSpecAddresses &&
      // A user's entry in the place of a generated one is about to be overwritten.
      read.get(generated, key) === undefined;
    const wishing = isWishing
      ? row.hosts.filter((host) => !host.startsWith("*") || row.resolution === "DYNAMIC_DNS")
      : [];
    const owned = wishing.filter((host) => owns(hosts, read, host, claimant.entry(key)));
    if (owned.length === 0 && row.addresses.length === 0) return;
    // Fixed addresses count even where a generated entry has the key.
    const status = owned.length === 0 ? undefined : read.get(statuses, key);
    yield [`user/${key}`, wish(key, owned, status, row.addresses)];
  });
  return graph.union("addresses.wishes", ofGenerated, ofUsers);
}

const nothing: readonly never[] = [];

const wish = (
  entry: string,
  hosts: readonly string[],
  status: EntryStatus | undefined,
  fixed: readonly string[] = nothing,
): Wish => ({
  entry,
  created: status?.created ?? "",
  hosts: hosts.length > 1 ? [...hosts].sort(compareKeys) : hosts,
  written: status?.addresses ?? nothing,
  fixed,
});

/** For those whose block is full: the whole range in order. */
function wireOverflow(
  graph: Graph,
  from: {
    readonly pending: Collection<Request>;
    readonly placed: Collection<string>;
    readonly isTaken: (read: Reader, address: string) => boolean;
  },
): Collection<string> {
  const homeless = graph.derive<Request, Request>("addresses.homeless", from.pending, function* (row, read, key) {
    if (read.get(from.placed, key) === undefined) yield [key, row];
  });
  const byPlaced = graph.index(from.placed, "byAddress", (address) => [address]);
  const together = graph.group("addresses.homelessTogether", homeless, (row) => [`${row.family}`]);
  return graph.derive<readonly Request[], string>("addresses.overflow", together, function* (rows, read) {
    const used = new Set<string>();
    const isFree = (one: string): boolean =>
      !used.has(one) && !from.isTaken(read, one) && read.lookup(byPlaced, one).length === 0;
    for (const row of rows) {
      const address = probeAll(row, isFree);
      if (address === undefined) return;
      used.add(address);
      yield [row.key, address];
    }
  });
}

function requestsOf({ entry, hosts }: Wish): readonly Request[] {
  return hosts.flatMap((host) =>
    ([4, 6] as const).map((family) => ({ key: `${entry}|${host}|${family}`, host, family })),
  );
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
