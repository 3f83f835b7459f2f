/** Finds the programs of the mesh in a cluster, and asks the pages that they serve on their loopback. */
import { agentName, controlPlaneName, gatewayClass, label, port, systemNamespace } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { ExplainAnswer, ProbeAnswer } from "../../../core/explain/answers.ts";
import type { ExportExplanation } from "../../../core/explain/export.ts";
import type { PeerQuestion } from "../../../core/explain/outcome.ts";
import { CommandError, type Connection } from "../command.ts";

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;

async function readyPods(at: Connection, labelSelector: string, signal: AbortSignal): Promise<readonly Pod[]> {
  const { items } = await at.client.list(builtin.pods, { labelSelector, signal });
  return items.filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined);
}

export const nodeAgents = (at: Connection, signal: AbortSignal): Promise<readonly Pod[]> =>
  readyPods(at, `app=${agentName}`, signal);

/** The agent of a node. */
export async function agentOn(at: Connection, node: string, signal: AbortSignal): Promise<Pod> {
  const found = (await nodeAgents(at, signal)).find(({ spec }) => spec.nodeName === node);
  if (found !== undefined) return found;
  throw new CommandError(
    `Context ${at.context}: node ${node} has no ready agent.`,
    `See 'kubectl --context ${at.context} -n ${systemNamespace} get pods -l app=${agentName} -o wide'.`,
  );
}

/** Any agent that holds the model: of a node, else of a gateway. */
export async function anyAgent(at: Connection, signal: AbortSignal): Promise<Pod> {
  const [node] = await nodeAgents(at, signal);
  const selector = `${label.gatewayClassName}=${gatewayClass.eastWest}`;
  const found = node ?? (await readyPods(at, selector, signal))[0];
  if (found !== undefined) return found;
  throw new CommandError(
    `Context ${at.context}: there is no ready agent to ask.`,
    `See 'kubectl --context ${at.context} -n ${systemNamespace} get pods'.`,
  );
}

export function askAgent(at: Connection, agent: Pod, path: string): Promise<unknown> {
  const { namespace = systemNamespace, name } = agent.metadata;
  return at.debug({ namespace, pod: name, port: port.agentDebug, path });
}

/** A page of the control plane. */
export async function askControlPlane(at: Connection, path: string, signal: AbortSignal): Promise<unknown> {
  const [pod] = await readyPods(at, `app=${controlPlaneName}`, signal);
  if (pod === undefined) {
    throw new CommandError(
      `Context ${at.context}: the control plane is not ready.`,
      `See 'kubectl --context ${at.context} -n ${systemNamespace} describe pods -l app=${controlPlaneName}'.`,
    );
  }
  const { namespace = systemNamespace, name } = pod.metadata;
  return at.debug({ namespace, pod: name, port: port.controlPlaneDebug, path });
}

const query = (path: string, parameters: Readonly<Record<string, string>>): string =>
  `${path}?${new URLSearchParams(parameters).toString()}`;

// What these pages answer with is written by the same version of this program; see apps/agent/debug.
export const explainPage = (at: Connection, agent: Pod, asked: { pod: string; host: string; port: number }) =>
  askAgent(at, agent, query("/debug/explain", { ...asked, port: String(asked.port) })) as Promise<ExplainAnswer>;

export const exportPage = (at: Connection, agent: Pod, { hostname, port: number, ip }: PeerQuestion, client: string) =>
  askAgent(
    at,
    agent,
    query("/debug/export", { host: hostname, port: String(number), client, ...(ip === undefined ? {} : { ip }) }),
  ) as Promise<ExportExplanation>;

export const probePage = (at: Connection, agent: Pod): Promise<readonly ProbeAnswer[]> =>
  askAgent(at, agent, "/debug/probe") as Promise<readonly ProbeAnswer[]>;
