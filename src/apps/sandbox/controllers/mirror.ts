/**
 * The objects of one kind as these controllers know them: what the informer has said, plus their own writes that it has
 * not said yet. So a controller never acts on a state older than its own last act, and needs no counting of
 * expectations. The mirror owns the overlay and the indexes by namespace and owner.
 */
import { objectKey, type KubeObject, type ResourceType } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import type { DeleteOptions, KubeClient, Ref } from "../../../io/kube/client.ts";
import { isReason } from "../../../io/kube/client.ts";
import { startInformer, type Informer, type InformerChange } from "../../../io/kube/informer.ts";

/** An own write that the informer has not confirmed by then (created and deleted in between) is forgotten. */
const unconfirmedMsMax = 10_000;

interface OwnWrite<T> {
  readonly object: T;
  readonly forget: () => void;
}

/** Revisions are decimal and grow (A10). */
const revisionOf = (object: KubeObject): number => Number(object.metadata.resourceVersion ?? 0);

export const refOf = (object: KubeObject): Ref => ({
  name: object.metadata.name,
  namespace: object.metadata.namespace,
});

export class Mirror<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly synced: Promise<void>;
  readonly #host: Host;
  readonly #client: KubeClient;
  readonly #signal: AbortSignal;
  readonly #informer: Informer<T>;
  readonly #objects = new Map<string, T>();
  readonly #written = new Map<string, OwnWrite<T>>();
  /** Uids that we have asked to delete and the informer still shows alive. */
  readonly #deleting = new Map<string, { readonly key: string; readonly forget: () => void }>();
  readonly #keysByNamespace = new Map<string, Set<string>>();
  readonly #keysByOwner = new Map<string, Set<string>>();
  readonly #listeners: ((change: InformerChange<T>) => void)[] = [];
  #revisionSeen = 0;

  constructor(host: Host, client: KubeClient, type: ResourceType<T>, signal: AbortSignal) {
    this.type = type;
    this.#host = host;
    this.#client = client;
    this.#signal = signal;
    this.#informer = startInformer(host, client, type, { signal });
    this.#informer.onChange((changes) => this.#observe(changes));
    this.synced = this.#informer.synced.then(() => {
      for (const key of this.#informer.objects.keys()) this.#refresh(key);
    });
    signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  all(): Iterable<T> {
    return this.#objects.values();
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  inNamespace(namespace: string): readonly T[] {
    return this.#pick(this.#keysByNamespace.get(namespace));
  }

  /** Every object with an owner reference (of any sort) to this uid. */
  ownedBy(uid: string | undefined): readonly T[] {
    return uid === undefined ? [] : this.#pick(this.#keysByOwner.get(uid));
  }

  onChange(heard: (change: InformerChange<T>) => void): void {
    this.#listeners.push(heard);
  }

  async create(object: T): Promise<T> {
    return this.#wrote(await this.#client.create(this.type, object, { signal: this.#signal }));
  }

  /** Replaces the object, or one subresource of it, if nobody changed it since it was read. */
  async update(object: T, subresource?: string): Promise<T> {
    return this.#wrote(await this.#client.update(this.type, object, { subresource, signal: this.#signal }));
  }

  async merge(object: T, body: unknown): Promise<T> {
    const patch = { type: "merge", body } as const;
    return this.#wrote(await this.#client.patch(this.type, refOf(object), patch, { signal: this.#signal }));
  }

  /** Deletes this very object (by uid); one that is gone already counts as deleted. */
  async delete(object: T, options: Omit<DeleteOptions, "uid" | "signal"> = {}): Promise<void> {
    const uid = object.metadata.uid;
    try {
      await this.#client.delete(this.type, refOf(object), { ...options, uid, signal: this.#signal });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    this.#deleted(object);
  }

  #wrote(object: T): T {
    const key = objectKey(object);
    const observed = this.#informer.objects.get(key);
    const isSeen = this.#revisionSeen >= revisionOf(object);
    if (isSeen || (observed !== undefined && revisionOf(observed) >= revisionOf(object))) return object;
    this.#written.get(key)?.forget();
    const cancel = this.#host.clock.after(unconfirmedMsMax, () => this.#forgetWrite(key));
    this.#written.set(key, { object, forget: cancel });
    this.#refresh(key);
    return object;
  }

  #deleted(object: T): void {
    const key = objectKey(object);
    const uid = object.metadata.uid;
    const known = this.#objects.get(key);
    if (uid === undefined || known?.metadata.uid !== uid || this.#deleting.has(uid)) return;
    if (known.metadata.deletionTimestamp !== undefined) return;
    const cancel = this.#host.clock.after(unconfirmedMsMax, () => {
      this.#deleting.delete(uid);
      this.#refresh(key);
    });
    this.#deleting.set(uid, { key, forget: cancel });
    this.#refresh(key);
  }

  #forgetWrite(key: string): void {
    this.#written.get(key)?.forget();
    this.#written.delete(key);
    this.#refresh(key);
  }

  #observe(changes: readonly InformerChange<T>[]): void {
    for (const { after } of changes) {
      if (after !== undefined) this.#revisionSeen = Math.max(this.#revisionSeen, revisionOf(after));
    }
    for (const { key, before, after } of changes) {
      const written = this.#written.get(key);
      const isGone = after === undefined && written?.object.metadata.uid === before?.metadata.uid;
      if (written !== undefined && isGone) {
        written.forget();
        this.#written.delete(key);
      }
      const uid = before?.metadata.uid;
      if (uid !== undefined && (after?.metadata.uid !== uid || after.metadata.deletionTimestamp !== undefined)) {
        this.#deleting.get(uid)?.forget();
        this.#deleting.delete(uid);
      }
      this.#refresh(key);
    }
    // Events of one kind come in the order of revisions: whatever was written before the newest one is known by now.
    for (const [key, written] of this.#written) {
      if (revisionOf(written.object) <= this.#revisionSeen) this.#forgetWrite(key);
    }
  }

  #current(key: string): T | undefined {
    const observed = this.#informer.objects.get(key);
    const written = this.#written.get(key)?.object;
    const isNewer = written !== undefined && revisionOf(written) > (observed === undefined ? 0 : revisionOf(observed));
    const object = isNewer ? written : observed;
    if (object?.metadata.uid === undefined || object.metadata.deletionTimestamp !== undefined) return object;
    if (!this.#deleting.has(object.metadata.uid)) return object;
    const known = this.#objects.get(key);
    if (known?.metadata.deletionTimestamp !== undefined && revisionOf(known) === revisionOf(object)) return known;
    const deletionTimestamp = isoSeconds(this.#host.clock.now());
    return { ...object, metadata: { ...object.metadata, deletionTimestamp } };
  }

  #refresh(key: string): void {
    const before = this.#objects.get(key);
    const after = this.#current(key);
    if (before === after) return;
    if (before !== undefined) this.#unindex(key, before);
    if (after === undefined) this.#objects.delete(key);
    else {
      this.#objects.set(key, after);
      this.#index(key, after);
    }
    // The informer's echo of an own write is a new object of the same revision: nothing new to tell.
    const isEcho =
      before !== undefined &&
      after !== undefined &&
      revisionOf(before) === revisionOf(after) &&
      before.metadata.uid === after.metadata.uid &&
      before.metadata.deletionTimestamp === after.metadata.deletionTimestamp;
    if (!isEcho) for (const heard of this.#listeners) heard({ key, before, after });
  }

  #index(key: string, object: T): void {
    insert(this.#keysByNamespace, object.metadata.namespace ?? "", key);
    for (const owner of object.metadata.ownerReferences ?? []) insert(this.#keysByOwner, owner.uid, key);
  }

  #unindex(key: string, object: T): void {
    remove(this.#keysByNamespace, object.metadata.namespace ?? "", key);
    for (const owner of object.metadata.ownerReferences ?? []) remove(this.#keysByOwner, owner.uid, key);
  }

  #pick(keys: ReadonlySet<string> | undefined): readonly T[] {
    return [...(keys ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  #stop(): void {
    for (const { forget } of [...this.#written.values(), ...this.#deleting.values()]) forget();
  }
}

const insert = (index: Map<string, Set<string>>, at: string, key: string): void => {
  const keys = index.get(at);
  if (keys === undefined) index.set(at, new Set([key]));
  else keys.add(key);
};

const remove = (index: Map<string, Set<string>>, at: string, key: string): void => {
  const keys = index.get(at);
  keys?.delete(key);
  if (keys?.size === 0) index.delete(at);
};
