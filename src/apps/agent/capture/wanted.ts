/** Which pods of the node belong to the mesh: labels decide, on the pod before its namespace (spec.md 1.2). */
import type { Namespace } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";

/** A pod that must be captured. */
export interface WantedPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly ip: string;
  /** Path of its network namespace, when the kubelet announced it. */
  readonly netns?: string | undefined;
  readonly isDraining: boolean;
  /** The pod carries the annotation already. */
  readonly isMarked: boolean;
}

export function isInMesh(pod: Pod, namespace: Namespace | undefined): boolean {
  if (pod.spec.hostNetwork === true) return false;
  const mode = pod.metadata.labels?.[label.dataplaneMode] ?? namespace?.metadata.labels?.[label.dataplaneMode];
  return mode === "ambient";
}

const isOver = (pod: Pod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

/** Undefined: not to be captured, or not yet (no address). `known` is what the kubelet announced before the API says it. */
export function wantedPod(
  pod: Pod,
  namespace: Namespace | undefined,
  marker: string,
  known?: { readonly ip: string; readonly netns: string },
): WantedPod | undefined {
  const { uid, name, namespace: podNamespace, deletionTimestamp, annotations } = pod.metadata;
  const addresses = [...(pod.status?.podIPs ?? []).map(({ ip: one }) => one), pod.status?.podIP ?? known?.ip ?? ""];
  // Of a pod with both families, the one that capture knows.
  const ip = addresses.find((one) => !one.includes(":") && one !== "") ?? addresses.find((one) => one !== "");
  if (uid === undefined || podNamespace === undefined || ip === undefined || ip === "") return undefined;
  if (isOver(pod) || !isInMesh(pod, namespace)) return undefined;
  return {
    uid,
    namespace: podNamespace,
    name,
    serviceAccount: pod.spec.serviceAccountName ?? "default",
    ip,
    netns: known?.netns,
    isDraining: deletionTimestamp !== undefined,
    isMarked: annotations?.[marker] === "enabled",
  };
}
