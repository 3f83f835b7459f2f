/** Delta ADS server. Interface first; the streams follow. */
import type * as grpc from "@grpc/grpc-js";
import type { ResourceSource } from "./resource-source.ts";

export interface StreamPeer {
  /** `ip:port`, or the path of a unix socket. */
  readonly address: string;
  readonly metadata: grpc.Metadata;
  /** DER of the client certificate, when the transport has one. */
  readonly certificate?: Uint8Array;
  /** As the first request names it. */
  readonly node: { readonly id: string; readonly cluster: string };
}

export interface Rejection {
  readonly node: string;
  readonly typeUrl: string;
  /** Names in the response that was refused; which of them were applied all the same only the client knows. */
  readonly names: readonly string[];
  readonly message: string;
}

export interface DeltaServerOptions {
  /** Types in the order in which additions are sent; removals go in the reverse order. */
  readonly pushOrder: readonly string[];
  /** Which resources a new stream sees; a thrown `StreamRefused` ends the stream with its status. */
  open(peer: StreamPeer): ResourceSource | Promise<ResourceSource>;
  closed?(peer: StreamPeer): void;
  rejected?(rejection: Rejection): void;
  /** A client that has not acknowledged a response for so long is cut off. Default 60 s. */
  readonly acknowledgeMsMax?: number;
}
