/**
 * The control plane's gRPC port: the model stream and the CA for agents, who come with service-account tokens, and the
 * streams of peers, who come with certificates and are answered by whoever is given as `peers`.
 */
import grpc from "@grpc/grpc-js";
import { errorText } from "../../../core/api/error-text.ts";
import { bracketed } from "../../../core/api/ip.ts";
import type { Host } from "../../../io/host/host.ts";
import { addCaService } from "../../../io/identity/ca-service.ts";
import type { CertificateAuthority } from "../../../io/identity/ca.ts";
import { DeltaServer, StreamRefused } from "../../../io/xds/delta-server.ts";
import type { Rejection, StreamPeer } from "../../../io/xds/delta-server.ts";
import type { ResourceSource } from "../../../io/xds/resource-source.ts";
import type { Callers } from "../trust/callers.ts";
import { modelPushOrder } from "./model-source.ts";

export interface PeerStreams {
  isPeer(peer: StreamPeer): boolean;
  /** What the peer sees; throws `StreamRefused` unless its certificate says that it may. */
  open(peer: StreamPeer): ResourceSource;
  closed(peer: StreamPeer): void;
}

export interface ModelServerOptions {
  readonly address: string;
  readonly port: number;
  readonly credentials: grpc.ServerCredentials;
  readonly source: ResourceSource;
  readonly callers: Callers;
  readonly authority: () => CertificateAuthority | { readonly problem: string };
  readonly peers: PeerStreams;
  /** Agents are turned away before: they keep what they have and come back. */
  readonly isOpen: () => boolean;
  readonly rejected?: (rejection: Rejection) => void;
}

const keepalive: grpc.ServerOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  // Agents send keepalives of their own while nothing changes.
  "grpc.http2.min_ping_interval_without_data_ms": 1_000,
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
  "grpc.max_concurrent_streams": 1_000,
};

export class ModelServer {
  /** To tell of changes. */
  readonly delta: DeltaServer;
  private readonly host: Host;
  private readonly options: ModelServerOptions;
  private readonly server = new grpc.Server(keepalive);
  private bound: string | undefined;

  constructor(host: Host, options: ModelServerOptions) {
    this.host = host;
    this.options = options;
    const { peers, rejected } = options;
    this.delta = new DeltaServer(host, {
      pushOrder: modelPushOrder,
      open: (peer) => this.open(peer),
      closed: (peer) => {
        if (peers.isPeer(peer)) peers.closed(peer);
      },
      ...(rejected && { rejected }),
    });
    this.delta.addTo(this.server);
    addCaService(this.server, host, {
      authority: options.authority,
      authenticate: (metadata) => options.callers.authenticate(metadata),
      mayImpersonate: (caller, identity) => options.callers.mayImpersonate(caller, identity),
    });
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    const { address, port } = this.options;
    try {
      return await this.bind(address, port);
    } catch (error) {
      // A machine without IPv6 has no address that stands for both families.
      if (address !== "::") throw error;
      return this.bind("0.0.0.0", port);
    }
  }

  private bind(address: string, port: number): Promise<number> {
    const host = bracketed(address);
    return new Promise((resolve, reject) => {
      this.server.bindAsync(`${host}:${port}`, this.options.credentials, (error, bound) => {
        if (error !== null) return reject(error);
        this.bound = `${host}:${bound}`;
        resolve(bound);
      });
    });
  }

  /** No new connections; streams live on until `graceMs` have passed, then their clients are sent elsewhere. */
  async stop(graceMs: number): Promise<void> {
    if (this.bound !== undefined) this.server.unbind(this.bound);
    this.bound = undefined;
    if (this.delta.streamCount > 0) await this.host.clock.sleep(graceMs);
    this.delta.endStreams();
    this.server.forceShutdown();
  }

  private async open(peer: StreamPeer): Promise<ResourceSource> {
    const { peers, callers, source } = this.options;
    if (peers.isPeer(peer)) return peers.open(peer);
    if (!this.options.isOpen()) {
      throw new StreamRefused(grpc.status.UNAVAILABLE, "This control plane is still learning from its peers.");
    }
    try {
      const caller = await callers.authenticate(peer.metadata);
      this.host.log.info("model.opened", { node: peer.node.id, identity: caller.identity, address: peer.address });
    } catch (error) {
      const cause = errorText(error);
      this.host.log.warn("model.refused", { node: peer.node.id, address: peer.address, cause });
      throw new StreamRefused(grpc.status.UNAUTHENTICATED, cause);
    }
    return source;
  }
}
