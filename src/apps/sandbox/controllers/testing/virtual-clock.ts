/** A clock that stands still until a test moves it. The clock owns its timers. */
import type { Clock } from "../../../../io/host/host.ts";

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
    const timer: Timer = { atMs: this.#nowMs + ms, serial: (this.#serial += 1), heard };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      // An abort reason is whatever its caller gave; everywhere here an Error.
      const fail = (): void => reject(signal?.reason as Error);
      if (signal?.aborted === true) return fail();
      const cancel = this.after(ms, resolve);
      signal?.addEventListener(
        "abort",
        () => {
          cancel();
          fail();
        },
        { once: true },
      );
    });
  }

  /** Time of the next timer, if one is due within `ms`. */
  nextWithin(ms: number): number | undefined {
    const [next] = this.#due(this.#nowMs + ms);
    return next?.atMs;
  }

  /** Moves to this time and runs what is due by then. */
  moveTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
    for (const timer of this.#due(this.#nowMs)) {
      if (this.#timers.delete(timer)) timer.heard();
    }
  }

  #due(atMs: number): readonly Timer[] {
    return [...this.#timers]
      .filter((timer) => timer.atMs <= atMs)
      .sort((one, other) => one.atMs - other.atMs || one.serial - other.serial);
  }
}
