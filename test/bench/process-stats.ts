/** What a process takes of the machine, read from /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** Resident memory without the pages that a process shares with others running the same file. */
export function rssOf(pid: number | "self"): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** Of this process, after garbage was collected when Node was started with --expose-gc. */
export function settledRss(): number {
  globalThis.gc?.();
  return rssOf("self");
}

/** Pids of processes whose command line has all of these words. */
export function pidsOf(...words: readonly string[]): readonly number[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const line = readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ");
      return words.every((word) => line.includes(word)) ? [Number(entry)] : [];
    } catch {
      // It has ended in the meantime.
      return [];
    }
  });
}

export const quantile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
