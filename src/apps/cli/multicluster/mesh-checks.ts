/** Checks of what the mesh's programs say of themselves: versions, models, captured pods, problems, certificates. */
import {
  agentName,
  annotation,
  controlPlaneName,
  gatewayClass,
  label,
  systemNamespace,
} from "../../../core/api/names.ts";
import type { Namespace } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Problem } from "../../../core/mesh/problem.ts";
import { askAgent, askControlPlane, nodeAgents } from "../debug/agents.ts";
import { certificateRows } from "../debug/rows.ts";
import type { MeshOfCluster } from "./cluster.ts";
import { bad, type Finding, good, type Sleep, warning } from "./finding.ts";

const tagOf = (image: string): string => /:([^:/]+)$/.exec(image)?.[1] ?? "latest";

/** All programs of a cluster come with one installation; a roll-out that got stuck leaves two. */
export async function versionCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const selectors = [
    `app=${controlPlaneName}`,
    `app=${agentName}`,
    `${label.gatewayClassName}=${gatewayClass.eastWest}`,
  ];
  const lists = await Promise.all(
    selectors.map((labelSelector) => mesh.client.list(builtin.pods, { labelSelector, signal })),
  );
  const pods = lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const rows = pods.map(({ metadata, spec }) => ({
    name: `${metadata.namespace}/${metadata.name}`,
    tag: tagOf(spec.containers[0]?.image ?? ""),
  }));
  const details = rows.map(({ name, tag }) => `${name}  ${tag}`);
  const tags = [...new Set(rows.map(({ tag }) => tag))].sort();
  if (tags.length < 2) return good(`all programs of the mesh have version ${tags[0] ?? "unknown"}`, details);
  return bad(
    `programs of the mesh have different versions: ${tags.join(", ")}`,
    `Let the roll-out end, or install again: 'tombolo install --context ${mesh.context}'.`,
    details,
  );
}

interface AgentStatus {
  readonly node?: string;
  readonly isSynced?: boolean;
  readonly isEnvoyReady?: boolean;
  readonly services?: number;
  readonly workloads?: number;
  readonly policies?: number;
}

const attemptsMax = 3;
const attemptMs = 700;

async function agentProblems(mesh: MeshOfCluster, signal: AbortSignal) {
  // Collections and their sizes, and what agents say of themselves: both are written by this program.
  const sizes = (await askControlPlane(mesh, "/debug/collections", signal)) as Readonly<Record<string, number>>;
  const wanted = {
    services: sizes["services"] ?? 0,
    workloads: (sizes["workloads"] ?? 0) + (sizes["probes"] ?? 0),
    policies: sizes["policies"] ?? 0,
  };
  const agents = await nodeAgents(mesh, signal);
  const statuses = await Promise.all(
    agents.map(async (agent) => (await askAgent(mesh, agent, "/debug/status")) as AgentStatus),
  );
  const problems = statuses.flatMap((status) => {
    const { node = "", isSynced, isEnvoyReady } = status;
    if (isSynced !== true) return [`the agent of node ${node} has no connection to the control plane yet`];
    if (isEnvoyReady !== true) return [`Envoy of node ${node} is not ready`];
    const lacks = (["services", "workloads", "policies"] as const).filter((kind) => status[kind] !== wanted[kind]);
    return lacks.map(
      (kind) => `the agent of node ${node} has ${status[kind]} ${kind}, the control plane ${wanted[kind]}`,
    );
  });
  const details = statuses.map(
    ({ node, services, workloads, policies }) =>
      `${node}  ${services} services, ${workloads} workloads, ${policies} policies`,
  );
  return { problems, details };
}

/** Every agent holds what the control plane holds; a change that is under way gets its time. */
export async function agentsCheck(mesh: MeshOfCluster, signal: AbortSignal, sleep: Sleep): Promise<Finding> {
  let found = await agentProblems(mesh, signal);
  for (let attempt = 1; attempt < attemptsMax && found.problems.length > 0; attempt++) {
    await sleep(attemptMs);
    found = await agentProblems(mesh, signal);
  }
  const { problems, details } = found;
  if (problems.length === 0) return good("all agents hold the model of the control plane", details);
  return bad(
    problems.join("; "),
    `See 'kubectl --context ${mesh.context} -n ${systemNamespace} logs ds/${agentName}'.`,
    details,
  );
}

