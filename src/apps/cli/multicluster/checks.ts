/**
 * The checks of `tombolo multicluster check`: each reads one cluster and says in one line what it found, and for a
 * problem what to do. A line is green only for what was read here and now.
 */
import type { Condition, KubeObject } from "../../../core/api/kube.ts";
import { meshKinds, type Gateway } from "../../../core/api/mesh-kinds.ts";
import {
  agentName,
  condition,
  controlPlaneName,
  gatewayClass,
  label,
  systemNamespace,
} from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { MeshOfCluster } from "./cluster.ts";

export interface Finding {
  readonly isGood: boolean;
  /** The line after the colon. */
  readonly text: string;
  /** Lines for --verbose. */
  readonly details: readonly string[];
  /** What to do; with a problem always. */
  readonly fix?: string;
}

export interface Check {
  readonly name: string;
  /** Needs links to peers; left out with --precheck. */
  readonly isForLinks: boolean;
  run(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding>;
}

const good = (text: string, details: readonly string[] = []): Finding => ({ isGood: true, text, details });
const bad = (text: string, fix: string, details: readonly string[] = []): Finding => ({
  isGood: false,
  text,
  details,
  fix,
});

const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;

const podLine = (pod: Pod): string =>
  `${pod.metadata.namespace}/${pod.metadata.name}  ${isReady(pod) ? "Ready" : "not ready"}  ${pod.spec.nodeName ?? ""}`;

async function podCheck(
  mesh: MeshOfCluster,
  what: string,
  labelSelector: string,
  namespace: string | undefined,
  signal: AbortSignal,
) {
  const { items } = await mesh.client.list(builtin.pods, { namespace, labelSelector, signal });
  const sick = items.filter((pod) => !isReady(pod));
  const details = items.map(podLine);
  if (items.length === 0)
    return bad(`no ${what} pod was found`, `See 'kubectl --context ${mesh.context} get pods -A'.`, details);
  if (sick.length === 0) return good("all pods healthy", details);
  const first = sick[0]?.metadata;
  return bad(
    `${sick.length} of ${items.length} pods are not ready`,
    `See 'kubectl --context ${mesh.context} -n ${first?.namespace} describe pod ${first?.name}'.`,
    details,
  );
}

const conditionOf = (object: KubeObject & { status?: { conditions?: Condition[] } }, type: string) =>
  object.status?.conditions?.find((one) => one.type === type);

async function gatewaysOf(mesh: MeshOfCluster, className: string, signal: AbortSignal): Promise<readonly Gateway[]> {
  try {
    const { items } = await mesh.client.list(meshKinds.gateways, { signal });
    return items.filter((gateway) => gateway.spec.gatewayClassName === className);
  } catch (error) {
    if (isReason(error, "NotFound")) return [];
    throw error;
  }
}

async function gatewayCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const gateways = await gatewaysOf(mesh, gatewayClass.eastWest, signal);
  const details = gateways.map(
    (one) => `${one.metadata.namespace}/${one.metadata.name}  ${one.status?.addresses?.[0]?.value ?? "no address"}`,
  );
  if (gateways.length === 0) {
    return bad("there is no eastwest gateway", `Make one: 'tombolo multicluster expose --context ${mesh.context}'.`);
  }
  const waiting = gateways.find((one) => conditionOf(one, "Programmed")?.status !== "True");
  if (waiting === undefined) return good("all eastwest gateways programmed", details);
  const { namespace, name } = waiting.metadata;
  return bad(
    `Gateway ${namespace}/${name} is not programmed: ${conditionOf(waiting, "Programmed")?.message ?? "no status yet"}`,
    `See 'kubectl --context ${mesh.context} -n ${namespace} describe gateway ${name}'.`,
    details,
  );
}

const peerTypes = [condition.peerConnected, condition.peeringSucceeded, condition.peerDataPlaneProgrammed];

function peerLine(gateway: Gateway): string {
  const peer = gateway.metadata.labels?.[label.cluster] ?? gateway.metadata.name;
  const address = gateway.spec.addresses?.[0]?.value ?? "none";
  const isConnected = conditionOf(gateway, condition.peerConnected)?.status === "True";
  return isConnected ? `Connected to ${peer} (address: ${address})` : `Disconnected from ${peer} (address: ${address})`;
}

async function peersCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const gateways = await gatewaysOf(mesh, gatewayClass.remote, signal);
  const details = gateways.flatMap((gateway) => [
    peerLine(gateway),
    ...peerTypes.flatMap((type) => {
      const found = conditionOf(gateway, type);
      return found === undefined
        ? [`  ${type}: not reported`]
        : [`  ${type}: ${found.status} ${found.reason} ${found.message}`];
    }),
  ]);
  if (gateways.length === 0) {
    return bad("no peer is linked", `Link clusters: 'tombolo multicluster link --contexts=${mesh.context},<other>'.`);
  }
  const failing = gateways.find((gateway) => peerTypes.some((type) => conditionOf(gateway, type)?.status !== "True"));
  if (failing === undefined) return good("all clusters connected", details);
  const cause = peerTypes.map((type) => conditionOf(failing, type)).find((one) => one?.status !== "True");
  return bad(
    `${peerLine(failing)}: ${cause?.message ?? "the control plane has not reported on this peer"}`,
    `See 'kubectl --context ${mesh.context} -n ${failing.metadata.namespace} describe gateway ${failing.metadata.name}'.`,
    details,
  );
}

async function networkCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  if (mesh.network === "") {
    return bad(
      "the cluster has no network name",
      `Label it: 'kubectl --context ${mesh.context} label namespace ${systemNamespace} ${label.network}=<network>'.`,
    );
  }
  const gateways = await gatewaysOf(mesh, gatewayClass.eastWest, signal);
  const other = gateways.find((gateway) => (gateway.metadata.labels?.[label.network] ?? "") !== mesh.network);
  if (other === undefined) return good(`network ${mesh.network}`);
  return bad(
    `Gateway ${other.metadata.namespace}/${other.metadata.name} is labelled network "${other.metadata.labels?.[label.network] ?? ""}", the cluster "${mesh.network}"`,
    `Set label ${label.network}=${mesh.network} on that Gateway.`,
  );
}

const pods = (name: string, what: string, labelSelector: string, namespace?: string, isForLinks = false): Check => ({
  name: `Pod Check (${name})`,
  isForLinks,
  run: (mesh, signal) => podCheck(mesh, what, labelSelector, namespace, signal),
});

export const checks: readonly Check[] = [
  pods("istiod", "control plane", `app=${controlPlaneName}`, systemNamespace),
  pods("ztunnel", "agent", `app=${agentName}`, systemNamespace),
  { name: "Network Configuration Check", isForLinks: false, run: networkCheck },
  pods("eastwest gateway", "east-west gateway", `${label.gatewayClassName}=${gatewayClass.eastWest}`, undefined, true),
  { name: "Gateway Check", isForLinks: true, run: gatewayCheck },
  { name: "Peers Check", isForLinks: true, run: peersCheck },
];
