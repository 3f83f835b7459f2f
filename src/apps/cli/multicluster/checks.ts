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
import { isReady } from "../debug/agents.ts";
import type { MeshOfCluster } from "./cluster.ts";
import { dataPathCheck } from "./data-path-check.ts";
import { bad, type Check, type Finding, good, warning } from "./finding.ts";
import { agentsCheck, captureCheck, certificateCheck, configurationCheck, versionCheck } from "./mesh-checks.ts";
import { dnsCaptureCheck, environmentCheck } from "./environment-check.ts";

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

const licenseCheck = (): Promise<Finding> =>
  Promise.resolve(
    good("license is valid for multicluster", ["Tombolo has the Apache License 2.0: no key is needed or looked for."]),
  );

const flatPrefix = "autogenflat.";

/** Entries of peers on the same network; those of a cluster that is not linked any more should have gone with the link. */
async function staleWorkloadsCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const { items } = await mesh.client.list(meshKinds.workloadEntries, { namespace: systemNamespace, signal });
  const flat = items.filter(({ metadata }) => metadata.name.startsWith(flatPrefix));
  if (flat.length === 0) return warning("no autogenflat workload entries found");
  const gateways = await gatewaysOf(mesh, gatewayClass.remote, signal);
  const linked = gateways.map(({ metadata }) => metadata.labels?.[label.cluster] ?? "");
  const clusterOf = (entry: KubeObject): string => entry.metadata.labels?.[label.cluster] ?? "";
  const stale = flat.filter((entry) => clusterOf(entry) !== "" && !linked.includes(clusterOf(entry)));
  const details = flat.map((entry) => `${entry.metadata.name}  ${clusterOf(entry)}`);
  if (stale.length === 0) return good("all autogenflat workload entries belong to linked clusters", details);
  return bad(
    `${stale.length} autogenflat workload entries belong to clusters that are not linked`,
    `See 'kubectl --context ${mesh.context} -n ${systemNamespace} logs deploy/${controlPlaneName}'; it removes them when it leads.`,
    details,
  );
}

const check = (name: string, run: Check["run"], isForLinks = false): Check => ({ name, isForLinks, run });

/** The documented lines first, in their order. */
export const checks: readonly Check[] = [
  check("Incompatible Environment Variable Check", environmentCheck),
  check("License Check", licenseCheck),
  pods("istiod", "control plane", `app=${controlPlaneName}`, systemNamespace),
  pods("ztunnel", "agent", `app=${agentName}`, systemNamespace),
  pods("eastwest gateway", "east-west gateway", `${label.gatewayClassName}=${gatewayClass.eastWest}`, undefined, true),
  check("Gateway Check", gatewayCheck, true),
  check("Peers Check", peersCheck, true),
  check("Stale Workloads Check", staleWorkloadsCheck, true),
  check("Network Configuration Check", networkCheck),
  check("DNS Capture Check", dnsCaptureCheck),
  check("Version Check", versionCheck),
  check("Agents Check", agentsCheck),
  check("Capture Check", captureCheck),
  check("Configuration Check", configurationCheck),
  check("Certificate Check", certificateCheck),
  check("Data Path Check", dataPathCheck),
];
