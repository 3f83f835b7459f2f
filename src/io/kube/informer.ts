/**
 * A cache of every object of one kind, kept equal to the API server by list and watch, and the changes to it in order.
 * The informer owns its map; readers see it between changes only. A kind whose CRD is not installed counts as a kind
 * without objects, and is asked for again until it is there.
 */
import { errorText } from "../../core/api/error-text.ts";
import { objectKey } from "../../core/api/kube.ts";
import type { KubeObject, ResourceType } from "../../core/api/kube.ts";
import type { Host } from "../host/host.ts";
import { backoffMs } from "./backoff.ts";
import { KubeError } from "./client.ts";
import type { KubeClient, WatchEvent } from "./client.ts";

/** `before` is absent for an addition, `after` for a removal. */
export interface InformerChange<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

export interface Informer<T> {
  /** By `objectKey`. */
  readonly objects: ReadonlyMap<string, T>;
  /** Resolves after the first complete list; rejects with the signal's reason when aborted before. */
  readonly synced: Promise<void>;
  /** Calls `heard` at once with what is there as additions, then with every change in order. */
  onChange(heard: (changes: readonly InformerChange<T>[]) => void): void;
}

export interface InformerOptions<T = KubeObject> {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** What is kept of an object, where that is less than all of it; name, uid and revision must be. */
  readonly keep?: (object: T) => T;
  readonly signal: AbortSignal;
}

const retry = { baseMs: 100, maxMs: 10_000 };
/** A watch that lived this long was healthy: the next failure starts counting anew. */
const healthyWatchMs = 5_000;
/**
 * Answers of "not found" in a row before a kind counts as not installed: an API server that starts may say so briefly,
 * and objects that were there are not given up lightly.
 */
const missingKindAnswers = { whenEmpty: 3, whenKnown: 10 };

export function startInformer<T extends KubeObject>(
  host: Host,
  client: KubeClient,
  type: ResourceType<T>,
  options: InformerOptions<T>,
): Informer<T> {
  return new CachedKind(host, client, type, options);
}

class CachedKind<T extends KubeObject> implements Informer<T> {
  readonly objects = new Map<string, T>();
  readonly synced: Promise<void>;
  private readonly host: Host;
  private readonly client: KubeClient;
  private readonly type: ResourceType<T>;
  private readonly options: InformerOptions<T>;
  private readonly listeners: ((changes: readonly InformerChange<T>[]) => void)[] = [];
  private markSynced: () => void = () => undefined;
  /** Where the next watch starts; absent when a list must come first. */
  private revision: string | undefined;
  private failures = 0;
  private notFoundAnswers = 0;

  constructor(host: Host, client: KubeClient, type: ResourceType<T>, options: InformerOptions<T>) {
    this.host = host;
    this.client = client;
    this.type = type;
    this.options = options;
    this.synced = new Promise((resolve, reject) => {
      this.markSynced = resolve;
      const fail = () => reject(options.signal.reason as Error);
      if (options.signal.aborted) fail();
      else options.signal.addEventListener("abort", fail, { once: true });
    });
    // Whoever does not wait for the first list must not see its rejection as a crash.
    this.synced.catch(() => undefined);
    void this.run();
  }

  onChange(heard: (changes: readonly InformerChange<T>[]) => void): void {
    this.listeners.push(heard);
    if (this.objects.size === 0) return;
    heard([...this.objects].map(([key, after]) => ({ key, before: undefined, after })));
  }

  private async run(): Promise<void> {
    const { signal } = this.options;
    while (!signal.aborted) {
      try {
        if (this.revision === undefined) await this.relist();
        await this.follow();
      } catch (error) {
        if (signal.aborted) return;
        this.failed(error);
      }
      const retryMs = backoffMs(this.host.random, this.failures, retry);
      await this.host.clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }

  private failed(error: unknown): void {
    this.failures += 1;
    const isExpired = error instanceof KubeError && (error.code === 410 || error.reason === "Expired");
    const isMissing = error instanceof KubeError && error.code === 404;
    if (isExpired || isMissing) this.revision = undefined;
    this.notFoundAnswers = isMissing ? this.notFoundAnswers + 1 : 0;
    const { whenEmpty, whenKnown } = missingKindAnswers;
    if (this.notFoundAnswers === (this.objects.size === 0 ? whenEmpty : whenKnown)) {
      this.host.log.info("informer.kind_missing", { kind: this.type.kind, group: this.type.group });
      this.replaceAll([]);
      this.markSynced();
    }
    if (isMissing || isExpired) return;
    const cause = errorText(error);
    this.host.log.warn("informer.retry", { kind: this.type.kind, cause, failures: this.failures });
  }

  private async relist(): Promise<void> {
    const list = await this.client.list(this.type, this.options);
    this.notFoundAnswers = 0;
    this.replaceAll(list.items);
    this.revision = list.resourceVersion;
    this.markSynced();
  }

  /** One watch, from `revision` until the server ends it. */
  private async follow(): Promise<void> {
    const resourceVersion = this.revision;
    if (resourceVersion === undefined) return;
    const startedAt = this.host.clock.elapsed();
    let events = 0;
    try {
      for await (const event of this.client.watch(this.type, { ...this.options, resourceVersion })) {
        events += 1;
        this.failures = 0;
        this.take(event);
      }
    } finally {
      if (this.host.clock.elapsed() - startedAt >= healthyWatchMs) this.failures = 0;
    }
    // A server that ends every watch at once, in good order, must not be asked without pause.
    if (events === 0 && this.host.clock.elapsed() - startedAt < healthyWatchMs) this.failures += 1;
  }

  private take(event: WatchEvent<T>): void {
    if (event.type === "BOOKMARK") {
      this.revision = event.object.metadata.resourceVersion;
      return;
    }
    const object = this.kept(event.object);
    this.revision = object.metadata.resourceVersion ?? this.revision;
    const key = objectKey(object);
    const before = this.objects.get(key);
    const after = event.type === "DELETED" ? undefined : object;
    if (before === undefined && after === undefined) return;
    if (after !== undefined && isSameVersion(before, after)) return;
    this.put(key, after);
    this.tell([{ key, before, after }]);
  }

  private replaceAll(items: readonly T[]): void {
    const listed = new Map(items.map((item) => [objectKey(item), this.kept(item)]));
    const changes: InformerChange<T>[] = [];
    for (const [key, before] of this.objects) {
      if (!listed.has(key)) changes.push({ key, before, after: undefined });
    }
    for (const [key, after] of listed) {
      const before = this.objects.get(key);
      if (!isSameVersion(before, after)) changes.push({ key, before, after });
    }
    for (const { key, after } of changes) this.put(key, after);
    if (changes.length > 0) this.tell(changes);
  }

  private kept(object: T): T {
    return this.options.keep === undefined ? object : this.options.keep(object);
  }

  private put(key: string, object: T | undefined): void {
    if (object === undefined) this.objects.delete(key);
    else this.objects.set(key, object);
  }

  private tell(changes: readonly InformerChange<T>[]): void {
    for (const heard of this.listeners) {
      try {
        heard(changes);
      } catch (error) {
        // A listener that throws is our bug, not the server's: it must end the process, not look like a broken watch.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** The same object at the same revision: a repeated event carries nothing new. */
const isSameVersion = (before: KubeObject | undefined, after: KubeObject): boolean =>
  before !== undefined &&
  before.metadata.uid === after.metadata.uid &&
  before.metadata.resourceVersion !== undefined &&
  before.metadata.resourceVersion === after.metadata.resourceVersion;
