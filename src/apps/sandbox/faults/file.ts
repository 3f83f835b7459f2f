/** The list of faults of a sandbox, in `faults.json` of its state directory. Written by the CLI, read by clusters' processes. */
import { joinPath, readText, writeAtomically } from "../../../io/host/files.ts";
import { clusterDirectory } from "../state.ts";
import { isOver } from "./fault.ts";
import type { Fault } from "./fault.ts";

export const faultsFile = (home: string): string => joinPath(home, "faults.json");
/** In which a cluster's process says what it carries out now. */
export const obeyedFile = (home: string, cluster: string): string =>
  joinPath(clusterDirectory(home, cluster), "faults-obeyed");

/** Those that are not over. */
export async function readFaults(home: string, nowMs: number): Promise<readonly Fault[]> {
  const text = await readText(faultsFile(home));
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isFault).filter((fault) => !isOver(fault, nowMs)) : [];
  } catch (cause) {
    throw new Error(`${faultsFile(home)} is not what the sandbox wrote; remove it.`, { cause });
  }
}

export async function writeFaults(home: string, faults: readonly Fault[]): Promise<void> {
  await writeAtomically(faultsFile(home), `${JSON.stringify(faults, null, 2)}\n`, 0o600);
}

/** The file is ours and only ever replaced as a whole. */
const isFault = (value: unknown): value is Fault =>
  typeof value === "object" &&
  value !== null &&
  "number" in value &&
  typeof value.number === "number" &&
  "effect" in value &&
  typeof value.effect === "object";
