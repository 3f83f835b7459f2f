/**
 * One client's delta stream on the server's side, without the transport: what it subscribed to, what it has, what it is
 * owed. What is in flight is bounded for each type; a change that comes meanwhile only marks names. Types do not wait for
 * each other's acknowledgement: Envoy acknowledges clusters only once their endpoints and certificates have come.
 */
import type { Host } from "../host/host.ts";
import { encodeResponse, type DiscoveryRequest, type DiscoveryResource, type DiscoveryResponse } from "./discovery.ts";
import type { ResourceSource } from "./resource-source.ts";

/** Sent as one message at most, unless a single resource is larger. */
const responseBytesMax = 1 << 20;
/** Sent and not acknowledged, for each type. */
const inFlightBytesMax = 2 << 20;
const inFlightResponsesMax = 64;
const namesMaxDefault = 200_000;
const typesMax = 64;
const retryMsMin = 500;
const retryMsMax = 10_000;
export const acknowledgeMsDefault = 60_000;

/** What a client has under a name when it is not a version. */
const isMissing = "missing";
const isRefused = "refused";

const nothing = new Uint8Array();

export interface StreamRejection {
  readonly typeUrl: string;
  readonly names: readonly string[];
  readonly message: string;
}

export interface DeltaStreamOptions {
  readonly pushOrder: readonly string[];
  readonly acknowledgeMsMax: number;
  /** Names that one client may ask for, for each type. */
  readonly namesMax?: number | undefined;
  send(response: Uint8Array): void;
  /** The client broke the protocol or does not read: the stream must end with this sentence. */
  fail(why: string): void;
  rejected(rejection: StreamRejection): void;
  /** The client has taken these. */
  accepted?(typeUrl: string, names: readonly string[]): void;
}

interface Subscription {
  isWildcard: boolean;
  readonly asked: Set<string>;
  /** Name → version the client has, or one of the two words above. */
  readonly known: Map<string, string>;
  readonly dirty: Set<string>;
  /** The first wildcard answer is owed even when it is empty: clients wait for it to start. */
  isAnswerOwed: boolean;
  readonly inFlightByNonce: Map<string, InFlight>;
  readonly refused: Set<string>;
  retryMs: number;
  cancelRetry: () => void;
}

interface InFlight {
  readonly byteCount: number;
  readonly names: readonly string[];
  readonly cancelTimer: () => void;
}

export class DeltaStream {
  readonly #host: Host;
  readonly #source: ResourceSource;
  readonly #options: DeltaStreamOptions;
  readonly #subscriptionsByType = new Map<string, Subscription>();
  #nonce = 0;
  #isFlushQueued = false;
  #isClosed = false;

  constructor(host: Host, source: ResourceSource, options: DeltaStreamOptions) {
    this.#host = host;
    this.#source = source;
    this.#options = options;
  }

