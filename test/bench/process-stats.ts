/** What a process takes of the machine, read from /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** Resident memory; pages that processes share count in each. */
export function rssOf(pid: number | "self"): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** Of this process, after garbage was collected when Node was started with --expose-gc. */
export function settledRss(): number {
  globalThis.gc?.();
  return rssOf("self");
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly environment: string;
}

/** Every process of the machine that did not end while it was read. */
export function processes(): readonly Process[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    const text = (file: string) => readFileSync(`/proc/${entry}/${file}`, "utf8");
    try {
      const parent = Number(/^PPid:\s+(\d+)/m.exec(text("status"))?.[1]);
      const command = text("cmdline").replaceAll("\0", " ");
      return [{ pid: Number(entry), parent, command, environment: text("environ") }];
    } catch {
      return [];
    }
  });
}

/** The processes below these in the tree. */
export function descendantsOf(roots: readonly number[]): readonly Process[] {
  const all = processes();
  const found = new Set(roots);
  for (let size = 0; size < found.size;) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid) && !roots.includes(pid));
}

export const quantile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
