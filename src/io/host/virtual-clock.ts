/** A clock for tests that stands still until it is moved. It owns its timers, and fires them in order. */
import type { Clock } from "./host.ts";

interface Timer {
  readonly atMs: number;
  readonly serial: number;
  readonly heard: () => void;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  #serial = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, heard: () => void): () => void {
    this.#serial += 1;
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, ms), serial: this.#serial, heard };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      // An abort reason is whatever its caller gave; everywhere here an Error.
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const onAbort = () => {
        cancel();
        reject(signal?.reason as Error);
      };
      const cancel = this.after(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Time of the next timer, if one is due within `ms`. */
  nextWithin(ms: number): number | undefined {
    return this.#next(this.#nowMs + ms)?.atMs;
  }

  /** Moves to the next timer that is due by then and fires it; false when there is none. */
  fireNext(untilMs: number): boolean {
    const next = this.#next(untilMs);
    if (next === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    this.#timers.delete(next);
    next.heard();
    return true;
  }

  /** Moves to this time; what is due by then fires first, but not what that sets anew. */
  moveTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
    const due = [...this.#timers].filter(({ atMs }) => atMs <= this.#nowMs).sort(inOrder);
    for (const timer of due) if (this.#timers.delete(timer)) timer.heard();
  }

  #next(untilMs: number): Timer | undefined {
    return [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort(inOrder)[0];
  }
}

const inOrder = (one: Timer, other: Timer): number => one.atMs - other.atMs || one.serial - other.serial;
