/**
 * Finds the network namespace of a pod that was not announced: some process of the pod is in it. Container runtimes put
 * the pod's uid in the cgroup of its processes; the sandbox's kubelet puts it in the environment of the first one.
 */
import { statSync } from "node:fs";
import { listNow, readNow } from "../../../io/host/files.ts";

const sandboxVariable = "TOMBOLO_POD_UID=";

/** The uid of the pod that a process belongs to. Cgroup paths spell it with dashes or, under systemd, with underscores. */
export function podUidOf(cgroup: string, environ: string): string | undefined {
  const found = /pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})/.exec(cgroup);
  if (found?.[1] !== undefined) return found[1].replaceAll("_", "-");
  return environ
    .split("\0")
    .find((entry) => entry.startsWith(sandboxVariable))
    ?.slice(sandboxVariable.length);
}

const inodeOf = (path: string): bigint | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;

/** A process may end before its pod does: runtimes keep each pod's namespace mounted under a name, which is stable. */
function stablePath(procPath: string, mounts: ReadonlyMap<bigint, string>): string {
  const inode = inodeOf(procPath);
  return (inode === undefined ? undefined : mounts.get(inode)) ?? procPath;
}

function mountedNamespaces(folder: string): ReadonlyMap<bigint, string> {
  const found = new Map<bigint, string>();
  for (const name of listNow(folder)) {
    const inode = inodeOf(`${folder}/${name}`);
    if (inode !== undefined) found.set(inode, `${folder}/${name}`);
  }
  return found;
}

/** One walk over /proc for many pods: uid → a path that Envoy and nft can open. Absent: no process of it runs yet. */
export function findNetns(
  uids: ReadonlySet<string>,
  proc = "/proc",
  mounts = "/run/netns",
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pid of listNow(proc)) {
    if (found.size === uids.size) break;
    if (!/^\d+$/.test(pid)) continue;
    const uid = podUidOf(readNow(`${proc}/${pid}/cgroup`) ?? "", readNow(`${proc}/${pid}/environ`) ?? "");
    if (uid !== undefined && uids.has(uid) && !found.has(uid)) found.set(uid, `${proc}/${pid}/ns/net`);
  }
  if (found.size === 0) return found;
  const named = mountedNamespaces(mounts);
  return new Map([...found].map(([uid, path]) => [uid, stablePath(path, named)]));
}
