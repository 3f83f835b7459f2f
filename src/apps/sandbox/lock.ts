/** One `up` or `down` of a state directory at a time. The lock file holds a pid; that of a process that is gone counts not. */
import { createNow, readNow, removePath } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { isAlive, ownPid } from "../../io/host/processes.ts";
import { MachineProblem } from "./machine.ts";

const waitMsMax = 120_000;
const pollMs = 100;

export async function withLock<T>(host: Host, path: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  const untilMs = host.clock.now() + waitMsMax;
  while (!createNow(path, `${ownPid()}\n`)) {
    const holder = Number(readNow(path));
    if (holder > 0 && !isAlive(holder)) {
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
