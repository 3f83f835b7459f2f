/**
 * Keys by value. Most values have one key, which stands for itself, or a few, in a sorted list; only many are a set, which
 * is sorted when asked for.
 */
import { compareKeys } from "./order.ts";

interface Many {
  readonly keys: Set<string>;
  sorted: readonly string[] | undefined;
}

type Posting = string | readonly string[] | Many;

const fewMax = 32;
const nothing: readonly string[] = [];
const isFew = (posting: readonly string[] | Many): posting is readonly string[] => Array.isArray(posting);

export class Postings {
  readonly #postings = new Map<string, Posting>();

  /** In order. */
  of(value: string): readonly string[] {
    const posting = this.#postings.get(value);
    if (posting === undefined) return nothing;
    if (typeof posting === "string") return [posting];
    if (isFew(posting)) return posting;
    posting.sorted ??= [...posting.keys].sort(compareKeys);
    return posting.sorted;
  }

  /** Whether the value had no key before. */
  add(value: string, key: string): boolean {
    const posting = this.#postings.get(value);
    if (posting === undefined) {
      this.#postings.set(value, key);
      return true;
    }
    if (typeof posting === "string") {
      if (posting !== key) this.#postings.set(value, posting < key ? [posting, key] : [key, posting]);
    } else if (!isFew(posting)) {
      if (posting.keys.has(key)) return false;
      posting.keys.add(key);
      posting.sorted = undefined;
    } else if (!posting.includes(key)) {
      const keys = [...posting, key];
      this.#postings.set(
        value,
        keys.length > fewMax ? { keys: new Set(keys), sorted: undefined } : keys.sort(compareKeys).slice(),
      );
    }
    return false;
  }

  /** Whether the value has no key any more. */
  remove(value: string, key: string): boolean {
    const posting = this.#postings.get(value);
    if (posting === undefined) return false;
    if (typeof posting === "string") return posting === key && this.#postings.delete(value);
    if (isFew(posting)) {
      const rest = posting.filter((one) => one !== key);
      const [only = ""] = rest;
      this.#postings.set(value, rest.length === 1 ? only : rest);
      return false;
    }
    if (!posting.keys.delete(key)) return false;
    posting.sorted = undefined;
    if (posting.keys.size <= fewMax / 2) this.#postings.set(value, [...posting.keys].sort(compareKeys).slice());
    return false;
  }

  has(value: string): boolean {
    return this.#postings.has(value);
  }

  values(): Iterable<string> {
    return this.#postings.keys();
  }

  get size(): number {
    return this.#postings.size;
  }
}
