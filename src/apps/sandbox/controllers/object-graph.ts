/**
 * All objects of all served kinds, whoever reads them: the garbage collector follows owners through it, namespaces wait
 * for their content. It owns the mirrors of the kinds that no other controller reads, and follows kinds coming and going.
 */
import type { KubeObject, ResourceType } from "../../../core/api/kube.ts";
import type { InformerChange } from "../../../io/kube/informer.ts";
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { Mirror } from "./mirror.ts";

/** What the API server serves at the moment; every kind once, each listable and watchable. */
export interface ServedKinds {
  types(): readonly ResourceType[];
  /** Heard after a CRD added or removed kinds. */
  onChange(heard: () => void): void;
}

export interface GraphChange extends InformerChange<KubeObject> {
  readonly type: ResourceType<KubeObject>;
}

export const typeKey = ({ group, plural }: Pick<ResourceType, "group" | "plural">): string => `${group}/${plural}`;

/** Events are told by everybody, own nothing and are owned by nothing. */
const isIgnored = ({ kind, plural }: ResourceType<KubeObject>): boolean => kind === "Event" && plural === "events";

interface Means {
  readonly host: Host;
  readonly client: KubeClient;
  readonly signal: AbortSignal;
}

export class ObjectGraph {
  readonly #means: Means;
  readonly #served: ServedKinds;
  readonly #mirrors = new Map<string, { readonly mirror: Mirror<KubeObject>; readonly stop?: AbortController }>();
  readonly #listeners: ((change: GraphChange) => void)[] = [];
  readonly #kindListeners: (() => void)[] = [];
  /** `group/Kind` of kinds that were served once and are no more: their objects are gone for certain. */
  readonly #goneKinds = new Set<string>();

  /** `shared` are the mirrors that others read too; they are never stopped here. */
  constructor(means: Means, shared: readonly Mirror<KubeObject>[], served: ServedKinds) {
    this.#means = means;
    this.#served = served;
    for (const mirror of shared) this.#add(mirror);
    this.#follow();
    served.onChange(() => this.#follow());
  }

  /** Resolves when every kind that is served now has been listed. */
  get synced(): Promise<void> {
    return Promise.all([...this.#mirrors.values()].map(({ mirror }) => mirror.synced)).then(() => undefined);
  }

  types(): readonly ResourceType<KubeObject>[] {
    return [...this.#mirrors.values()].map(({ mirror }) => mirror.type);
  }

  mirrors(): readonly Mirror<KubeObject>[] {
    return [...this.#mirrors.values()].map(({ mirror }) => mirror);
  }

  mirrorAt(key: string): Mirror<KubeObject> | undefined {
    return this.#mirrors.get(key)?.mirror;
  }

  /** The served type of a kind, in whatever version; "gone" when it was served before. */
  typeOf(apiVersion: string, kind: string): ResourceType<KubeObject> | "gone" | undefined {
    const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
    for (const { mirror } of this.#mirrors.values()) {
      if (mirror.type.group === group && mirror.type.kind === kind) return mirror.type;
    }
    return this.#goneKinds.has(`${group}/${kind}`) ? "gone" : undefined;
  }

  dependents(uid: string | undefined): readonly { readonly mirror: Mirror<KubeObject>; readonly object: KubeObject }[] {
    return this.mirrors().flatMap((mirror) => mirror.ownedBy(uid).map((object) => ({ mirror, object })));
  }

  onChange(heard: (change: GraphChange) => void): void {
    this.#listeners.push(heard);
  }

  onKinds(heard: () => void): void {
    this.#kindListeners.push(heard);
  }

  #add(mirror: Mirror<KubeObject>, stop?: AbortController): void {
    const { type } = mirror;
    this.#mirrors.set(typeKey(type), stop === undefined ? { mirror } : { mirror, stop });
    mirror.onChange((change) => {
      for (const heard of this.#listeners) heard({ ...change, type });
    });
  }

  #follow(): void {
    const { host, client, signal } = this.#means;
    if (signal.aborted) return;
    const served = this.#served.types().filter((type) => !isIgnored(type));
    const keys = new Set(served.map(typeKey));
    for (const [key, { mirror, stop }] of this.#mirrors) {
      if (keys.has(key) || stop === undefined) continue;
      stop.abort(new Error(`The API server no longer serves ${key}.`));
      this.#mirrors.delete(key);
      this.#goneKinds.add(`${mirror.type.group}/${mirror.type.kind}`);
    }
    for (const type of served) {
      this.#goneKinds.delete(`${type.group}/${type.kind}`);
      if (this.#mirrors.has(typeKey(type))) continue;
      const stop = new AbortController();
      this.#add(new Mirror<KubeObject>(host, client, type, AbortSignal.any([signal, stop.signal])), stop);
    }
    for (const heard of this.#kindListeners) heard();
  }
}
