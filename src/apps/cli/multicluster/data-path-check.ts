/**
 * Real requests along every way that connections of users take: from nodes of the cluster through their Envoys to the other
 * nodes, and through the gateways of each peer to its nodes.
 */
import type { Pod } from "../../../core/api/pod.ts";
import { gatewayClass, label, port } from "../../../core/api/names.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { ProbeAnswer } from "../../../core/explain/answers.ts";
import { nodeAgents, probePage } from "../debug/agents.ts";
import type { MeshOfCluster } from "./cluster.ts";
import { bad, type Finding, good, type Sleep, warning } from "./finding.ts";

/** Nodes that send probes; in a larger cluster the first ones by name. */
const nodesMax = 10;
/** A link or a gateway that is only just ready may lose its first request. */
const attemptMs = 700;

export interface NodeProbe extends ProbeAnswer {
  readonly from: string;
}

async function linkedClusters({ client }: MeshOfCluster, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const { items } = await client.list(meshKinds.gateways, { signal });
    const remote = items.filter(({ spec }) => spec.gatewayClassName === gatewayClass.remote);
    return [...new Set(remote.flatMap(({ metadata }) => metadata.labels?.[label.cluster] ?? []))].sort();
  } catch (error) {
    if (isReason(error, "NotFound")) return [];
    throw error;
  }
}

async function probesFrom(mesh: MeshOfCluster, agent: Pod, sleep: Sleep): Promise<readonly NodeProbe[]> {
  const from = agent.spec.nodeName ?? "";
  const first = await probePage(mesh, agent);
  const isGood = first.every((one) => one.isGood);
  if (!isGood) await sleep(attemptMs);
  const found = isGood ? first : await probePage(mesh, agent);
  return found.map((one) => ({ ...one, from }));
}

const wayText = ({ from, cluster, node, via }: NodeProbe): string =>
  `${from} → ${node === "" ? `${cluster} through ${via}` : `${node} at ${via}`}`;

function lineOf(probe: NodeProbe): string {
  const { reached, ms, problem } = probe;
  if (problem !== undefined || reached === undefined) return `${wayText(probe)}: ${problem ?? "no answer"}`;
  return `${wayText(probe)}: ${reached.server} on node ${reached.node} answered in ${Math.round(ms)} ms and saw ${reached.client}`;
}

/** `linked`: the clusters to which this one has a link. */
export function dataPathFinding(context: string, probes: readonly NodeProbe[], linked: readonly string[]): Finding {
  const details = probes.map(lineOf);
  const failed = probes.filter(({ isGood }) => !isGood);
  const fixes = failed.map((one) => `${lineOf(one)}.`);
  const silent = linked.filter((cluster) => !probes.some((one) => one.cluster === cluster));
  for (const cluster of silent) fixes.push(`No node knows a way to ${cluster}: its remote Gateway is not in use.`);
  if (fixes.length > 0) {
    const isRemote = silent.length > 0 || failed.some(({ node }) => node === "");
    const doors = isRemote
      ? `Let nodes reach port ${port.crossNetwork} of the peer's gateway, and check the peer too: 'tombolo multicluster check --context <peer>'.`
      : `Let nodes reach each other's port ${port.probe}, and see 'kubectl --context ${context} get pods -A -o wide'.`;
    const text =
      silent.length > 0
        ? `no way to ${silent.join(", ")}`
        : `${failed.length} of ${probes.length} probes came to nothing`;
    return bad(text, [...fixes, doors], details);
  }
  if (probes.length === 0) return warning("nothing to probe: there is one node and no link");
  const slowest = Math.round(Math.max(...probes.map(({ ms }) => ms)));
  const peers = linked.length === 0 ? "" : ` and to ${linked.join(", ")}`;
  const ways = `${probes.length} way${probes.length === 1 ? "" : "s"}`;
  return good(`requests went through to all nodes${peers} (${ways}, slowest ${slowest} ms)`, details);
}

export async function dataPathCheck(mesh: MeshOfCluster, signal: AbortSignal, sleep: Sleep): Promise<Finding> {
  const all = await nodeAgents(mesh, signal);
  const agents = [...all]
    .sort((a, b) => ((a.spec.nodeName ?? "") < (b.spec.nodeName ?? "") ? -1 : 1))
    .slice(0, nodesMax);
  const probes = await Promise.all(agents.map((agent) => probesFrom(mesh, agent, sleep)));
  return dataPathFinding(mesh.context, probes.flat(), await linkedClusters(mesh, signal));
}
