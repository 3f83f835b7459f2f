/**
 * One kind of writing: keys that are brought to their wanted state, while this process leads. Outside of a term nothing
 * is written and touches are forgotten, since a new term begins with every key.
 */
import type { Host } from "../../../io/host/host.ts";
import { WorkQueue } from "./work-queue.ts";

export interface ReconcilerOptions {
  readonly name: string;
  /** Every key that may need work, from the state of now. */
  readonly keys: () => Iterable<string>;
  /** Must be idempotent: it is called again whenever anything about the key moves, and after failures. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<void>;
  /** Keys worked on at the same time. */
  readonly concurrency?: number;
  readonly failed?: (writer: string) => void;
}

export class Reconciler {
  readonly name: string;
  private readonly host: Host;
  private readonly options: ReconcilerOptions;
  private queue: WorkQueue | undefined;

  constructor(host: Host, options: ReconcilerOptions) {
    this.name = options.name;
    this.host = host;
    this.options = options;
  }

  touch(key: string): void {
    this.queue?.add(key);
  }

  touchAll(): void {
    if (this.queue !== undefined) for (const key of this.options.keys()) this.queue.add(key);
  }

  /** Keys whose last attempt failed. */
  get failing(): number {
    return this.queue?.failing ?? 0;
  }

  /** Until the signal aborts and what had begun has settled. */
  async run(signal: AbortSignal): Promise<void> {
    const { name, reconcile, concurrency, failed } = this.options;
    const options = { name, signal, failed: () => failed?.(name), ...(concurrency !== undefined && { concurrency }) };
    const queue = new WorkQueue(this.host, options, reconcile);
    this.queue = queue;
    this.touchAll();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    if (this.queue === queue) this.queue = undefined;
    await queue.idle();
  }

  /** Everything that is wanted now is done, or has failed and waits. For tests. */
  async idle(): Promise<void> {
    await this.queue?.idle();
  }
}
