/** Reads what a cluster's mesh is derived from, as the control plane watches it, and what else a link depends on. */
import type { KubeObject, Node, ResourceType, Service } from "../../../core/api/kube.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { controlPlaneName, gatewayClass, label, rootCertConfigMap, systemNamespace } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { ClusterObjects } from "../../../core/explain/plan.ts";
import type { Export } from "../../../core/mesh/model.ts";
import { isReason } from "../../../io/kube/client.ts";
import { splitPem } from "../../../io/identity/x509.ts";
import { askControlPlane } from "../debug/agents.ts";
import type { MeshOfCluster } from "./cluster.ts";

/** What decides whether two clusters can be linked. */
export interface ClusterFacts {
  readonly mesh: MeshOfCluster;
  readonly objects: ClusterObjects;
  /** PEM of each root that is believed. */
  readonly roots: readonly string[];
  readonly version: string;
  readonly podRanges: readonly string[];
  readonly serviceAddresses: readonly string[];
  /** Of its east-west gateways. */
  readonly gatewayAddresses: readonly string[];
  /** Clusters that it is linked to. */
  readonly links: readonly string[];
}

/** A kind whose definition is not installed has no objects. */
async function list<T extends KubeObject>(
  { client }: MeshOfCluster,
  kind: ResourceType<T>,
  signal: AbortSignal,
): Promise<readonly T[]> {
  try {
    return (await client.list(kind, { signal })).items;
  } catch (error) {
    if (isReason(error, "NotFound")) return [];
    throw error;
  }
}

/** Without a control plane that answers, the plan is made without what the cluster's present peers export. */
async function peerExportsOf(mesh: MeshOfCluster, signal: AbortSignal): Promise<Readonly<Record<string, Export>>> {
  try {
    // Rows of the control plane's own collection.
    const path = "/debug/collections/peerExports";
    return (await askControlPlane(mesh, path, signal)) as Readonly<Record<string, Export>>;
  } catch (error) {
    if (signal.aborted) throw error;
    return {};
  }
}

async function rootsOf({ client }: MeshOfCluster, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const ref = { name: rootCertConfigMap, namespace: systemNamespace };
    const map = await client.get(builtin.configMaps, ref, { signal });
    return splitPem(map.data?.["root-cert.pem"] ?? "");
  } catch (error) {
    if (isReason(error, "NotFound")) return [];
    throw error;
  }
}

const tagOf = (image: string): string => /:([^:/]+)$/.exec(image)?.[1] ?? "latest";

function versionOf(pods: readonly Pod[]): string {
  const own = pods.find(
    ({ metadata }) => metadata.namespace === systemNamespace && metadata.labels?.["app"] === controlPlaneName,
  );
  return own === undefined ? "unknown" : tagOf(own.spec.containers[0]?.image ?? "");
}

function rangesOf(nodes: readonly Node[], pods: readonly Pod[]): readonly string[] {
  const ranges = nodes.flatMap(({ spec }) => spec?.podCIDRs ?? spec?.podCIDR ?? []);
  if (ranges.length > 0) return [...new Set(ranges)];
  // Networks that do not give ranges to nodes: the addresses themselves.
  return [...new Set(pods.flatMap(({ spec, status }) => (spec.hostNetwork === true ? [] : (status?.podIP ?? []))))];
}

const clusterIpsOf = (services: readonly Service[]): readonly string[] => [
  ...new Set(services.flatMap(({ spec }) => spec?.clusterIPs ?? spec?.clusterIP ?? []).filter((ip) => ip !== "None")),
];

const gatewayAddressesOf = (services: readonly Service[]): readonly string[] =>
  services
    .filter(({ metadata }) => metadata.labels?.[label.exposeIstiod] !== undefined)
    .flatMap(({ status }) => status?.loadBalancer?.ingress ?? [])
    .flatMap(({ ip, hostname }) => ip ?? hostname ?? []);

export async function factsOf(mesh: MeshOfCluster, signal: AbortSignal): Promise<ClusterFacts> {
  const read = <T extends KubeObject>(kind: ResourceType<T>) => list(mesh, kind, signal);
  const [namespaces, nodes, pods, services, gateways] = await Promise.all([
    read(builtin.namespaces),
    read(builtin.nodes),
    read(builtin.pods),
    read(builtin.services),
    read(meshKinds.gateways),
  ]);
  const [gatewayClasses, serviceEntries, workloadEntries, segments] = await Promise.all([
    read(meshKinds.gatewayClasses),
    read(meshKinds.serviceEntries),
    read(meshKinds.workloadEntries),
    read(meshKinds.segments),
  ]);
  const [authorizationPolicies, peerAuthentications] = await Promise.all([
    read(meshKinds.authorizationPolicies),
    read(meshKinds.peerAuthentications),
  ]);
  const [peerExports, roots] = await Promise.all([peerExportsOf(mesh, signal), rootsOf(mesh, signal)]);
  const network = mesh.network;
  return {
    mesh,
    objects: {
      settings: { ...mesh.settings, network },
      objects: {
        namespaces,
        nodes,
        pods,
        services,
        serviceEntries,
        workloadEntries,
        gateways,
        gatewayClasses,
        segments,
        authorizationPolicies,
        peerAuthentications,
      },
      peerExports,
    },
    roots,
    version: versionOf(pods),
    podRanges: rangesOf(nodes, pods),
    serviceAddresses: clusterIpsOf(services),
    gatewayAddresses: gatewayAddressesOf(services),
    links: gateways
      .filter(({ spec }) => spec.gatewayClassName === gatewayClass.remote)
      .flatMap(({ metadata }) => metadata.labels?.[label.cluster] ?? []),
  };
}
