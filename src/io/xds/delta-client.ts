/**
 * Delta ADS client: one stream that comes back by itself, telling the server what it still has. It keeps names and
 * versions only; the resources belong to whoever takes the updates.
 */
import grpc from "@grpc/grpc-js";
import { errorText } from "../../core/api/error-text.ts";
import type { Host } from "../host/host.ts";
import { decodeResponse, encodeRequest } from "./discovery.ts";
import type { DiscoveryRequest, DiscoveryResponse } from "./discovery.ts";
import { openGrpcStream } from "./grpc-transport.ts";
import type { ClientStream, Dialled, OpenStream } from "./transport.ts";

const retryMsMin = 100;
const retryMsMax = 15_000;
/** A connection that lived so long was a good one: the next attempt waits the least. */
const stableMs = 10_000;

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

export interface ConnectionState {
  readonly isConnected: boolean;
  readonly cause?: string;
  readonly retryMs?: number;
}

export interface DeltaClientOptions {
  /** gRPC target, asked anew for each connection; undefined when there is none yet. */
  target(): string | undefined;
  /** Asked anew for each connection, so that a rotated certificate is used. */
  credentials(): grpc.ChannelCredentials;
  /** Sent with each new stream, such as a token. */
  metadata?(): Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  readonly channelOptions?: grpc.ChannelOptions;
  /** Over gRPC when absent. */
  readonly open?: OpenStream | undefined;
  readonly node: { readonly id: string; readonly cluster: string };
  /** Types subscribed from the start, in this order; no names means all of the type. */
  readonly subscriptions: readonly { readonly typeUrl: string; readonly names?: readonly string[] }[];
  /** Takes one response; what it throws is sent back as the reason of a NACK. */
  received(update: DeltaUpdate): void;
  /** `isConnected` turns true with the first response of a stream. */
  connection?(state: ConnectionState): void;
}

interface Interest {
  isWildcard: boolean;
  readonly names: Set<string>;
  readonly versions: Map<string, string>;
  isSynced: boolean;
}

export class DeltaClient {
  readonly #host: Host;
  readonly #options: DeltaClientOptions;
  readonly #interestsByType = new Map<string, Interest>();
  #stream: ClientStream | undefined;
  #isConnected = false;

  constructor(host: Host, options: DeltaClientOptions) {
    this.#host = host;
    this.#options = options;
    for (const { typeUrl, names } of options.subscriptions) {
      this.#interestsByType.set(typeUrl, {
        isWildcard: names === undefined,
        names: new Set(names),
        versions: new Map(),
        isSynced: false,
      });
    }
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Whether every type was answered at least once since the start. */
  get isSynced(): boolean {
    return [...this.#interestsByType.values()].every((interest) => interest.isSynced);
  }

  /** Until aborted: connects, and again with backoff and jitter when the stream ends. */
  async run(signal: AbortSignal): Promise<void> {
    let retryMs = retryMsMin;
    while (!signal.aborted) {
      const begun = this.#host.clock.elapsed();
      const cause = await this.#runStream(signal);
      this.#isConnected = false;
      if (signal.aborted) return;
      if (this.#host.clock.elapsed() - begun > stableMs) retryMs = retryMsMin;
      const waitMs = retryMs / 2 + this.#host.random.below(Math.ceil(retryMs / 2));
      this.#host.log.info("xds.disconnected", { cause, retryMs: Math.round(waitMs) });
      this.#options.connection?.({ isConnected: false, cause, retryMs: waitMs });
      retryMs = Math.min(retryMs * 2, retryMsMax);
      await this.#host.clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  subscribe(typeUrl: string, names: readonly string[]): void {
    const interest = this.#interestsByType.get(typeUrl);
    const added = names.filter((name) => !interest?.names.has(name));
    if (!interest) {
      const fresh = { isWildcard: false, names: new Set(added), versions: new Map<string, string>(), isSynced: false };
      this.#interestsByType.set(typeUrl, fresh);
    }
    for (const name of added) interest?.names.add(name);
    if (added.length > 0) this.#write({ typeUrl, subscribe: added });
  }

  unsubscribe(typeUrl: string, names: readonly string[]): void {
    const interest = this.#interestsByType.get(typeUrl);
    const gone = names.filter((name) => interest?.names.delete(name));
    for (const name of gone) interest?.versions.delete(name);
    if (gone.length > 0) this.#write({ typeUrl, unsubscribe: gone });
  }

  /** Resolves with a sentence when the stream has ended. */
  async #runStream(signal: AbortSignal): Promise<string> {
    const target = this.#options.target();
    if (target === undefined) return "No address of the server is known yet.";
    try {
      const metadata = new grpc.Metadata();
      for (const [key, value] of Object.entries((await this.#options.metadata?.()) ?? {})) metadata.set(key, value);
      const { channelOptions } = this.#options;
      const credentials = () => this.#options.credentials();
      return await this.#follow({ target, metadata, channelOptions, credentials }, signal);
    } catch (cause) {
      return errorText(cause);
    } finally {
      this.#stream = undefined;
    }
  }

  #follow(dialled: Dialled, signal: AbortSignal): Promise<string> {
    const { open = openGrpcStream } = this.#options;
    return new Promise((resolve) => {
      const abort = () => stream.cancel();
      const stream = open(dialled, {
        received: (message) => {
          const response = responseOf(message);
          if (response !== undefined) return this.#receive(response);
          resolve("The server sent a message that cannot be read.");
          stream.cancel();
        },
        ended: (cause) => {
          signal.removeEventListener("abort", abort);
          resolve(cause);
        },
      });
      signal.addEventListener("abort", abort, { once: true });
      this.#stream = stream;
      if (signal.aborted) stream.cancel();
      else this.#introduce();
    });
  }

  /** The first request of each type says what is wanted and what is here already. */
  #introduce(): void {
    let isFirst = true;
    for (const [typeUrl, interest] of this.#interestsByType) {
      const subscribe = interest.isWildcard ? ["*", ...interest.names] : [...interest.names];
      if (subscribe.length === 0) continue;
      this.#write({
        typeUrl,
        subscribe,
        initialVersions: interest.versions,
        ...(isFirst ? { node: this.#options.node } : {}),
      });
      isFirst = false;
    }
  }

  #receive(response: DiscoveryResponse): void {
    const { typeUrl, nonce } = response;
    const interest = this.#interestsByType.get(typeUrl);
    if (!this.#isConnected) {
      this.#isConnected = true;
      this.#options.connection?.({ isConnected: true });
    }
    if (!interest) return this.#write({ typeUrl, nonce, error: `Type ${typeUrl} was not asked for.` });
    try {
      this.#options.received({ typeUrl, upserts: response.resources, removals: response.removed });
    } catch (cause) {
      const error = errorText(cause);
      this.#host.log.warn("xds.refused", { type: typeUrl, cause: error });
      return this.#write({ typeUrl, nonce, error });
    }
    for (const { name, version } of response.resources) interest.versions.set(name, version);
    for (const name of response.removed) interest.versions.delete(name);
    interest.isSynced = true;
    this.#write({ typeUrl, nonce });
  }

  #write(request: Partial<DiscoveryRequest> & { readonly typeUrl: string }): void {
    const whole = { subscribe: [], unsubscribe: [], initialVersions: new Map(), nonce: "", ...request };
    this.#stream?.send(encodeRequest(whole));
  }
}

function responseOf(message: Uint8Array): DiscoveryResponse | undefined {
  try {
    return decodeResponse(message);
  } catch {
    return undefined;
  }
}
