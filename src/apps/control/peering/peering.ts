/**
 * Peering, wired: Peer rows become links, what links bring becomes rows of the mesh, and the mesh's exports are served to
 * peers. Owns which rows came from which link.
 */
import { defaultSegment } from "../../../core/api/names.ts";
import { sortedRows } from "../../../core/graph/order.ts";
import type { Mesh } from "../../../core/mesh/mesh.ts";
import type { Export, MeshSettings, Peer } from "../../../core/mesh/model.ts";
import type { PeerInfoRow } from "../../../core/proto/export-row.ts";
import { exportName } from "../../../core/proto/wire.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { CertificateSource } from "../../../io/identity/tls-credentials.ts";
import { ExportServer } from "../../../io/peering/export-server.ts";
import { PeerLinks } from "../../../io/peering/peer-links.ts";
import type { LinkState } from "../../../io/peering/link-state.ts";
import { peerHeader } from "../../../io/peering/wire-names.ts";
import type { DeltaServer, StreamPeer } from "../../../io/xds/delta-server.ts";
import type { OpenStream } from "../../../io/xds/transport.ts";
import type { ResourceSource } from "../../../io/xds/resource-source.ts";
import { Kept } from "../kept.ts";
import type { PeerTrust } from "../trust/peer-trust.ts";

export interface PeeringOptions {
  readonly mesh: Mesh;
  readonly settings: MeshSettings;
  readonly trust: PeerTrust;
  readonly certificate: CertificateSource;
  readonly server: Pick<DeltaServer, "changed">;
  readonly version: string;
  /** Something was staged in the mesh's sources. */
  readonly schedule: () => void;
  /** Streams to peers; over gRPC when absent. */
  readonly open?: OpenStream | undefined;
}

/** A replica that starts waits so long for peers before it serves without those that do not answer. */
const settleMsMax = 10_000;

export class Peering {
  private readonly host: Host;
  private readonly options: PeeringOptions;
  private readonly exports: ExportServer;
  private readonly links: PeerLinks;
  /** Key of the Peer row → names of the exports that came over its link. */
  private readonly namesByPeer = new Map<string, Set<string>>();
  private readonly statesByPeer = new Map<string, LinkState>();
  /** Cluster → network, per open stream of a peer that reads our exports. */
  private readonly subscribers = new Map<StreamPeer, { readonly cluster: string; readonly network: string }>();
  /** Cluster → names of exports that are known from an earlier life only. */
  private readonly remembered = new Map<string, Set<string>>();
  private readonly kept = new Kept();
  private settled: () => void = () => undefined;

  constructor(host: Host, options: PeeringOptions) {
    this.host = host;
    this.options = options;
    const { server, certificate } = options;
    const { bundles } = options.trust;
    this.exports = new ExportServer(host, { self: this.self(), bundles, server });
    this.links = new PeerLinks(host, {
      self: () => this.self(),
      certificate: () => certificate.current(),
      bundles,
      open: options.open,
      sink: {
        setExport: (peer, row) => this.setExport(peer, row),
        removeExport: (peer, name) => this.removeExport(peer, name),
        setLinkState: (peer, state) => this.setState(peer, state),
        removePeer: (peer) => this.removePeer(peer),
      },
    });
  }

  /** What is known of linked peers from an earlier life; it counts until the peer itself has spoken. */
  restore(rowsByCluster: ReadonlyMap<string, readonly Export[]>): void {
    for (const cluster of this.clusters()) {
      const rows = rowsByCluster.get(cluster) ?? [];
      for (const row of rows) this.options.mesh.sources.peerExports.set(exportName(row), this.kept.export(row));
      if (rows.length > 0) this.remembered.set(cluster, new Set(rows.map(exportName)));
    }
  }

  /** Of linked peers. */
  clusters(): readonly string[] {
    return [...new Set([...this.options.mesh.peers.rows.values()].map(({ cluster }) => cluster))];
  }

  /** After the first commit: serves exports and dials peers. */
  start(signal: AbortSignal): void {
    const { mesh } = this.options;
    for (const row of mesh.exports.rows.values()) this.exports.setExport(row);
    this.exports.setSelf(this.self());
    mesh.graph.watch(mesh.exports, (changes) => {
      for (const { key, after } of changes) {
        if (after === undefined) this.exports.removeExport(key);
        else this.exports.setExport(after);
      }
    });
    mesh.graph.watch(mesh.currentSegment, () => {
      this.exports.setSelf(this.self());
      this.links.redialAll();
    });
    mesh.graph.watch(mesh.segments, () => this.exports.setSelf(this.self()));
    for (const [key, peer] of mesh.peers.rows) this.setPeer(key, peer);
    mesh.graph.watch(mesh.peers, (changes) => {
      for (const { key, after } of changes) {
        if (after === undefined) this.links.removePeer(key);
        else this.setPeer(key, after);
      }
    });
    this.exports.setReady();
    void this.exports.run(signal);
    signal.addEventListener("abort", () => this.links.close(), { once: true });
  }

