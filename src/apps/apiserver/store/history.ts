/**
 * What changed lately in one bucket (all objects of one group and plural), so that a watch can start at an earlier
 * revision. Bounded by count and by age.
 */
import type { AnyObject } from "../../../core/api/kube.ts";

export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly revision: number;
  readonly key: string;
  /** With the change's resourceVersion; for DELETED the last state. */
  readonly object: AnyObject;
  readonly previous: AnyObject | undefined;
  readonly timeMs: number;
}

/** At least this many changes and this long are kept (A23), and never more than `changesMax`. */
const changesMin = 1_000;
const ageMinMs = 5 * 60_000;
const changesMax = 20_000;

export class History {
  #changes: Change[] = [];
  #start = 0;
  /** Changes after this revision are all here. */
  #floor: number;

  constructor(floor: number) {
    this.#floor = floor;
  }

  get floor(): number {
    return this.#floor;
  }

  add(change: Change): void {
    this.#changes.push(change);
    while (this.#isTooLong(change.timeMs)) {
      this.#floor = this.#changes[this.#start]?.revision ?? this.#floor;
      this.#start += 1;
    }
    // Dropping the head in large pieces keeps the cost of each change constant.
    if (this.#start > changesMax) {
      this.#changes = this.#changes.slice(this.#start);
      this.#start = 0;
    }
  }

  /** In order; empty when nothing changed since. Only for `revision >= floor`. */
  after(revision: number): readonly Change[] {
    let low = this.#start;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.revision ?? Infinity) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#changes.slice(low);
  }

  #isTooLong(nowMs: number): boolean {
    const count = this.#changes.length - this.#start;
    if (count > changesMax) return true;
    const oldest = this.#changes[this.#start];
    return count > changesMin && oldest !== undefined && nowMs - oldest.timeMs > ageMinMs;
  }
}
