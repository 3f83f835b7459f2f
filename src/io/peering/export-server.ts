/**
 * This cluster's side that peers read: its exports, filtered for each peer, a lease that is renewed while it lives, and who
 * it is. Rides on the delta server of the control plane; owns the rows it was given and their generations.
 */
import { X509Certificate } from "node:crypto";
import grpc from "@grpc/grpc-js";
import type { Export } from "../../core/mesh/model.ts";
import { encodeExport, encodeLease, encodePeerInfo } from "../../core/proto/codec.ts";
import type { PeerInfoRow } from "../../core/proto/export-row.ts";
import { exportName, typeUrl } from "../../core/proto/wire.ts";
import type { Host } from "../host/host.ts";
import type { TrustBundles } from "../identity/trust.ts";
import { parseIdentity, spiffeIdsOf } from "../identity/x509.ts";
import { StreamRefused, type DeltaServer, type StreamPeer } from "../xds/delta-server.ts";
import { versionOf, type ResourceSource, type VersionedResource } from "../xds/resource-source.ts";
import { controlPlaneIdentity, peerHeader, peerNodePrefix } from "./wire-names.ts";

const renewMsDefault = 3000;
const leaseMsDefault = 10_000;

export interface ExportServerOptions {
  readonly self: PeerInfoRow;
  readonly bundles: TrustBundles;
  /** Told of every change, so that open streams look up again. */
  readonly server: Pick<DeltaServer, "changed">;
  readonly renewMs?: number;
  readonly leaseMs?: number;
}

/** What one peer may see depends on these two. */
interface Reader {
  readonly network: string;
  readonly segment: string;
}

interface Held {
  readonly row: Export;
  /** With endpoints, for peers on our network. */
  readonly flat: VersionedResource;
  readonly routed: VersionedResource;
}

export class ExportServer {
  readonly #host: Host;
  readonly #options: ExportServerOptions;
  readonly #exportsByName = new Map<string, Held>();
  #self: PeerInfoRow;
  #sequence: number;
  #isReady = false;
  #lease: VersionedResource;
  #info: VersionedResource;

  constructor(host: Host, options: ExportServerOptions) {
    this.#host = host;
    this.#options = options;
    this.#self = options.self;
    // Starting at the time keeps the sequence growing across restarts.
    this.#sequence = host.clock.now();
    this.#lease = this.#makeLease();
    this.#info = resource(encodePeerInfo(options.self));
  }

  /** Peers are turned away until the first full set of exports is in: an empty one would read as "all are gone". */
  setReady(): void {
    this.#isReady = true;
  }

  /** Our network, segment or trust domain changed. Rows that carry them are set by their owner. */
  setSelf(self: PeerInfoRow): void {
    const previous = this.#self;
    this.#self = self;
    this.#info = resource(encodePeerInfo(self));
    this.#options.server.changed(typeUrl.peerInfo, [previous.cluster, self.cluster]);
    if (previous.network !== self.network) this.#options.server.changed(typeUrl.export, this.#exportsByName.keys());
  }

  /** A row without generation gets one that grows with each change of what it says, across restarts too. */
  setExport(row: Export): void {
    const name = exportName(row);
    const before = this.#exportsByName.get(name);
    const generation = row.generation > 0 ? row.generation : this.#generationAfter(row, before?.row);
    const stamped = { ...row, generation };
    const held = {
      row: stamped,
      flat: resource(encodeExport(stamped)),
      routed: resource(encodeExport({ ...stamped, endpoints: [] })),
    };
    if (before?.flat.version === held.flat.version) return;
    this.#exportsByName.set(name, held);
    this.#options.server.changed(typeUrl.export, [name]);
  }

