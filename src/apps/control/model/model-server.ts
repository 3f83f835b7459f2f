/**
 * The streams on the control plane's port: the model for agents, who come with service-account tokens, and those of peers,
 * who come with certificates and are answered by whoever is given as `peers`.
 */
import grpc from "@grpc/grpc-js";
import { errorText } from "../../../core/api/error-text.ts";
import type { Host } from "../../../io/host/host.ts";
import { DeltaServer, StreamRefused } from "../../../io/xds/delta-server.ts";
import type { Rejection, StreamPeer } from "../../../io/xds/delta-server.ts";
import type { ResourceSource } from "../../../io/xds/resource-source.ts";
import type { Callers } from "../trust/callers.ts";
import { modelPushOrder } from "./model-source.ts";
import type { StreamPort } from "./stream-port.ts";

export interface PeerStreams {
  isPeer(peer: StreamPeer): boolean;
  /** What the peer sees; throws `StreamRefused` unless its certificate says that it may. */
  open(peer: StreamPeer): ResourceSource;
  closed(peer: StreamPeer): void;
}

export interface ModelServerOptions {
  readonly port: StreamPort;
  readonly source: ResourceSource;
  readonly callers: Callers;
  readonly peers: PeerStreams;
  /** Agents are turned away before: they keep what they have and come back. */
  readonly isOpen: () => boolean;
  readonly rejected?: (rejection: Rejection) => void;
}

export class ModelServer {
  /** To tell of changes. */
  readonly delta: DeltaServer;
  private readonly host: Host;
  private readonly options: ModelServerOptions;

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
  }

  /** Resolves with the port. */
  listen(): Promise<number> {
    return this.options.port.listen((stream) => this.delta.accept(stream));
  }

  /** No new connections; streams live on until `graceMs` have passed, then their clients are sent elsewhere. */
  async stop(graceMs: number): Promise<void> {
    const { port } = this.options;
    port.unbind();
    if (this.delta.streamCount > 0) await this.host.clock.sleep(graceMs);
    this.delta.endStreams();
    port.close();
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
