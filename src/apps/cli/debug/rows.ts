/** Rows of the model as `get` shows them: from the control plane, or from one agent as it holds them. */
import { port, systemNamespace } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Pod } from "../../../core/api/pod.ts";
import type { MeshService, Peer, Policy, Workload } from "../../../core/mesh/model.ts";
import type { PeerState } from "../../../core/mesh/peer-state.ts";
import { isReason } from "../../../io/kube/client.ts";
import { CommandError, type Connection } from "../command.ts";
import { agentOn, anyAgent, askAgent, askControlPlane, nodeAgents } from "./agents.ts";

/** Where rows are asked for: undefined is the control plane. */
export type Holder = Pod | undefined;

export interface CertificateRow {
  /** "" for what the cluster's trust rests on. */
  readonly node: string;
  readonly type: "Leaf" | "Intermediate" | "Root";
  readonly identity: string;
  readonly isValid: boolean;
  readonly serial?: string;
  readonly issuer?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly problem?: string;
}

export interface LinkRow {
  readonly gateway: string;
  readonly peer: Peer;
  readonly state: PeerState | undefined;
  /** Services of the peer that are known here. */
  readonly services: number;
}

async function rows<T>(at: Connection, from: Holder, name: string, signal: AbortSignal): Promise<readonly T[]> {
  // Rows of the model, written by the same version of this program.
  if (from !== undefined) return (await askAgent(at, from, `/debug/${name}`)) as readonly T[];
  const found = (await askControlPlane(at, `/debug/collections/${name}`, signal)) as Readonly<Record<string, T>>;
  return Object.keys(found)
    .sort()
    .flatMap((key) => found[key] ?? []);
}

export const serviceRows = (at: Connection, from: Holder, signal: AbortSignal) =>
  rows<MeshService>(at, from, "services", signal);
export const workloadRows = (at: Connection, from: Holder, signal: AbortSignal) =>
  rows<Workload>(at, from, "workloads", signal);
export const policyRows = (at: Connection, from: Holder, signal: AbortSignal) =>
  rows<Policy>(at, from, "policies", signal);

export async function certificateRows(
  at: Connection,
  from: Holder,
  signal: AbortSignal,
): Promise<readonly CertificateRow[]> {
  const agents = from === undefined ? await nodeAgents(at, signal) : [from];
  const found = await Promise.all(
    agents.map(async (agent) => {
      // Written by apps/agent/debug/node-pages.ts.
      const held = (await askAgent(at, agent, "/debug/certificates")) as readonly Omit<
        CertificateRow,
        "node" | "type"
      >[];
      return held.map((row): CertificateRow => ({ ...row, type: "Leaf", node: agent.spec.nodeName ?? "" }));
    }),
  );
  return [...(from === undefined ? await authorityRows(at, signal) : []), ...found.flat()];
}

interface TrustPage {
  readonly certificates?: readonly {
    readonly role?: string;
    readonly subject?: string;
    readonly daysLeft?: number;
    readonly notBefore?: string;
    readonly notAfter?: string;
  }[];
}

/** What the cluster's own authority rests on. */
async function authorityRows(at: Connection, signal: AbortSignal): Promise<readonly CertificateRow[]> {
  // The control plane's page; every field may be absent.
  const { certificates = [] } = (await askControlPlane(at, "/debug/trust", signal)) as TrustPage;
  return certificates.map(({ role, subject = "", daysLeft = 0, notBefore = "", notAfter = "" }) => ({
    node: "",
    type: role === "root" ? "Root" : "Intermediate",
    identity: subject,
    isValid: daysLeft >= 0,
    notBefore,
    notAfter,
  }));
}

/** Links of this cluster to its peers; only the control plane knows. */
export async function linkRows(at: Connection, signal: AbortSignal): Promise<readonly LinkRow[]> {
  const collection = async <T>(name: string) =>
    (await askControlPlane(at, `/debug/collections/${name}`, signal)) as Readonly<Record<string, T>>;
  const [peers, states, exports] = await Promise.all([
    collection<Peer>("peers"),
    collection<PeerState>("peerStates"),
    collection<unknown>("visibleExports"),
  ]);
  return Object.keys(peers)
    .sort()
    .flatMap((gateway) => {
      const peer = peers[gateway];
      if (peer === undefined) return [];
      const services = Object.keys(exports).filter((key) => key.startsWith(`${peer.cluster}/`)).length;
      return [{ gateway, peer, state: states[peer.cluster], services }];
    });
}

export interface Wanted {
  readonly node: string | undefined;
  /** `<name>` or `<name>.<namespace>` of an agent's pod. */
  readonly pod: string | undefined;
  /** Without either, an agent all the same. */
  readonly isAgent: boolean;
}

export async function holderOf(at: Connection, { node, pod, isAgent }: Wanted, signal: AbortSignal): Promise<Holder> {
  if (node !== undefined) return agentOn(at, node, signal);
  if (pod === undefined) return isAgent ? anyAgent(at, signal) : undefined;
  const [name = "", namespace = systemNamespace] = pod.split(".");
  try {
    return await at.client.get(builtin.pods, { name, namespace }, { signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    throw new CommandError(
      `Context ${at.context}: there is no Pod ${namespace}/${name}.`,
      `Name the pod of an agent; its page on port ${port.agentDebug} is asked.`,
    );
  }
}
