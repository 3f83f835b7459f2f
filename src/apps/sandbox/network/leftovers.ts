/**
 * What a sandbox, or one cluster of it, has on the machine, found by its id alone: namespaces, links, mounts and processes.
 * Used to clean up after a crash and to take everything down.
 */
import type { Host } from "../../../io/host/host.ts";
import { identityNow, listNow, parentPath, readNow, removePath } from "../../../io/host/files.ts";
import { ownPid, run, sendSignal } from "../../../io/host/processes.ts";
import { bridgeName, netnsPath, nodeRunDirectory } from "./addresses.ts";
import { netnsExists, removeNetns } from "./links.ts";

/** Namespaces of one cluster, or of the whole sandbox. */
export const namespacesOf = (sandboxId: string, cluster?: string): readonly string[] => {
  const prefix = `tmb-${sandboxId}-`;
  const isOfCluster = (rest: string): boolean =>
    cluster === undefined ||
    (rest.startsWith(`${cluster}-`) && /^(node\d+|pod-[0-9a-f]+)$/.test(rest.slice(cluster.length + 1)));
  return listNow("/run/netns").filter((name) => name.startsWith(prefix) && isOfCluster(name.slice(prefix.length)));
};

/** Processes that live in one of these namespaces. */
export function processesIn(netns: readonly string[]): readonly number[] {
  const wanted = new Set(netns.flatMap((name) => identityNow(netnsPath(name)) ?? []));
  if (wanted.size === 0) return [];
  return listNow("/proc").flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === ownPid()) return [];
    const identity = identityNow(`/proc/${entry}/ns/net`);
    return identity !== undefined && wanted.has(identity) ? [pid] : [];
  });
}

/** Processes whose environment carries `name=value`. */
export function processesWithEnvironment(name: string, value: string): readonly number[] {
  const wanted = `${name}=${value}`;
  return listNow("/proc").flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === ownPid()) return [];
    return readNow(`/proc/${entry}/environ`)?.split("\0").includes(wanted) === true ? [pid] : [];
  });
}

/** Mount points below `directory`, deepest first. */
function mountsBelow(directory: string): readonly string[] {
  const lines = readNow("/proc/self/mountinfo")?.split("\n") ?? [];
  return lines
    .flatMap((line) => line.split(" ")[4] ?? [])
    .map((path) => path.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8))))
    .filter((path) => path.startsWith(`${directory}/`))
    .toSorted((left, right) => right.length - left.length);
}

export async function unmountBelow(directory: string): Promise<void> {
  for (const path of mountsBelow(directory)) await run("umount", ["-l", path]);
}

const killRounds = 50;

/** Ends every process in these namespaces, and waits until they are gone. */
async function killProcessesIn(host: Host, netns: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let round = 0; round < killRounds; round += 1) {
    const pids = processesIn(netns);
    if (pids.length === 0) return;
    for (const pid of pids) sendSignal(pid, "SIGKILL");
    await host.clock.sleep(Math.min(100, 5 * (round + 1)), signal);
  }
}

/** What nodes had in their own /run: sockets and files of node programs. */
async function removeNodeRuns(names: (name: string) => boolean): Promise<void> {
  const parent = parentPath(nodeRunDirectory("x"));
  for (const name of listNow(parent).filter(names)) await removePath(nodeRunDirectory(name));
  if (listNow(parent).length === 0) await removePath(parent);
}

/** Removes namespaces and links of one cluster. Links of pods and nodes go with the namespaces that hold their other end. */
export async function removeClusterNetwork(host: Host, sandboxId: string, cluster: string): Promise<void> {
  const netns = namespacesOf(sandboxId, cluster);
  await killProcessesIn(host, netns);
  for (const name of netns) await removeNetns(name);
  const prefix = `tmb-${sandboxId}-${cluster}-node`;
  await removeNodeRuns((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)));
}

/** The last step of `down`: whatever still carries the sandbox's id. */
export async function removeSandboxNetwork(host: Host, sandboxId: string): Promise<void> {
  const netns = namespacesOf(sandboxId);
  await killProcessesIn(host, netns);
  for (const name of netns) if (netnsExists(name)) await removeNetns(name);
  await removeNodeRuns((name) => name.startsWith(`tmb-${sandboxId}-`));
  const bridge = bridgeName(sandboxId);
  for (const link of listNow("/sys/class/net")) {
    if (link.startsWith(`${bridge}-`)) await run("ip", ["link", "del", link]);
  }
  if (listNow("/sys/class/net").includes(bridge)) await run("ip", ["link", "del", bridge]);
  await removeTables(sandboxId);
}

/** Rules on the machine itself are those of faults alone. */
async function removeTables(sandboxId: string): Promise<void> {
  const { stdout } = await run("nft", ["list", "tables"]);
  for (const [, family = "", table = ""] of stdout.matchAll(/^table (\S+) (\S+)$/gm)) {
    if (table.startsWith(`tmb_${sandboxId}_`)) await run("nft", ["delete", "table", family, table]);
  }
}
