/** Ends every process that shares a container's mounts: what a container runtime does by control group. */
import { identityNow, listNow } from "../../../io/host/files.ts";
import { sendSignal } from "../../../io/host/processes.ts";

/** `identity` as `identityNow` gives it; the machine's own mount namespace is never a container's. */
export function killMountNamespace(identity: string | undefined): void {
  if (
    identity === undefined ||
    identity === identityNow("/proc/1/ns/mnt") ||
    identity === identityNow("/proc/self/ns/mnt")
  ) {
    return;
  }
  for (const entry of listNow("/proc")) {
    if (/^\d+$/.test(entry) && identityNow(`/proc/${entry}/ns/mnt`) === identity) sendSignal(Number(entry), "SIGKILL");
  }
}
