/**
 * A small API server in memory for the tests of the controllers: store, watch, conflicts, generations, finalizers and
 * graceful deletion of pods. It owns its objects and gives out copies only.
 */
import { objectKey, type KubeObject, type ResourceType } from "../../../../core/api/kube.ts";
import type { Clock } from "../../../../io/host/host.ts";
import { isoSeconds } from "../../../../io/host/iso-time.ts";
import {
  KubeError,
  type DeleteOptions,
  type KubeClient,
  type List,
  type ListOptions,
  type Patch,
  type Ref,
  type WatchEvent,
  type WatchOptions,
  type WriteOptions,
} from "../../../../io/kube/client.ts";

type Json = Record<string, unknown>;

interface Stored extends KubeObject {
  spec?: Json;
  status?: Json;
}

interface Table {
  readonly objects: Map<string, Stored>;
  readonly history: { readonly revision: number; readonly event: WatchEvent<Stored> }[];
  readonly wake: Set<() => void>;
}

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

function merged(target: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch;
  const result: Json = isJson(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = merged(result[key], value);
  }
  return result;
}

export class FakeKube implements KubeClient {
  /** Calls so far: the tests wait until it stands still. */
  calls = 0;
  /** Runs before a write is stored; a test throws here, or writes something else first. */
  beforeWrite: (verb: string, type: ResourceType<KubeObject>, name: string) => void = () => undefined;
  /** Kinds (plural) whose watches are late: they tell nothing until `release`. */
  readonly #held = new Set<string>();
  readonly #clock: Clock;
  readonly #tables = new Map<string, Table>();
  #revision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get<T extends KubeObject>(type: ResourceType<T>, ref: Ref): Promise<T> {
    this.calls += 1;
    return out<T>(this.#find(type, ref));
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    this.calls += 1;
    const all = [...this.#table(type).objects.values()];
    const items = all.filter(({ metadata }) => (options.namespace ?? metadata.namespace) === metadata.namespace);
    return { items: items.map((item) => out<T>(item)), resourceVersion: String(this.#revision) };
  }

  async *watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const table = this.#table(type);
    const { signal } = options;
    let at = table.history.findIndex(({ revision }) => revision > Number(options.resourceVersion));
    if (at < 0) at = table.history.length;
    const stopped = new Promise<void>((resolve) => {
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
    while (signal?.aborted !== true) {
      const next = this.#held.has(type.plural) ? undefined : table.history[at];
      if (next !== undefined) {
        at += 1;
        this.calls += 1;
        // Watches are by kind, so the objects are T as far as a store of JSON can promise.
        yield structuredClone(next.event) as WatchEvent<T>;
        continue;
      }
      await Promise.race([stopped, new Promise<void>((resolve) => table.wake.add(resolve))]);
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T> {
    this.calls += 1;
    this.beforeWrite("create", type, object.metadata.name);
    const stored = structuredClone<Stored>(object);
    const { namespace } = stored.metadata;
    const table = this.#table(type);
    if (table.objects.has(objectKey(stored))) throw new KubeError(409, "AlreadyExists", `${objectKey(stored)} exists`);
    const home = namespace === undefined ? undefined : this.#tables.get("/namespaces")?.objects.get(namespace);
    if (home?.metadata.deletionTimestamp !== undefined) {
      throw new KubeError(403, "Forbidden", `namespace ${namespace} is being terminated`);
    }
    stored.metadata.uid = `uid-${this.#revision + 1}`;
    stored.metadata.creationTimestamp = isoSeconds(this.#clock.now());
    stored.metadata.generation = 1;
    if (type.kind === "Namespace") stored.spec = { finalizers: ["kubernetes"] };
    return out<T>(this.#put(type, "ADDED", stored));
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    this.calls += 1;
    this.beforeWrite(`update ${options.subresource ?? ""}`.trim(), type, object.metadata.name);
    const wanted = structuredClone<Stored>(object);
    const known = this.#find(type, object.metadata);
    this.#check(known, wanted.metadata.uid, wanted.metadata.resourceVersion);
    if (options.subresource === "status") {
      const { status } = wanted;
      return out<T>(this.#store(type, known, status === undefined ? known : { ...known, status }));
    }
    if (options.subresource === "finalize") {
      const { spec = {} } = wanted;
      return out<T>(this.#store(type, known, { ...known, spec }));
    }
    const metadata = { ...known.metadata, ...wanted.metadata };
    const { status } = known;
    return out<T>(this.#store(type, known, { ...wanted, metadata, ...(status === undefined ? {} : { status }) }));
  }

  async patch<T extends KubeObject>(type: ResourceType<T>, ref: Ref, patch: Patch): Promise<T> {
    this.calls += 1;
    if (patch.type !== "merge") throw new KubeError(415, "UnsupportedMediaType", "The fake merges only.");
    this.beforeWrite("patch", type, ref.name);
    const known = this.#find(type, ref);
    const body = isJson(patch.body) ? patch.body : {};
    const metadata = isJson(body["metadata"]) ? body["metadata"] : {};
    const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
    this.#check(known, text(metadata["uid"]), text(metadata["resourceVersion"]));
    // A merge patch of a stored object is an object with the same identity.
    const next = merged(structuredClone(known), body) as Stored;
    return out<T>(this.#store(type, known, next));
  }

  async delete<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: DeleteOptions = {}): Promise<void> {
    this.calls += 1;
    this.beforeWrite("delete", type, ref.name);
    const known = this.#find(type, ref);
    this.#check(known, options.uid, options.resourceVersion);
    const next = structuredClone(known);
    const finalizers = new Set(next.metadata.finalizers ?? []);
    if (options.propagationPolicy === "Foreground") finalizers.add("foregroundDeletion");
    if (options.propagationPolicy === "Orphan") finalizers.add("orphan");
    if (finalizers.size > 0) next.metadata.finalizers = [...finalizers];
    const isGraceful = type.kind === "Pod" && next.spec?.["nodeName"] !== undefined && options.gracePeriodSeconds !== 0;
    if (!isGraceful && finalizers.size === 0 && type.kind !== "Namespace") return this.#drop(type, known);
    if (known.metadata.deletionTimestamp !== undefined) return;
    next.metadata.deletionTimestamp = isoSeconds(this.#clock.now());
    if (type.kind === "Namespace") next.status = { phase: "Terminating" };
    this.#put(type, "MODIFIED", next);
  }

  async post<T extends KubeObject>(
    type: ResourceType<T>,
    ref: Ref,
    subresource: string,
    body: unknown,
  ): Promise<unknown> {
    this.calls += 1;
    this.beforeWrite(`post ${subresource}`, type, ref.name);
    const known = this.#find(type, ref);
    const target = isJson(body) && isJson(body["target"]) ? body["target"]["name"] : undefined;
    if (subresource !== "binding") throw new KubeError(404, "NotFound", `no subresource ${subresource}`);
    if (known.spec?.["nodeName"] !== undefined) throw new KubeError(409, "Conflict", `${ref.name} has a node`);
    this.#put(type, "MODIFIED", { ...known, spec: { ...known.spec, nodeName: target } });
    return {};
  }

  hold(type: ResourceType<KubeObject>): void {
    this.#held.add(type.plural);
  }

  release(type: ResourceType<KubeObject>): void {
    this.calls += 1;
    this.#held.delete(type.plural);
    for (const wake of this.#table(type).wake) wake();
    this.#table(type).wake.clear();
  }

  /** Everything of a kind, as it is now. */
  all<T extends KubeObject>(type: ResourceType<T>): readonly T[] {
    return [...this.#table(type).objects.values()].map((object) => out<T>(object));
  }

  #table(type: ResourceType<KubeObject>): Table {
    const key = `${type.group}/${type.plural}`;
    const known = this.#tables.get(key) ?? { objects: new Map(), history: [], wake: new Set() };
    this.#tables.set(key, known);
    return known;
  }

  #find(type: ResourceType<KubeObject>, ref: Ref): Stored {
    const key = type.namespaced ? `${ref.namespace}/${ref.name}` : ref.name;
    const found = this.#table(type).objects.get(key);
    if (found === undefined) throw new KubeError(404, "NotFound", `${type.plural} "${key}" not found`);
    return found;
  }

  #check({ metadata }: Stored, uid: string | undefined, revision: string | undefined): void {
    const isSame = (uid ?? metadata.uid) === metadata.uid;
    if (isSame && (revision ?? metadata.resourceVersion) === metadata.resourceVersion) return;
    throw new KubeError(409, "Conflict", `${metadata.name} has been modified`);
  }

  #store(type: ResourceType<KubeObject>, known: Stored, next: Stored): Stored {
    const { finalizers = [], deletionTimestamp } = next.metadata;
    const held = type.kind === "Namespace" ? next.spec?.["finalizers"] : finalizers;
    const isPod = type.kind === "Pod" && known.spec?.["nodeName"] !== undefined;
    if (deletionTimestamp !== undefined && !isPod && Array.isArray(held) && held.length === 0) {
      this.#drop(type, known);
      return next;
    }
    const isSpecChanged = JSON.stringify(known.spec) !== JSON.stringify(next.spec);
    const generation = (known.metadata.generation ?? 1) + (isSpecChanged ? 1 : 0);
    return this.#put(type, "MODIFIED", { ...next, metadata: { ...next.metadata, generation } });
  }

  #put(type: ResourceType<KubeObject>, change: "ADDED" | "MODIFIED", object: Stored): Stored {
    this.#revision += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
    this.#table(type).objects.set(objectKey(stored), stored);
    this.#tell(type, { type: change, object: stored });
    return stored;
  }

  #drop(type: ResourceType<KubeObject>, object: Stored): void {
    this.#revision += 1;
    this.#table(type).objects.delete(objectKey(object));
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
    this.#tell(type, { type: "DELETED", object: last });
  }

  #tell(type: ResourceType<KubeObject>, event: WatchEvent<Stored>): void {
    const table = this.#table(type);
    table.history.push({ revision: this.#revision, event });
    for (const wake of table.wake) wake();
    table.wake.clear();
  }
}

/** The tables are by kind, so a copy of a row is a T as far as a store of JSON can promise. */
const out = <T extends KubeObject>(object: Stored): T => structuredClone(object) as unknown as T;
