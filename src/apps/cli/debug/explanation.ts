/** All that is known about one call, gathered from the agent of the caller's node, the control plane and the peers. */
import { defaultSegment } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { CallExplanation } from "../../../core/explain/call.ts";
import type { EnvoyState } from "../../../core/explain/envoy-state.ts";
import type { ExportExplanation } from "../../../core/explain/export.ts";
import { type Outcome, outcomeOf, questionsForPeers } from "../../../core/explain/outcome.ts";
import { isReason } from "../../../io/kube/client.ts";
import { CommandError, type Connection, type Shell } from "../command.ts";
import { meshOf } from "../multicluster/cluster.ts";
import { agentOn, anyAgent, askControlPlane, explainPage, exportPage, isReady } from "./agents.ts";

export interface Scope {
  readonly scope: string;
  readonly segment: string;
  /** Its name for other clusters. */
  readonly hostname: string;
  /** The local name has the endpoints of all clusters. */
  readonly isTakenOver: boolean;
}

export interface Explanation {
  readonly call: CallExplanation;
  /** Of the called service, when it is published. */
  readonly scope: Scope | undefined;
  readonly envoy: EnvoyState | undefined;
  readonly peers: readonly ExportExplanation[];
  /** Clusters whose side is not known, and why. */
  readonly unasked: Readonly<Record<string, string>>;
  readonly outcome: Outcome;
}

/** Who calls what; any pod of a Deployment when that is named. */
export type Asked = {
  readonly namespace: string;
  readonly host: string;
  readonly port: number;
} & ({ readonly pod: string } | { readonly deployment: string });

async function podOf({ client, context }: Connection, asked: Asked, signal: AbortSignal): Promise<Pod> {
  const { namespace } = asked;
  try {
    if ("pod" in asked) return await client.get(builtin.pods, { namespace, name: asked.pod }, { signal });
    const { spec } = await client.get(builtin.deployments, { namespace, name: asked.deployment }, { signal });
    const labelSelector = Object.entries(spec.selector.matchLabels ?? {})
      .map((pair) => pair.join("="))
      .join(",");
    if (labelSelector === "") {
      throw new CommandError(
        `Deployment ${namespace}/${asked.deployment} selects by expressions; name one of its pods.`,
      );
    }
    const { items } = await client.list(builtin.pods, { namespace, labelSelector, signal });
    const found = items.find(isReady) ?? items[0];
    if (found !== undefined) return found;
    throw new CommandError(`Context ${context}: Deployment ${namespace}/${asked.deployment} has no pods.`);
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    const what = "pod" in asked ? `Pod ${namespace}/${asked.pod}` : `Deployment ${namespace}/${asked.deployment}`;
    throw new CommandError(
      `Context ${context}: there is no ${what}.`,
      `See 'kubectl --context ${context} get pods -A'; name it as <namespace>/<pod>.`,
    );
  }
}

interface GlobalRow {
  readonly hostname?: string;
  readonly scope?: string;
  readonly segment?: string;
  readonly isTakenOver?: boolean;
}

/** From the control plane's own rows; an explanation without it is still one. */
async function scopeOf(at: Connection, call: CallExplanation, signal: AbortSignal): Promise<Scope | undefined> {
  const [namespace = ""] = (call.service?.key ?? "").split("/");
  const hostname = call.service?.hostname ?? "";
  const [name = ""] = hostname.split(".");
  if (name === "" || namespace === "") return undefined;
  const page = (path: string) => askControlPlane(at, `/debug/collections/${path}`, signal);
  // Rows of this program's own control plane; every field that is used may be absent.
  const segments = (await page("segments.known").catch(() => ({}))) as Record<string, { name?: string }>;
  const names = [...Object.keys(segments), defaultSegment.name];
  for (const segment of new Set(names)) {
    const key = encodeURIComponent(`${segment}/${namespace}/${name}`);
    const found = (await page(`globalServices?key=${key}`).catch(() => ({}))) as { row?: GlobalRow };
    const { row } = found;
    if (row?.hostname === undefined) continue;
    const { scope = "", isTakenOver = false } = row;
    return { scope, segment: row.segment ?? segment, hostname: row.hostname, isTakenOver };
  }
  return undefined;
}

/** `contexts`: where to look for peers; without any, in a context that has the peer's name. */
async function peersByCluster(
  shell: Shell,
  contexts: readonly string[],
  clusters: readonly string[],
): Promise<ReadonlyMap<string, Connection | string>> {
  const found = new Map<string, Connection | string>();
  const names = contexts.length > 0 ? contexts : clusters;
  await Promise.all(
    names.map(async (context) => {
      try {
        const at = await shell.connect(context);
        const { cluster } = await meshOf(at, shell.signal);
        if (clusters.includes(cluster)) found.set(cluster, at);
      } catch (error) {
        if (contexts.length > 0) throw error;
      }
    }),
  );
  for (const cluster of clusters) {
    if (!found.has(cluster)) found.set(cluster, `give its kubeconfig context with --contexts to look there`);
  }
  return found;
}

export async function explanationOf(
  shell: Shell,
  at: Connection,
  asked: Asked,
  contexts: readonly string[],
): Promise<Explanation> {
  const { signal } = shell;
  const { metadata, spec } = await podOf(at, asked, signal);
  const pod = `${asked.namespace}/${metadata.name}`;
  if (spec.nodeName === undefined) throw new CommandError(`Pod ${pod} is not on a node yet.`);
  const agent = await agentOn(at, spec.nodeName, signal);
  const { host, port } = asked;
  const { call, envoy } = await explainPage(at, agent, { pod, host, port });
  const questions = questionsForPeers(call);
  const [scope, connections] = await Promise.all([
    scopeOf(at, call, signal),
    peersByCluster(shell, contexts, [...questions.keys()]),
  ]);
  const peers: ExportExplanation[] = [];
  const unasked: Record<string, string> = {};
  for (const [cluster, question] of questions) {
    const there = connections.get(cluster);
    if (there === undefined || typeof there === "string") unasked[cluster] = there ?? "";
    else peers.push(await exportPage(there, await anyAgent(there, signal), question, call.client.identity ?? ""));
  }
  const outcome = outcomeOf(call, new Map(peers.map((peer) => [peer.cluster, peer])));
  return { call, scope, envoy, peers, unasked, outcome };
}
