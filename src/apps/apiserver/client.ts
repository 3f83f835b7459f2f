/** The API server's own `KubeClient`: the same verbs as over HTTP, without the wire. Objects handed out are copies. */
import type { AnyObject, KubeObject, ResourceType } from "../../core/api/kube.ts";
import { apiVersionOf } from "../../core/api/kube.ts";
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
} from "../../io/kube/client.ts";
import type { User } from "./api/context.ts";
import { noSuchPath } from "./api/errors.ts";
import { clone } from "./api/json.ts";
import type { Verbs } from "./api/verbs.ts";
import type { WriteOptions as ApiWriteOptions } from "./api/write.ts";
import type { Kind } from "./kind.ts";

export interface ClientOptions {
  readonly user: User;
  readonly fieldManager: string;
}

export class LocalClient implements KubeClient {
  readonly #verbs: Verbs;
  readonly #options: ClientOptions;

  constructor(verbs: Verbs, options: ClientOptions) {
    this.#verbs = verbs;
    this.#options = options;
  }

  async get<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: { signal?: AbortSignal } = {}): Promise<T> {
    options.signal?.throwIfAborted();
    return copyOf(type, this.#verbs.get({ kind: this.#kind(type), ref: refFor(type, ref) }));
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    const { signal, ...selection } = options;
    signal?.throwIfAborted();
    const { items, resourceVersion } = this.#verbs.list(this.#kind(type), selection);
    return { items: items.map((item) => copyOf(type, item)), resourceVersion };
  }

  async *watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    const { signal, ...request } = options;
    signal?.throwIfAborted();
    const stream = this.#verbs.watch(this.#kind(type), { ...request, allowWatchBookmarks: true });
    const onAbort = () => stream.end();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      for await (const event of stream) {
        signal?.throwIfAborted();
        if (event.type === "BOOKMARK") {
          const resourceVersion = event.object.metadata.resourceVersion ?? "";
          yield { type: event.type, object: { metadata: { resourceVersion } } };
        } else yield { type: event.type, object: copyOf(type, event.object) };
      }
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      stream.end();
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    options.signal?.throwIfAborted();
    const namespace = type.namespaced ? object.metadata.namespace : undefined;
    const write = { ...this.#write(options), asker: this.#options.user };
    const written = await this.#verbs.create(this.#kind(type), namespace, withTypes(type, object), write);
    return copyOf(type, written.object);
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    options.signal?.throwIfAborted();
    const ref = refFor(type, object.metadata);
    const target = { kind: this.#kind(type), ref, subresource: options.subresource };
    const written = await this.#verbs.update(target, withTypes(type, object), this.#write(options));
    return copyOf(type, written.object);
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    ref: Ref,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    options.signal?.throwIfAborted();
    const target = { kind: this.#kind(type), ref: refFor(type, ref), subresource: options.subresource };
    const body = clone(patch.body);
    // The copy of a patch's body has the form that the patch's type asks for.
    const written = await this.#verbs.patch(target, { ...patch, body } as Patch, this.#write(options));
    return copyOf(type, written.object);
  }

  async delete<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: DeleteOptions = {}): Promise<void> {
    const { signal, ...request } = options;
    signal?.throwIfAborted();
    await this.#verbs.delete({ kind: this.#kind(type), ref: refFor(type, ref) }, request);
  }

  async post<T extends KubeObject>(
    type: ResourceType<T>,
    ref: Ref,
    subresource: string,
    body: unknown,
  ): Promise<unknown> {
    return clone(await this.#verbs.post({ kind: this.#kind(type), ref: refFor(type, ref), subresource }, clone(body)));
  }

  #kind(type: ResourceType): Kind {
    const kind = this.#verbs.context.registry.find(type.group, type.version, type.plural);
    if (kind === undefined) throw noSuchPath();
    return kind;
  }

  #write(options: WriteOptions): ApiWriteOptions {
    return {
      fieldManager: options.fieldManager ?? this.#options.fieldManager,
      dryRun: options.dryRun ?? false,
      fieldValidation: "Warn",
    };
  }
}

// The kind's schema has seen every object of the store; `T` is the caller's view of that kind.
const copyOf = <T extends KubeObject>(_type: ResourceType<T>, object: AnyObject): T => clone(object) as unknown as T;

const refFor = (type: ResourceType, ref: Ref): Ref =>
  type.namespaced ? { name: ref.name, namespace: ref.namespace ?? "" } : { name: ref.name };

const withTypes = (type: ResourceType, object: KubeObject): KubeObject => ({
  ...clone(object),
  apiVersion: apiVersionOf(type),
  kind: type.kind,
});
