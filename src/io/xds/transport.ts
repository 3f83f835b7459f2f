/**
 * The seam under delta streams: messages both ways, and how a stream ends. Programs use gRPC (`grpc-transport.ts`); a
 * simulation brings its own network.
 */
import type grpc from "@grpc/grpc-js";

/** What is heard of a stream by the one who opened it. Nothing comes after `ended`. */
export interface ClientEvents {
  received(message: Uint8Array): void;
  /** With a sentence of why. */
  ended(cause: string): void;
}

export interface ClientStream {
  send(message: Uint8Array): void;
  /** `ended` follows. */
  cancel(): void;
}

export interface Dialled {
  /** As gRPC names targets. */
  readonly target: string;
  /** Asked only by transports that encrypt. */
  readonly credentials: () => grpc.ChannelCredentials;
  readonly metadata: grpc.Metadata;
  readonly channelOptions?: grpc.ChannelOptions | undefined;
}

/** Opens a stream; throws when that makes no sense at all. */
export type OpenStream = (dialled: Dialled, events: ClientEvents) => ClientStream;

/** One client's stream as the server holds it. */
export interface ServerStream {
  /** `ip:port`, or the path of a unix socket. */
  readonly address: string;
  readonly metadata: grpc.Metadata;
  /** DER of the client certificate, when the transport has verified one. */
  readonly certificate?: Uint8Array | undefined;
  send(message: Uint8Array): void;
  /** The client sees the code and the sentence. */
  end(code: grpc.status, details: string): void;
}

/** What the server hears of a stream. Nothing comes after `closed`. */
export interface ServerEvents {
  readonly received: (message: Uint8Array) => void;
  readonly closed: () => void;
}

export type AcceptStream = (stream: ServerStream) => ServerEvents;
