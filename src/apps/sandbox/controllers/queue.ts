/**
 * A work queue of object keys: each key is reconciled by one worker at a time, a key added while it runs runs once
 * more, and a failure is tried again with growing pauses. The queue owns its timers; they end with the signal.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { Host } from "../../../io/host/host.ts";
import { isReason } from "../../../io/kube/client.ts";

/** Beyond this the queue forgets single keys and asks for all of them once it has drained. */
const pendingMax = 50_000;
const retryMsMin = 5;
const retryMsMax = 30_000;
/** Conflicts are everyday; only what keeps failing is worth a warning. */
const quietFailures = 3;
const workersDefault = 8;

export interface QueueOptions {
  readonly name: string;
  /** Work begins when this resolves; keys added before wait. */
  readonly ready: Promise<void>;
  readonly signal: AbortSignal;
  readonly workers?: number;
  reconcile(key: string): Promise<void>;
  /** Every key there is; asked at the start and after an overflow. */
  keys(): Iterable<string>;
}

export interface Queue {
  add(key: string): void;
  /** Adds the key after a pause; of several pauses for one key the shortest holds. */
  addAfter(key: string, ms: number): void;
}

export function startQueue(host: Host, options: QueueOptions): Queue {
  return new WorkQueue(host, options);
}

class WorkQueue implements Queue {
  readonly #host: Host;
  readonly #options: QueueOptions;
  readonly #pending = new Set<string>();
  readonly #running = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, { readonly atMs: number; readonly cancel: () => void }>();
  #isReady = false;
  #isOverflowed = false;
  #isPumping = false;

  constructor(host: Host, options: QueueOptions) {
    this.#host = host;
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#stop(), { once: true });
    options.ready.then(
      () => {
        this.#isReady = true;
        for (const key of options.keys()) this.add(key);
        this.#pump();
      },
      () => this.#stop(),
    );
  }

  add(key: string): void {
    if (this.#options.signal.aborted) return;
    if (this.#pending.size >= pendingMax && !this.#pending.has(key)) {
      this.#isOverflowed = true;
      return;
    }
    this.#pending.add(key);
    this.#schedulePump();
  }

  addAfter(key: string, ms: number): void {
    if (this.#options.signal.aborted) return;
    const atMs = this.#host.clock.now() + ms;
    const known = this.#timers.get(key);
    if (known !== undefined && known.atMs <= atMs) return;
    known?.cancel();
    const cancel = this.#host.clock.after(Math.max(0, ms), () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { atMs, cancel });
  }

  /** One pump per turn, so that all changes of one batch are seen by one reconcile. */
  #schedulePump(): void {
    if (this.#isPumping || !this.#isReady) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    for (const key of this.#pending) {
      if (this.#options.signal.aborted || this.#running.size >= (this.#options.workers ?? workersDefault)) return;
      if (this.#running.has(key)) continue;
      this.#pending.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
    if (!this.#isOverflowed || this.#pending.size > 0) return;
    this.#isOverflowed = false;
    for (const key of this.#options.keys()) this.add(key);
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.reconcile(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#retry(key, error);
    } finally {
      this.#running.delete(key);
      this.#pump();
    }
  }

  #retry(key: string, error: unknown): void {
    if (this.#options.signal.aborted) return;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const retryMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(failures - 1, 20));
    const say = failures > quietFailures && !isReason(error, "Conflict") ? "warn" : "debug";
    this.#host.log[say]("controller.retry", {
      controller: this.#options.name,
      key,
      failures,
      retryMs,
      error: errorText(error),
    });
    this.addAfter(key, retryMs);
  }

  #stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#pending.clear();
    this.#failures.clear();
  }
}
