/**
 * Nodes that live and nodes that do not: a node whose heartbeat has not been heard for 40 s is marked and tainted, its
 * pods count as not ready at once and are deleted when their toleration ends. Silence is measured by a timer from the
 * last heartbeat heard here, so neither a restart nor a suspended machine makes nodes look dead.
 */
import type { Node } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { isoSeconds, msOfIso } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import { freeNodeRange } from "./address-ranges.ts";
import type { Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import { isNodeReady, taintKey, tolerates, tolerationsOf, type Taint } from "./placement.ts";
import { conditionOf, isDeleting, isFinished, isReady } from "./pods.ts";
import { isEqual } from "./template.ts";

const silenceMs = 40_000;
const leaseNamespace = "kube-node-lease";
/** What admission gives every pod that says nothing about unreachable nodes. */
const tolerationSecondsDefault = 300;
/** Marks a Ready condition as ours, so that it is given back when the node is. */
const lostReason = "NodeLost";

type NodeCondition = NonNullable<NonNullable<Node["status"]>["conditions"]>[number];

export function startNodeLifecycle(cluster: Cluster, podCidr: string): void {
  const { mirrors, host, signal } = cluster;
  const events = cluster.events("node-controller");
  const silent = new Set<string>();
  const timers = new Map<string, () => void>();
  const queue = cluster.queue({
    name: "node",
    workers: 1,
    // Pods may be left of nodes that are gone.
    keys: () => [...mirrors.nodes.keys(), ...[...mirrors.pods.all()].flatMap(({ spec }) => spec.nodeName ?? [])],
    reconcile: (name) =>
      reconcile(
        cluster,
        { events, podCidr, isSilent: silent.has(name), again: (ms) => queue.addAfter(name, ms) },
        name,
      ),
  });
  const heard = (name: string): void => {
    timers.get(name)?.();
    if (silent.delete(name)) queue.add(name);
    const cancel = host.clock.after(silenceMs, () => {
      silent.add(name);
      queue.add(name);
    });
    timers.set(name, cancel);
  };
  signal.addEventListener("abort", () => timers.forEach((cancel) => cancel()), { once: true });
  mirrors.nodes.onChange(({ key, before, after }) => {
    if (after === undefined) {
      timers.get(key)?.();
      timers.delete(key);
      silent.delete(key);
    } else if (before === undefined || heartbeatOf(before) !== heartbeatOf(after)) heard(key);
    queue.add(key);
  });
  mirrors.leases.onChange(({ before, after }) => {
    if (after === undefined || after.metadata.namespace !== leaseNamespace) return;
    const { name } = after.metadata;
    if (before?.spec?.renewTime !== after.spec?.renewTime && mirrors.nodes.get(name) !== undefined) heard(name);
  });
  mirrors.pods.onChange(({ before, after }) => {
    const node = after?.spec.nodeName;
    if (after === undefined || node === undefined) return;
    const isNews = before?.spec.nodeName !== node || isReady(before) !== isReady(after);
    const isKnown = mirrors.nodes.get(node);
    if (isNews && (isKnown === undefined || !isNodeReady(isKnown))) queue.add(node);
  });
}

const readyOf = (node: Node): NodeCondition | undefined =>
  node.status?.conditions?.find(({ type }) => type === "Ready");
/** Our own verdict does not move it. */
const heartbeatOf = (node: Node): string | undefined => readyOf(node)?.lastHeartbeatTime;

interface Round {
  readonly events: EventRecorder;
  readonly podCidr: string;
  readonly isSilent: boolean;
  again(ms: number): void;
}

async function reconcile(cluster: Cluster, round: Round, name: string): Promise<void> {
  const { mirrors } = cluster;
  const node = mirrors.nodes.get(name);
  const pods = [...mirrors.pods.all()].filter((pod) => pod.spec.nodeName === name);
  if (node === undefined) return forget(cluster, name, pods);
  if (node.spec?.podCIDR === undefined) return giveRange(cluster, node, round.podCidr);
  if (round.isSilent && readyOf(node)?.status !== "Unknown") return markUnknown(cluster, round.events, node);
  const taints = wantedTaints(node, isoSeconds(cluster.host.clock.now()));
  if (!isEqual(node.spec.taints ?? [], taints)) {
    const { resourceVersion } = node.metadata;
    await mirrors.nodes.merge(node, { metadata: { resourceVersion }, spec: { taints } });
    return;
  }
  if (readyOf(node)?.status === "Unknown") await Promise.all(pods.map((pod) => markLost(cluster, pod)));
  else if (isNodeReady(node)) await Promise.all(pods.map((pod) => giveBack(cluster, pod)));
  const waits = await Promise.all(pods.map((pod) => evict(cluster, round.events, pod, taints)));
  const waitMs = Math.min(...waits.flatMap((wait) => wait ?? []));
  if (Number.isFinite(waitMs)) round.again(waitMs);
}

/** The node is gone for good, so nobody else will ever end its pods. */
async function forget({ mirrors, client, signal }: Cluster, name: string, pods: readonly Pod[]): Promise<void> {
  if (pods.length === 0) return;
  try {
    await client.get(mirrors.nodes.type, { name }, { signal });
    return;
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
  await Promise.all(pods.map((pod) => mirrors.pods.delete(pod, { gracePeriodSeconds: 0 })));
}

async function giveRange({ mirrors }: Cluster, node: Node, podCidr: string): Promise<void> {
  const taken = new Set([...mirrors.nodes.all()].flatMap(({ spec }) => spec?.podCIDR ?? []));
  const range = freeNodeRange(podCidr, taken);
  if (range === undefined) throw new Error(`Node ${node.metadata.name} gets no pod range: ${podCidr} has no /24 left.`);
  const { resourceVersion } = node.metadata;
  await mirrors.nodes.merge(node, { metadata: { resourceVersion }, spec: { podCIDR: range, podCIDRs: [range] } });
}

async function markUnknown({ mirrors, host }: Cluster, events: EventRecorder, node: Node): Promise<void> {
  const unknown = {
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "Kubelet stopped posting node status.",
    lastTransitionTime: isoSeconds(host.clock.now()),
  } as const;
  const others = (node.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
  const conditions: NodeCondition[] = [...others, readyOf(node) ?? { type: "Ready", status: "Unknown" }].map(
    (known) => ({ ...known, ...unknown }),
  );
  await mirrors.nodes.update({ ...node, status: { ...node.status, conditions } }, "status");
  events.record(node, "Normal", "NodeNotReady", `Node ${node.metadata.name} status is now: NodeNotReady`);
}

/** All taints of others as they are, and ours by the Ready condition. */
function wantedTaints(node: Node, nowText: string): readonly Taint[] {
  const known = node.spec?.taints ?? [];
  const ours: readonly string[] = Object.values(taintKey);
  const status = readyOf(node)?.status;
  const key = status === "True" ? undefined : status === "Unknown" ? taintKey.unreachable : taintKey.notReady;
  const taint = (name: string, effect: string): Taint =>
    known.find((old) => old.key === name && old.effect === effect) ?? {
      key: name,
      effect,
      ...(effect === "NoExecute" ? { timeAdded: nowText } : {}),
    };
  return [
    ...known.filter((old) => !ours.includes(old.key)),
    ...(node.spec?.unschedulable === true ? [taint(taintKey.unschedulable, "NoSchedule")] : []),
    ...(key === undefined ? [] : [taint(key, "NoSchedule"), taint(key, "NoExecute")]),
  ];
}

const markLost = (cluster: Cluster, pod: Pod): Promise<void> =>
  isReady(pod) ? setReady(cluster, pod, { status: "False", reason: lostReason }) : Promise.resolve();

async function giveBack(cluster: Cluster, pod: Pod): Promise<void> {
  const isOurs = conditionOf(pod, "Ready")?.reason === lostReason;
  const containersReady = conditionOf(pod, "ContainersReady")?.status ?? "False";
  if (isOurs && !isFinished(pod)) await setReady(cluster, pod, { status: containersReady, reason: undefined });
}

/** Endpoints follow from this, so clients are sent elsewhere now and not after the toleration. */
async function setReady(
  { mirrors, host }: Cluster,
  pod: Pod,
  { status, reason }: { readonly status: "True" | "False" | "Unknown"; readonly reason: string | undefined },
): Promise<void> {
  const lastTransitionTime = isoSeconds(host.clock.now());
  const ready = { type: "Ready", status, lastTransitionTime, ...(reason === undefined ? {} : { reason }) };
  const conditions = (pod.status?.conditions ?? []).map((known) => (known.type === "Ready" ? ready : known));
  try {
    await mirrors.pods.update({ ...pod, status: { ...pod.status, conditions } }, "status");
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}

/** Deletes the pod when its toleration of a NoExecute taint has ended; else how long it still may stay. */
async function evict(
  { mirrors, host }: Cluster,
  events: EventRecorder,
  pod: Pod,
  taints: readonly Taint[],
): Promise<number | undefined> {
  if (isDeleting(pod) || isFinished(pod)) return undefined;
  const nowMs = host.clock.now();
  const waits = taints.filter(({ effect }) => effect === "NoExecute").map((taint) => tolerationMs(pod, taint, nowMs));
  const waitMs = Math.min(...waits);
  if (!Number.isFinite(waitMs)) return undefined;
  if (waitMs > 0) return waitMs;
  events.record(
    pod,
    "Normal",
    "TaintManagerEviction",
    `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
  );
  await mirrors.pods.delete(pod);
  return undefined;
}

function tolerationMs(pod: Pod, taint: Taint, nowMs: number): number {
  const matching = tolerationsOf(pod.spec).filter((toleration) => tolerates([toleration], taint));
  const isOurs = taint.key === taintKey.notReady || taint.key === taintKey.unreachable;
  if (matching.length === 0 && !isOurs) return 0;
  const limits = matching.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
  if (matching.length > 0 && limits.length === 0) return Number.POSITIVE_INFINITY;
  const seconds = matching.length === 0 ? tolerationSecondsDefault : Math.min(...limits);
  const sinceMs = msOfIso(taint.timeAdded ?? "") ?? nowMs;
  return Math.max(0, sinceMs + seconds * 1_000 - nowMs);
}
