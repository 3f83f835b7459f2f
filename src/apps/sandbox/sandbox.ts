/**
 * The sandbox as its user starts and ends it: `up`, `down`, `status`. Owns the state directory and the sandbox's entries in
 * kubeconfig files. Everything it makes on the machine carries the sandbox's id, and only that is ever removed.
 */
import {
  homeDirectory,
  joinPath,
  giveToCaller,
  listNow,
  makeDirectory,
  parentPath,
  readText,
  realPathNow,
  removePath,
  writeAtomically,
} from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { environment } from "../../io/host/processes.ts";
import { makeCertificates } from "./certificates.ts";
import { forgetFaults } from "./faults/control.ts";
import { faultsFile } from "./faults/file.ts";
import { isEmptyKubeconfig, kubeconfigPaths, withClusters, withoutClusters } from "./kubeconfig.ts";
import { clusterProcesses, endClusterProcesses, isApiReady, readyPid, startClusterProcess } from "./launch.ts";
import { withLock } from "./lock.ts";
import {
  MachineProblem,
  checkMachine,
  envoyPath,
  freePort,
  freeSandboxId,
  freeUnderlay,
  homeOf,
  packageDirectory,
} from "./machine.ts";
import { clusterNameProblem, hostAddress, limits, planCluster } from "./network/addresses.ts";
import { removeClusterNetwork, removeSandboxNetwork, unmountBelow } from "./network/leftovers.ts";
import { joinPodNetworks, makeBridge } from "./network/links.ts";
import { clusterDirectory, meshRootFile, readState, stateFile, writeState } from "./state.ts";
import type { ClusterState, SandboxState } from "./state.ts";

export interface UpOptions {
  /** Names; absent: those there are, else `cluster1` and `cluster2`. */
  readonly clusters?: readonly string[] | undefined;
  /** Nodes of each new cluster. */
  readonly nodes?: number | undefined;
  /** Objects of new clusters live in memory only. */
  readonly ephemeral?: boolean | undefined;
  /** One pod network for all clusters; once flat, a sandbox stays flat. */
  readonly isFlat?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Told what is being done, in a few words. */
  readonly progress: (step: string) => void;
}

export interface ClusterSummary {
  readonly name: string;
  readonly isReady: boolean;
  readonly pid: number | undefined;
  readonly server: string;
  readonly nodes: number;
  readonly log: string;
}

export interface SandboxSummary {
  readonly home: string;
  readonly id: string;
  readonly underlay: string;
  readonly clusters: readonly ClusterSummary[];
  readonly isFlat: boolean;
  readonly kubeconfigs: readonly string[];
}

const defaultNames = ["cluster1", "cluster2"];
const defaultNodes = 2;
const firstApiPort = 16443;
const firstDnsPort = 16053;

/** Starts what does not run yet; a sandbox that runs is left as it is. */
export async function up(host: Host, options: UpOptions): Promise<SandboxSummary> {
  await checkMachine("up");
  const home = homeOf(environment());
  if (/[,:\s]/.test(home))
    throw new MachineProblem(`The state directory ${home} must have no comma, colon or blank in it.`);
  await makeDirectory(home, 0o755);
  giveToCaller(home);
  return withLock(host, joinPath(home, "lock"), options.signal, async () => {
    const found = await wantedState(host, home, options);
    const state = options.isFlat === true ? { ...found, isFlat: true } : found;
    await save(home, state);
    await makeBridge(state.id, state.underlay);
    const names = options.clusters ?? state.clusters.map(({ name }) => name);
    const wanted = state.clusters.filter(({ name }) => names.includes(name));
    const pids = await startAll(host, home, state, wanted, options);
    const clusters = state.clusters.map((one) => ({ ...one, pid: pids.get(one.name) ?? one.pid }));
    if (state.isFlat === true) await joinPodNetworks(state.clusters.map((cluster) => planOf(state, cluster)));
    options.progress("writing the kubeconfig");
    const { path, isNew } = await mergeKubeconfig(wanted);
    const kubeconfigs = [...new Set([...state.kubeconfigs, path])];
    const madeKubeconfigs = [...new Set([...(state.madeKubeconfigs ?? []), ...(isNew ? [path] : [])])];
    const brought = { ...state, clusters, kubeconfigs, madeKubeconfigs };
    await save(home, brought);
    return summaryOf(home, brought);
  });
}

