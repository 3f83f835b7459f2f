/** A `Host` whose time moves only when told to, for tests: timers fire in order, and randomness repeats. */
import type { Host } from "./host.ts";
import { seededRandom } from "./seeded-random.ts";
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
