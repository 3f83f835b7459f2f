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

/** Undefined: not to be captured, or not yet (no address). `knownIp` is what the kubelet announced before the API says it. */
export function wantedPod(
  pod: Pod,
  namespace: Namespace | undefined,
  marker: string,
  knownIp?: string,
): WantedPod | undefined {
  const { uid, name, namespace: podNamespace, deletionTimestamp, annotations } = pod.metadata;
  const ip = pod.status?.podIP ?? knownIp;
  if (uid === undefined || podNamespace === undefined || ip === undefined || ip === "") return undefined;
  if (isOver(pod) || !isInMesh(pod, namespace)) return undefined;
  return {
    uid,
    namespace: podNamespace,
    name,
    serviceAccount: pod.spec.serviceAccountName ?? "default",
    ip,
    isDraining: deletionTimestamp !== undefined,
    isMarked: annotations?.[marker] === "enabled",
  };
}
