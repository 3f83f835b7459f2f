/**
 * One `up` or `down` of a state directory at a time. The lock file holds a pid and when that process began; one that is gone
 * counts not, also when its pid belongs to another by now.
 */
import { createNow, readNow, removePath } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { isAlive, ownPid } from "../../io/host/processes.ts";
import { MachineProblem } from "./machine.ts";

const waitMsMax = 120_000;
const pollMs = 100;

/** In ticks since the machine started, as /proc tells it after the name, which may hold blanks and brackets itself. */
const beginOf = (pid: number): string | undefined => readNow(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ")[19];

export async function withLock<T>(host: Host, path: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  const untilMs = host.clock.now() + waitMsMax;
  while (!createNow(path, `${ownPid()} ${beginOf(ownPid()) ?? ""}\n`)) {
    const [pid, begin] = readNow(path)?.trim().split(" ") ?? [];
    const holder = Number(pid);
    const isAnother = begin !== undefined && beginOf(holder) !== begin;
    if (holder > 0 && (!isAlive(holder) || isAnother)) {
      await removePath(path);
      continue;
    }
    if (host.clock.now() > untilMs) {
      throw new MachineProblem(
        `Process ${holder} is changing the sandbox; wait for it, or remove ${path} if it hangs.`,
      );
    }
    await host.clock.sleep(pollMs, signal);
  }
  try {
    return await act();
  } finally {
    await removePath(path);
  }
}