  /** For the model server: streams of peers, told by the name they give themselves. */
  readonly streams = {
    isPeer: (peer: StreamPeer): boolean => ExportServer.isPeer(peer),
    open: (peer: StreamPeer): ResourceSource => {
      if (peer.certificate !== undefined) this.options.trust.meetCertificate(peer.certificate);
      const source = this.exports.open(peer);
      const cluster = headerOf(peer, peerHeader.cluster);
      const network = headerOf(peer, peerHeader.network);
      this.subscribers.set(peer, { cluster, network });
      this.writeState(cluster);
      // Endpoints are worked out for who listens on our network: the first answer has them, or it would read as "all are gone".
      if (network === this.self().network) this.options.mesh.graph.commit();
      return source;
    },
    closed: (peer: StreamPeer): void => {
      const subscriber = this.subscribers.get(peer);
      this.subscribers.delete(peer);
      if (subscriber !== undefined) this.writeState(subscriber.cluster);
    },
  };

  private self(): PeerInfoRow {
    const { settings, mesh, version } = this.options;
    const { cluster, network, trustDomain } = settings;
    const segment = mesh.currentSegment.rows.get("current")?.name ?? defaultSegment.name;
    const segments = sortedRows(mesh.segments).flatMap(([, { name, domain }]) =>
      name === defaultSegment.name ? [] : [{ name, domain }],
    );
    return { cluster, network, trustDomain, segment, version, segments };
  }

  private setPeer(key: string, peer: Peer): void {
    this.options.trust.meet(peer.trustDomain);
    this.links.setPeer(key, peer);
  }

  private setExport(peer: string, row: Export): void {
    const name = exportName(row);
    const names = this.namesByPeer.get(peer) ?? new Set();
    this.namesByPeer.set(peer, names.add(name));
    this.remembered.get(row.cluster)?.delete(name);
    this.options.mesh.sources.peerExports.set(name, this.kept.export(row));
    this.options.schedule();
  }

  private removeExport(peer: string, name: string): void {
    if (this.namesByPeer.get(peer)?.delete(name) !== true) return;
    this.options.mesh.sources.peerExports.delete(name);
    this.options.schedule();
  }

  private setState(peer: string, state: LinkState): void {
    const before = this.statesByPeer.get(peer);
    this.statesByPeer.set(peer, state);
    if (before !== undefined && before.cluster !== state.cluster) this.writeState(before.cluster);
    // A live peer has said all that it exports: what is only remembered is gone.
    if (state.phase === "live") this.forget(state.cluster);
    this.writeState(state.cluster);
    this.settled();
  }

  private forget(cluster: string): void {
    for (const name of this.remembered.get(cluster) ?? []) this.options.mesh.sources.peerExports.delete(name);
    this.remembered.delete(cluster);
  }

  private removePeer(peer: string): void {
    for (const name of this.namesByPeer.get(peer) ?? []) this.options.mesh.sources.peerExports.delete(name);
    this.namesByPeer.delete(peer);
    const state = this.statesByPeer.get(peer);
    this.statesByPeer.delete(peer);
    if (state !== undefined) {
      this.forget(state.cluster);
      this.writeState(state.cluster);
    }
    this.options.schedule();
    this.settled();
  }

  /** One row per cluster: a link of ours, a stream of theirs, or both. */
  private writeState(cluster: string): void {
    const { peerStates } = this.options.mesh.sources;
    const isUsed = (state: LinkState) => state.cluster === cluster && state.reason !== "DuplicatePeer";
    const state = [...this.statesByPeer.values()].find(isUsed);
    const subscriber = [...this.subscribers.values()].find((one) => one.cluster === cluster);
    if (state === undefined && subscriber === undefined) peerStates.delete(cluster);
    else {
      const { phase } = state ?? {};
      peerStates.set(cluster, {
        cluster,
        isConnected: phase === "live",
        isStale: phase === "stale",
        ...(state && { lastSeen: isoSeconds(state.sinceMs) }),
        ...(state && isTold(state) && { reason: state.reason, cause: state.message }),
        ...(subscriber && { subscriberNetwork: subscriber.network }),
        ...(state?.info && { segment: state.info.segment }),
        ...(state?.info?.segments && { segments: state.info.segments }),
      });
    }
    this.options.schedule();
  }

  /** Resolves when each peer is known or cannot be, or after a bounded time. */
  async settle(signal: AbortSignal): Promise<void> {
    const isSettled = () =>
      [...this.options.mesh.peers.rows.keys()].every((key) => {
        const phase = this.statesByPeer.get(key)?.phase;
        return phase === "live" || phase === "refused";
      });
    if (isSettled()) return;
    const done = new AbortController();
    this.settled = () => {
      if (isSettled()) done.abort(new Error("every peer answered"));
    };
    await this.host.clock.sleep(settleMsMax, AbortSignal.any([done.signal, signal])).catch(() => undefined);
    this.settled = () => undefined;
  }
}

/** What the first attempt comes to is not known before it has ended. */
const isTold = ({ phase }: LinkState): boolean => phase === "stale" || phase === "refused";

function headerOf(peer: StreamPeer, name: string): string {
  const [value] = peer.metadata.get(name);
  return typeof value === "string" ? value : "";
}
