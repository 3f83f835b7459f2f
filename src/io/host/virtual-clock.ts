/** A clock for tests that stands still until it is moved. It owns its timers, and fires them in order. */
import { type Clock, sleepWith } from "./host.ts";

interface Timer {
  readonly atMs: number;
  readonly serial: number;
  readonly heard: () => void;
  isCancelled: boolean;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  #serial = 0;
  /** A binary heap, the next timer first; cancelled ones stay until they come up. */
  readonly #heap: Timer[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  elapsed(): number {
    return this.#nowMs;
  }

  after(ms: number, heard: () => void): () => void {
    this.#serial += 1;
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, ms), serial: this.#serial, heard, isCancelled: false };
    this.#push(timer);
    return () => {
      timer.isCancelled = true;
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepWith((delayMs, heard) => this.after(delayMs, heard), ms, signal);
  }

  /** Time of the next timer, if one is due within `ms`. */
  nextWithin(ms: number): number | undefined {
    const next = this.#peek();
    return next !== undefined && next.atMs <= this.#nowMs + ms ? next.atMs : undefined;
  }

  /** Moves to the next timer that is due by then and fires it; false when there is none. */
  fireNext(untilMs: number): boolean {
    const next = this.#peek();
    if (next === undefined || next.atMs > untilMs) return false;
    this.#pop();
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.heard();
    return true;
  }

  /** Moves to this time; what is due by then fires first, but not what that sets anew. */
  moveTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
    const due: Timer[] = [];
    for (let next = this.#peek(); next !== undefined && next.atMs <= this.#nowMs; next = this.#peek()) {
      due.push(next);
      this.#pop();
    }
    for (const timer of due) if (!timer.isCancelled) timer.heard();
  }

  #peek(): Timer | undefined {
    while (this.#heap[0]?.isCancelled === true) this.#pop();
    return this.#heap[0];
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || isBefore(parent, timer)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      const isRight = right !== undefined && left !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

const isBefore = (one: Timer, other: Timer): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.serial < other.serial);
