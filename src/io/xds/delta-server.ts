/**
 * Delta ADS server: gRPC around `DeltaStream`. It knows no types; whoever owns the resources says what each client sees
 * (`open`) and what changed (`changed`). Serves Envoy over a unix socket as well as agents and peers over TLS.
 */
import grpc from "@grpc/grpc-js";
import type { Host } from "../host/host.ts";
import { DeltaStream, acknowledgeMsDefault, type StreamRejection } from "./delta-stream.ts";
import { decodeRequest, deltaMethodPath, type DiscoveryRequest } from "./discovery.ts";
import type { ResourceSource } from "./resource-source.ts";

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
  /** A client that has not acknowledged a response for so long is cut off. Default 60 s. */
  readonly acknowledgeMsMax?: number;
}

/** Thrown by `open`: the client sees the code and the sentence. */
export class StreamRefused extends Error {
  readonly code: grpc.status;
  constructor(code: grpc.status, message: string) {
    super(message);
    this.code = code;
  }
}

type Call = grpc.ServerDuplexStream<DiscoveryRequest, Uint8Array>;

export class DeltaServer {
  readonly #host: Host;
  readonly #options: DeltaServerOptions;
  readonly #calls = new Map<Call, DeltaStream | undefined>();

  constructor(host: Host, options: DeltaServerOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Adds the discovery service to a gRPC server that may serve other things too. */
  addTo(server: grpc.Server): void {
    const definition = {
      deltaAggregatedResources: {
        path: deltaMethodPath,
        requestStream: true,
        responseStream: true,
        requestSerialize: unused,
        requestDeserialize: decodeRequest,
        responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    } as const;
    server.addService(definition, { deltaAggregatedResources: (call: Call) => this.#serve(call) });
  }

  /** Call it after the sources have changed; streams look up each name again. */
  changed(typeUrl: string, names: Iterable<string>): void {
    const list = [...names];
    for (const stream of this.#calls.values()) stream?.changed(typeUrl, list);
  }

  /** Sends these names again to all who asked for them, changed or not. */
  resend(typeUrl: string, names: Iterable<string>): void {
    const list = [...names];
    for (const stream of this.#calls.values()) stream?.resend(typeUrl, list);
  }

  get streamCount(): number {
    return this.#calls.size;
  }

  /** Ends every stream; clients come back by themselves. */
  endStreams(): void {
    for (const call of this.#calls.keys()) end(call, grpc.status.UNAVAILABLE, "The control plane is shutting down.");
  }

  #serve(call: Call): void {
    const waiting: DiscoveryRequest[] = [];
    let isOpening = false;
    let peer: StreamPeer | undefined;
    this.#calls.set(call, undefined);
    call.on("data", (request: DiscoveryRequest) => {
      const stream = this.#calls.get(call);
      if (stream) return stream.receive(request);
      if (waiting.push(request) > waitingRequestsMax) {
        return end(call, grpc.status.RESOURCE_EXHAUSTED, "Too many requests before the stream was admitted.");
      }
      if (isOpening) return;
      isOpening = true;
      peer = peerOf(call, request);
      void this.#open(call, peer, waiting);
    });
    const close = () => {
      if (!this.#calls.has(call)) return;
      this.#calls.get(call)?.close();
      this.#calls.delete(call);
      if (peer) this.#options.closed?.(peer);
    };
    call.on("end", () => {
      close();
      call.end();
    });
    call.on("cancelled", close);
    call.on("error", close);
    call.on("close", close);
  }

  async #open(call: Call, peer: StreamPeer, waiting: readonly DiscoveryRequest[]): Promise<void> {
    try {
      const source = await this.#options.open(peer);
      if (!this.#calls.has(call)) return;
      const stream = this.#streamOf(call, peer, source);
      this.#calls.set(call, stream);
      for (const request of waiting) stream.receive(request);
    } catch (cause) {
      const refused = cause instanceof StreamRefused ? cause : undefined;
      if (!refused) this.#host.log.error("xds.open", { node: peer.node.id, cause: String(cause) });
      end(call, refused?.code ?? grpc.status.INTERNAL, refused?.message ?? "The stream could not be opened.");
    }
  }

  #streamOf(call: Call, peer: StreamPeer, source: ResourceSource): DeltaStream {
    return new DeltaStream(this.#host, source, {
      pushOrder: this.#options.pushOrder,
      acknowledgeMsMax: this.#options.acknowledgeMsMax ?? acknowledgeMsDefault,
      send: (response) => void call.write(response),
      fail: (why) => {
        this.#host.log.warn("xds.cut", { node: peer.node.id, cause: why });
        this.#calls.get(call)?.close();
        end(call, grpc.status.RESOURCE_EXHAUSTED, why);
      },
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

const unused = (): Buffer => Buffer.alloc(0);

function end(call: Call, code: grpc.status, details: string): void {
  call.emit("error", { code, details });
}

function peerOf(call: Call, request: DiscoveryRequest): StreamPeer {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return {
    address: call.getPeer(),
    metadata: call.metadata,
    node: request.node ?? { id: "", cluster: "" },
    ...(certificate === undefined ? {} : { certificate }),
  };
}
