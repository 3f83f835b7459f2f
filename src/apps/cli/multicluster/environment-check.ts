/** The environment variables of the mesh's own programs: what must fit together, and what would not work here. */
import { agentName, controlPlaneName, systemNamespace } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { PodSpec } from "../../../core/api/pod.ts";
import type { MeshOfCluster } from "./cluster.ts";
import { bad, type Finding, good } from "./finding.ts";

type Variables = ReadonlyMap<string, string>;

function variablesOf(template: { readonly spec?: PodSpec } | undefined): Variables {
  const all = (template?.spec?.containers ?? []).flatMap(({ env = [] }) => env);
  return new Map(all.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const])));
}

async function readVariables({ client }: MeshOfCluster, signal: AbortSignal) {
  const [control, agent] = await Promise.all([
    client.get(builtin.deployments, { name: controlPlaneName, namespace: systemNamespace }, { signal }),
    client.get(builtin.daemonSets, { name: agentName, namespace: systemNamespace }, { signal }),
  ]);
  return { control: variablesOf(control.spec?.template), agent: variablesOf(agent.spec?.template) };
}

/** Variables of other builds of the mesh, which would promise something that does not happen here. */
const incompatible: Readonly<Record<string, string>> = {
  K8S_SELECT_WORKLOAD_ENTRIES: "true",
  PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES: "true",
  ENABLE_PEERING_DISCOVERY: "false",
};

export async function environmentCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const { control, agent } = await readVariables(mesh, signal);
  const { cluster, network, trustDomain, skipTrustDomainCheck } = mesh.settings;
  const expected: Readonly<Record<string, string>> = {
    CLUSTER: cluster,
    NETWORK: network,
    TRUST_DOMAIN: trustDomain,
    SKIP_VALIDATE_TRUST_DOMAIN: String(skipTrustDomainCheck),
  };
  const problems: string[] = [];
  const details: string[] = [];
  for (const [name, value] of Object.entries(incompatible)) {
    const found = control.get(name);
    details.push(`${controlPlaneName}  ${name}  ${found ?? "not set"}`);
    if (found === value) problems.push(`${name}=${value} of Deployment ${controlPlaneName} does not work with peering`);
  }
  for (const [name, value] of Object.entries(expected)) {
    const found = agent.get(name);
    details.push(`${agentName}  ${name}  ${found ?? "not set"}`);
    if (found === value) continue;
    problems.push(`${name}=${found ?? ""} of DaemonSet ${agentName} differs from "${value}" of the control plane`);
  }
  if (problems.length === 0) return good("all relevant environment variables are valid", details);
  return bad(
    problems.join("; "),
    `Install again with the same values, so that both are written together: 'tombolo install --context ${mesh.context}'.`,
    details,
  );
}

export async function dnsCaptureCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const { agent } = await readVariables(mesh, signal);
  if (agent.get("DNS_CAPTURE") !== "false") return good("pods of the mesh resolve global host names");
  return bad(
    "the agents do not answer DNS, so global host names do not resolve",
    `Install with '--set ambient.dnsCapture=true --context ${mesh.context}'.`,
  );
}
