/**
 * The DaemonSet controller: one pod on every node that takes it, replaced in place (maxUnavailable) or next to the old
 * one (maxSurge). `planDaemons` is pure. Revisions are told apart by the hash label.
 */
import type { Node } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { claimPods } from "./claim.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import type { CountedDaemonSet, DaemonSetStatus, Toleration } from "./kinds.ts";
import { startLoop, wakeOwners, writeStatus, type Reconcile } from "./loop.ts";
import { matchesNode, onlyNodeOf, repellingTaint, taintKey, tolerationsOf } from "./placement.ts";
import { generatedName, isAvailable, isDeleting, isFinished, isReady } from "./pods.ts";
import { nextAvailableInMs, podOf } from "./pods.ts";
import { keepRevisions } from "./revisions.ts";
import { countOf } from "./rollout.ts";
import { isEqual, revisionHashLabel, templateHash } from "./template.ts";

/** Daemons stay on nodes from which other pods flee. */
const daemonTolerations: readonly Toleration[] = [
  { key: taintKey.notReady, operator: "Exists", effect: "NoExecute" },
  { key: taintKey.unreachable, operator: "Exists", effect: "NoExecute" },
  { key: taintKey.notReady, operator: "Exists", effect: "NoSchedule" },
  { key: taintKey.unreachable, operator: "Exists", effect: "NoSchedule" },
  { key: taintKey.unschedulable, operator: "Exists", effect: "NoSchedule" },
];

export interface DaemonView {
  readonly set: CountedDaemonSet;
  readonly nodes: readonly Node[];
  /** Its own, those on their way out included. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export interface DaemonPlan {
  readonly createOn: readonly string[];
  readonly remove: readonly Pod[];
  readonly status: DaemonSetStatus;
}

function planDaemons(view: DaemonView): DaemonPlan {
  const { set, nodes } = view;
  const spec = { ...set.spec.template.spec, tolerations: tolerationsFor(set) };
  const wanted = nodes.filter((node) => matchesNode(spec, node) && repellingTaint(spec, node) === undefined);
  const wantedNames = new Set(wanted.map(({ metadata }) => metadata.name));
  const podsByNode = new Map<string, Pod[]>();
  for (const pod of view.pods) {
    const name = nodeOf(pod);
    podsByNode.set(name, [...(podsByNode.get(name) ?? []), pod]);
  }
  const alive = (name: string): readonly Pod[] => (podsByNode.get(name) ?? []).filter((pod) => !isDeleting(pod));
  const strays = view.pods.filter((pod) => !isDeleting(pod) && (!wantedNames.has(nodeOf(pod)) || isFinished(pod)));
  const missing = [...wantedNames].filter((name) => (podsByNode.get(name) ?? []).length === 0).sort();
  const update = roll(view, [...wantedNames].sort(), alive);
  return {
    createOn: [...missing, ...update.createOn],
    remove: [...strays, ...update.remove],
    status: statusOf(view, wantedNames, alive),
  };
}

const nodeOf = (pod: Pod): string => onlyNodeOf(pod) ?? "";
const hashOf = (set: CountedDaemonSet): string => templateHash(set.spec.template);
const isFresh = (pod: Pod, hash: string): boolean => pod.metadata.labels?.[revisionHashLabel] === hash;

function roll(
  { set, nowMs }: DaemonView,
  nodes: readonly string[],
  alive: (node: string) => readonly Pod[],
): Pick<DaemonPlan, "createOn" | "remove"> {
  if (set.spec.updateStrategy?.type === "OnDelete") return { createOn: [], remove: [] };
  const { maxSurge = 0, maxUnavailable = 1 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const surge = countOf(maxSurge, nodes.length, Math.ceil);
  const unavailable = surge > 0 ? 0 : Math.max(1, countOf(maxUnavailable, nodes.length, Math.ceil));
  const hash = hashOf(set);
  const serves = (pod: Pod): boolean => isAvailable(pod, set.spec.minReadySeconds, nowMs);
  const createOn: string[] = [];
  const remove: Pod[] = [];
  let down = nodes.filter((node) => !alive(node).some(serves)).length;
  let surged = nodes.filter((node) => alive(node).length > 1).length;
  for (const node of nodes) {
    const fresh = alive(node).filter((pod) => isFresh(pod, hash));
    const old = alive(node).filter((pod) => !isFresh(pod, hash) && !isFinished(pod));
    if (old.length === 0) continue;
    if (fresh.some(serves) || !old.some(serves)) {
      // Nothing is lost by going: the new one serves, or the old one does not.
      remove.push(...old);
    } else if (surge > 0) {
      if (fresh.length > 0 || surged >= surge) continue;
      surged += 1;
      createOn.push(node);
    } else if (down < unavailable) {
      down += 1;
      remove.push(...old);
    }
  }
  return { createOn, remove };
}

function statusOf(
  { set, pods, nowMs }: DaemonView,
  wanted: ReadonlySet<string>,
  alive: (node: string) => readonly Pod[],
): DaemonSetStatus {
  const hash = hashOf(set);
  const count = (holds: (node: string) => boolean): number => [...wanted].filter(holds).length;
  const available = count((node) => alive(node).some((pod) => isAvailable(pod, set.spec.minReadySeconds, nowMs)));
  const astray = new Set(
    pods
      .filter((pod) => !isDeleting(pod))
      .map(nodeOf)
      .filter((node) => !wanted.has(node)),
  );
  const status: DaemonSetStatus = {
    currentNumberScheduled: count((node) => alive(node).length > 0),
    desiredNumberScheduled: wanted.size,
    numberMisscheduled: astray.size,
    numberReady: count((node) => alive(node).some(isReady)),
    updatedNumberScheduled: count((node) => alive(node).some((pod) => isFresh(pod, hash))),
    numberAvailable: available,
    numberUnavailable: wanted.size - available,
  };
  if (set.metadata.generation !== undefined) status.observedGeneration = set.metadata.generation;
  return status;
}

const tolerationsFor = (set: CountedDaemonSet): Toleration[] => [
  ...tolerationsOf(set.spec.template.spec),
  ...daemonTolerations,
];

/** The scheduler binds it like any other pod; its affinity leaves one node to choose from. */
function daemonOn(set: CountedDaemonSet, node: string, name: string): Pod {
  const pod = podOf(set, name, set.spec.template, { [revisionHashLabel]: hashOf(set) });
  const required = {
    nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }],
  };
  const { affinity } = pod.spec;
  const others = typeof affinity === "object" && affinity !== null ? affinity : {};
  return {
    ...pod,
    spec: {
      ...pod.spec,
      tolerations: tolerationsFor(set),
      affinity: {
        ...others,
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required },
      },
    },
  };
}

