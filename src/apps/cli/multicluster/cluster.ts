/** What the CLI reads of one cluster before it links or checks it: its mesh settings and its east-west gateway. */
import type { Service } from "../../../core/api/kube.ts";
import { clusterDomain, defaultTrustDomain, label, meshConfigMap, systemNamespace } from "../../../core/api/names.ts";
import { meshKinds } from "../../../core/api/mesh-kinds.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { MeshSettings } from "../../../core/mesh/model.ts";
import { isReason } from "../../../io/kube/client.ts";
import { CommandError, type Connection, type Shell } from "../command.ts";
import type { PeerAddress } from "./gateways.ts";

export interface MeshOfCluster extends Connection {
  readonly cluster: string;
  /** As istio-system is labelled, else as installed. */
  readonly network: string;
  readonly trustDomain: string;
  /** As the control plane was told at its installation. */
  readonly settings: MeshSettings;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

function settingsOf(text: string): MeshSettings {
  // Written by install; a field of another type is treated as absent.
  const mesh = JSON.parse(text) as Readonly<Record<string, unknown>>;
  return {
    cluster: textOf(mesh["cluster"]),
    network: textOf(mesh["network"]),
    trustDomain: textOf(mesh["trustDomain"]) || defaultTrustDomain,
    clusterDomain: textOf(mesh["clusterDomain"]) || clusterDomain,
    ipAutoallocate: mesh["ipAutoallocate"] !== false,
    skipTrustDomainCheck: mesh["skipTrustDomainCheck"] === true,
  };
}

/** Settings from ConfigMap `tombolo`; the network label on istio-system wins, as the guides set it by hand. */
export async function meshOf(at: Connection, signal: AbortSignal): Promise<MeshOfCluster> {
  const { context, client } = at;
  const ref = { name: meshConfigMap, namespace: systemNamespace };
  try {
    const [map, namespace] = await Promise.all([
      client.get(builtin.configMaps, ref, { signal }),
      client.get(builtin.namespaces, { name: systemNamespace }, { signal }),
    ]);
    const settings = settingsOf(map.data?.["mesh.json"] ?? "{}");
    return {
      ...at,
      cluster: settings.cluster,
      network: namespace.metadata.labels?.[label.network] ?? settings.network,
      trustDomain: settings.trustDomain,
      settings,
    };
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    throw new CommandError(
      `Context ${context}: the mesh is not installed (no ConfigMap ${systemNamespace}/${meshConfigMap}).`,
      `Install it with 'tombolo install --context ${context}'.`,
    );
  }
}

const addressesOf = (service: Service): readonly string[] =>
  (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) =>
    ip !== undefined ? [ip] : hostname !== undefined ? [hostname] : [],
  );

const addressMsMax = 60_000;

/** The address by which peers reach this cluster; waits a bounded time for a load balancer. */
export async function peerAddress(shell: Shell, mesh: MeshOfCluster, namespace: string): Promise<PeerAddress> {
  const end = shell.host.clock.now() + addressMsMax;
  let hasSaidSo = false;
  for (;;) {
    const found = await mesh.client.list(builtin.services, {
      namespace,
      labelSelector: label.exposeIstiod,
      signal: shell.signal,
    });
    const addresses = found.items.flatMap(addressesOf);
    const network = found.items[0]?.metadata.labels?.[label.network] ?? mesh.network;
    if (addresses.length > 0) return { cluster: mesh.cluster, network, trustDomain: mesh.trustDomain, addresses };
    if (found.items.length === 0 && !(await hasGateway(mesh, namespace, shell.signal))) {
      throw new CommandError(
        `Context ${mesh.context}: no services with ${label.exposeIstiod} label in namespace ${namespace}.`,
        `Create the east-west gateway with 'tombolo multicluster expose --context ${mesh.context} --namespace ${namespace}'.`,
      );
    }
    if (shell.host.clock.now() > end) {
      throw new CommandError(
        `Context ${mesh.context}: the east-west gateway in namespace ${namespace} got no address within ${addressMsMax / 1000} s.`,
        `See 'kubectl --context ${mesh.context} -n ${namespace} get gateway,service'; the Service needs a LoadBalancer address.`,
      );
    }
    if (!hasSaidSo) shell.note(`Waiting for the address of the east-west gateway in ${mesh.context}`);
    hasSaidSo = true;
    await shell.host.clock.sleep(200, shell.signal);
  }
}

async function hasGateway(mesh: MeshOfCluster, namespace: string, signal: AbortSignal): Promise<boolean> {
  const gateways = await mesh.client.list(meshKinds.gateways, { namespace, labelSelector: label.exposeIstiod, signal });
  return gateways.items.length > 0;
}
