/**
 * One service between the model and ztunnel's message. UDP ports and port names ride in our extension only, because a
 * ztunnel has no use for them.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AppProtocol, MeshService, NetworkAddress, ServicePort, TrafficDistribution } from "../mesh/model.ts";
import { ServiceExtensionSchema } from "./gen/mesh_pb.js";
import type { ServiceExtension } from "./gen/mesh_pb.js";
import {
  AppProtocol as WireProtocol,
  LoadBalancing_HealthPolicy as HealthPolicy,
  LoadBalancing_Mode as Mode,
  LoadBalancing_Scope as Scope,
  ServiceSchema,
} from "./gen/workload_pb.js";
import type { LoadBalancingSchema, Service as WireService } from "./gen/workload_pb.js";
import { packExtension, unpackExtension } from "./extension.ts";
import { formatCidr, formatIp, parseCidr } from "../api/ip.ts";
import { decoded, refused } from "./wire.ts";
import type { Decoded } from "./wire.ts";

const wireProtocol: Record<AppProtocol, WireProtocol> = {
  tcp: WireProtocol.TCP,
  http: WireProtocol.HTTP11,
  http2: WireProtocol.HTTP2,
  grpc: WireProtocol.GRPC,
  tls: WireProtocol.TLS,
  udp: WireProtocol.UNKNOWN,
};

/** What an endpoint shares with the client in the best case, weightiest first. */
const preferences: Record<TrafficDistribution, readonly Scope[]> = {
  Any: [],
  PreferNetwork: [Scope.NETWORK],
  PreferRegion: [Scope.NETWORK, Scope.REGION],
  PreferClose: [Scope.NETWORK, Scope.REGION, Scope.ZONE],
  PreferSameNode: [Scope.NETWORK, Scope.REGION, Scope.ZONE, Scope.NODE],
  SameNode: [Scope.NODE],
};
const distributions = ["SameNode", "PreferSameNode", "PreferClose", "PreferRegion", "PreferNetwork", "Any"] as const;

export function serviceToWire(row: MeshService): WireService {
  const tcpPorts = row.ports.filter((port) => port.protocol !== "udp");
  return create(ServiceSchema, {
    name: row.name,
    namespace: row.namespace,
    hostname: row.hostname,
    addresses: row.addresses.flatMap((address) => addressToWire(address) ?? []),
    ports: tcpPorts.map(({ port, protocol }) => ({
      servicePort: port,
      targetPort: port,
      appProtocol: wireProtocol[protocol],
    })),
    subjectAltNames: [...row.subjectAltNames],
    loadBalancing: balancingToWire(row),
    extensions: [packExtension(ServiceExtensionSchema, serviceExtension(row))],
  });
}

function serviceExtension(row: MeshService): ServiceExtension {
  const isExact = row.addresses.every((address) => {
    const wire = addressToWire(address);
    return wire !== undefined && addressText(wire.address, wire.length) === address.address;
  });
  return create(ServiceExtensionSchema, {
    aliases: [...row.aliases],
    ports: row.ports.map((port) => ({ ...port })),
    trafficDistribution: row.trafficDistribution,
    isHeadless: row.isHeadless,
    ...(row.exportedAs !== undefined && { exportedAs: row.exportedAs }),
    addresses: isExact ? [] : row.addresses.map((address) => ({ ...address })),
  });
}

function addressToWire(row: NetworkAddress): { network: string; address: Uint8Array; length?: number } | undefined {
  const cidr = parseCidr(row.address);
  if (!cidr) return undefined;
  const isRange = row.address.includes("/");
  return { network: row.network, address: cidr.address, ...(isRange && { length: cidr.length }) };
}

const addressText = (address: Uint8Array, length: number | undefined): string | undefined =>
  length === undefined ? formatIp(address) : formatCidr({ address, length });

function balancingToWire(row: MeshService): MessageInitShape<typeof LoadBalancingSchema> {
  const routingPreference = [...preferences[row.trafficDistribution]];
  return {
    routingPreference,
    mode:
      row.trafficDistribution === "SameNode"
        ? Mode.STRICT
        : routingPreference.length === 0
          ? Mode.UNSPECIFIED_MODE
          : Mode.FAILOVER,
    healthPolicy: row.publishNotReady ? HealthPolicy.ALLOW_ALL : HealthPolicy.ONLY_HEALTHY,
  };
}

export function serviceFromWire(wire: WireService): Decoded<MeshService> {
  if (wire.hostname === "") return refused(`Service ${wire.namespace}/${wire.name} arrived without hostname.`);
  const extension = unpackExtension(ServiceExtensionSchema, wire.extensions);
  const addresses = addressesFromWire(wire, extension);
  if (!addresses) {
    return refused(`Service ${wire.namespace}/${wire.hostname}: an address has neither 4 nor 16 bytes.`);
  }
  return decoded({
    name: wire.name,
    namespace: wire.namespace,
    hostname: wire.hostname,
    aliases: extension?.aliases ?? [],
    addresses,
    ports: extension ? extension.ports.map(portFromExtension) : wire.ports.map(portFromWire),
    subjectAltNames: wire.subjectAltNames,
    trafficDistribution: distributionFromWire(wire, extension),
    publishNotReady: wire.loadBalancing?.healthPolicy === HealthPolicy.ALLOW_ALL,
    isHeadless: extension?.isHeadless ?? false,
    ...(extension?.exportedAs !== undefined && { exportedAs: extension.exportedAs }),
  });
}

function addressesFromWire(wire: WireService, extension: ServiceExtension | undefined): NetworkAddress[] | undefined {
  if (extension && extension.addresses.length > 0) {
    return extension.addresses.map(({ network, address }) => ({ network, address }));
  }
  const rows = wire.addresses.flatMap(({ network, address, length }) => {
    const text = addressText(address, length);
    return text === undefined ? [] : [{ network, address: text }];
  });
  return rows.length === wire.addresses.length ? rows : undefined;
}

/** A protocol that this version does not know is carried as bytes. */
const protocolFromText = (text: string): AppProtocol =>
  (["http", "http2", "grpc", "tls", "udp"] as const).find((protocol) => protocol === text) ?? "tcp";

export const portFromExtension = (port: { name: string; port: number; protocol: string }): ServicePort => ({
  name: port.name,
  port: port.port,
  protocol: protocolFromText(port.protocol),
});

const portFromWire = (port: { servicePort: number; appProtocol: WireProtocol }): ServicePort => ({
  name: "",
  port: port.servicePort,
  protocol:
    (["http", "http2", "grpc", "tls"] as const).find((name) => wireProtocol[name] === port.appProtocol) ?? "tcp",
});

export const distributionFromText = (text: string): TrafficDistribution | undefined =>
  distributions.find((distribution) => distribution === text);

function distributionFromWire(wire: WireService, extension: ServiceExtension | undefined): TrafficDistribution {
  const named = distributionFromText(extension?.trafficDistribution ?? "");
  if (named) return named;
  const scopes = wire.loadBalancing?.routingPreference ?? [];
  if (wire.loadBalancing?.mode === Mode.STRICT && scopes.includes(Scope.NODE)) return "SameNode";
  const ranking = distributions.filter((one) => one !== "SameNode");
  return ranking.find((one) => preferences[one].every((scope) => scopes.includes(scope))) ?? "Any";
}
