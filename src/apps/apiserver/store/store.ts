/**
 * All objects of one cluster: in memory, with one revision for the whole cluster (A10), a watch history per bucket, and
 * a log on disk (A12). Writes are synchronous; `durable()` says when they would survive a crash. Owns the objects: they
 * are never changed in place, neither here nor by readers.
 */
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { KubeError } from "../../../io/kube/client.ts";
import { Disk } from "./disk.ts";
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
}

interface Bucket {
  readonly objects: Map<string, AnyObject>;
  sortedKeys: string[] | undefined;
  readonly history: History;
  readonly hearers: Set<(change: Change) => void>;
}

export class Store {
  readonly #host: Host;
  readonly #disk: Disk | undefined;
  readonly #buckets = new Map<string, Bucket>();
  #revision = 0;
  /** Watches may begin in [replayed…lastReplayed] or from `start` on; what lies between was never durable. */
  #lastReplayed = 0;
  #start = 0;
  #floor = 0;

  private constructor(host: Host, disk: Disk | undefined) {
    this.#host = host;
    this.#disk = disk;
  }

  static async open(host: Host, options: StoreOptions): Promise<Store> {
    if (options.directory === undefined) {
      const store = new Store(host, undefined);
      store.#revision = store.#start = store.#lastReplayed = store.#floor = 1;
      return store;
    }
    const disk = await Disk.open(host, {
      directory: options.directory,
      isSynced: options.isSynced,
      snapshotBytes: options.snapshotBytes,
    });
    const store = new Store(host, disk);
    await store.#replay(disk);
    return store;
  }

  get revision(): number {
    return this.#revision;
  }

  get(bucket: string, key: string): AnyObject | undefined {
    return this.#buckets.get(bucket)?.objects.get(key);
  }

  /** By key. `prefix` is `<namespace>/` for one namespace. */
  list(bucket: string, prefix = ""): readonly AnyObject[] {
    const found = this.#buckets.get(bucket);
    if (found === undefined) return [];
    found.sortedKeys ??= [...found.objects.keys()].sort();
    const keys = prefix === "" ? found.sortedKeys : found.sortedKeys.filter((key) => key.startsWith(prefix));
    return keys.flatMap((key) => found.objects.get(key) ?? []);
  }

  buckets(): readonly string[] {
    return [...this.#buckets.keys()].sort();
  }

  /** Writes the object under the next revision and returns it as stored. */
  put(bucket: string, key: string, object: AnyObject): AnyObject {
    const revision = this.#revision + 1;
    const stored = atRevision(object, revision);
    this.#disk?.append({ r: revision, o: "put", b: bucket, k: key, v: stored });
    this.#apply(bucket, { key, revision, object: stored, isDelete: false });
    return stored;
  }

  /** `last` is the state that watchers see: as stored, or with the deletion's marks. */
  remove(bucket: string, key: string, last: AnyObject): AnyObject {
    const revision = this.#revision + 1;
    const removed = atRevision(last, revision);
    this.#disk?.append({ r: revision, o: "del", b: bucket, k: key, v: removed });
    this.#apply(bucket, { key, revision, object: removed, isDelete: true });
    return removed;
  }

  /** Resolves when every write so far would survive a crash. */
  async durable(): Promise<void> {
    if (this.#disk === undefined) return;
    await this.#disk.flushed();
    if (this.#disk.wantsSnapshot) this.#disk.snapshot(this.#revision, this.#rows());
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
    await this.#disk?.close();
  }

  #bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = { objects: new Map(), sortedKeys: undefined, history: new History(this.#floor), hearers: new Set() };
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  #apply(bucketName: string, write: { key: string; revision: number; object: AnyObject; isDelete: boolean }): void {
    const { key, revision, object, isDelete } = write;
    const bucket = this.#bucket(bucketName);
    const previous = bucket.objects.get(key);
    this.#revision = revision;
    if (isDelete) bucket.objects.delete(key);
    else bucket.objects.set(key, object);
    if (isDelete || previous === undefined) bucket.sortedKeys = undefined;
    const type = isDelete ? "DELETED" : previous === undefined ? "ADDED" : "MODIFIED";
    const change: Change = { type, revision, key, object, previous, timeMs: this.#host.clock.now() };
    bucket.history.add(change);
    for (const hear of bucket.hearers) hear(change);
  }

  async #replay(disk: Disk): Promise<void> {
    const { snapshot, changes } = disk.replayed;
    this.#floor = this.#revision = snapshot.revision;
    for (const row of snapshot.rows) this.#bucket(row.b).objects.set(row.k, row.v);
    for (const change of changes) {
      if (change.o === "start") this.#revision = change.r;
      else {
        this.#apply(change.b, { key: change.k, revision: change.r, object: change.v, isDelete: change.o === "del" });
      }
    }
    this.#lastReplayed = this.#revision;
    this.#start = this.#revision += startGap;
    disk.append({ r: this.#start, o: "start" });
    await disk.flushed();
  }

  *#rows(): Generator<{ b: string; k: string; v: AnyObject }> {
    // Maps are copied first: the writer runs while new writes come in, and objects themselves never change.
    const copies = [...this.#buckets].map(([name, bucket]) => [name, [...bucket.objects]] as const);
    for (const [b, objects] of copies) for (const [k, v] of objects) yield { b, k, v };
  }
}

const atRevision = (object: AnyObject, revision: number): AnyObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});
