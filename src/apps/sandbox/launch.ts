/** Starts and ends the processes of clusters, and finds out whether they run. The state file says which there should be. */
import { request } from "node:https";
import {
  closeNow,
  fileExists,
  joinPath,
  makeDirectory,
  openAppendNow,
  readNow,
  readText,
  removePath,
  sizeNow,
} from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { environment, isAlive, nodePath, sendSignal, start } from "../../io/host/processes.ts";
import { MachineProblem } from "./machine.ts";
import { clusterDirectory, clusterLog, readyFile } from "./state.ts";
import type { ClusterState, SandboxState } from "./state.ts";

const readyMsMax = 60_000;
const pollMs = 50;
const endMsMax = 15_000;
const logBytesMax = 10 * 1024 * 1024;
const askMs = 2_000;

/** In the environment of a cluster's process, so that a pid that was given anew is never taken for it. */
const markName = "TOMBOLO_SANDBOX_CLUSTER";
const markOf = (sandboxId: string, cluster: string): string => `${sandboxId}/${cluster}`;

const isClusterProcess = (pid: number, sandboxId: string, cluster: string): boolean =>
  isAlive(pid) &&
  (readNow(`/proc/${pid}/environ`)
    ?.split("\0")
    .includes(`${markName}=${markOf(sandboxId, cluster)}`) ??
    false);

/** The pid when the cluster's process runs and has finished starting. */
export async function readyPid(
  home: string,
  sandbox: SandboxState,
  cluster: ClusterState,
): Promise<number | undefined> {
  const pid = Number(await readText(readyFile(home, cluster.name)));
  if (!(pid > 0) || !isClusterProcess(pid, sandbox.id, cluster.name)) return undefined;
  return (await isApiReady(cluster)) ? pid : undefined;
}

/** Asks /readyz. */
export const isApiReady = (cluster: ClusterState): Promise<boolean> =>
  new Promise((resolve) => {
    const options = { host: "127.0.0.1", port: cluster.apiPort, path: "/readyz", ca: cluster.caPem, timeout: askMs };
    const call = request({ ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve(false));
    call.end();
  });

/** Starts the process detached; resolves with its pid once everything of the cluster runs. */
export async function startClusterProcess(
  host: Host,
  home: string,
  sandbox: SandboxState,
  cluster: ClusterState,
  signal: AbortSignal,
): Promise<number> {
  const program = joinPath(sandbox.dist, "sandbox-cluster.js");
  if (!fileExists(program)) throw new MachineProblem(`${program} does not exist; build it first with: npm run build`);
  await makeDirectory(clusterDirectory(home, cluster.name));
  await removePath(readyFile(home, cluster.name));
  const log = clusterLog(home, cluster.name);
  if (sizeNow(log) > logBytesMax) await removePath(log);
  const output = openAppendNow(log);
  const child = start(nodePath(), ["--enable-source-maps", program, cluster.name], {
    env: { ...environment(), TOMBOLO_HOME: home, [markName]: markOf(sandbox.id, cluster.name) },
    cwd: "/",
    stdio: ["ignore", output, output],
    detached: true,
  });
  closeNow(output);
  const { pid } = child;
  let hasEnded = pid === undefined;
  child.once("error", () => (hasEnded = true));
  child.once("exit", () => (hasEnded = true));
  child.unref();
  const untilMs = host.clock.now() + readyMsMax;
  while (host.clock.now() < untilMs && !hasEnded) {
    if (pid !== undefined && (await readyPid(home, sandbox, cluster)) === pid) return pid;
    await host.clock.sleep(pollMs, signal);
  }
  if (pid !== undefined) sendSignal(pid, "SIGTERM");
  const said = (await readText(log))?.trim().split("\n").slice(-2).join("\n") ?? "";
  const why = hasEnded ? "ended" : `was not ready within ${readyMsMax / 1000} s`;
  throw new MachineProblem(`The process of cluster ${cluster.name} ${why}; its log is ${log}:\n${said}`);
}

/** Ends these processes of clusters: asked first, killed when that takes too long. */
export async function endClusterProcesses(
  host: Host,
  sandbox: SandboxState,
  running: readonly { readonly pid: number; readonly cluster: string }[],
): Promise<void> {
  const left = () => running.filter(({ pid, cluster }) => isClusterProcess(pid, sandbox.id, cluster));
  for (const { pid } of left()) sendSignal(pid, "SIGTERM");
  const untilMs = host.clock.now() + endMsMax;
  while (left().length > 0 && host.clock.now() < untilMs) await host.clock.sleep(pollMs);
  for (const { pid } of left()) sendSignal(pid, "SIGKILL");
  while (left().length > 0) await host.clock.sleep(pollMs);
}

/** Processes of this cluster, whatever the state file says. */
export const clusterProcesses = (pids: readonly string[], sandboxId: string, cluster: string): readonly number[] =>
  pids.flatMap((entry) =>
    /^\d+$/.test(entry) && isClusterProcess(Number(entry), sandboxId, cluster) ? [Number(entry)] : [],
  );
