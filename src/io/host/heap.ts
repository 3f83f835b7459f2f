/**
 * Gives memory back to the machine. After a burst, such as the first build of a mesh, the JavaScript engine keeps about
 * as much room as it has objects, and compacts it only when it allocates again, which a program at rest hardly does.
 */
import { Session } from "node:inspector";
import { getHeapStatistics } from "node:v8";
import type { Host } from "./host.ts";

export interface Heap {
  /** Bytes that the engine has taken from the machine for objects. */
  held(): number;
  /** CPU time of the process so far. */
  cpuMs(): number;
  /** Collects all garbage, moves what lives together, and gives the rest back; nothing else runs meanwhile. */
  compact(): Promise<void>;
}

const checkMs = 5_000;
/** Compacting 150 MB of objects takes one to three seconds, so it must be rare: for a hundredth of the time at most. */
const restMsMin = 60_000;
const restRatio = 100;
/** A program that takes more of a CPU than this has something better to do. */
const idleShareMax = 0.1;
const slackShareMax = 0.2;
const slackBytesMin = 16 << 20;

const mebibytes = (bytes: number): number => Math.round(bytes / (1 << 20));

export const engineHeap: Heap = {
  held: () => getHeapStatistics().total_physical_size,
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  // The one door of Node to the engine's whole collection that needs no flag at the start.
  compact: () =>
    new Promise((resolve) => {
      const session = new Session();
      session.connect();
      session.post("HeapProfiler.collectGarbage", () => {
        // Not from inside of the answer: the engine holds a lock then that disconnecting asks for, and would hang.
        setImmediate(() => {
          session.disconnect();
          resolve();
        });
      });
    }),
};

/** Until aborted: compacts when the program is idle and holds clearly more than it did after the last time. */
export async function keepSmall(host: Host, heap: Heap, signal: AbortSignal): Promise<void> {
  const { clock, log } = host;
  let least = 0;
  let notBefore = 0;
  let cpuMs = heap.cpuMs();
  while (!signal.aborted) {
    const began = clock.elapsed();
    await clock.sleep(checkMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const isIdle = heap.cpuMs() - cpuMs < (clock.elapsed() - began) * idleShareMax;
    const before = heap.held();
    const isLoose = before > least * (1 + slackShareMax) + slackBytesMin;
    if (isIdle && isLoose && clock.elapsed() >= notBefore) {
      const started = clock.elapsed();
      await heap.compact();
      least = heap.held();
      const ms = Math.round(clock.elapsed() - started);
      notBefore = clock.elapsed() + Math.max(restMsMin, ms * restRatio);
      log.debug("heap.compacted", { ms, mebibytesBefore: mebibytes(before), mebibytes: mebibytes(least) });
    }
    cpuMs = heap.cpuMs();
  }
}
