/**
 * What a sandbox remembers between runs, in `sandbox.json` of its state directory: its id, and per cluster the ports,
 * certificates, token and process. Readable by its owner only.
 */
import { joinPath, readText, writeAtomically } from "../../io/host/files.ts";

export interface ClusterState {
  readonly name: string;
  /** From 1; part of the cluster's addresses. */
  readonly index: number;
  readonly nodes: number;
  readonly apiPort: number;
  readonly dnsPort: number;
  readonly adminToken: string;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** Objects live in memory only. */
  readonly ephemeral: boolean;
  readonly pid?: number | undefined;
}

export interface SandboxState {
  readonly version: 1;
  readonly id: string;
  readonly underlay: string;
  readonly clusters: readonly ClusterState[];
  /** All clusters are on one pod network. */
  readonly isFlat?: boolean | undefined;
  /** Files into which contexts were merged. */
  readonly kubeconfigs: readonly string[];
  /** Those of them that were not there before. */
  readonly madeKubeconfigs?: readonly string[] | undefined;
  /** The programs it runs with, so that a cluster's process finds them without being told. */
  readonly dist: string;
  readonly envoy: string;
}

/** The root of trust that the meshes of all clusters share, for whoever installs them. */
export const meshRootFile = (home: string): string => joinPath(home, "mesh-root.json");
export const stateFile = (home: string): string => joinPath(home, "sandbox.json");
export const clusterDirectory = (home: string, cluster: string): string => joinPath(home, "clusters", cluster);
/** Holds the pid of a cluster's process once everything of it runs. */
export const readyFile = (home: string, cluster: string): string => joinPath(clusterDirectory(home, cluster), "ready");
export const clusterLog = (home: string, cluster: string): string =>
  joinPath(clusterDirectory(home, cluster), "cluster.log");

export async function readState(home: string): Promise<SandboxState | undefined> {
  const path = stateFile(home);
  const text = await readText(path);
  if (text === undefined) return undefined;
  const problem = `${path} is not what the sandbox wrote; remove the directory ${home} and start it again.`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(problem, { cause });
  }
  if (!isState(value)) throw new Error(problem);
  return value;
}

/** The file is ours and is only ever replaced as a whole; what can be told apart is its version. */
const isState = (value: unknown): value is SandboxState =>
  typeof value === "object" &&
  value !== null &&
  "version" in value &&
  value.version === 1 &&
  "id" in value &&
  typeof value.id === "string" &&
  /^[0-9a-f]{4}$/.test(value.id) &&
  "clusters" in value &&
  Array.isArray(value.clusters);

export async function writeState(home: string, state: SandboxState): Promise<void> {
  await writeAtomically(stateFile(home), `${JSON.stringify(state, null, 2)}\n`, 0o600);
}
