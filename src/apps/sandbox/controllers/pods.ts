/** What the controllers ask about a pod, and how a pod is made from a template. Pure. */
import type { KubeObject, OwnerReference } from "../../../core/api/kube.ts";
import type { Pod, PodTemplate } from "../../../core/api/pod.ts";
import type { Random } from "../../../io/host/host.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";

export type PodCondition = NonNullable<NonNullable<Pod["status"]>["conditions"]>[number];

/** Letters and digits that cannot form words; the alphabet of generated names. */
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

export const conditionOf = (pod: Pod, type: string): PodCondition | undefined =>
  pod.status?.conditions?.find((condition) => condition.type === type);

export const isReady = (pod: Pod): boolean => conditionOf(pod, "Ready")?.status === "True";
export const isDeleting = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;
export const isFinished = (pod: Pod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
/** Counts as a replica: neither finished nor on its way out. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && !isDeleting(pod);

/** Milliseconds until a ready pod counts as available (0: it does); undefined while it is not ready. */
function availableInMs(pod: Pod, minReadySeconds: number | undefined, nowMs: number): number | undefined {
  const ready = conditionOf(pod, "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds === undefined || minReadySeconds <= 0) return 0;
  const sinceMs = msOfIso(ready.lastTransitionTime ?? "") ?? nowMs;
  return Math.max(0, sinceMs + minReadySeconds * 1_000 - nowMs);
}

export const isAvailable = (pod: Pod, minReadySeconds: number | undefined, nowMs: number): boolean =>
  availableInMs(pod, minReadySeconds, nowMs) === 0;

/** Shortest wait after which one more pod will be available, if any is on the way. */
export function nextAvailableInMs(
  pods: readonly Pod[],
  minReadySeconds: number | undefined,
  nowMs: number,
): number | undefined {
  const waits = pods.flatMap((pod) => availableInMs(pod, minReadySeconds, nowMs) || []);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((owner) => owner.controller === true);

/** The reference by which `owner` controls what it makes. */
export const controlledBy = (owner: KubeObject): OwnerReference => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});

/** `<base>-<five letters>`, within the 63 characters of a host name. */
export function generatedName(random: Random, base: string): string {
  const suffix = Array.from({ length: 5 }, () => nameAlphabet[random.below(nameAlphabet.length)]).join("");
  return `${base.slice(0, 57)}-${suffix}`;
}

/** A number as a short name of the same alphabet. */
export function alphabetical(value: number): string {
  const digits: string[] = [];
  let rest = value;
  do {
    digits.push(nameAlphabet[rest % nameAlphabet.length] ?? "b");
    rest = Math.floor(rest / nameAlphabet.length);
  } while (rest > 0);
  return digits.join("");
}

export function podOf(
  owner: KubeObject,
  name: string,
  template: PodTemplate,
  labels: Record<string, string> = {},
): Pod {
  const metadata: Pod["metadata"] = {
    name,
    namespace: owner.metadata.namespace ?? "default",
    labels: { ...template.metadata?.labels, ...labels },
    ownerReferences: [controlledBy(owner)],
  };
  if (template.metadata?.annotations !== undefined) metadata.annotations = { ...template.metadata.annotations };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: structuredClone(template.spec) };
}
