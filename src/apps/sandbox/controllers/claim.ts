/**
 * Who owns a pod or ReplicaSet: a controller adopts orphans that its selector matches and releases those whose labels no
 * longer match (`kubectl label pod x app-` takes a pod out of service for a closer look).
 */
import type { KubeObject } from "../../../core/api/kube.ts";
import type { LabelSelector, Pod } from "../../../core/api/pod.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { Cluster } from "./cluster.ts";
import type { ControllerRevision, CountedReplicaSet } from "./kinds.ts";
import { isEmptySelector, isSelected } from "./labels.ts";
import type { Mirror } from "./mirror.ts";
import { controlledBy, controllerOf, isDeleting, isFinished } from "./pods.ts";

export const claimPods = (cluster: Cluster, owner: KubeObject, selector: LabelSelector): Promise<readonly Pod[]> =>
  claim(cluster.mirrors.pods, owner, { selector, canAdopt: (pod) => !isFinished(pod) });

export const claimReplicaSets = (
  cluster: Cluster,
  owner: KubeObject,
  selector: LabelSelector,
): Promise<readonly CountedReplicaSet[]> =>
  claim(cluster.mirrors.replicaSets, owner, { selector, canAdopt: () => true });

export const claimRevisions = (
  cluster: Cluster,
  owner: KubeObject,
  selector: LabelSelector,
): Promise<readonly ControllerRevision[]> =>
  claim(cluster.mirrors.controllerRevisions, owner, { selector, canAdopt: () => true });

async function claim<T extends KubeObject>(
  mirror: Mirror<T>,
  owner: KubeObject,
  { selector, canAdopt }: { readonly selector: LabelSelector; readonly canAdopt: (object: T) => boolean },
): Promise<readonly T[]> {
  const owned: T[] = [];
  for (const object of mirror.ownedBy(owner.metadata.uid)) {
    if (controllerOf(object)?.uid !== owner.metadata.uid) continue;
    if (isSelected(object.metadata.labels, selector) || isDeleting(owner)) owned.push(object);
    else await release(mirror, object, owner);
  }
  if (isDeleting(owner) || isEmptySelector(selector)) return owned;
  for (const object of mirror.inNamespace(owner.metadata.namespace ?? "default")) {
    const isOrphan = controllerOf(object) === undefined && !isDeleting(object) && canAdopt(object);
    if (!isOrphan || !isSelected(object.metadata.labels, selector)) continue;
    const adopted = await adopt(mirror, object, owner);
    if (adopted !== undefined) owned.push(adopted);
  }
  return owned;
}

async function adopt<T extends KubeObject>(mirror: Mirror<T>, object: T, owner: KubeObject): Promise<T | undefined> {
  return reown(mirror, object, [...(object.metadata.ownerReferences ?? []), controlledBy(owner)]);
}

async function release<T extends KubeObject>(mirror: Mirror<T>, object: T, owner: KubeObject): Promise<void> {
  const others = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
  await reown(mirror, object, others);
}

/** The revision makes sure that nobody else took the object meanwhile. */
async function reown<T extends KubeObject>(
  mirror: Mirror<T>,
  object: T,
  ownerReferences: unknown,
): Promise<T | undefined> {
  const { resourceVersion, uid } = object.metadata;
  try {
    return await mirror.merge(object, { metadata: { ownerReferences, resourceVersion, uid } });
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}
