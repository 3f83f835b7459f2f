/**
 * A `KubeClient` over objects in memory, for tests: revisions, conflicts, watches that can be cut, a history that can be
 * compacted, and faults on demand. It admits everything; what an API server validates is not its business.
 */
import { objectKey } from "../../core/api/kube.ts";
import type { KubeObject, ResourceType } from "../../core/api/kube.ts";
import { KubeError } from "./client.ts";
import type {
  DeleteOptions,
  KubeClient,
  List,
  ListOptions,
  Patch,
  Ref,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./client.ts";

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "post";
export interface Call {
  readonly verb: Verb;
  readonly kind: string;
  /** Object key, or namespace, or "". */
  readonly target: string;
  readonly options?: WriteOptions | undefined;
  readonly body?: unknown;
}

interface Recorded {
  readonly revision: number;
  readonly event: { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject };
}

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

/** A copy of what came out of JSON; several times faster than `structuredClone`, which tests by simulation feel. */
function cloned<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  // Both give the shape that they were given.
  if (Array.isArray(value)) return value.map(cloned) as T;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, cloned(inner)])) as T;
}

/** RFC 7386. */
function mergePatched(target: unknown, patch: unknown): unknown {
  if (!isTree(patch)) return patch;
  const result: Tree = isTree(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatched(result[key], value);
  }
  return result;
}

const matches = (object: KubeObject, { namespace, labelSelector, fieldSelector }: ListOptions): boolean => {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  const pairs = (text = "") => text.split(",").flatMap((one) => (one === "" ? [] : [one.split(/==?/)]));
  const hasLabels = pairs(labelSelector).every(([key = "", value]) => object.metadata.labels?.[key] === value);
  return (
    hasLabels && pairs(fieldSelector).every(([key, value]) => key !== "metadata.name" || object.metadata.name === value)
  );
};

const kindName = ({ group, kind }: Pick<ResourceType, "kind" | "group">): string => `${group}/${kind}`;

function firstAfter(history: readonly Recorded[], revision: number): Recorded | undefined {
  let [low, high] = [0, history.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((history[middle]?.revision ?? 0) > revision) high = middle;
    else low = middle + 1;
  }
  return history[low];
}

export class MemoryKubeClient implements KubeClient {
  /** Every call, in order. */
  readonly calls: Call[] = [];
  /** Asked before each call; an error it returns is thrown. */
  fault: (call: Call) => Error | undefined = () => undefined;
  /** Answers `post` and the create of kinds without storage, such as TokenReview. */
  answer: (call: Call) => unknown = () => undefined;
  private readonly objects = new Map<string, Map<string, KubeObject>>();
  /** By kind, in key order, until the next write. */
  private readonly sorted = new Map<string, readonly KubeObject[]>();
  /** By kind, oldest first. */
  private history = new Map<string, Recorded[]>();
  private revision = 1;
  private compactedTo = 0;
  private wakers = new Set<() => void>();
  private epoch = 0;

  /** Ends every open watch in good order. */
  cutWatches(): void {
    this.epoch += 1;
    this.wake();
  }

  /** Forgets the history: watches from before are refused with `Expired`. */
  compact(): void {
    this.history.clear();
    this.compactedTo = this.revision;
  }

  get openWatches(): number {
    return this.wakers.size;
  }

  /** Every object of a kind, in key order. */
  all<T extends KubeObject>(type: ResourceType<T>): T[] {
    return cloned(this.view(type)) as T[];
  }

  /** The same, but the stored objects themselves: they are not to be changed. */
  view<T extends KubeObject>(type: ResourceType<T>): readonly T[] {
    const name = kindName(type);
    const known = this.sorted.get(name);
    // Objects of a kind were written through its ResourceType.
    if (known !== undefined) return known as readonly T[];
    const rows = [...this.table(type)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object as T);
    this.sorted.set(name, rows);
    return rows;
  }

  async get<T extends KubeObject>(type: ResourceType<T>, ref: Ref): Promise<T> {
    this.called({ verb: "get", kind: type.kind, target: objectKey({ metadata: ref as KubeObject["metadata"] }) });
    return cloned(this.existing(type, ref));
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    this.called({ verb: "list", kind: type.kind, target: options.namespace ?? "" });
    const items = this.all(type).filter((object) => matches(object, options));
    return { items, resourceVersion: String(this.revision) };
  }