async function save(home: string, state: SandboxState): Promise<void> {
  await writeState(home, state);
  giveToCaller(stateFile(home));
}

const planOf = ({ id, underlay }: SandboxState, { name, index, nodes }: ClusterState) =>
  planCluster({ sandboxId: id, cluster: name, index, underlay, nodes });

/** Pid by name. What runs already is left as it is. */
async function startAll(
  host: Host,
  home: string,
  state: SandboxState,
  wanted: readonly ClusterState[],
  options: UpOptions,
): Promise<ReadonlyMap<string, number>> {
  const pids = new Map<string, number>();
  for (const cluster of wanted) {
    const pid = await readyPid(home, state, cluster);
    if (pid === undefined) await forgetFaults(host, home, state, cluster.name);
    else {
      options.progress(`${cluster.name} is running`);
      pids.set(cluster.name, pid);
    }
  }
  await Promise.all(
    wanted
      .filter(({ name }) => !pids.has(name))
      .map(async (cluster) => pids.set(cluster.name, await startOne(host, home, state, cluster, options))),
  );
  return pids;
}

async function startOne(
  host: Host,
  home: string,
  state: SandboxState,
  cluster: ClusterState,
  options: UpOptions,
): Promise<number> {
  // A process that hangs, or is not ready, makes room for a new one.
  const left = clusterProcesses(listNow("/proc"), state.id, cluster.name);
  await endClusterProcesses(
    host,
    state,
    left.map((pid) => ({ pid, cluster: cluster.name })),
  );
  options.progress(`starting ${cluster.name}`);
  const pid = await startClusterProcess(host, home, state, cluster, options.signal);
  options.progress(`${cluster.name} is ready`);
  return pid;
}

/** The state with all wanted clusters in it. */
async function wantedState(host: Host, home: string, options: UpOptions): Promise<SandboxState> {
  const known = await readState(home);
  const env = environment();
  const programs = { dist: joinPath(packageDirectory(), "dist"), envoy: envoyPath(env) };
  let state: SandboxState =
    known === undefined
      ? { version: 1, id: freeSandboxId(host), underlay: freeUnderlay(), clusters: [], kubeconfigs: [], ...programs }
      : { ...known, ...programs };
  const names = options.clusters ?? (state.clusters.length > 0 ? [] : defaultNames);
  for (const name of names) {
    const problem = clusterNameProblem(name);
    if (problem !== undefined) throw new MachineProblem(problem);
    const nodes = options.nodes ?? defaultNodes;
    const has = state.clusters.find((cluster) => cluster.name === name);
    if (has !== undefined && options.nodes !== undefined && options.nodes !== has.nodes) {
      throw new MachineProblem(
        `Cluster ${name} has ${has.nodes} ${has.nodes === 1 ? "node" : "nodes"}, not ${nodes}; take the sandbox down to start it with another number.`,
      );
    }
    if (has !== undefined) continue;
    if (nodes < 1 || nodes > limits.nodes)
      throw new MachineProblem(`A cluster has 1 to ${limits.nodes} nodes, not ${nodes}.`);
    const cluster = await newCluster(host, state, name, { nodes, ephemeral: options.ephemeral === true });
    state = { ...state, clusters: [...state.clusters, cluster] };
  }
  return state;
}

async function newCluster(
  host: Host,
  state: SandboxState,
  name: string,
  { nodes, ephemeral }: { nodes: number; ephemeral: boolean },
): Promise<ClusterState> {
  const used = new Set(state.clusters.map(({ index }) => index));
  let index = 1;
  while (used.has(index)) index += 1;
  if (index > limits.clusters) throw new MachineProblem(`A sandbox has at most ${limits.clusters} clusters.`);
  const apiPort = await freePort(firstApiPort + index - 1, new Set(state.clusters.map((one) => one.apiPort)));
  const dnsPort = await freePort(firstDnsPort + index - 1, new Set(state.clusters.map((one) => one.dnsPort)));
  const certificates = await makeCertificates(host, name, hostAddress(state.underlay));
  const adminToken = Buffer.from(host.random.bytes(24)).toString("base64url");
  return { name, index, nodes, apiPort, dnsPort, adminToken, ephemeral, ...certificates };
}

