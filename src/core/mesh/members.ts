/**
 * Local workloads before they are attached to services: pods with an address, users' WorkloadEntries, and the inline
 * endpoints of users' ServiceEntries.
 */
import type { Node } from "../api/kube.ts";
import type { WorkloadEntry, WorkloadEntrySpec } from "../api/mesh-kinds.ts";
import { annotation, label } from "../api/names.ts";
import type { Pod } from "../api/pod.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { claimant, type Hosts, owns } from "./hosts.ts";
import type { Locality, MeshSettings, PortMapping, Workload } from "./model.ts";
import type { Labels } from "./selector.ts";
import { servicePorts } from "./service-ports.ts";
import { managedByTombolo, type ServiceEntries, type UserEntry } from "./service-entries.ts";
import type { MeshSources } from "./sources.ts";

export interface Member {
  readonly kind: "pod" | "entry" | "endpoint";
  readonly workload: Omit<Workload, "services" | "policies">;
  readonly labels: Labels;
  /** Numbers of named ports. */
  readonly namedPorts: Readonly<Record<string, number>>;
  /** For inline endpoints, which no selector finds. */
  readonly attached: Readonly<Record<string, readonly PortMapping[]>>;
}

const subzoneLabel = "topology.istio.io/subzone";
const nowhere: Locality = { region: "", zone: "", subzone: "" };

export function wireMembers(
  graph: Graph,
  settings: MeshSettings,
  from: { readonly sources: MeshSources; readonly serviceEntries: ServiceEntries; readonly hosts: Hosts },
): Collection<Member> {
  const { sources, serviceEntries, hosts } = from;
  const localities = graph.derive<Node, Locality>("localities", sources.nodes, function* ({ metadata }, _read, name) {
    const { labels = {} } = metadata;
    const locality = {
      region: labels[label.region] ?? "",
      zone: labels[label.zone] ?? "",
      subzone: labels[subzoneLabel] ?? "",
    };
    yield [name, locality];
  });
  const pods = graph.derive<Pod, Member>("members.pods", sources.pods, function* (pod, read) {
    const phase = pod.status?.phase;
    if (phase === "Succeeded" || phase === "Failed" || addressesOf(pod).length === 0) return;
    const member = podMember(pod, settings, read.get(localities, pod.spec.nodeName ?? "") ?? nowhere);
    yield [member.workload.uid, member];
  });
  const entries = graph.derive<WorkloadEntry, Member>("members.entries", sources.workloadEntries, function* (entry) {
    const { metadata, spec } = entry;
    const { name, namespace = "", labels = {} } = metadata;
    if (labels[label.managedBy] === managedByTombolo || spec.address === undefined || spec.address === "") return;
    const uid = `${settings.cluster}/networking.istio.io/WorkloadEntry/${namespace}/${name}`;
    yield [uid, externalMember("entry", { uid, name, namespace, labels }, spec, settings)];
  });
  const endpoints = graph.derive<UserEntry, Member>(
    "members.endpoints",
    serviceEntries.users,
    function* (entry, read, key) {
      const owned = entry.hosts.filter((host) => owns(hosts, read, host, claimant.entry(key)));
      if (owned.length === 0) return;
      for (const [at, spec] of entry.endpoints.entries()) {
        const { namespace } = entry;
        const uid = `${settings.cluster}/networking.istio.io/ServiceEntry/${key}/${at}`;
        const member = externalMember(
          "endpoint",
          { uid, name: `${entry.name}-${at}`, namespace, labels: {} },
          spec,
          settings,
        );
        const ports = entry.ports.map((port) => ({
          servicePort: port.port,
          targetPort: spec.ports?.[port.name] ?? (typeof port.target === "number" ? port.target : port.port),
        }));
        yield [uid, { ...member, attached: servicePorts(owned.map((host) => [`${namespace}/${host}`, ports])) }];
      }
    },
  );
  return graph.union("members", pods, entries, endpoints);
}

const addressesOf = (pod: Pod): readonly string[] => {
  const several = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const one = pod.status?.podIP;
  return several.length > 0 || one === undefined ? several : [one];
};

function podMember(pod: Pod, settings: MeshSettings, locality: Locality): Member {
  const { name, namespace = "", labels = {}, annotations = {} } = pod.metadata;
  const owner = ownerOf(pod);
  const isReady = pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
  return {
    kind: "pod",
    workload: {
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
      ...canonical(labels, owner.workloadName),
      ...owner,
    },
    labels,
    namedPorts: namedPortsOf(pod),
    attached: {},
  };
}

function namedPortsOf(pod: Pod): Readonly<Record<string, number>> {
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

function externalMember(
  kind: "entry" | "endpoint",
  who: { readonly uid: string; readonly name: string; readonly namespace: string; readonly labels: Labels },
  spec: WorkloadEntrySpec,
  settings: MeshSettings,
): Member {
  const labels = { ...who.labels, ...spec.labels };
  return {
    kind,
    workload: {
      uid: who.uid,
      name: who.name,
      namespace: who.namespace,
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
      ...canonical(labels, who.name),
      workloadName: who.name,
      workloadType: "pod",
    },
    labels,
    namedPorts: spec.ports ?? {},
    attached: {},
  };
}