  async *watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    this.called({ verb: "watch", kind: type.kind, target: options.namespace ?? "" });
    let from = Number(options.resourceVersion);
    const { epoch } = this;
    for (;;) {
      options.signal?.throwIfAborted();
      if (from < this.compactedTo) throw new KubeError(410, "Expired", "too old resource version");
      const next = firstAfter(this.history.get(kindName(type)) ?? [], from);
      if (next !== undefined) {
        from = next.revision;
        // The kind was compared just now.
        if (matches(next.event.object, options)) yield cloned(next.event) as WatchEvent<T>;
        continue;
      }
      from = this.revision;
      if (this.epoch !== epoch) return;
      await this.changed(options.signal);
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T> {
    const call: Call = { verb: "create", kind: type.kind, target: objectKey(object), options, body: object };
    this.called(call);
    const answer = this.answer(call);
    if (answer !== undefined) return answer as T;
    const { generateName } = object.metadata;
    const name = object.metadata.name ?? `${generateName ?? ""}${this.revision}`;
    const made = { ...cloned(object), metadata: { ...cloned(object.metadata), name } };
    if (this.table(type).has(objectKey(made))) {
      throw new KubeError(409, "AlreadyExists", `${type.plural} "${name}" already exists`);
    }
    made.metadata.uid ??= `uid-${this.revision + 1}`;
    made.metadata.generation = 1;
    made.metadata.creationTimestamp ??= "2026-01-01T00:00:00Z";
    return this.write(type, made, "ADDED");
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T> {
    this.called({ verb: "update", kind: type.kind, target: objectKey(object), options, body: object });
    const before = this.existing(type, object.metadata);
    const { resourceVersion } = object.metadata;
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) {
      throw new KubeError(409, "Conflict", `the ${type.kind} ${objectKey(object)} has been modified`);
    }
    return this.change(type, before, cloned(object), options);
  }

  async patch<T extends KubeObject>(type: ResourceType<T>, ref: Ref, patch: Patch, options?: WriteOptions): Promise<T> {
    const key = objectKey({ metadata: ref as KubeObject["metadata"] });
    this.called({ verb: "patch", kind: type.kind, target: key, options, body: patch });
    if (patch.type === "json") throw new KubeError(415, "UnsupportedMediaType", "JSON patches are not kept in memory");
    const before = this.table(type).get(key);
    if (before === undefined && patch.type === "apply" && options?.subresource === undefined) {
      // The body of an apply is a whole object of the kind.
      const body = cloned(patch.body) as T;
      body.metadata.uid ??= `uid-${this.revision + 1}`;
      return this.write(type, body, "ADDED");
    }
    const existing = this.existing(type, ref);
    const { metadata } = isTree(patch.body) ? patch.body : {};
    const wanted = isTree(metadata) ? metadata["resourceVersion"] : undefined;
    if (wanted !== undefined && wanted !== existing.metadata.resourceVersion) {
      throw new KubeError(409, "Conflict", `the ${type.kind} ${key} has been modified`);
    }
    return this.change(type, existing, mergePatched(existing, cloned(patch.body)) as T, options);
  }

  async delete<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: DeleteOptions = {}): Promise<void> {
    this.called({ verb: "delete", kind: type.kind, target: objectKey({ metadata: ref as KubeObject["metadata"] }) });
    const before = this.existing(type, ref);
    if (options.uid !== undefined && options.uid !== before.metadata.uid) {
      throw new KubeError(409, "Conflict", `the ${type.kind} has another uid`);
    }
    this.table(type).delete(objectKey(before));
    // Older events keep the revision they had.
    this.record(type, "DELETED", { ...before });
  }

  async post<T extends KubeObject>(
    type: ResourceType<T>,
    ref: Ref,
    subresource: string,
    body: unknown,
  ): Promise<unknown> {
    const target = `${objectKey({ metadata: ref as KubeObject["metadata"] })}/${subresource}`;
    const call: Call = { verb: "post", kind: type.kind, target, body };
    this.called(call);
    return this.answer(call);
  }

  private called(call: Call): void {
    this.calls.push(call);
    const error = this.fault(call);
    if (error !== undefined) throw error;
  }

  private table(type: Pick<ResourceType, "kind" | "group">): Map<string, KubeObject> {
    const name = kindName(type);
    const table = this.objects.get(name) ?? new Map<string, KubeObject>();
    this.objects.set(name, table);
    return table;
  }

  private existing<T extends KubeObject>(type: ResourceType<T>, ref: Ref): T {
    const found = this.table(type).get(objectKey({ metadata: ref as KubeObject["metadata"] }));
    if (found === undefined) throw new KubeError(404, "NotFound", `${type.plural} "${ref.name}" not found`);
    return found as T;
  }

  private change<T extends KubeObject>(type: ResourceType<T>, before: T, wanted: T, options?: WriteOptions): T {
    const isStatus = options?.subresource === "status";
    // Any object is a tree of fields.
    const old = before as unknown as Tree;
    const fields: Tree = { ...(isStatus ? old : (wanted as unknown as Tree)) };
    const status = isStatus ? (wanted as unknown as Tree)["status"] : old["status"];
    if (status === undefined) delete fields["status"];
    else fields["status"] = status;
    const next = fields as unknown as T;
    const bare = ({ metadata, ...rest }: KubeObject) => {
      const { resourceVersion: _, generation: __, ...kept } = metadata;
      return JSON.stringify([kept, rest]);
    };
    if (bare(next) === bare(before)) return cloned(before);
    const isNewSpec = JSON.stringify(fields["spec"]) !== JSON.stringify(old["spec"]);
    const generation = (before.metadata.generation ?? 1) + (isNewSpec ? 1 : 0);
    next.metadata = { ...next.metadata, uid: before.metadata.uid ?? "", generation };
    return this.write(type, next, "MODIFIED");
  }

  private write<T extends KubeObject>(type: ResourceType<T>, object: T, event: "ADDED" | "MODIFIED"): T {
    this.table(type).set(objectKey(object), object);
    this.record(type, event, object);
    return cloned(object);
  }

  private record(
    type: Pick<ResourceType, "kind" | "group">,
    event: Recorded["event"]["type"],
    object: KubeObject,
  ): void {
    this.revision += 1;
    object.metadata = { ...object.metadata, resourceVersion: String(this.revision) };
    const ofKind = this.history.get(kindName(type)) ?? [];
    // What is written is a new object each time, and never changed afterwards.
    ofKind.push({ revision: this.revision, event: { type: event, object } });
    this.history.set(kindName(type), ofKind);
    this.sorted.delete(kindName(type));
    this.wake();
  }

  private wake(): void {
    const wakers = [...this.wakers];
    this.wakers.clear();
    for (const wake of wakers) wake();
  }

  private changed(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener("abort", wake);
        this.wakers.delete(wake);
        resolve();
      };
      this.wakers.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}
