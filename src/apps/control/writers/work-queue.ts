/**
 * Keys that wait to be worked on, each at most once: the queue never grows beyond the number of keys. A key whose work
 * fails comes back after a growing, bounded pause; a key added meanwhile is worked on again.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { Host } from "../../../io/host/host.ts";
import { backoffMs } from "../../../io/kube/backoff.ts";
import { isReason } from "../../../io/kube/client.ts";

export interface WorkQueueOptions {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Keys worked on at the same time. */
  readonly concurrency?: number;
  /** Before the first failure is retried; each one doubles it, up to `maxRetryMs`. */
  readonly baseRetryMs?: number;
  readonly maxRetryMs?: number;
  readonly failed?: (key: string, error: unknown, failures: number) => void;
}

/** Somebody else wrote in between; the next attempt sees what. Nothing is wrong. */
const isRace = (error: unknown): boolean => isReason(error, "Conflict") || isReason(error, "AlreadyExists");

export class WorkQueue {
  private readonly host: Host;
  private readonly options: WorkQueueOptions;
  private readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  private readonly waiting = new Set<string>();
  private readonly active = new Set<string>();
  private readonly failures = new Map<string, number>();
  private readonly pauses = new Map<string, () => void>();
  private idleListeners: (() => void)[] = [];

  constructor(host: Host, options: WorkQueueOptions, work: (key: string, signal: AbortSignal) => Promise<void>) {
    this.host = host;
    this.options = options;
    this.work = work;
    const stop = () => {
      this.waiting.clear();
      for (const cancel of this.pauses.values()) cancel();
      this.pauses.clear();
      this.tellIdle();
    };
    if (options.signal.aborted) stop();
    else options.signal.addEventListener("abort", stop, { once: true });
  }

  add(key: string): void {
    if (this.options.signal.aborted) return;
    // News about a key is worth a try at once, whatever it is being punished for.
    this.pauses.get(key)?.();
    this.pauses.delete(key);
    this.waiting.add(key);
    this.pump();
  }

  /** Resolves when nothing waits and nothing runs; what pauses after a failure does not count. */
  async idle(): Promise<void> {
    if (this.waiting.size + this.active.size === 0) return;
    await new Promise<void>((resolve) => this.idleListeners.push(resolve));
  }

  /** Keys that failed and were not done since. */
  get failing(): number {
    return this.failures.size;
  }

  private pump(): void {
    const limit = this.options.concurrency ?? 4;
    for (const key of this.waiting) {
      if (this.active.size >= limit) return;
      if (this.active.has(key)) continue;
      this.waiting.delete(key);
      this.active.add(key);
      void this.attempt(key);
    }
    this.tellIdle();
  }

  private tellIdle(): void {
    if (this.waiting.size + this.active.size > 0) return;
    const listeners = this.idleListeners;
    this.idleListeners = [];
    for (const heard of listeners) heard();
  }

  private async attempt(key: string): Promise<void> {
    const { signal } = this.options;
    try {
      await this.work(key, signal);
      this.failures.delete(key);
    } catch (error) {
      if (!signal.aborted) this.retryLater(key, error);
    } finally {
      this.active.delete(key);
    }
    this.pump();
  }

  private retryLater(key: string, error: unknown): void {
    const failures = (this.failures.get(key) ?? 0) + 1;
    this.failures.set(key, failures);
    const cause = errorText(error);
    const limits = { baseMs: this.options.baseRetryMs ?? 100, maxMs: this.options.maxRetryMs ?? 60_000 };
    const retryMs = backoffMs(this.host.random, failures, limits);
    const fields = { writer: this.options.name, key, cause, failures, retryMs };
    if (isRace(error)) this.host.log.debug("writer.race", fields);
    else {
      this.host.log.warn("writer.retry", fields);
      this.options.failed?.(key, error, failures);
    }
    if (this.waiting.has(key)) return;
    const cancel = this.host.clock.after(retryMs, () => {
      this.pauses.delete(key);
      this.add(key);
    });
    this.pauses.set(key, cancel);
  }
}
