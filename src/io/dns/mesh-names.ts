/** Names of the mesh to addresses, for a client on one network (spec.md section 6). Pure. */
import type { MeshService } from "../../core/mesh/model.ts";
import type { Answer, DnsRecord, Question } from "./message.ts";

const ttlSeconds = 30;

export interface NameLookup {
  /** All services that have the name, by hostname or alias; none for a foreign name. */
  servicesByHostname(hostname: string): readonly MeshService[];
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

function addressesOf(services: readonly MeshService[], network: string): readonly string[] {
  const found = services.flatMap(({ addresses }) =>
    addresses.filter((one) => one.network === network || one.network === "").map(({ address }) => address),
  );
  return [...new Set(found)];
}

const familyOf = (address: string): "A" | "AAAA" => (address.includes(":") ? "AAAA" : "A");

/** A name without an address of the mesh (headless, external) is left to the resolver behind us. */
function addressRecords(name: string, question: Question, lookup: NameLookup, client: NameClient) {
  const addresses = addressesOf(lookup.servicesByHostname(name), client.network);
  if (addresses.length === 0) return undefined;
  return addresses
    .filter((address) => familyOf(address) === question.type)
    .map((data): DnsRecord => ({ type: familyOf(data), name, ttl: ttlSeconds, data }));
}

/**
 * The name as asked; then the name without one of the client's search domains, which it may have added, told as a CNAME.
 * A known name without an address of the asked family is empty, not unknown.
 */
export function answerMeshName(question: Question, lookup: NameLookup, client: NameClient): Answer | "forward" {
  if (question.type !== "A" && question.type !== "AAAA") {
    const isOurs = addressesOf(lookup.servicesByHostname(question.name), client.network).length > 0;
    // Kubernetes answers SRV for its own Services; for a name that only the mesh has there is nothing of that type.
    return isOurs && !question.name.endsWith(`.svc.${client.clusterDomain}`)
      ? { code: "NOERROR", records: [] }
      : "forward";
  }
  const exact = addressRecords(question.name, question, lookup, client);
  if (exact !== undefined) return { code: "NOERROR", records: exact };
  for (const domain of searchDomains(client)) {
    if (!question.name.endsWith(`.${domain}`)) continue;
    const name = question.name.slice(0, -domain.length - 1);
    const found = addressRecords(name, question, lookup, client);
    if (found === undefined) continue;
    const alias: DnsRecord = { type: "CNAME", name: question.name, ttl: ttlSeconds, data: name };
    return { code: "NOERROR", records: [alias, ...found] };
  }
  return "forward";
}
