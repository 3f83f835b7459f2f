/**
 * Captures the pods of the node and lets them go: listeners first, then the redirect, then the mark on the pod; the other
 * way round when a pod leaves the mesh. Owns the table of captured pods; one task at a time for each pod.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { LocalPod } from "../../../core/envoy/view.ts";
import { spiffeId } from "../../../core/mesh/model.ts";
import type { Host } from "../../../io/host/host.ts";
import type { WantedPod } from "./wanted.ts";

/** What capture does to the machine and asks of others; `effects.ts` is the real one. */
export interface CaptureEffects {
  /** Path of the pod's network namespace; undefined while no process of it runs. */
  netnsOf(uid: string): string | undefined;
  /** Whether the pod's network namespace still exists. */
  isThere(pod: LocalPod): boolean;
  /** Resolves when Envoy no longer has the pod's listeners. */
  unlistened(pod: LocalPod, signal: AbortSignal): Promise<void>;
  /** Resolves when Envoy listens in the pod; rejects with a sentence when it does not within its bound. */
  listening(pod: LocalPod, signal: AbortSignal): Promise<void>;
  redirect(pod: LocalPod): Promise<void>;
  release(pod: LocalPod): Promise<void>;
  /** The addresses of all captured pods, for probes of the node. */
  nodeAddresses(addresses: readonly string[]): Promise<void>;
  mark(pod: LocalPod, isCaptured: boolean): Promise<void>;
}

interface Entry {
  wanted: WantedPod | undefined;
  pod: LocalPod | undefined;
  isRedirected: boolean;
  /** The mark on the pod is written: from here on callers learn that it must be dialled through the mesh. */
  isMarked: boolean;
  task: Promise<void>;
  isQueued: boolean;
}

const isEqual = (one: WantedPod, other: WantedPod): boolean =>
  one.ip === other.ip &&
  one.netns === other.netns &&
  one.isDraining === other.isDraining &&
  one.isMarked === other.isMarked;

/** What a pod sent before it ended has so long to reach its readers; then Envoy's listeners in the pod go. */
const lingerMs = 1_000;

const retryMs = { least: 250, most: 15_000 };

export class Captor {
  readonly podsByUid: Map<string, LocalPod>;
  readonly #entries = new Map<string, Entry>();
  readonly #host: Host;
  readonly #effects: CaptureEffects;
  readonly #trustDomain: string;
  readonly #changed: () => void;
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<() => void>();

  constructor(
    host: Host,
    effects: CaptureEffects,
    options: { trustDomain: string; signal: AbortSignal; changed: () => void; podsByUid?: Map<string, LocalPod> },
  ) {
    this.podsByUid = options.podsByUid ?? new Map();
    this.#host = host;
    this.#effects = effects;
    this.#trustDomain = options.trustDomain;
    this.#changed = options.changed;
    this.#signal = options.signal;
  }