const isInMesh = (pod: Pod, namespaces: ReadonlyMap<string, Namespace>): boolean => {
  const own = namespaces.get(pod.metadata.namespace ?? "")?.metadata.labels?.[label.dataplaneMode];
  return pod.spec.hostNetwork !== true && (pod.metadata.labels?.[label.dataplaneMode] ?? own) === "ambient";
};

const isCaptured = ({ metadata }: Pod): boolean => metadata.annotations?.[annotation.redirection] === "enabled";

/** Pods that are labelled for the mesh and run, but whose traffic the mesh does not have. */
export async function captureCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const [pods, namespaces] = await Promise.all([
    mesh.client.list(builtin.pods, { signal }),
    mesh.client.list(builtin.namespaces, { signal }),
  ]);
  const byName = new Map(namespaces.items.map((one) => [one.metadata.name, one]));
  const wanted = pods.items.filter(
    (pod) => pod.status?.phase === "Running" && pod.metadata.deletionTimestamp === undefined && isInMesh(pod, byName),
  );
  const missing = wanted.filter((pod) => !isCaptured(pod));
  const line = ({ metadata, spec }: Pod): string => `${metadata.namespace}/${metadata.name}  ${spec.nodeName ?? ""}`;
  if (missing.length === 0) {
    return good(
      wanted.length === 1
        ? "the one pod of the mesh is captured"
        : `all ${wanted.length} pods of the mesh are captured`,
      wanted.map(line),
    );
  }
  const nodes = [...new Set(missing.map(({ spec }) => spec.nodeName ?? ""))].sort();
  return bad(
    `${missing.length} of ${wanted.length} pods of the mesh are not captured, on ${nodes.join(", ")}`,
    `See the log of those nodes' agents: 'kubectl --context ${mesh.context} -n ${systemNamespace} get pods -l app=${agentName} -o wide'.`,
    missing.map(line),
  );
}

const shownMax = 10;

/** Every fault of users' objects that the control plane knows. */
export async function configurationCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  // Problem rows, as the control plane's page has them.
  const problems = (await askControlPlane(mesh, "/debug/problems", signal)) as readonly Problem[];
  if (problems.length === 0) return good("no object has a fault");
  const text = ({ message, remedy }: Problem): string => `${message} ${remedy}`;
  const rest = problems.length > shownMax ? [`… and ${problems.length - shownMax} more; see them all with -v.`] : [];
  return bad(
    problems.length === 1 ? "one object has a fault" : `${problems.length} faults in objects`,
    [...problems.slice(0, shownMax).map(text), ...rest],
    problems.map((problem) => `${problem.kind} ${problem.namespace}/${problem.name}  ${problem.reason}`),
  );
}

interface TrustPage {
  readonly secret?: string;
  readonly certificates?: readonly {
    readonly role?: string;
    readonly subject?: string;
    readonly notAfter?: string;
    readonly daysLeft?: number;
  }[];
  readonly problems?: readonly string[];
}

/** What the cluster's trust rests on, and what the nodes hold for their pods. */
export async function certificateCheck(mesh: MeshOfCluster, signal: AbortSignal): Promise<Finding> {
  const [trust, all] = await Promise.all([
    // As the control plane's page has it; every field may be absent.
    askControlPlane(mesh, "/debug/trust", signal) as Promise<TrustPage>,
    certificateRows(mesh, undefined, signal),
  ]);
  const held = all.filter(({ type }) => type === "Leaf");
  const details = [
    ...(trust.certificates ?? []).map(
      ({ role, subject, notAfter, daysLeft }) => `${role}  ${subject}  until ${notAfter}, ${daysLeft} days`,
    ),
    ...held.map(({ identity, node, notAfter }) => `${identity}  ${node}  until ${notAfter ?? "never had"}`),
  ];
  const missing = held.flatMap(({ identity, node, problem }) =>
    problem === undefined ? [] : [`Node ${node} gets no new certificate for ${identity}: ${problem}`],
  );
  if (missing.length > 0) {
    return bad(
      `${missing.length} identities get no certificate`,
      [
        ...missing.slice(0, shownMax),
        `See 'kubectl --context ${mesh.context} -n ${systemNamespace} logs deploy/${controlPlaneName}'.`,
      ],
      details,
    );
  }
  const problems = trust.problems ?? [];
  if (problems.length === 0) return good("all certificates are valid and have time left", details);
  const isOver = (trust.certificates ?? []).some(({ daysLeft = 0 }) => daysLeft < 0);
  const text = isOver ? "a certificate has expired" : "a certificate needs attention";
  return isOver ? bad(text, problems, details) : warning(text, problems, details);
}
