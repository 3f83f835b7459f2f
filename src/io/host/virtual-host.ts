/** A `Host` whose time moves only when told to, for tests: timers fire in order, and randomness repeats. */
import type { Host, Random } from "./host.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface VirtualHost extends Host {
  /** Moves time on; each timer fires at its moment, and what it started runs before the next one. */
  advance(ms: number): Promise<void>;
  /** Lets everything run that waits for no timer. */
  settle(): Promise<void>;
}

/** Rounds of the event loop that count as "everything has run". */
const settleRounds = 8;

async function settle(): Promise<void> {
  for (let round = 0; round < settleRounds; round += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Mulberry32: small, fast, and the same everywhere. */
function seededRandom(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => next() & 0xff);
  return {
    bytes,
    below: (bound) => next() % bound,
    uuid: () => {
      const hex = Buffer.from(bytes(16)).toString("hex");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    },
  };
}

export function virtualHost(seed = 1, startMs = 1_800_000_000_000): VirtualHost {
  const clock = new VirtualClock(startMs);
  const advance = async (ms: number): Promise<void> => {
    const endMs = clock.now() + ms;
    await settle();
    while (clock.fireNext(endMs)) await settle();
    clock.moveTo(endMs);
  };
  const silent = () => undefined;
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  return { clock, random: seededRandom(seed), log, advance, settle };
}
