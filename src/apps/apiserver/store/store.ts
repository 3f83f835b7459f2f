/**
 * All objects of one cluster: in memory, with one revision for the whole cluster (A10), a watch history per bucket, and
 * a log on disk (A12). Writers see each other's writes at once; readers and watchers see a write when it would survive a
 * crash, and one that the disk refused never. Owns the objects: they are never changed in place.
 */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import { Disk } from "./disk.ts";
import type { Files } from "./log-file.ts";
import type { Change } from "./history.ts";
import { History } from "./history.ts";

/**
 * Revisions skipped at each start. A client may have seen writes that a crash took back; their revisions must never
 * be given again, and asking for one of them must answer 410.
 */
const startGap = 1_000;

export interface StoreOptions {
  /** Absent: memory only. */
  readonly directory?: string | undefined;
  /** False skips fdatasync: a crash of the machine may lose writes, a crash of the process does not. */
  readonly isSynced: boolean;
  /** Log size that brings about a snapshot. */
  readonly snapshotBytes?: number | undefined;
  /** Tests give a disk that fails. */
  readonly files?: Files | undefined;
}

/** While the disk refuses writes, it is asked again after this. */
const mendMs = 1_000;

/** What readers see of a key that has writes on their way to the disk. */
interface Shadow {
  object: AnyObject | undefined;
  /** Revision of the last of those writes. */
  last: number;
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

interface Bucket {
  readonly objects: Map<string, AnyObject>;
  readonly shadows: Map<string, Shadow>;
  sortedKeys: string[] | undefined;
  readonly history: History;
  readonly hearers: Set<(change: Change) => void>;
}

export class Store {
  readonly #host: Host;
  readonly #closing = new AbortController();
  readonly #buckets = new Map<string, Bucket>();
  #disk: Disk | undefined;
  /** Of the last write, and of the last one that is durable. */
  #head = 0;
  #revision = 0;
  /** Watches may begin in [replayed…lastReplayed] or from `start` on; what lies between was never durable. */
  #lastReplayed = 0;
  #start = 0;
  #floor = 0;
  /** On their way to the disk, in order; a mere revision is a record that changes nothing. */
  #pending: { readonly revision: number; readonly bucket?: Bucket; readonly change?: Change }[] = [];
  #waiters: Waiter[] = [];
  #failure: KubeError | undefined;

  private constructor(host: Host) {
    this.#host = host;
  }

  static async open(host: Host, options: StoreOptions): Promise<Store> {
    const store = new Store(host);
    const { directory } = options;
    if (directory === undefined) {
      store.#head = store.#revision = store.#start = store.#lastReplayed = store.#floor = 1;
      return store;
    }
    const listener = {
      written: (records: number) => store.#written(records),
      failed: (cause: Error) => store.#failed(cause),
    };
    const disk = await Disk.open(host, { ...options, directory, listener });
    store.#disk = disk;
    try {
      await store.#replay(disk);
    } catch (cause) {
      await store.close();
      throw cause;
    }
    return store;
  }

  /** Of the last write that readers see. */
  get revision(): number {
    return this.#revision;
  }

  /** Why no write is possible at present. */
  get failure(): string | undefined {
    return this.#failure?.message;
  }

  /** As writers see it: with what is on its way to the disk. */
  get(bucket: string, key: string): AnyObject | undefined {
    return this.#buckets.get(bucket)?.objects.get(key);
  }

  /** As writers see it, by key. `prefix` is `<namespace>/` for one namespace. */
  list(bucket: string, prefix = ""): readonly AnyObject[] {
    const found = this.#buckets.get(bucket);
    if (found === undefined) return [];
    return keysOf(found, prefix).flatMap((key) => found.objects.get(key) ?? []);
  }

  /** As readers see it, at `revision`. */
  read(bucket: string, key: string): AnyObject | undefined {
    const found = this.#buckets.get(bucket);
    const shadow = found?.shadows.get(key);
    return shadow === undefined ? found?.objects.get(key) : shadow.object;
  }

