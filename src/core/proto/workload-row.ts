/**
 * One workload between the model and ztunnel's message. `native` is written as HBONE plus our extension: a stock ztunnel
 * then tunnels to it (never plaintext), and a reader of ours knows better.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Locality, PortMapping, RemoteTarget, Tunnel, Workload } from "../mesh/model.ts";
import { servicePorts } from "../mesh/service-ports.ts";
import { WorkloadExtensionSchema, WorkloadExtension_Tunnel as ExtensionTunnel } from "./gen/mesh_pb.js";
import type { WorkloadExtension } from "./gen/mesh_pb.js";
import { NetworkMode, TunnelProtocol, WorkloadSchema, WorkloadStatus, WorkloadType } from "./gen/workload_pb.js";
import type { GatewayAddressSchema, Workload as WireWorkload } from "./gen/workload_pb.js";
import { packExtension, unpackExtension } from "./extension.ts";
import { formatIp, parseIp } from "../api/ip.ts";
import { decoded, refused } from "./wire.ts";
import type { Decoded } from "./wire.ts";

const wireTunnel: Record<Tunnel, TunnelProtocol> = {
  none: TunnelProtocol.NONE,
  native: TunnelProtocol.HBONE,
  hbone: TunnelProtocol.HBONE,
};
const extensionTunnel: Record<Tunnel, ExtensionTunnel> = {
  none: ExtensionTunnel.NONE,
  native: ExtensionTunnel.NATIVE,
  hbone: ExtensionTunnel.HBONE,
};
const wireType: Record<Workload["workloadType"], WorkloadType> = {
  deployment: WorkloadType.DEPLOYMENT,
  cronjob: WorkloadType.CRONJOB,
  pod: WorkloadType.POD,
  job: WorkloadType.JOB,
};

export function workloadToWire(row: Workload): WireWorkload {
  const ips = row.addresses.flatMap((address) => parseIp(address) ?? []);
  const gateway = row.remote?.gateways[0];
  return create(WorkloadSchema, {
    uid: row.uid,
    name: row.name,
    namespace: row.namespace,
    addresses: ips,
    hostname: ips.length === 0 ? (row.addresses[0] ?? "") : "",
    network: row.network,
    tunnelProtocol: wireTunnel[row.tunnel],
    trustDomain: row.trustDomain,
    serviceAccount: row.serviceAccount,
    ...(gateway && { networkGateway: gatewayToWire(gateway, row) }),
    node: row.node,
    canonicalName: row.canonicalName,
    canonicalRevision: row.canonicalRevision,
    workloadType: wireType[row.workloadType],
    workloadName: row.workloadName,
    services: Object.fromEntries(
      Object.entries(row.services).map(([service, ports]) => [service, { ports: ports.map((port) => ({ ...port })) }]),
    ),
    authorizationPolicies: [...row.policies],
    status: row.isHealthy ? WorkloadStatus.HEALTHY : WorkloadStatus.UNHEALTHY,
    clusterId: row.cluster,
    locality: { ...row.locality },
    networkMode: row.hostNetwork ? NetworkMode.HOST_NETWORK : NetworkMode.STANDARD,
    capacity: row.capacity,
    extensions: [packExtension(WorkloadExtensionSchema, workloadExtension(row))],
  });
}

function workloadExtension(row: Workload): WorkloadExtension {
  const isExact = row.addresses.every((address) => formatIp(parseIp(address) ?? new Uint8Array()) === address);
  return create(WorkloadExtensionSchema, {
    tunnel: extensionTunnel[row.tunnel],
    addresses: isExact ? [] : [...row.addresses],
    ...(row.remote && {
      remote: {
        gateways: row.remote.gateways.map((gateway) => ({ ...gateway })),
        hostname: row.remote.hostname,
        identities: [...row.remote.identities],
      },
    }),
  });
}

/** A ztunnel knows one gateway per row; the others ride in the extension. */
function gatewayToWire(
  gateway: RemoteTarget["gateways"][number],
  row: Workload,
): MessageInitShape<typeof GatewayAddressSchema> {
  const address = parseIp(gateway.host);
  return {
    destination: address
      ? { case: "address", value: { network: row.network, address } }
      : { case: "hostname", value: { namespace: row.namespace, hostname: gateway.host } },
    hboneMtlsPort: gateway.port,
  };
}