export function startDaemonSets(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = startLoop(cluster, "daemonset", mirrors.daemonSets, reconcile);
  wakeOwners(mirrors.pods, "DaemonSet", queue);
  mirrors.nodes.onChange(({ before, after }) => {
    if (isEqual([before?.spec, before?.metadata.labels], [after?.spec, after?.metadata.labels])) return;
    for (const key of mirrors.daemonSets.keys()) queue.add(key);
  });
}

const reconcile: Reconcile = async (cluster, events, key, again) => {
  const { mirrors, host } = cluster;
  const set = mirrors.daemonSets.get(key);
  if (set === undefined) return;
  const pods = await claimPods(cluster, set, set.spec.selector);
  await keepRevisions(cluster, set, pods);
  const nowMs = host.clock.now();
  const plan = planDaemons({ set, nodes: [...mirrors.nodes.all()], pods, nowMs });
  if (!isDeleting(set)) {
    await Promise.all(plan.remove.map((pod) => remove(cluster, events, set, pod)));
    const names = isNamespaceOpen(cluster, set.metadata.namespace) ? plan.createOn : [];
    await Promise.all(names.map((node) => create(cluster, events, set, node)));
  }
  await writeStatus(mirrors.daemonSets, key, plan.status);
  const waitMs = nextAvailableInMs(pods, set.spec.minReadySeconds, nowMs);
  if (waitMs !== undefined) again(waitMs);
};

async function create(cluster: Cluster, events: EventRecorder, set: CountedDaemonSet, node: string): Promise<void> {
  const name = generatedName(cluster.host.random, set.metadata.name);
  await cluster.mirrors.pods.create(daemonOn(set, node, name));
  events.record(set, "Normal", "SuccessfulCreate", `Created pod: ${name}`);
}

async function remove({ mirrors }: Cluster, events: EventRecorder, set: CountedDaemonSet, pod: Pod): Promise<void> {
  await mirrors.pods.delete(pod);
  events.record(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
}