  /** `name` as `exportName` makes it. */
  removeExport(name: string): void {
    if (this.#exportsByName.delete(name)) this.#options.server.changed(typeUrl.export, [name]);
  }

  /** Renews the lease until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const renewMs = this.#options.renewMs ?? renewMsDefault;
    while (!signal.aborted) {
      this.#sequence += 1;
      this.#lease = this.#makeLease();
      this.#options.server.changed(typeUrl.lease, [this.#self.cluster]);
      await this.#host.clock.sleep(renewMs, signal).catch(() => undefined);
    }
  }

  /** Whether a stream comes from a peer rather than from an agent. */
  static isPeer(peer: StreamPeer): boolean {
    return peer.node.id.startsWith(peerNodePrefix);
  }

  /** For `DeltaServerOptions.open`: what this peer sees; throws `StreamRefused` with a sentence for the other side. */
  open(peer: StreamPeer): ResourceSource {
    const problem = this.#identityProblem(peer);
    if (problem !== undefined) throw new StreamRefused(grpc.status.PERMISSION_DENIED, problem);
    if (!this.#isReady) {
      throw new StreamRefused(grpc.status.UNAVAILABLE, `The control plane of ${this.#self.cluster} is still starting.`);
    }
    const cluster = headerOf(peer, peerHeader.cluster);
    if (cluster === this.#self.cluster) {
      throw new StreamRefused(
        grpc.status.FAILED_PRECONDITION,
        `Both control planes say that they are cluster ${cluster}; give one of the clusters another name.`,
      );
    }
    return this.#view({ network: headerOf(peer, peerHeader.network), segment: headerOf(peer, peerHeader.segment) });
  }

  #generationAfter(row: Export, before: Export | undefined): number {
    if (!before) return this.#host.clock.now();
    const isSame =
      versionOf(encodeExport({ ...row, generation: before.generation })) === versionOf(encodeExport(before));
    return isSame ? before.generation : Math.max(this.#host.clock.now(), before.generation + 1);
  }

  #makeLease(): VersionedResource {
    const { cluster } = this.#self;
    const durationMs = this.#options.leaseMs ?? leaseMsDefault;
    return resource(encodeLease({ cluster, sequence: this.#sequence, durationMs }));
  }

  #identityProblem(peer: StreamPeer): string | undefined {
    if (!peer.certificate) {
      return "The peer presents no certificate that our root of trust vouches for; both clusters need the same root.";
    }
    const ids = spiffeIdsOf(new X509Certificate(peer.certificate));
    const parts = ids.length === 1 ? parseIdentity(ids[0] ?? "") : undefined;
    const own = this.#self.trustDomain;
    if (!parts || ids[0] !== controlPlaneIdentity(parts.trustDomain)) {
      return `${ids.join(", ") || "A certificate without identity"} is not a control plane.`;
    }
    if (this.#options.bundles.isVouchedFor(parts.trustDomain, own)) return undefined;
    return `Trust domain ${parts.trustDomain} of the peer has no bundle here (cluster ${this.#self.cluster}, ${own}).`;
  }

  #view(reader: Reader): ResourceSource {
    const visible = (name: string): VersionedResource | undefined => {
      const held = this.#exportsByName.get(name);
      if (!held || (held.row.scope === "segment" && held.row.segment !== reader.segment)) return undefined;
      return held.row.network !== "" && held.row.network === reader.network ? held.flat : held.routed;
    };
    const get = (type: string, name: string): VersionedResource | undefined => {
      if (type === typeUrl.export) return visible(name);
      if (name !== this.#self.cluster) return undefined;
      if (type === typeUrl.lease) return this.#lease;
      return type === typeUrl.peerInfo ? this.#info : undefined;
    };
    const names = (type: string): string[] => {
      if (type === typeUrl.export) return [...this.#exportsByName.keys()].filter((name) => visible(name)).toSorted();
      return type === typeUrl.lease || type === typeUrl.peerInfo ? [this.#self.cluster] : [];
    };
    return { names, get, isListed: (type, name) => get(type, name) !== undefined };
  }
}

const resource = (bytes: Uint8Array): VersionedResource => ({ bytes, version: versionOf(bytes) });

function headerOf(peer: StreamPeer, name: string): string {
  const [value] = peer.metadata.get(name);
  return typeof value === "string" ? value : "";
}
