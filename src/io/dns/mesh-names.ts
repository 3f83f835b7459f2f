/** Names of the mesh to addresses, for a client on one network (spec.md section 6). Pure. */
import { serviceKey } from "../../core/mesh/model.ts";
import type { MeshService, Workload } from "../../core/mesh/model.ts";
import { isIp } from "../../core/api/ip.ts";
import type { Answer, DnsRecord, Question } from "./message.ts";

const ttlSeconds = 30;
/** As many as a client could use; more would not fit a datagram in any case. */
const endpointAddressesMax = 32;

export interface NameLookup {
  /** All services that have the name, by hostname or alias, in key order; none for a foreign name. */
  servicesByHostname(hostname: string): readonly MeshService[];
  /** Who serves the service with this key; asked for headless services only. */
  endpointsOf?(key: string): readonly { readonly workload: Workload }[];
}

export interface NameClient {
  readonly network: string;
  /** Namespace of the asking pod, for its search domains; empty when unknown. */
  readonly namespace: string;
  readonly clusterDomain: string;
}

const searchDomains = ({ namespace, clusterDomain }: NameClient): readonly string[] => [
  ...(namespace === "" ? [] : [`${namespace}.svc.${clusterDomain}`]),
  `svc.${clusterDomain}`,
  clusterDomain,
];

/**
 * One service answers, never a mixture: the one in the client's own namespace, else the first that has an address. Below
 * `svc.<cluster domain>` a service without any address of its own is answered with its endpoints'.
 */
function addressesOf(name: string, lookup: NameLookup, client: NameClient): readonly string[] {
  const services = lookup.servicesByHostname(name);
  const own = services.filter(({ namespace }) => namespace === client.namespace);
  for (const service of [...own, ...services]) {
    const ofService = service.addresses.filter(
      ({ network, address }) => isOn(network, client) && !address.includes("/"),
    );
    if (ofService.length > 0) return [...new Set(ofService.map(({ address }) => address))];
    const isInCluster = service.hostname.endsWith(`.svc.${client.clusterDomain}`);
    const ofEndpoints = service.addresses.length === 0 && isInCluster ? endpointAddresses(service, lookup, client) : [];
    if (ofEndpoints.length > 0) return ofEndpoints;
  }
  return [];
}

function endpointAddresses(service: MeshService, lookup: NameLookup, client: NameClient): readonly string[] {
  const endpoints = lookup.endpointsOf?.(serviceKey(service)) ?? [];
  const usable = endpoints.filter(
    ({ workload }) => isOn(workload.network, client) && (workload.isHealthy || service.publishNotReady),
  );
  const addresses = usable.flatMap(({ workload }) => workload.addresses.filter(isIp));
  return [...new Set(addresses)].slice(0, endpointAddressesMax);
}

const isOn = (network: string, client: NameClient): boolean => network === client.network || network === "";

/** `*.b.c` and `*.c` for `a.b.c`: the most exact first. */
function wildcardsOf(name: string): string[] {
  const labels = name.split(".");
  return labels.slice(1).map((_, at) => `*.${labels.slice(at + 1).join(".")}`);
}

const familyOf = (address: string): "A" | "AAAA" => (address.includes(":") ? "AAAA" : "A");

/** `owner` is the name in the records, `name` the one looked up. A name without an address here is not ours. */
function addressRecords(owner: string, name: string, question: Question, lookup: NameLookup, client: NameClient) {
  const addresses = addressesOf(name, lookup, client);
  if (addresses.length === 0) return undefined;
  return addresses
    .filter((address) => familyOf(address) === question.type)
    .map((data): DnsRecord => ({ type: familyOf(data), name: owner, ttl: ttlSeconds, data }));
}

/**
 * The name as asked; then the name without one of the client's search domains, which it may have added, told as a CNAME;
 * then wildcard hosts. A known name without an address of the asked family is empty, not unknown.
 */
export function answerMeshName(question: Question, lookup: NameLookup, client: NameClient): Answer | "forward" {
  if (question.type !== "A" && question.type !== "AAAA") return answerOtherType(question, lookup, client);
  const exact = addressRecords(question.name, question.name, question, lookup, client);
  if (exact !== undefined) return { code: "NOERROR", records: exact };
  for (const domain of searchDomains(client)) {
    if (!question.name.endsWith(`.${domain}`)) continue;
    const name = question.name.slice(0, -domain.length - 1);
    const found = addressRecords(name, name, question, lookup, client);
    if (found === undefined) continue;
    const alias: DnsRecord = { type: "CNAME", name: question.name, ttl: ttlSeconds, data: name };
    return { code: "NOERROR", records: [alias, ...found] };
  }
  for (const wildcard of wildcardsOf(question.name)) {
    const found = addressRecords(question.name, wildcard, question, lookup, client);
    if (found !== undefined) return { code: "NOERROR", records: found };
  }
  return "forward";
}

/** Kubernetes answers SRV for its own Services; for a name that only the mesh has there is nothing of another type. */
function answerOtherType(question: Question, lookup: NameLookup, client: NameClient): Answer | "forward" {
  const isOurs = addressesOf(question.name, lookup, client).length > 0;
  const isInCluster = question.name.endsWith(`.svc.${client.clusterDomain}`);
  return isOurs && !isInCluster ? { code: "NOERROR", records: [] } : "forward";
}
