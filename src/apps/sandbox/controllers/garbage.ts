/**
 * Garbage collection by owner references: what lost its last owner goes (background), an owner that waits for its
 * dependents goes after them (foreground), and dependents to be kept lose their reference (orphan). Owners are looked up
 * in the store itself before anything is deleted: a mirror may lag, and a deletion cannot be taken back.
 */
import type { KubeObject, OwnerReference, ResourceType } from "../../../core/api/kube.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { Cluster } from "./cluster.ts";
import type { EventRecorder } from "./events.ts";
import type { Mirror } from "./mirror.ts";
import { typeKey, type ObjectGraph } from "./object-graph.ts";
import { isDeleting } from "./pods.ts";

const foregroundFinalizer = "foregroundDeletion";
const orphanFinalizer = "orphan";

/** `unknown` means that its kind is not served (yet), so nothing may follow from its absence. */
type OwnerState = "present" | "waiting" | "absent" | "unknown";

const workKey = (type: ResourceType<KubeObject>, key: string): string => `${typeKey(type)}|${key}`;

export function startGarbageCollector(cluster: Cluster): void {
  const { graph } = cluster;
  const events = cluster.events("garbage-collector-controller");
  const queue = cluster.queue({
    name: "garbage",
    keys: function* () {
      for (const mirror of graph.mirrors()) {
        for (const key of mirror.keys()) yield workKey(mirror.type, key);
      }
    },
    reconcile: async (work) => {
      const at = work.indexOf("|");
      const mirror = graph.mirrorAt(work.slice(0, at));
      const object = mirror?.get(work.slice(at + 1));
      if (mirror !== undefined && object !== undefined) await collect(cluster, events, mirror, object);
    },
  });
  const addDependents = (uid: string | undefined): void => {
    for (const { mirror, object } of graph.dependents(uid)) {
      queue.add(workKey(mirror.type, keyOf(object)));
    }
  };
  graph.onChange(({ type, key, before, after }) => {
    const isReplaced = after?.metadata.uid !== before?.metadata.uid;
    if (before !== undefined && isReplaced) {
      addDependents(before.metadata.uid);
      for (const owner of before.metadata.ownerReferences ?? []) addWaiting(before, owner);
    }
    if (after === undefined) return;
    const hasOwners = (after.metadata.ownerReferences ?? []).length > 0;
    if (hasOwners || isDeleting(after)) queue.add(workKey(type, key));
    const isWaiting = isDeleting(after) && after.metadata.finalizers?.includes(foregroundFinalizer) === true;
    if (isWaiting) addDependents(after.metadata.uid);
    // A reference that was taken away may have been the last that a deleting owner waits for.
    for (const owner of before?.metadata.ownerReferences ?? []) addWaiting(after, owner);
  });
  const addWaiting = (dependent: KubeObject, owner: OwnerReference): void => {
    const ownerType = graph.typeOf(owner.apiVersion, owner.kind);
    if (ownerType === undefined || ownerType === "gone") return;
    const { namespace } = dependent.metadata;
    const key = ownerType.namespaced ? `${namespace}/${owner.name}` : owner.name;
    const found = graph.mirrorAt(typeKey(ownerType))?.get(key);
    if (found !== undefined && isDeleting(found)) queue.add(workKey(ownerType, key));
  };
  graph.onKinds(() => {
    for (const mirror of graph.mirrors()) {
      for (const object of mirror.all()) {
        if ((object.metadata.ownerReferences ?? []).length > 0) queue.add(workKey(mirror.type, keyOf(object)));
      }
    }
  });
}

const keyOf = ({ metadata }: KubeObject): string =>
  metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;

