/** Delta ADS client. Interface first; the stream follows. */
import type * as grpc from "@grpc/grpc-js";

export interface ReceivedResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

export interface DeltaUpdate {
  readonly typeUrl: string;
  readonly upserts: readonly ReceivedResource[];
  /** Names that are gone, or that were asked for and do not exist. */
  readonly removals: readonly string[];
}

export interface DeltaClientOptions {
  /** gRPC target, asked anew for each connection; undefined when there is none yet. */
  target(): string | undefined;
  readonly credentials: grpc.ChannelCredentials | (() => grpc.ChannelCredentials);
  /** Sent with each new stream, such as a token. */
  metadata?(): Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  readonly channelOptions?: Readonly<Record<string, string | number>>;
  readonly node: { readonly id: string; readonly cluster: string };
  /** Types subscribed from the start, in this order; no names means all of the type. */
  readonly subscriptions: readonly { readonly typeUrl: string; readonly names?: readonly string[] }[];
  /** Takes one response; what it throws is sent back as the reason of a NACK. */
  received(update: DeltaUpdate): void;
  /** `isConnected` turns true with the first response of a stream. */
  connection?(state: { readonly isConnected: boolean; readonly cause?: string; readonly retryMs?: number }): void;
}
// class DeltaClient { constructor(host: Host, options: DeltaClientOptions)
//   run(signal: AbortSignal): Promise<void>       until aborted; connects again with backoff
//   subscribe(typeUrl, names), unsubscribe(typeUrl, names), isSynced (a response of every type came since the start) }
