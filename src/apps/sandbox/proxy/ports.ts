/** Which addresses and ports of Services lead to which endpoints: what every node's rules are made of. Pure. */
import type { EndpointSlice, Service, ServicePortSpec } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";

export interface ProxiedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly nodeName: string | undefined;
}

export interface ProxiedPort {
  /** `<namespace>/<service>:<port>/<protocol>`; for comments and order. */
  readonly name: string;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly clusterIp: string;
  readonly port: number;
  readonly nodePort: number | undefined;
  readonly balancerAddresses: readonly string[];
  readonly endpoints: readonly ProxiedEndpoint[];
  readonly isInternalLocal: boolean;
  readonly isExternalLocal: boolean;
}

const protocols = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** Slices by `<namespace>/<service>`. */
export function slicesByService(slices: Iterable<EndpointSlice>): Map<string, EndpointSlice[]> {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const service = slice.metadata.labels?.[label.serviceName];
    if (service === undefined || slice.addressType !== "IPv4") continue;
    const key = `${slice.metadata.namespace}/${service}`;
    const known = byService.get(key);
    if (known === undefined) byService.set(key, [slice]);
    else known.push(slice);
  }
  return byService;
}

export function proxiedPorts(services: Iterable<Service>, slices: Iterable<EndpointSlice>): readonly ProxiedPort[] {
  const byService = slicesByService(slices);
  const ports: ProxiedPort[] = [];
  for (const service of services) {
    const { clusterIP, type } = service.spec;
    if (clusterIP === undefined || clusterIP === "" || clusterIP === "None" || type === "ExternalName") continue;
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    for (const port of service.spec.ports ?? []) {
      ports.push(proxiedPort(service, key, clusterIP, port, byService.get(key) ?? []));
    }
  }
  return ports.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function proxiedPort(
  service: Service,
  key: string,
  clusterIp: string,
  port: ServicePortSpec,
  slices: readonly EndpointSlice[],
): ProxiedPort {
  const isBalanced = service.spec.type === "LoadBalancer";
  const ingress = isBalanced ? (service.status?.loadBalancer?.ingress ?? []) : [];
  return {
    name: `${key}:${port.port}/${port.protocol ?? "TCP"}`,
    protocol: protocols[port.protocol ?? "TCP"],
    clusterIp,
    port: port.port,
    nodePort: isBalanced || service.spec.type === "NodePort" ? port.nodePort : undefined,
    balancerAddresses: ingress.flatMap(({ ip }) => ip ?? []),
    endpoints: endpointsOf(port, slices),
    isInternalLocal: service.spec.internalTrafficPolicy === "Local",
    isExternalLocal:
      isBalanced || service.spec.type === "NodePort" ? service.spec.externalTrafficPolicy === "Local" : false,
  };
}

/** Ready ones; when there are none, those that end but still serve. */
function endpointsOf(port: ServicePortSpec, slices: readonly EndpointSlice[]): readonly ProxiedEndpoint[] {
  const ready = new Map<string, ProxiedEndpoint>();
  const ending = new Map<string, ProxiedEndpoint>();
  for (const slice of slices) {
    const target = slice.ports?.find(
      ({ name, protocol }) => (name ?? "") === (port.name ?? "") && (protocol ?? "TCP") === (port.protocol ?? "TCP"),
    );
    if (target?.port === undefined) continue;
    for (const { addresses, conditions, nodeName } of slice.endpoints) {
      const [address] = addresses;
      if (address === undefined) continue;
      const endpoint = { address, port: target.port, nodeName };
      const key = `${address}:${target.port}`;
      if (conditions?.ready !== false) ready.set(key, endpoint);
      else if (conditions.serving === true && conditions.terminating === true) ending.set(key, endpoint);
    }
  }
  const chosen = ready.size > 0 ? ready : ending;
  return [...chosen.keys()].toSorted().flatMap((key) => chosen.get(key) ?? []);
}
