/**
 * The IPv4 addresses of a changing set of DNS names, looked up again when their time to live is over. A name that can no
 * longer be resolved keeps its last addresses: whether they still answer is for those who dial them to find out.
 */
import { Resolver } from "node:dns/promises";
import { errorText } from "../../core/api/error-text.ts";
import type { Host } from "../host/host.ts";

export interface Found {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** Rejects when there is no answer, or none of this kind. */
export type Lookup = (name: string) => Promise<readonly Found[]>;

/** Peers have one name each, seldom two. */
const namesMax = 1_024;
/** A load balancer that moves is followed within the longest of these, whatever its name's time to live. */
const againMs = { least: 1_000, most: 30_000 } as const;
const retryMs = { least: 1_000, most: 15_000 } as const;

/** Asks the resolvers of /etc/resolv.conf, as they are at that moment. */
export const systemLookup: Lookup = (name) => new Resolver({ timeout: 2_000, tries: 2 }).resolve4(name, { ttl: true });

interface Entry {
  cancel: () => void;
  failures: number;
}

export class WatchedNames {
  readonly #host: Host;
  readonly #lookup: Lookup;
  readonly #changed: (name: string) => void;
  readonly #entriesByName = new Map<string, Entry>();
  readonly #addressesByName = new Map<string, readonly string[]>();

  /** `changed` hears of each name that has other addresses than before. */
  constructor(host: Host, lookup: Lookup, changed: (name: string) => void) {
    this.#host = host;
    this.#lookup = lookup;
    this.#changed = changed;
  }

  /** Sorted; a name that was never resolved is not among the keys. */
  get addressesByName(): ReadonlyMap<string, readonly string[]> {
    return this.#addressesByName;
  }

  want(names: ReadonlySet<string>): void {
    for (const [name, { cancel }] of this.#entriesByName) {
      if (names.has(name)) continue;
      cancel();
      this.#entriesByName.delete(name);
      this.#addressesByName.delete(name);
    }
    for (const name of names) {
      if (this.#entriesByName.has(name)) continue;
      if (this.#entriesByName.size >= namesMax) {
        this.#host.log.error("dns.names.full", { name, names: namesMax });
        return;
      }
      const entry: Entry = { cancel: () => undefined, failures: 0 };
      this.#entriesByName.set(name, entry);
      void this.#look(name, entry);
    }
  }

  close(): void {
    this.want(new Set());
  }

  async #look(name: string, entry: Entry): Promise<void> {
    const waitMs = await this.#lookup(name).then(
      (found) => this.#take(name, entry, found),
      (error: unknown) => this.#miss(name, entry, errorText(error)),
    );
    if (this.#entriesByName.get(name) !== entry) return;
    entry.cancel = this.#host.clock.after(waitMs, () => void this.#look(name, entry));
  }

  #take(name: string, entry: Entry, found: readonly Found[]): number {
    if (found.length === 0) return this.#miss(name, entry, "The answer holds no address.");
    entry.failures = 0;
    const addresses = [...new Set(found.map(({ address }) => address))].sort();
    const before = this.#addressesByName.get(name);
    const isCurrent = this.#entriesByName.get(name) === entry;
    if (isCurrent && before?.join() !== addresses.join()) {
      this.#addressesByName.set(name, addresses);
      this.#host.log.info("dns.name", { name, addresses: addresses.join(" ") });
      this.#changed(name);
    }
    const ttlMs = Math.min(...found.map(({ ttl }) => ttl)) * 1000;
    return Math.min(Math.max(ttlMs, againMs.least), againMs.most);
  }

  #miss(name: string, entry: Entry, cause: string): number {
    if (entry.failures === 0) {
      const kept = this.#addressesByName.get(name)?.join(" ");
      this.#host.log.warn("dns.name.unresolved", { name, kept, cause });
    }
    entry.failures += 1;
    return Math.min(retryMs.least * 2 ** Math.min(entry.failures - 1, 10), retryMs.most);
  }
}