async function collect(
  cluster: Cluster,
  events: EventRecorder,
  mirror: Mirror<KubeObject>,
  object: KubeObject,
): Promise<void> {
  const { graph } = cluster;
  if (isDeleting(object)) {
    if (object.metadata.finalizers?.includes(orphanFinalizer) === true) await orphan(graph, mirror, object);
    else if (object.metadata.finalizers?.includes(foregroundFinalizer) === true)
      await foreground(graph, mirror, object);
    return;
  }
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0) return;
  const states = new Map<OwnerReference, OwnerState>();
  for (const owner of owners) states.set(owner, await stateOf(cluster, events, { mirror, object, owner }));
  const having = (state: OwnerState): readonly OwnerReference[] =>
    owners.filter((owner) => states.get(owner) === state);
  if (having("unknown").length > 0) return;
  const remaining = having("present");
  const leaving = [...having("absent"), ...having("waiting")];
  if (leaving.length === 0) return;
  const { resourceVersion, uid } = object.metadata;
  if (remaining.length > 0) {
    await gone(mirror.merge(object, { metadata: { ownerReferences: remaining, resourceVersion, uid } }));
    return;
  }
  const isWaitedFor = having("waiting").length > 0 && graph.dependents(uid).length > 0;
  // The revision is a precondition: somebody may just have given it a new owner.
  const propagationPolicy = isWaitedFor ? "Foreground" : "Background";
  await mirror.delete(object, { propagationPolicy, ...(resourceVersion === undefined ? {} : { resourceVersion }) });
}

async function stateOf(
  { client, signal, graph }: Cluster,
  events: EventRecorder,
  { mirror, object, owner }: { mirror: Mirror<KubeObject>; object: KubeObject; owner: OwnerReference },
): Promise<OwnerState> {
  const type = graph.typeOf(owner.apiVersion, owner.kind);
  if (type === "gone") return "absent";
  if (type === undefined) return "unknown";
  if (type.namespaced && !mirror.type.namespaced) {
    const message =
      `The owner ${owner.kind} ${owner.name} is in a namespace and this object is in none, so it is never collected. ` +
      "Remove the reference from metadata.ownerReferences.";
    events.record(object, "Warning", "OwnerRefInvalidNamespace", message);
    return "unknown";
  }
  const { namespace } = object.metadata;
  const known = graph.mirrorAt(typeKey(type))?.get(type.namespaced ? `${namespace}/${owner.name}` : owner.name);
  if (known?.metadata.uid === owner.uid && !isDeleting(known)) return "present";
  try {
    const ref = type.namespaced ? { name: owner.name, namespace } : { name: owner.name };
    const found = await client.get(type, ref, { signal });
    if (found.metadata.uid !== owner.uid) return "absent";
    const isWaiting = isDeleting(found) && found.metadata.finalizers?.includes(foregroundFinalizer) === true;
    return isWaiting ? "waiting" : "present";
  } catch (error) {
    if (isReason(error, "NotFound")) return "absent";
    throw error;
  }
}

/** Every dependent is queued on its own; here the owner only waits for those that block it. */
async function foreground(graph: ObjectGraph, mirror: Mirror<KubeObject>, object: KubeObject): Promise<void> {
  const { uid } = object.metadata;
  const isBlocked = graph
    .dependents(uid)
    .some(({ object: dependent }) =>
      dependent.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
    );
  if (!isBlocked) await dropFinalizer(mirror, object, foregroundFinalizer);
}

async function orphan(graph: ObjectGraph, mirror: Mirror<KubeObject>, object: KubeObject): Promise<void> {
  for (const { mirror: kept, object: dependent } of graph.dependents(object.metadata.uid)) {
    const { ownerReferences = [], resourceVersion, uid } = dependent.metadata;
    const others = ownerReferences.filter((owner) => owner.uid !== object.metadata.uid);
    await gone(kept.merge(dependent, { metadata: { ownerReferences: others, resourceVersion, uid } }));
  }
  await dropFinalizer(mirror, object, orphanFinalizer);
}

async function dropFinalizer(mirror: Mirror<KubeObject>, object: KubeObject, name: string): Promise<void> {
  const finalizers = (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== name);
  const { resourceVersion, uid } = object.metadata;
  await gone(mirror.merge(object, { metadata: { finalizers, resourceVersion, uid } }));
}

async function gone(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}