  /** As readers see it, at `revision`, by key. */
  readAll(bucket: string, prefix = ""): readonly AnyObject[] {
    const found = this.#buckets.get(bucket);
    if (found === undefined) return [];
    const gone = [...found.shadows.keys()].filter((key) => key.startsWith(prefix) && !found.objects.has(key));
    const keys = keysOf(found, prefix);
    const all = gone.length === 0 ? keys : [...keys, ...gone].sort();
    return all.flatMap((key) => this.read(bucket, key) ?? []);
  }

  buckets(): readonly string[] {
    return [...this.#buckets.keys()].sort();
  }

  /** Writes the object under the next revision and returns it as stored. Throws while the disk refuses writes. */
  put(bucket: string, key: string, object: AnyObject): AnyObject {
    const stored = atRevision(object, this.#head + 1);
    this.#write(bucket, key, stored, false);
    return stored;
  }

  /** `last` is the state that watchers see: as stored, or with the deletion's marks. */
  remove(bucket: string, key: string, last: AnyObject): AnyObject {
    const removed = atRevision(last, this.#head + 1);
    this.#write(bucket, key, removed, true);
    return removed;
  }

  /** Resolves when every write so far would survive a crash; rejects when one was taken back instead. */
  async durable(): Promise<void> {
    const disk = this.#disk;
    if (disk === undefined) return;
    const revision = this.#pending.at(-1)?.revision;
    if (revision !== undefined) {
      await new Promise<void>((resolve, reject) => this.#waiters.push({ revision, resolve, reject }));
    } else if (this.#failure !== undefined) throw this.#failure;
    if (disk.wantsSnapshot) disk.snapshot(this.#head, this.#rows());
  }

  /** Throws 410 Expired when watching or reading from this revision would miss changes. */
  assertReachable(bucket: string, revision: number): void {
    const isTakenBack = revision > this.#lastReplayed && revision < this.#start;
    const floor = this.#buckets.get(bucket)?.history.floor ?? this.#floor;
    if (!isTakenBack && revision >= floor) return;
    throw new KubeError(410, "Expired", `too old resource version: ${revision} (${Math.max(floor, this.#start)})`);
  }

  /** Hears every change after `revision`, the past ones before this returns. Returns what ends it. */
  watch(bucket: string, revision: number, heard: (change: Change) => void): () => void {
    this.assertReachable(bucket, revision);
    const { history, hearers } = this.#bucket(bucket);
    for (const change of history.after(revision)) heard(change);
    // A new function object each time, so that one hearer may watch twice. A revision of the future waits for its time.
    const hear = (change: Change) => {
      if (change.revision > revision) heard(change);
    };
    hearers.add(hear);
    return () => hearers.delete(hear);
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("the store is closed"));
    await this.#disk?.close();
  }

  #bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      const history = new History(this.#floor);
      bucket = { objects: new Map(), shadows: new Map(), sortedKeys: undefined, history, hearers: new Set() };
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  #write(bucketName: string, key: string, object: AnyObject, isDelete: boolean): void {
    if (this.#failure !== undefined) throw this.#failure;
    const revision = this.#head + 1;
    this.#disk?.append({ r: revision, o: isDelete ? "del" : "put", b: bucketName, k: key, v: object });
    const bucket = this.#bucket(bucketName);
    const change = this.#apply(bucket, { key, revision, object, isDelete });
    if (this.#disk === undefined) {
      this.#tell(bucket, change);
      return;
    }
    const shadow = bucket.shadows.get(key);
    if (shadow === undefined) bucket.shadows.set(key, { object: change.previous, last: revision });
    else shadow.last = revision;
    this.#pending.push({ revision, bucket, change });
  }

  #apply(bucket: Bucket, write: { key: string; revision: number; object: AnyObject; isDelete: boolean }): Change {
    const { key, revision, object, isDelete } = write;
    const previous = bucket.objects.get(key);
    this.#head = revision;
    if (isDelete) bucket.objects.delete(key);
    else bucket.objects.set(key, object);
    if (isDelete || previous === undefined) bucket.sortedKeys = undefined;
    const type = isDelete ? "DELETED" : previous === undefined ? "ADDED" : "MODIFIED";
    return { type, revision, key, object, previous, timeMs: this.#host.clock.now() };
  }

  #tell(bucket: Bucket, change: Change): void {
    this.#revision = change.revision;
    bucket.history.add(change);
    for (const hear of bucket.hearers) hear(change);
  }

  #written(records: number): void {
    for (const { revision, bucket, change } of this.#pending.splice(0, records)) {
      if (bucket === undefined || change === undefined) {
        this.#revision = revision;
        continue;
      }
      const shadow = bucket.shadows.get(change.key);
      if (shadow?.last === revision) bucket.shadows.delete(change.key);
      else if (shadow !== undefined) shadow.object = change.type === "DELETED" ? undefined : change.object;
      this.#tell(bucket, change);
    }
    const done = this.#waiters.findIndex(({ revision }) => revision > this.#revision);
    for (const { resolve } of this.#waiters.splice(0, done < 0 ? this.#waiters.length : done)) resolve();
  }

  /** Takes back what did not reach the disk; nobody but writers saw it. Its revisions are never given again. */
  #failed(cause: Error): void {
    const isNew = this.#failure === undefined;
    const message =
      `Internal error occurred: nothing was changed, because ${cause.message}. ` +
      `Free space, or mend the disk; the API server tries again every second.`;
    const failure = (this.#failure = new KubeError(500, "InternalError", message));
    for (const { bucket } of this.#pending.splice(0)) {
      for (const [key, { object }] of bucket?.shadows ?? []) {
        if (object === undefined) bucket?.objects.delete(key);
        else bucket?.objects.set(key, object);
      }
      bucket?.shadows.clear();
      if (bucket !== undefined) bucket.sortedKeys = undefined;
    }
    for (const { reject } of this.#waiters.splice(0)) reject(failure);
    if (!isNew) return;
    this.#host.log.error("apiserver.disk.failed", { cause: cause.message });
    void this.#mend();
  }

  async #mend(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await this.#host.clock.sleep(mendMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#disk?.mend();
        await this.#mark(this.#head + 1);
        break;
      } catch {
        // Said when it began; readiness says so as long as it lasts.
      }
    }
    this.#failure = undefined;
    this.#host.log.info("apiserver.disk.mended", { revision: this.#revision });
  }

  /** Writes a record that only moves the revision on, and waits for it. */
  async #mark(revision: number): Promise<void> {
    this.#disk?.append({ r: revision, o: "start" });
    this.#head = revision;
    this.#pending.push({ revision });
    await new Promise<void>((resolve, reject) => this.#waiters.push({ revision, resolve, reject }));
  }

  async #replay(disk: Disk): Promise<void> {
    const { snapshot, changes } = disk.replayed;
    this.#floor = this.#head = this.#revision = snapshot.revision;
    for (const row of snapshot.rows) this.#bucket(row.b).objects.set(row.k, row.v);
    for (const change of changes) {
      if (change.o === "start") this.#head = this.#revision = change.r;
      else {
        const bucket = this.#bucket(change.b);
        const write = { key: change.k, revision: change.r, object: change.v, isDelete: change.o === "del" };
        this.#tell(bucket, this.#apply(bucket, write));
      }
    }
    this.#lastReplayed = this.#revision;
    this.#start = this.#revision + startGap;
    await this.#mark(this.#start);
  }

  *#rows(): Generator<{ b: string; k: string; v: AnyObject }> {
    // Maps are copied first: the writer runs while new writes come in, and objects themselves never change.
    const copies = [...this.#buckets].map(([name, bucket]) => [name, [...bucket.objects]] as const);
    for (const [b, objects] of copies) for (const [k, v] of objects) yield { b, k, v };
  }
}

function keysOf(bucket: Bucket, prefix: string): readonly string[] {
  bucket.sortedKeys ??= [...bucket.objects.keys()].sort();
  return prefix === "" ? bucket.sortedKeys : bucket.sortedKeys.filter((key) => key.startsWith(prefix));
}

const atRevision = (object: AnyObject, revision: number): AnyObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});
