/** The bytes that the TCP sample sends: a block that repeats, so that both ends know every byte without storing it. */

export const blockBytes = 64 * 1024;

/** A fixed sequence without a short period (a linear congruential generator, modulus 2^31). */
export const block: Uint8Array = (() => {
  const bytes = new Uint8Array(blockBytes);
  let state = 42;
  for (let at = 0; at < blockBytes; at++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    bytes[at] = state >>> 16;
  }
  return bytes;
})();
