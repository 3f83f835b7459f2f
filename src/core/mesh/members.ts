/**
 * How pods, users' WorkloadEntries and the inline endpoints of users' ServiceEntries become workloads: everything that
 * does not depend on services and policies.
 */
import type { Node } from "../api/kube.ts";
import type { WorkloadEntry, WorkloadEntrySpec } from "../api/mesh-kinds.ts";
import { annotation, label } from "../api/names.ts";
import type { Pod } from "../api/pod.ts";
import type { Locality, MeshSettings, Workload } from "./model.ts";
import type { Labels } from "./selector.ts";
import { managedByTombolo } from "./service-entries.ts";

/** What makes it a workload, and what selects it. */
export interface Attached {
  readonly services: Workload["services"];
  readonly policies: Workload["policies"];
}

const subzoneLabel = "topology.istio.io/subzone";
export const nowhere: Locality = { region: "", zone: "", subzone: "" };

export const localityOf = ({ metadata: { labels = {} } }: Node): Locality => ({
  region: labels[label.region] ?? "",
  zone: labels[label.zone] ?? "",
  subzone: labels[subzoneLabel] ?? "",
});

/** Pods that have ended or have no address yet are no workloads. */
export function isPodMember(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase !== "Succeeded" && phase !== "Failed" && addressesOf(pod).length > 0;
}

/** Entries that show peers' services are ours. */
export const isEntryMember = ({ metadata, spec }: WorkloadEntry): boolean =>
  metadata.labels?.[label.managedBy] !== managedByTombolo && spec.address !== undefined && spec.address !== "";

const addressesOf = (pod: Pod): readonly string[] => {
  const several = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const one = pod.status?.podIP;
  return several.length > 0 || one === undefined ? several : [one];
};

export function podWorkload(
  pod: Pod,
  settings: MeshSettings,
  locality: Locality,
  { services, policies }: Attached,
): Workload {
  const { name, namespace = "", labels = {}, annotations = {} } = pod.metadata;
  const { workloadName, workloadType } = ownerOf(pod);
  const { canonicalName, canonicalRevision } = canonical(labels, workloadName);
  const isReady = pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
  return {
    uid: `${settings.cluster}//Pod/${namespace}/${name}`,
    name,
    namespace,
    cluster: settings.cluster,
    network: settings.network,
    node: pod.spec.nodeName ?? "",
    addresses: addressesOf(pod),
    trustDomain: settings.trustDomain,
    serviceAccount: pod.spec.serviceAccountName ?? "default",
    tunnel: annotations[annotation.redirection] === "enabled" ? "native" : "none",
    hostNetwork: pod.spec.hostNetwork === true,
    locality,
    isHealthy: isReady && pod.metadata.deletionTimestamp === undefined,
    capacity: 1,
    services,
    policies,
    canonicalName,
    canonicalRevision,
    workloadName,
    workloadType,
  };
}

export function namedPortsOf(pod: Pod): Readonly<Record<string, number>> {
  const sidecars = (pod.spec.initContainers ?? []).filter((one) => one.restartPolicy === "Always");
  const ports: Record<string, number> = {};
  for (const { name, containerPort } of [...(pod.spec.containers ?? []), ...sidecars].flatMap(
    (one) => one.ports ?? [],
  )) {
    if (name !== undefined) ports[name] ??= containerPort;
  }
  return ports;
}

/** The thing a user made that made the pod. */
function ownerOf(pod: Pod): Pick<Workload, "workloadName" | "workloadType"> {
  const owner = pod.metadata.ownerReferences?.find((one) => one.controller === true);
  if (owner === undefined) return { workloadName: pod.metadata.name, workloadType: "pod" };
  const hash = pod.metadata.labels?.["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
    return { workloadName: owner.name.slice(0, -hash.length - 1), workloadType: "deployment" };
  }
  if (owner.kind === "Job") {
    const cron = /^(.+)-\d{8,}$/.exec(owner.name)?.[1];
    return cron === undefined
      ? { workloadName: owner.name, workloadType: "job" }
      : { workloadName: cron, workloadType: "cronjob" };
  }
  return { workloadName: owner.name, workloadType: "pod" };
}

const canonical = (labels: Labels, fallback: string): Pick<Workload, "canonicalName" | "canonicalRevision"> => ({
  canonicalName: labels[label.canonicalName] ?? labels["app.kubernetes.io/name"] ?? labels["app"] ?? fallback,
  canonicalRevision:
    labels[label.canonicalRevision] ?? labels["app.kubernetes.io/version"] ?? labels["version"] ?? "latest",
});

/** `region/zone/subzone`. */
function parseLocality(text: string | undefined): Locality {
  const [region = "", zone = "", subzone = ""] = (text ?? "").split("/");
  return { region, zone, subzone };
}

interface External {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly spec: WorkloadEntrySpec;
}

/** A WorkloadEntry or an inline endpoint: something outside of Kubernetes, without a proxy. */
export function externalWorkload(
  { uid, name, namespace, labels, spec }: External,
  settings: MeshSettings,
  { services, policies }: Attached,
): Workload {
  const { canonicalName, canonicalRevision } = canonical(labels, name);
  return {
    uid,
    name,
    namespace,
    cluster: settings.cluster,
    network: spec.network ?? settings.network,
    node: "",
    addresses: spec.address === undefined ? [] : [spec.address],
    trustDomain: settings.trustDomain,
    serviceAccount: spec.serviceAccount ?? "default",
    tunnel: "none",
    hostNetwork: false,
    locality: parseLocality(spec.locality),
    isHealthy: true,
    capacity: spec.weight ?? 1,
    services,
    policies,
    canonicalName,
    canonicalRevision,
    workloadName: name,
    workloadType: "pod",
  };
}