export function workloadFromWire(wire: WireWorkload): Decoded<Workload> {
  if (wire.uid === "") return refused("A workload without uid arrived.");
  const extension = unpackExtension(WorkloadExtensionSchema, wire.extensions);
  const tunnel = tunnelFromWire(wire, extension);
  if (!tunnel) return refused(`Workload ${wire.uid}: tunnel protocol ${wire.tunnelProtocol} is not known here.`);
  const addresses = addressesFromWire(wire, extension);
  if (!addresses) return refused(`Workload ${wire.uid}: an address has neither 4 nor 16 bytes.`);
  const remote = remoteFromWire(wire, extension);
  return decoded({
    uid: wire.uid,
    name: wire.name,
    namespace: wire.namespace,
    cluster: wire.clusterId,
    network: wire.network,
    node: wire.node,
    addresses,
    trustDomain: wire.trustDomain,
    serviceAccount: wire.serviceAccount,
    tunnel,
    hostNetwork: wire.networkMode === NetworkMode.HOST_NETWORK,
    locality: localityFromWire(wire.locality),
    isHealthy: wire.status === WorkloadStatus.HEALTHY,
    capacity: wire.capacity ?? 1,
    services: servicePorts(
      Object.entries(wire.services).map(([service, list]) => [service, list.ports.map(portFromWire)]),
    ),
    ...(remote && { remote }),
    policies: wire.authorizationPolicies,
    canonicalName: wire.canonicalName,
    canonicalRevision: wire.canonicalRevision,
    workloadName: wire.workloadName,
    workloadType: typeFromWire(wire.workloadType),
  });
}

function tunnelFromWire(wire: WireWorkload, extension: WorkloadExtension | undefined): Tunnel | undefined {
  const wanted = extension?.tunnel ?? ExtensionTunnel.UNSPECIFIED;
  const known = (["none", "native", "hbone"] as const).find((tunnel) => extensionTunnel[tunnel] === wanted);
  if (known) return known;
  switch (wire.tunnelProtocol) {
    case TunnelProtocol.NONE:
      return "none";
    case TunnelProtocol.HBONE:
      return "hbone";
    case TunnelProtocol.LEGACY_ISTIO_MTLS:
      return "native";
    default:
      return undefined;
  }
}

function addressesFromWire(wire: WireWorkload, extension: WorkloadExtension | undefined): string[] | undefined {
  if (extension && extension.addresses.length > 0) return extension.addresses;
  if (wire.addresses.length === 0 && wire.hostname !== "") return [wire.hostname];
  const texts = wire.addresses.flatMap((address) => formatIp(address) ?? []);
  return texts.length === wire.addresses.length ? texts : undefined;
}

function remoteFromWire(wire: WireWorkload, extension: WorkloadExtension | undefined): RemoteTarget | undefined {
  if (extension?.remote) {
    const { gateways, hostname, identities } = extension.remote;
    return { gateways: gateways.map(({ host, port }) => ({ host, port })), hostname, identities };
  }
  const gateway = wire.networkGateway;
  // Without our extension a gateway only leads somewhere when the workload has no address of its own.
  if (!gateway || wire.addresses.length > 0) return undefined;
  const { destination } = gateway;
  const host = destination.case === "address" ? formatIp(destination.value.address) : destination.value?.hostname;
  if (host === undefined) return undefined;
  return { gateways: [{ host, port: gateway.hboneMtlsPort }], hostname: wire.hostname, identities: [] };
}

const portFromWire = (port: PortMapping): PortMapping => ({
  servicePort: port.servicePort,
  targetPort: port.targetPort,
});

const typeFromWire = (type: WorkloadType): Workload["workloadType"] =>
  (["deployment", "cronjob", "job"] as const).find((name) => wireType[name] === type) ?? "pod";

export function localityFromWire(locality: Partial<Locality> | undefined): Locality {
  return { region: locality?.region ?? "", zone: locality?.zone ?? "", subzone: locality?.subzone ?? "" };
}
