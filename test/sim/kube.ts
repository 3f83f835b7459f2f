/**
 * The Kubernetes API as one process sees it: the cluster's objects in memory, reached over a way that is slow, fails,
 * conflicts, forgets history and ends watches. What a killed process had under way may still arrive, and is never answered.
 */
import type { KubeObject, ResourceType } from "../../src/core/api/kube.ts";
import type { Random } from "../../src/io/host/host.ts";
import { KubeError } from "../../src/io/kube/client.ts";
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
} from "../../src/io/kube/client.ts";
import type { MemoryKubeClient } from "../../src/io/kube/memory-client.ts";
import type { Process, Timeline } from "./timeline.ts";

/** How the API server of one cluster is doing. */
export interface ApiHealth {
  delayMsMax: number;
  /** Calls fail at once. */
  isRefusing: boolean;
  /** Calls are not answered before this is over. */
  isSilent: boolean;
  /** What waits for the end of the silence. */
  readonly waiting: (() => void)[];
  /** One write in so many conflicts, as if somebody else had been faster; 0 for none. */
  conflictOneIn: number;
}

export const healthy = (): ApiHealth => ({
  delayMsMax: 8,
  isRefusing: false,
  isSilent: false,
  waiting: [],
  conflictOneIn: 0,
});

export function endSilence(health: ApiHealth): void {
  health.isSilent = false;
  for (const go of health.waiting.splice(0)) go();
}

export interface Write {
  readonly verb: "create" | "update" | "patch" | "delete";
  readonly kind: string;
  readonly name: string;
}

interface Options {
  readonly timeline: Timeline;
  readonly process: Process;
  readonly store: MemoryKubeClient;
  readonly health: ApiHealth;
  /** The process lets a write go. */
  readonly writing: (write: Write) => void;
}

export class SimKube implements KubeClient {
  private readonly options: Options;
  private readonly random: Random;

  constructor(options: Options) {
    this.options = options;
    this.random = options.timeline.random(`kube/${options.process.name}`);
  }

  get<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: { signal?: AbortSignal } = {}): Promise<T> {
    return this.call(options.signal, (store) => store.get(type, ref));
  }

  list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    return this.call(options.signal, (store) => store.list(type, options));
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    this.note("create", type, object.metadata.name);
    return this.call(options.signal, (store) => store.create(type, object, options));
  }

  update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    this.note("update", type, object.metadata.name);
    return this.write(options.signal, (store) => store.update(type, object, options));
  }

  patch<T extends KubeObject>(type: ResourceType<T>, ref: Ref, patch: Patch, options: WriteOptions = {}): Promise<T> {
    this.note("patch", type, ref.name);
    return this.write(options.signal, (store) => store.patch(type, ref, patch, options));
  }

  delete<T extends KubeObject>(type: ResourceType<T>, ref: Ref, options: DeleteOptions = {}): Promise<void> {
    this.note("delete", type, ref.name);
    return this.call(options.signal, (store) => store.delete(type, ref, options));
  }

  post<T extends KubeObject>(type: ResourceType<T>, ref: Ref, subresource: string, body: unknown): Promise<unknown> {
    return this.call(undefined, (store) => store.post(type, ref, subresource, body));
  }

  async *watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { store, health, process } = this.options;
    await this.call(options.signal, () => Promise.resolve());
    for await (const event of store.watch(type, options)) {
      if (health.isRefusing) throw refused();
      if (health.isSilent) await new Promise<void>((resolve) => health.waiting.push(resolve));
      options.signal?.throwIfAborted();
      // One event after the other, so their order stays.
      await process.clock.sleep(this.delayMs(), options.signal);
      yield event;
    }
  }

  private note(verb: Write["verb"], type: ResourceType, name: string): void {
    this.options.writing({ verb, kind: type.kind, name });
  }

  private write<T>(signal: AbortSignal | undefined, act: (store: MemoryKubeClient) => Promise<T>): Promise<T> {
    return this.call(signal, (store) => {
      const { conflictOneIn } = this.options.health;
      if (conflictOneIn > 0 && this.random.below(conflictOneIn) === 0) {
        throw new KubeError(409, "Conflict", "somebody else was faster");
      }
      return act(store);
    });
  }

  private delayMs(): number {
    return this.random.below(this.options.health.delayMsMax + 1);
  }

  /** There and back. A call that is on its way arrives even when its process is killed or loses patience. */
  private call<T>(signal: AbortSignal | undefined, act: (store: MemoryKubeClient) => Promise<T>): Promise<T> {
    const { timeline, process, store, health } = this.options;
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const onAbort = () => settle(() => reject(signal?.reason as Error));
      let isSettled = false;
      const settle = (end: () => void) => {
        if (isSettled || !process.isAlive) return;
        isSettled = true;
        signal?.removeEventListener("abort", onAbort);
        end();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const answer = (end: () => void) => timeline.clock.after(this.delayMs(), () => settle(end));
      const arrive = () => {
        if (health.isSilent) return void health.waiting.push(arrive);
        if (health.isRefusing) return void answer(() => reject(refused()));
        new Promise<T>((done) => done(act(store))).then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      };
      timeline.clock.after(this.delayMs(), arrive);
    });
  }
}

const refused = (): Error => new Error("connect ECONNREFUSED 10.96.0.1:443");