  /** The client has answered to everything that it was sent. */
  get isAnswered(): boolean {
    if (this.#isFlushQueued) return false;
    return [...this.#subscriptionsByType.values()].every(({ inFlightByNonce }) => inFlightByNonce.size === 0);
  }

  receive(request: DiscoveryRequest): void {
    if (this.#isClosed) return;
    const { typeUrl } = request;
    if (typeUrl === "") return this.#options.fail("A discovery request must name a type.");
    const known = this.#subscriptionsByType.get(typeUrl);
    const subscription = known ?? this.#begin(request);
    if (!subscription) return;
    this.#acknowledge(request, subscription);
    for (const name of request.unsubscribe) this.#unsubscribe(typeUrl, subscription, name);
    const { namesMax = namesMaxDefault } = this.#options;
    const refused: string[] = [];
    for (const name of request.subscribe) {
      const isTooMany = subscription.asked.size >= namesMax && !subscription.asked.has(name);
      if (isTooMany) refused.push(name);
      else this.#subscribe(typeUrl, subscription, name, known === undefined);
    }
    // Said to be missing, at once: who asks for too much must not lose what it has.
    if (refused.length > 0) this.#send(typeUrl, subscription, { resources: [], removed: refused });
    this.#queueFlush();
  }

  /** The resources of these names may have changed, come or gone. */
  changed(typeUrl: string, names: Iterable<string>): void {
    const subscription = this.#subscriptionsByType.get(typeUrl);
    if (!subscription) return;
    for (const name of names) {
      const isFollowed = this.#wants(typeUrl, subscription, name) || this.#isForgetting(typeUrl, subscription);
      if (isFollowed || subscription.known.has(name)) subscription.dirty.add(name);
    }
    if (subscription.dirty.size > 0) this.#queueFlush();
  }

  /** Sends resources again although the client has them: Envoy wants its endpoints after an update of their cluster. */
  resend(typeUrl: string, names: Iterable<string>): void {
    const subscription = this.#subscriptionsByType.get(typeUrl);
    if (!subscription) return;
    for (const name of names) {
      if (!this.#wants(typeUrl, subscription, name)) continue;
      subscription.known.delete(name);
      subscription.dirty.add(name);
    }
    this.#queueFlush();
  }

  /** Takes away what the client asked for by name; it may ask again, and until then it is owed nothing. */
  withdraw(typeUrl: string, names: Iterable<string>): void {
    const subscription = this.#subscriptionsByType.get(typeUrl);
    if (!subscription || this.#isClosed) return;
    const removed: string[] = [];
    for (const name of names) {
      if (!subscription.asked.delete(name)) continue;
      const known = subscription.known.get(name);
      if (known !== undefined && known !== isMissing) removed.push(name);
      for (const set of [subscription.known, subscription.dirty, subscription.refused]) set.delete(name);
    }
    if (removed.length > 0) this.#send(typeUrl, subscription, { resources: [], removed });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const [typeUrl, subscription] of this.#subscriptionsByType) {
      subscription.cancelRetry();
      for (const { cancelTimer } of subscription.inFlightByNonce.values()) cancelTimer();
      for (const name of subscription.asked) this.#source.released?.(typeUrl, name);
    }
  }

  #begin(request: DiscoveryRequest): Subscription | undefined {
    if (this.#subscriptionsByType.size >= typesMax) {
      this.#options.fail(`More than ${typesMax} types were asked for.`);
      return undefined;
    }
    const subscription: Subscription = {
      isWildcard: false,
      asked: new Set(),
      known: new Map(request.initialVersions),
      dirty: new Set(request.initialVersions.keys()),
      isAnswerOwed: false,
      inFlightByNonce: new Map(),
      refused: new Set(),
      retryMs: retryMsMin,
      cancelRetry: () => undefined,
    };
    this.#subscriptionsByType.set(request.typeUrl, subscription);
    // A first request that names nothing asks for everything (the legacy wildcard).
    if (request.subscribe.length === 0 && request.unsubscribe.length === 0) {
      this.#beginWildcard(request.typeUrl, subscription);
    }
    return subscription;
  }

  #beginWildcard(typeUrl: string, subscription: Subscription): void {
    subscription.isWildcard = true;
    subscription.isAnswerOwed = true;
    for (const name of this.#source.names(typeUrl)) subscription.dirty.add(name);
  }

  #subscribe(typeUrl: string, subscription: Subscription, name: string, isFirst: boolean): void {
    if (name === "*") return this.#beginWildcard(typeUrl, subscription);
    // What is asked for again is sent again, but for the first request of a stream, which says what the client has.
    if (!isFirst) subscription.known.delete(name);
    if (!subscription.asked.has(name)) {
      subscription.asked.add(name);
      this.#source.asked?.(typeUrl, name);
    } else if (this.#source.get(typeUrl, name) === undefined) {
      this.#source.asked?.(typeUrl, name);
    }
    subscription.dirty.add(name);
  }

  #unsubscribe(typeUrl: string, subscription: Subscription, name: string): void {
    if (name === "*") {
      subscription.isWildcard = false;
      for (const key of subscription.known.keys()) if (!subscription.asked.has(key)) subscription.known.delete(key);
      return;
    }
    if (subscription.asked.delete(name)) this.#source.released?.(typeUrl, name);
    subscription.known.delete(name);
    // The wildcard still covers it, and the client has just dropped it.
    if (this.#wants(typeUrl, subscription, name)) subscription.dirty.add(name);
    else subscription.dirty.delete(name);
  }

  #acknowledge(request: DiscoveryRequest, subscription: Subscription): void {
    const inFlight = subscription.inFlightByNonce.get(request.nonce);
    // No nonce, or one of an earlier stream: a request that only subscribes.
    if (!inFlight) return;
    inFlight.cancelTimer();
    subscription.inFlightByNonce.delete(request.nonce);
    if (request.error === undefined) {
      for (const name of inFlight.names) subscription.refused.delete(name);
      if (subscription.refused.size === 0) subscription.retryMs = retryMsMin;
      if (inFlight.names.length > 0) this.#options.accepted?.(request.typeUrl, inFlight.names);
      return;
    }
    for (const name of inFlight.names) {
      subscription.known.set(name, isRefused);
      subscription.refused.add(name);
    }
    this.#options.rejected({ typeUrl: request.typeUrl, names: inFlight.names, message: request.error });
    this.#retryLater(subscription);
  }

  /** The cause may lie outside the resource, such as a network namespace that is not there yet: it is sent again. */
  #retryLater(subscription: Subscription): void {
    subscription.cancelRetry();
    subscription.cancelRetry = this.#host.clock.after(subscription.retryMs, () => {
      for (const name of subscription.refused) subscription.dirty.add(name);
      this.#queueFlush();
    });
    subscription.retryMs = Math.min(subscription.retryMs * 2, retryMsMax);
  }

  #wants(typeUrl: string, subscription: Subscription, name: string): boolean {
    return subscription.asked.has(name) || (subscription.isWildcard && this.#source.isListed(typeUrl, name));
  }

  /** Whether nothing is noted of what was sent. */
  #isForgetting(typeUrl: string, subscription: Subscription): boolean {
    return subscription.isWildcard && this.#source.isWhole?.(typeUrl) === true;
  }

  #note(typeUrl: string, subscription: Subscription, name: string, version: string): void {
    if (this.#isForgetting(typeUrl, subscription) && !subscription.asked.has(name)) subscription.known.delete(name);
    else subscription.known.set(name, version);
  }

  /** Changes of one turn go out together. */
  #queueFlush(): void {
    if (this.#isFlushQueued || this.#isClosed) return;
    this.#isFlushQueued = true;
    queueMicrotask(() => {
      this.#isFlushQueued = false;
      this.#flush();
    });
  }

  /** Additions in push order, then removals the other way round. What does not fit waits for acknowledgements. */
  #flush(): void {
    const types = this.#typesInOrder();
    for (const typeUrl of types) while (this.#sendUpserts(typeUrl));
    for (const typeUrl of types.reverse()) this.#sendRemovals(typeUrl);
  }

  #hasRoom(subscription: Subscription): boolean {
    const { inFlightByNonce } = subscription;
    const bytes = [...inFlightByNonce.values()].reduce((sum, { byteCount }) => sum + byteCount, 0);
    return !this.#isClosed && bytes < inFlightBytesMax && inFlightByNonce.size < inFlightResponsesMax;
  }

  #typesInOrder(): string[] {
    const rank = (typeUrl: string) => {
      const at = this.#options.pushOrder.indexOf(typeUrl);
      return at === -1 ? this.#options.pushOrder.length : at;
    };
    return [...this.#subscriptionsByType.keys()].sort((a, b) => rank(a) - rank(b));
  }

  #sendUpserts(typeUrl: string): boolean {
    const subscription = this.#subscriptionsByType.get(typeUrl);
    if (!subscription || !this.#hasRoom(subscription)) return false;
    const resources: DiscoveryResource[] = [];
    let size = 0;
    for (const name of subscription.dirty) {
      const found = this.#wants(typeUrl, subscription, name) ? this.#source.get(typeUrl, name) : undefined;
      if (!found) continue;
      const isKnown = subscription.known.get(name) === found.version;
      // Bytes may have to be made.
      const bytes = isKnown ? nothing : found.bytes;
      if (size > 0 && size + bytes.length > responseBytesMax) break;
      subscription.dirty.delete(name);
      this.#note(typeUrl, subscription, name, found.version);
      if (isKnown) continue;
      resources.push({ name, typeUrl, version: found.version, bytes });
      size += bytes.length;
    }
    if (resources.length === 0 && !subscription.isAnswerOwed) return false;
    subscription.isAnswerOwed = false;
    this.#send(typeUrl, subscription, { resources, removed: [] });
    return true;
  }

  /** After the upserts, what is dirty and has no resource is gone. */
  #sendRemovals(typeUrl: string): void {
    const subscription = this.#subscriptionsByType.get(typeUrl);
    if (!subscription || !this.#hasRoom(subscription)) return;
    const removed: string[] = [];
    for (const name of subscription.dirty) {
      // What still has a resource found no room.
      if (this.#wants(typeUrl, subscription, name) && this.#source.get(typeUrl, name)) continue;
      subscription.dirty.delete(name);
      const known = subscription.known.get(name);
      const isAsked = subscription.asked.has(name);
      // One who asks by name is told once that there is none; the others only lose what they have.
      const isForgotten = known === undefined && !isAsked && !this.#isForgetting(typeUrl, subscription);
      if (known === isMissing || isForgotten) continue;
      subscription.refused.delete(name);
      if (isAsked) subscription.known.set(name, isMissing);
      else subscription.known.delete(name);
      removed.push(name);
    }
    if (removed.length > 0) this.#send(typeUrl, subscription, { resources: [], removed });
  }

  #send(typeUrl: string, subscription: Subscription, content: Pick<DiscoveryResponse, "resources" | "removed">): void {
    this.#nonce += 1;
    const nonce = String(this.#nonce);
    const { acknowledgeMsMax } = this.#options;
    const cancelTimer = this.#host.clock.after(acknowledgeMsMax, () =>
      this.#options.fail(`The client did not acknowledge a response of ${typeUrl} within ${acknowledgeMsMax} ms.`),
    );
    const bytes = encodeResponse({ typeUrl, nonce, ...content });
    const names = content.resources.map(({ name }) => name);
    subscription.inFlightByNonce.set(nonce, { byteCount: bytes.length, names, cancelTimer });
    this.#options.send(bytes);
  }
}
