/** Postings against a plain map of sets, from one key to many and back. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Postings } from "./postings.ts";

test("keys come and go in any number, in order, and a value without keys is gone", () => {
  const move = fc.record({ isAdded: fc.boolean(), value: fc.constantFrom("x", "y"), key: fc.nat(80).map(String) });
  fc.assert(
    fc.property(fc.array(move, { maxLength: 300 }), (moves) => {
      const postings = new Postings();
      const expected = new Map<string, Set<string>>();
      for (const { isAdded, value, key } of moves) {
        const keys = expected.get(value) ?? new Set();
        const isTurn = isAdded ? keys.size === 0 : keys.size === 1 && keys.has(key);
        expect(isAdded ? postings.add(value, key) : postings.remove(value, key)).toBe(isTurn);
        if (isAdded) keys.add(key);
        else keys.delete(key);
        if (keys.size > 0) expected.set(value, keys);
        else expected.delete(value);
        expect(postings.of(value)).toEqual([...keys].sort());
        expect(postings.has(value)).toBe(keys.size > 0);
      }
      expect([...postings.values()].toSorted()).toEqual([...expected.keys()].toSorted());
    }),
  );
});
