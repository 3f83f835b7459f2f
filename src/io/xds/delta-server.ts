/**
 * Delta ADS server: gRPC around `DeltaStream`. It knows no types; whoever owns the resources says what each client sees
 * (`open`) and what changed (`changed`). Serves Envoy over a unix socket as well as agents and peers over TLS.
 */
import grpc from "@grpc/grpc-js";
import type { Host } from "../host/host.ts";
import { DeltaStream, acknowledgeMsDefault, type StreamRejection } from "./delta-stream.ts";
import { decodeRequest, type DiscoveryRequest } from "./discovery.ts";
import { addStreamService } from "./grpc-transport.ts";
import type { ResourceSource } from "./resource-source.ts";
import type { ServerEvents, ServerStream } from "./transport.ts";

/** Requests that may wait while `open` is still deciding. */
const waitingRequestsMax = 256;

export interface StreamPeer {
  /** `ip:port`, or the path of a unix socket. */
  readonly address: string;
  readonly metadata: grpc.Metadata;
  /** DER of the client certificate, when the transport has one. */
  readonly certificate?: Uint8Array;
  /** As the first request names it. */
  readonly node: { readonly id: string; readonly cluster: string };
}

export interface Rejection extends StreamRejection {
  readonly node: string;
}

export interface DeltaServerOptions {
  /** Types in the order in which additions are sent; removals go in the reverse order. */
  readonly pushOrder: readonly string[];
  /** Which resources a new stream sees. A thrown `StreamRefused` ends the stream with its status. */
  open(peer: StreamPeer): ResourceSource | Promise<ResourceSource>;
  closed?(peer: StreamPeer): void;
  /** A client refused a response (NACK). Its names are sent again with backoff. */
  rejected?(rejection: Rejection): void;
  /** A client took these resources (ACK). */
  accepted?(typeUrl: string, names: readonly string[]): void;
  /** A client that has not acknowledged a response for so long is cut off. Default 60 s. */
  readonly acknowledgeMsMax?: number;
  /** Names that one client may ask for, for each type; further ones do not exist for it. Default 200,000. */
  readonly namesMax?: number;
}

/** Thrown by `open`: the client sees the code and the sentence. */
export class StreamRefused extends Error {
  readonly code: grpc.status;
  constructor(code: grpc.status, message: string) {
    super(message);
    this.code = code;
  }
}

interface Held {
  /** Undefined while it is being opened. */
  stream: DeltaStream | undefined;
  closed(): void;
}

export class DeltaServer {
  readonly #host: Host;
  readonly #options: DeltaServerOptions;
  readonly #calls = new Map<ServerStream, Held>();

  constructor(host: Host, options: DeltaServerOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Adds the discovery service to a gRPC server that may serve other things too. */
  addTo(server: grpc.Server): void {
    addStreamService(server, (call) => this.accept(call));
  }

  /** Call it after the sources have changed; streams look up each name again. */
  changed(typeUrl: string, names: Iterable<string>): void {
    const list = [...names];
    for (const { stream } of this.#calls.values()) stream?.changed(typeUrl, list);
  }

  /** Sends these names again to all who asked for them, changed or not. */
  resend(typeUrl: string, names: Iterable<string>): void {
    const list = [...names];
    for (const { stream } of this.#calls.values()) stream?.resend(typeUrl, list);
  }

  /** Takes resources from clients that asked for them by name. */
  withdraw(typeUrl: string, names: Iterable<string>): void {
    const list = [...names];
    for (const { stream } of this.#calls.values()) stream?.withdraw(typeUrl, list);
  }

  get streamCount(): number {
    return this.#calls.size;
  }

  /** Every client has answered to everything that it was sent. */
  get isAnswered(): boolean {
    return [...this.#calls.values()].every(({ stream }) => stream?.isAnswered !== false);
  }

  /** Ends every stream; clients come back by themselves. */
  endStreams(): void {
    for (const call of this.#calls.keys()) {
      this.#end(call, grpc.status.UNAVAILABLE, "The control plane is shutting down.");
    }
  }

  /** One client's stream, whatever carries it. */
  accept(call: ServerStream): ServerEvents {
    const waiting: DiscoveryRequest[] = [];
    let isOpening = false;
    let peer: StreamPeer | undefined;
    this.#calls.set(call, { stream: undefined, closed: () => peer && this.#options.closed?.(peer) });
    const received = (message: Uint8Array) => {
      if (!this.#calls.has(call)) return;
      const request = requestOf(message);
      if (request === undefined) return this.#end(call, grpc.status.INVALID_ARGUMENT, "That is no discovery request.");
      const stream = this.#calls.get(call)?.stream;
      if (stream) return stream.receive(request);
      if (waiting.push(request) > waitingRequestsMax) {
        return this.#end(call, grpc.status.RESOURCE_EXHAUSTED, "Too many requests before the stream was admitted.");
      }
      if (isOpening) return;
      isOpening = true;
      peer = peerOf(call, request);
      void this.#open(call, peer, waiting);
    };
    return { received, closed: () => this.#close(call) };
  }

  #close(call: ServerStream): void {
    const held = this.#calls.get(call);
    if (!held) return;
    held.stream?.close();
    this.#calls.delete(call);
    held.closed();
  }

  #end(call: ServerStream, code: grpc.status, details: string): void {
    if (!this.#calls.has(call)) return;
    this.#close(call);
    call.end(code, details);
  }

  async #open(call: ServerStream, peer: StreamPeer, waiting: readonly DiscoveryRequest[]): Promise<void> {
    try {
      const source = await this.#options.open(peer);
      const held = this.#calls.get(call);
      if (!held) return;
      const stream = this.#streamOf(call, peer, source);
      held.stream = stream;
      for (const request of waiting) stream.receive(request);
    } catch (cause) {
      const refused = cause instanceof StreamRefused ? cause : undefined;
      if (!refused) this.#host.log.error("xds.open", { node: peer.node.id, cause: String(cause) });
      this.#end(call, refused?.code ?? grpc.status.INTERNAL, refused?.message ?? "The stream could not be opened.");
    }
  }

  #streamOf(call: ServerStream, peer: StreamPeer, source: ResourceSource): DeltaStream {
    return new DeltaStream(this.#host, source, {
      pushOrder: this.#options.pushOrder,
      acknowledgeMsMax: this.#options.acknowledgeMsMax ?? acknowledgeMsDefault,
      namesMax: this.#options.namesMax,
      send: (response) => call.send(response),
      fail: (why) => {
        this.#host.log.warn("xds.cut", { node: peer.node.id, cause: why });
        this.#end(call, grpc.status.RESOURCE_EXHAUSTED, why);
      },
      accepted: (typeUrl, names) => this.#options.accepted?.(typeUrl, names),
      rejected: (rejection) => {
        this.#host.log.warn("xds.rejected", {
          node: peer.node.id,
          type: rejection.typeUrl,
          names: rejection.names.slice(0, 5).join(","),
          cause: rejection.message,
        });
        this.#options.rejected?.({ node: peer.node.id, ...rejection });
      },
    });
  }
}

function requestOf(message: Uint8Array): DiscoveryRequest | undefined {
  try {
    return decodeRequest(message);
  } catch {
    return undefined;
  }
}

const peerOf = ({ address, metadata, certificate }: ServerStream, request: DiscoveryRequest): StreamPeer => ({
  address,
  metadata,
  node: request.node ?? { id: "", cluster: "" },
  ...(certificate === undefined ? {} : { certificate }),
});