  /** The pods that belong to the mesh now; everything else is let go. Pods in `gone` no longer exist. */
  want(pods: ReadonlyMap<string, WantedPod>): void {
    for (const uid of this.#entries.keys()) if (!pods.has(uid)) this.#set(uid, undefined);
    for (const [uid, pod] of pods) this.#set(uid, pod);
  }

  /**
   * Resolves with true once the pod is captured and marked, with false when it is not wanted or the signal aborts. Not
   * before the mark: a pod that runs unmarked would be ready before callers know that it is in the mesh, and they would
   * dial it in the clear.
   */
  async captured(uid: string, signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && !this.#signal.aborted) {
      const entry = this.#entries.get(uid);
      if (entry === undefined || entry.wanted === undefined) return false;
      if (entry.isRedirected && entry.isMarked) return true;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
    return false;
  }

  /** Every pod gets its plain network back, for when the mesh leaves the node. Best effort: the node is going on alone. */
  async releaseAll(): Promise<void> {
    const captured = [...this.#entries.values()].flatMap(({ pod, isRedirected }) =>
      pod !== undefined && isRedirected ? [pod] : [],
    );
    await Promise.allSettled(
      captured.map(async (pod) => {
        await this.#effects.release(pod);
        await this.#effects.mark(pod, false);
      }),
    );
  }

  get isSettled(): boolean {
    return [...this.#entries.values()].every((entry) => (entry.wanted !== undefined) === entry.isRedirected);
  }

  #set(uid: string, wanted: WantedPod | undefined): void {
    const entry = this.#entries.get(uid) ?? {
      wanted: undefined,
      pod: undefined,
      isRedirected: false,
      isMarked: false,
      task: Promise.resolve(),
      isQueued: false,
    };
    if (wanted !== undefined && entry.wanted !== undefined && isEqual(wanted, entry.wanted)) {
      if (entry.pod === undefined || this.#effects.isThere(entry.pod)) return;
    }
    this.#entries.set(uid, entry);
    entry.wanted = wanted;
    // Whoever waits must not be told of the capture of a namespace that the pod has left.
    if (wanted !== undefined && this.#hasMoved(wanted, entry)) entry.isRedirected = false;
    if (entry.isQueued) return;
    entry.isQueued = true;
    entry.task = entry.task.then(() => this.#settle(uid, entry));
  }

  async #settle(uid: string, entry: Entry): Promise<void> {
    let waitMs = retryMs.least;
    while (!this.#signal.aborted) {
      entry.isQueued = false;
      try {
        await (entry.wanted === undefined ? this.#letGo(uid, entry) : this.#take(entry.wanted, entry));
        return;
      } catch (error) {
        const cause = errorText(error);
        const pod = entry.wanted ?? entry.pod;
        this.#host.log.warn("capture.failed", { pod: `${pod?.namespace}/${pod?.name}`, cause, retryMs: waitMs });
      }
      await this.#host.clock.sleep(waitMs, this.#signal).catch(() => undefined);
      waitMs = Math.min(waitMs * 2, retryMs.most);
    }
  }

  /** The pod got another network namespace, as when its node or its sandbox was started again. */
  #hasMoved({ netns }: WantedPod, { pod }: Entry): boolean {
    return pod !== undefined && (netns === undefined ? !this.#effects.isThere(pod) : netns !== pod.netnsPath);
  }

  async #take(wanted: WantedPod, entry: Entry): Promise<void> {
    if (wanted.ip.includes(":")) throw new Error("the pod has no IPv4 address, and capture needs one");
    if (entry.pod !== undefined && this.#hasMoved(wanted, entry)) await this.#forget(entry.pod, entry);
    const netnsPath = entry.pod?.netnsPath ?? wanted.netns ?? this.#effects.netnsOf(wanted.uid);
    if (netnsPath === undefined) throw new Error("no process of the pod was found on this node yet");
    const { uid, namespace, name, serviceAccount, ip, isDraining } = wanted;
    const identity = spiffeId(this.#trustDomain, namespace, serviceAccount);
    const pod: LocalPod = { uid, namespace, name, serviceAccount, identity, ip, netnsPath, isDraining };
    const before = entry.pod;
    const isSame = before !== undefined && before.isDraining === isDraining && before.ip === ip;
    if (isSame && entry.isRedirected && entry.isMarked && wanted.isMarked) return;
    if (!isSame) {
      entry.pod = pod;
      this.podsByUid.set(uid, pod);
      this.#changed();
    }
    if (!entry.isRedirected) await this.#effects.listening(pod, this.#signal);
    if (!isSame || !entry.isRedirected) await this.#effects.redirect(pod);
    if (!entry.isRedirected) {
      entry.isRedirected = true;
      await this.#tellNode();
      this.#host.log.info("capture.done", { pod: `${namespace}/${name}`, identity });
    }
    // A pod that ends is no destination any more; whoever waits for it need not wait for a mark.
    if (!wanted.isMarked && !isDraining) await this.#effects.mark(pod, true);
    entry.isMarked = true;
    this.#wake();
  }

  /** Envoy must drop the listeners of the old namespace first: it would keep their sockets under the same names. */
  async #forget(pod: LocalPod, entry: Entry): Promise<void> {
    entry.isRedirected = false;
    this.podsByUid.delete(pod.uid);
    this.#changed();
    await this.#effects.unlistened(pod, this.#signal);
    entry.pod = undefined;
    this.#host.log.info("capture.moved", { pod: `${pod.namespace}/${pod.name}` });
  }

  async #letGo(uid: string, entry: Entry): Promise<void> {
    const { pod } = entry;
    this.#wake();
    if (pod !== undefined) {
      if (entry.isRedirected) {
        await this.#effects.release(pod);
        await this.#effects.mark(pod, false);
        await this.#host.clock.sleep(lingerMs, this.#signal).catch(() => undefined);
      }
      entry.pod = undefined;
      entry.isRedirected = false;
      entry.isMarked = false;
      this.podsByUid.delete(uid);
      this.#changed();
      await this.#tellNode();
      this.#host.log.info("capture.ended", { pod: `${pod.namespace}/${pod.name}` });
    }
    // Wanted again meanwhile: its next task is queued behind this one.
    if (entry.wanted === undefined) this.#entries.delete(uid);
  }

  #tellNode(): Promise<void> {
    return this.#effects.nodeAddresses([...this.podsByUid.values()].map((pod) => pod.ip));
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
