/**
 * The scheduler: gives every pod without a node the best one of `placement.ts`. One pod at a time, so that each decision
 * knows the one before. It owns the bindings it has made and not seen yet.
 */
import type { KubeObject } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { isoSeconds } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import { refOf } from "./mirror.ts";
import { place } from "./placement.ts";
import { conditionOf, isActive, isFinished } from "./pods.ts";
import { isEqual } from "./template.ts";

const schedulerName = "default-scheduler";

const isWaiting = (pod: Pod): boolean =>
  pod.spec.nodeName === undefined && isActive(pod) && (pod.spec.schedulerName ?? schedulerName) === schedulerName;

export function startScheduler(cluster: Cluster): void {
  const { mirrors } = cluster;
  const events = cluster.events(schedulerName);
  /** Node by pod uid, until the pod itself says it. */
  const bound = new Map<string, string>();
  const queue = cluster.queue({
    name: "scheduler",
    workers: 1,
    keys: () => mirrors.pods.keys(),
    reconcile: (key) => schedule(cluster, events, bound, key),
  });
  const retryWaiting = (): void => {
    for (const pod of mirrors.pods.all())
      if (isWaiting(pod)) queue.add(`${pod.metadata.namespace}/${pod.metadata.name}`);
  };
  mirrors.pods.onChange(({ key, before, after }) => {
    if (before !== undefined && (after === undefined || after.metadata.uid !== before.metadata.uid)) {
      bound.delete(before.metadata.uid ?? "");
    }
    if (after?.spec.nodeName !== undefined) bound.delete(after.metadata.uid ?? "");
    if (after !== undefined && isWaiting(after)) queue.add(key);
    // Room may have been made: a host port, or one sibling less.
    const isFreed = before?.spec.nodeName !== undefined && (after === undefined || isFinished(after));
    if (isFreed) retryWaiting();
  });
  mirrors.nodes.onChange(({ before, after }) => {
    const facts = [before, after].map((node) => [node?.spec, node?.metadata.labels, conditionsOf(node)]);
    if (!isEqual(facts[0], facts[1])) retryWaiting();
  });
}

/** Without heartbeat times, which change all the time and mean nothing here. */
const conditionsOf = (node: { status?: { conditions?: { type: string; status: string }[] } } | undefined): unknown =>
  node?.status?.conditions?.map(({ type, status }) => [type, status]);

async function schedule(
  cluster: Cluster,
  events: EventRecorder,
  bound: Map<string, string>,
  key: string,
): Promise<void> {
  const { mirrors, client } = cluster;
  const pod = mirrors.pods.get(key);
  const uid = pod?.metadata.uid;
  if (pod === undefined || uid === undefined || !isWaiting(pod) || bound.has(uid)) return;
  const placement = place(pod, [...mirrors.nodes.all()], placedPods(cluster, bound));
  if (placement.kind === "none") return explain(cluster, events, pod, placement.message);
  const { name, namespace } = pod.metadata;
  try {
    await client.post(mirrors.pods.type, refOf(pod), "binding", {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name, namespace, uid },
      target: { apiVersion: "v1", kind: "Node", name: placement.name },
    });
  } catch (error) {
    if (isReason(error, "NotFound")) return;
    throw error;
  }
  if (mirrors.pods.get(key)?.spec.nodeName === undefined) bound.set(uid, placement.name);
  const message = `Successfully assigned ${namespace}/${name} to ${placement.name}`;
  events.record(pod, "Normal", "Scheduled", message);
}

function* placedPods({ mirrors }: Cluster, bound: ReadonlyMap<string, string>): Iterable<Pod> {
  for (const pod of mirrors.pods.all()) {
    const nodeName = bound.get(pod.metadata.uid ?? "");
    yield nodeName === undefined || pod.spec.nodeName !== undefined ? pod : { ...pod, spec: { ...pod.spec, nodeName } };
  }
}

/** Says once per reason why a pod has no node. */
async function explain({ mirrors, host }: Cluster, events: EventRecorder, pod: Pod, message: string): Promise<void> {
  const known = conditionOf(pod, "PodScheduled");
  if (known?.status === "False" && known.message === message) return;
  events.record(pod satisfies KubeObject, "Warning", "FailedScheduling", message);
  const lastTransitionTime =
    known?.status === "False" && known.lastTransitionTime !== undefined
      ? known.lastTransitionTime
      : isoSeconds(host.clock.now());
  const conditions = [
    ...(pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled"),
    { type: "PodScheduled", status: "False" as const, reason: "Unschedulable", message, lastTransitionTime },
  ];
  await mirrors.pods.update({ ...pod, status: { phase: "Pending", ...pod.status, conditions } }, "status");
}
