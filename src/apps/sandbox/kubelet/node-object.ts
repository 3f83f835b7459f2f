/**
 * Registers a node, and keeps saying that it is alive: a Lease every ten seconds, the Node's status every minute, and at once
 * when somebody has taken it for dead.
 */
import { arch, cpus, totalmem, release } from "node:os";
import { errorText } from "../../../core/api/error-text.ts";
import type { Lease, Node } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Host } from "../../../io/host/host.ts";
import { isoMicros, isoSeconds } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { ClusterPlan, NodePlan } from "../network/addresses.ts";

const leaseMs = 10_000;
const leaseSeconds = 40;
const leaseNamespace = "kube-node-lease";
const statusEvery = 6;
const retryMs = 1_000;
const podsMax = 250;

/** As Go names it. */
const architecture = (): string => (arch() === "x64" ? "amd64" : arch());

function nodeObject(plan: ClusterPlan, node: NodePlan): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: node.name,
      labels: {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
        "node.kubernetes.io/instance-type": "sandbox",
        [label.region]: plan.cluster,
        [label.zone]: `${plan.cluster}-${String.fromCodePoint(97 + ((node.index - 1) % 26))}`,
      },
    },
    spec: {
      podCIDR: node.podCidr,
      podCIDRs: [node.podCidr],
      providerID: `sandbox://${plan.cluster}/${node.name}`,
    },
  };
}

function nodeStatus(node: NodePlan, nowText: string, before: Node["status"]): NonNullable<Node["status"]> {
  const memory = `${Math.floor(totalmem() / 1024)}Ki`;
  const capacity = { cpu: String(cpus().length), memory, pods: String(podsMax), "ephemeral-storage": "100Gi" };
  const condition = (type: string, status: string, reason: string, message: string) => {
    const old = before?.conditions?.find((one) => one.type === type);
    const since = old?.status === status ? old.lastTransitionTime : undefined;
    return { type, status, reason, message, lastHeartbeatTime: nowText, lastTransitionTime: since ?? nowText };
  };
  return {
    addresses: [
      { type: "InternalIP", address: node.address },
      { type: "Hostname", address: node.name },
    ],
    capacity,
    allocatable: capacity,
    conditions: [
      condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
      condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
      condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
      condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ],
    nodeInfo: {
      architecture: architecture(),
      bootID: "",
      containerRuntimeVersion: "tombolo://0.1.0",
      kernelVersion: release(),
      kubeProxyVersion: "",
      kubeletVersion: "v1.34.0+tombolo",
      machineID: "",
      operatingSystem: "linux",
      osImage: "Tombolo sandbox",
      systemUUID: "",
    },
  };
}

/** Resolves once the node is registered; its heartbeat goes on until `signal` aborts. */
export async function startNode(
  host: Host,
  client: KubeClient,
  plan: ClusterPlan,
  node: NodePlan,
  signal: AbortSignal,
): Promise<void> {
  const beat = async (round: number): Promise<void> => {
    if (round % statusEvery === 0 || !(await isKnownReady(client, node))) await writeNode(host, client, plan, node);
    await writeLease(host, client, node);
  };
  await untilWritten(host, signal, node, () => beat(0));
  void (async () => {
    for (let round = 1; !signal.aborted; round += 1) {
      await host.clock.sleep(leaseMs, signal).catch(() => undefined);
      if (!signal.aborted) await untilWritten(host, signal, node, () => beat(round));
    }
  })();
}

async function untilWritten(
  host: Host,
  signal: AbortSignal,
  node: NodePlan,
  write: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await write();
      return;
    } catch (error) {
      const cause = errorText(error);
      host.log.warn("node.heartbeat_failed", { node: node.name, cause });
      await host.clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }
}

async function isKnownReady(client: KubeClient, { name }: NodePlan): Promise<boolean> {
  try {
    const { status } = await client.get(builtin.nodes, { name });
    return status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
  } catch (error) {
    if (isReason(error, "NotFound")) return false;
    throw error;
  }
}

async function writeNode(host: Host, client: KubeClient, plan: ClusterPlan, node: NodePlan): Promise<void> {
  const ref = { name: node.name };
  let known: Node | undefined;
  try {
    known = await client.get(builtin.nodes, ref);
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    known = await client.create(builtin.nodes, nodeObject(plan, node));
  }
  const status = nodeStatus(node, isoSeconds(host.clock.now()), known.status);
  await client.patch(builtin.nodes, ref, { type: "merge", body: { status } }, { subresource: "status" });
}

async function writeLease(host: Host, client: KubeClient, node: NodePlan): Promise<void> {
  const ref = { name: node.name, namespace: leaseNamespace };
  const spec = {
    holderIdentity: node.name,
    leaseDurationSeconds: leaseSeconds,
    renewTime: isoMicros(host.clock.now()),
  };
  try {
    await client.patch(builtin.leases, ref, { type: "merge", body: { spec } });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    const lease: Lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: ref, spec };
    await ensureNamespace(client);
    await client.create(builtin.leases, lease);
  }
}

async function ensureNamespace(client: KubeClient): Promise<void> {
  try {
    await client.create(builtin.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: leaseNamespace },
    });
  } catch (error) {
    if (!isReason(error, "AlreadyExists")) throw error;
  }
}
