/** What a cluster's DNS says about Services and pods, from the objects as they are. Pure. */
import type { EndpointSlice, Service } from "../../../core/api/kube.ts";
import { clusterDomain } from "../../../core/api/names.ts";
import { slicesByService } from "../proxy/ports.ts";

export type ZoneRecord =
  | { readonly type: "A" | "AAAA"; readonly name: string; readonly address: string }
  | { readonly type: "SRV"; readonly name: string; readonly target: string; readonly port: number }
  | { readonly type: "CNAME"; readonly name: string; readonly target: string }
  | { readonly type: "PTR"; readonly name: string; readonly target: string };

export type ZoneAnswer =
  | { readonly kind: "records"; readonly records: readonly ZoneRecord[]; readonly additionals: readonly ZoneRecord[] }
  /** The name exists, but has nothing of this type. */
  | { readonly kind: "no-data" }
  | { readonly kind: "no-name" }
  /** Not ours: ask upstream. */
  | { readonly kind: "foreign" };

export interface ZoneObjects {
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: Iterable<EndpointSlice>;
}

const noData: ZoneAnswer = { kind: "no-data" };
const noName: ZoneAnswer = { kind: "no-name" };
const serviceZone = `svc.${clusterDomain}`;
const podZone = `pod.${clusterDomain}`;

interface Endpoint {
  readonly address: string;
  readonly hostname: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

export class Zone {
  private readonly services: ReadonlyMap<string, Service>;
  private readonly slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  private readonly namespaces: ReadonlySet<string>;

  constructor(objects: ZoneObjects) {
    this.services = objects.services;
    this.slices = slicesByService(objects.endpointSlices);
    this.namespaces = new Set([...objects.services.values()].flatMap(({ metadata }) => metadata.namespace ?? []));
  }

  /** `name` without the dot at the end, in any case. */
  answer(name: string, type: string): ZoneAnswer {
    const lower = name.toLowerCase();
    if (lower.endsWith(".in-addr.arpa")) return this.reverse(lower, type);
    if (lower === clusterDomain || lower === serviceZone || lower === podZone) return noData;
    if (lower.endsWith(`.${serviceZone}`)) {
      return this.serviceName(lower, lower.slice(0, -serviceZone.length - 1).split("."), type);
    }
    if (lower.endsWith(`.${podZone}`)) return podName(lower, lower.slice(0, -podZone.length - 1).split("."), type);
    return lower.endsWith(`.${clusterDomain}`) ? noName : { kind: "foreign" };
  }

  private serviceName(name: string, labels: readonly string[], type: string): ZoneAnswer {
    const namespace = labels.at(-1) ?? "";
    const serviceName = labels.at(-2);
    if (serviceName === undefined) return this.namespaces.has(namespace) ? noData : noName;
    const service = this.services.get(`${namespace}/${serviceName}`);
    if (service === undefined) return noName;
    const before = labels.slice(0, -2);
    const { externalName } = service.spec;
    if (service.spec.type === "ExternalName") {
      if (before.length > 0 || externalName === undefined) return noName;
      return records([{ type: "CNAME", name, target: externalName }]);
    }
    const endpoints = isHeadless(service) ? this.endpoints(namespace, serviceName) : undefined;
    const base = `${serviceName}.${namespace}.${serviceZone}`;
    if (before.length === 0)
      return endpoints === undefined ? addressesOf(service, name, type) : endpointAddresses(endpoints, name, type);
    const [first = "", second = ""] = before;
    if (before.length === 2 && first.startsWith("_") && second.startsWith("_")) {
      return serviceRecords({ service, endpoints, base, name, port: first.slice(1), protocol: second.slice(1) }, type);
    }
    if (before.length === 1 && first.startsWith("_")) return noData;
    const found = endpoints?.filter(({ hostname }) => hostname === first) ?? [];
    return before.length === 1 && found.length > 0 ? endpointAddresses(found, name, type) : noName;
  }

