/**
 * Equal values kept once: of many rows that say the same, all may hold one copy. Only the last distinct values are
 * remembered, because what is alike mostly comes together: the pods of a Deployment, the services of a team. The one
 * `shared` serves the whole process, since what it answers depends on nothing but the value.
 */

const nothing: readonly never[] = [];

/** The same list without the room to grow that filtering and gathering leave, which is many times a short list's size. */
export const trimmed = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? nothing : list.slice());

class Recent<T> {
  readonly #known = new Map<string, T>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  of(text: string, value: T): T {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const [oldest] = this.#known.size >= this.#max ? this.#known.keys() : [];
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(text, value);
    return value;
  }
}

const valuesMax = 512;
const wordsMax = 4096;

class Shared {
  readonly #values = new Recent<unknown>(valuesMax);
  readonly #words = new Recent<string>(wordsMax);

  /** This value, or an equal one that was seen before. It must be plain data and never change. */
  of<T>(value: T): T {
    // Equal texts are of equal values, so what was remembered under this one has the type of this value.
    return this.#values.of(JSON.stringify(value), value) as T;
  }

  word(word: string): string {
    return this.#words.of(word, word);
  }
}

export const shared = new Shared();