const serverOf = ({ apiPort }: ClusterState): string => `https://127.0.0.1:${apiPort}`;

/** Returns the file that was written: the first that exists, else the last that kubectl would look at. */
async function mergeKubeconfig(clusters: readonly ClusterState[]): Promise<{ path: string; isNew: boolean }> {
  const paths = kubeconfigPaths(environment()["KUBECONFIG"], homeDirectory());
  let path = paths.at(-1) ?? "";
  let text: string | undefined;
  for (const candidate of paths) {
    text = await readText(candidate);
    if (text !== undefined) {
      path = candidate;
      break;
    }
  }
  const access = clusters.map((one) => ({
    name: one.name,
    server: serverOf(one),
    caPem: one.caPem,
    token: one.adminToken,
  }));
  // A link stays one: the file that it leads to is replaced.
  await writeAtomically(realPathNow(path), withClusters(text, path, access), 0o600);
  giveToCaller(parentPath(path));
  giveToCaller(path);
  return { path, isNew: text === undefined };
}

/** A file that was not there before goes, when nobody has written anything else into it. */
async function cleanKubeconfig(path: string, names: readonly string[], isOurs: boolean): Promise<void> {
  const text = await readText(path);
  if (text === undefined) return;
  const rest = withoutClusters(text, path, names);
  if (isOurs && isEmptyKubeconfig(rest ?? text, path)) return removePath(path);
  if (rest === undefined) return;
  await writeAtomically(realPathNow(path), rest, 0o600);
  giveToCaller(path);
}

/** Ends everything and leaves the machine as it was before. True when there was a sandbox. */
export async function down(
  host: Host,
  options: { readonly signal: AbortSignal; readonly progress: (step: string) => void },
): Promise<boolean> {
  await checkMachine("down");
  const home = homeOf(environment());
  const state = await readState(home);
  if (state === undefined) return false;
  await withLock(host, joinPath(home, "lock"), options.signal, async () => {
    options.progress("ending the clusters");
    const pids = listNow("/proc");
    const running = state.clusters.flatMap(({ name }) =>
      clusterProcesses(pids, state.id, name).map((pid) => ({ pid, cluster: name })),
    );
    await endClusterProcesses(host, state, running);
    options.progress("removing networks and files");
    for (const { name } of state.clusters) {
      await removeClusterNetwork(host, state.id, name);
      await unmountBelow(clusterDirectory(home, name));
    }
    await removeSandboxNetwork(host, state.id);
    for (const path of state.kubeconfigs)
      await cleanKubeconfig(
        path,
        state.clusters.map(({ name }) => name),
        state.madeKubeconfigs?.includes(path) ?? false,
      );
    await removePath(joinPath(home, "clusters"));
    await removePath(joinPath(home, "images.json"));
    await removePath(meshRootFile(home));
    await removePath(faultsFile(home));
    await removePath(stateFile(home));
  });
  if (listNow(home).length === 0) await removePath(home);
  return true;
}

/** Undefined when there is no sandbox. Needs no rights but those to read the state directory. */
export async function status(): Promise<SandboxSummary | undefined> {
  const home = homeOf(environment());
  const state = await readState(home);
  return state === undefined ? undefined : summaryOf(home, state);
}

async function summaryOf(home: string, state: SandboxState): Promise<SandboxSummary> {
  const clusters = await Promise.all(
    state.clusters.map(async (cluster): Promise<ClusterSummary> => {
      const pid = Number(await readText(joinPath(clusterDirectory(home, cluster.name), "ready")));
      const isReady = pid > 0 && (await isApiReady(cluster));
      return {
        name: cluster.name,
        isReady,
        pid: isReady ? pid : undefined,
        server: serverOf(cluster),
        nodes: cluster.nodes,
        log: joinPath(clusterDirectory(home, cluster.name), "cluster.log"),
      };
    }),
  );
  const { id, underlay, kubeconfigs } = state;
  return { home, id, underlay, clusters, isFlat: state.isFlat === true, kubeconfigs };
}