  private endpoints(namespace: string, service: string): readonly Endpoint[] {
    const found = new Map<string, Endpoint>();
    for (const slice of this.slices.get(`${namespace}/${service}`) ?? []) {
      const ports = (slice.ports ?? []).flatMap(({ name = "", protocol = "TCP", port }) =>
        port === undefined ? [] : [{ name, protocol: protocol.toLowerCase(), port }],
      );
      for (const { addresses, conditions, hostname } of slice.endpoints) {
        const [address] = addresses;
        if (address === undefined || conditions?.ready === false) continue;
        found.set(address, { address, hostname: hostname ?? address.replaceAll(".", "-"), ports });
      }
    }
    return [...found.values()];
  }

  private reverse(name: string, type: string): ZoneAnswer {
    const address = name.split(".").slice(0, -2).toReversed().join(".");
    if (!address.startsWith("10.")) return { kind: "foreign" };
    for (const { spec, metadata } of this.services.values()) {
      if (spec.clusterIP !== address) continue;
      if (type !== "PTR") return noData;
      return records([{ type: "PTR", name, target: `${metadata.name}.${metadata.namespace}.${serviceZone}` }]);
    }
    return noName;
  }
}

const isHeadless = ({ spec }: Service): boolean =>
  spec.clusterIP === "None" || spec.clusterIP === undefined || spec.clusterIP === "";

const records = (found: readonly ZoneRecord[], additionals: readonly ZoneRecord[] = []): ZoneAnswer =>
  found.length === 0 ? noData : { kind: "records", records: found, additionals };

const isIpv6 = (address: string): boolean => address.includes(":");
const addressRecord = (name: string, address: string): ZoneRecord => ({
  type: isIpv6(address) ? "AAAA" : "A",
  name,
  address,
});

function addressesOf(service: Service, name: string, type: string): ZoneAnswer {
  const addresses = service.spec.clusterIPs ?? [service.spec.clusterIP ?? ""];
  const wanted = addresses.map((address) => addressRecord(name, address)).filter((one) => one.type === type);
  return records(wanted);
}

/** A headless Service without endpoints has no name, as with CoreDNS. */
function endpointAddresses(endpoints: readonly Endpoint[], name: string, type: string): ZoneAnswer {
  if (endpoints.length === 0) return noName;
  return records(endpoints.map(({ address }) => addressRecord(name, address)).filter((one) => one.type === type));
}

interface ServiceQuestion {
  readonly service: Service;
  readonly endpoints: readonly Endpoint[] | undefined;
  readonly base: string;
  readonly name: string;
  readonly port: string;
  readonly protocol: string;
}

function serviceRecords(question: ServiceQuestion, type: string): ZoneAnswer {
  const { service, endpoints, base, name, port, protocol } = question;
  const found: ZoneRecord[] = [];
  const additionals: ZoneRecord[] = [];
  if (endpoints === undefined) {
    for (const one of service.spec.ports ?? []) {
      if (one.name !== port || (one.protocol ?? "TCP").toLowerCase() !== protocol) continue;
      found.push({ type: "SRV", name, target: base, port: one.port });
    }
    if (found.length > 0) additionals.push(addressRecord(base, service.spec.clusterIP ?? ""));
  }
  for (const { hostname, address, ports } of endpoints ?? []) {
    for (const one of ports) {
      if (one.name !== port || one.protocol !== protocol) continue;
      const target = `${hostname}.${base}`;
      found.push({ type: "SRV", name, target, port: one.port });
      additionals.push(addressRecord(target, address));
    }
  }
  if (found.length === 0) return noName;
  return type === "SRV" ? records(found, additionals) : noData;
}

/** `10-11-1-5.<namespace>.pod`: the address is in the name. */
function podName(name: string, labels: readonly string[], type: string): ZoneAnswer {
  const [dashed = "", namespace] = labels;
  if (labels.length !== 2 || namespace === undefined) return labels.length === 1 ? noData : noName;
  const parts = dashed.split("-").map(Number);
  const isAddress = parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255);
  if (!isAddress) return noName;
  return type === "A" ? records([{ type: "A", name, address: parts.join(".") }]) : noData;
}
