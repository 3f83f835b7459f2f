/** Broken invariants are our own mistakes: they stop the process, in production too. */

export function assert(holds: boolean, why: () => string): asserts holds {
  if (!holds) throw new Error(why());
}
