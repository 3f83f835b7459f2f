/**
 * All links of one control plane, one per Peer row. Two rows that name the same cluster would mix their exports: one
 * is used, the other says so.
 */
import type { Peer } from "../../core/mesh/model.ts";
import type { Host } from "../host/host.ts";
import type { Failure } from "./failure.ts";
import { PeerLink, type LinkOptions } from "./peer-link.ts";

/** Peers that one control plane may have; each costs one stream. */
const peersMax = 256;

interface Entry {
  peer: Peer;
  /** Undefined for a duplicate. */
  link: PeerLink | undefined;
}

export class PeerLinks {
  readonly #host: Host;
  readonly #options: LinkOptions;
  readonly #entriesByKey = new Map<string, Entry>();
  /** Beyond `peersMax`: each is taken once there is room. As many as there are Peer rows, at most. */
  readonly #waitingByKey = new Map<string, Peer>();

  constructor(host: Host, options: LinkOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** A Peer row came or changed. The key is the remote Gateway's `<ns>/<name>`. */
  setPeer(key: string, peer: Peer): void {
    const entry = this.#entriesByKey.get(key);
    if (!entry && this.#entriesByKey.size >= peersMax) {
      this.#waitingByKey.set(key, peer);
      this.#host.log.error("peering.full", { peer: key, peers: peersMax });
      this.#refuse(key, peer.cluster, {
        reason: "TooManyPeers",
        message: `A control plane links to ${peersMax} peers at most; delete remote Gateways that are not needed.`,
      });
      return;
    }
    if (entry && entry.peer.cluster !== peer.cluster) {
      // Another cluster's rows must not pass for this one's.
      this.removePeer(key);
      return this.setPeer(key, peer);
    }
    if (entry) entry.peer = peer;
    else this.#entriesByKey.set(key, { peer, link: undefined });
    entry?.link?.update(peer);
    this.#elect(peer.cluster);
  }

  /** The Peer row is gone: its exports go at once, and a duplicate may take its place. */
  removePeer(key: string): void {
    const entry = this.#entriesByKey.get(key);
    if (!entry) {
      this.#waitingByKey.delete(key);
      return this.#options.sink.removePeer(key);
    }
    this.#entriesByKey.delete(key);
    if (entry.link) entry.link.close();
    else this.#options.sink.removePeer(key);
    this.#elect(entry.peer.cluster);
    const [next] = this.#waitingByKey;
    if (next === undefined) return;
    this.#waitingByKey.delete(next[0]);
    this.setPeer(...next);
  }

  /** Our own segment, network, certificate or bundles changed: peers must hear it. */
  redialAll(): void {
    for (const { link } of this.#entriesByKey.values()) link?.redial();
  }

  close(): void {
    for (const { link } of this.#entriesByKey.values()) link?.close();
    this.#entriesByKey.clear();
    this.#waitingByKey.clear();
  }

  #refuse(key: string, cluster: string, failure: Failure): void {
    this.#options.sink.setLinkState(key, { cluster, phase: "refused", ...failure, sinceMs: this.#host.clock.now() });
  }

  /** Exactly one row per cluster has a link: the one that has it already, else the first by key. */
  #elect(cluster: string): void {
    const rivals = [...this.#entriesByKey].filter(([, { peer }]) => peer.cluster === cluster);
    const sorted = rivals.toSorted(([a], [b]) => (a < b ? -1 : 1));
    const winner = sorted.find(([, { link }]) => link) ?? sorted[0];
    const losers = sorted.filter((rival) => rival !== winner);
    for (const [key] of losers) {
      this.#refuse(key, cluster, {
        reason: "DuplicatePeer",
        message: `Cluster ${cluster} is already linked by Gateway ${winner?.[0]}; delete one of the two.`,
      });
    }
    if (!winner || winner[1].link) return;
    winner[1].link = new PeerLink(this.#host, winner[0], winner[1].peer, this.#options);
    winner[1].link.start();
  }
}
