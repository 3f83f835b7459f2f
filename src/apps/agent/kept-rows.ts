/**
 * Rows of the model as an agent keeps them, of which there may be tens of thousands on every node: what many have in
 * common, most of all words and ports, is kept once. They are filled field by field, so that all have one shape (see `Kept`
 * of the control plane).
 */
import type { MeshService, Workload } from "../../core/mesh/model.ts";
import { shared } from "../../core/mesh/shared.ts";

/** `name` is that of the resource: the same text as the uid, which is kept anyway. */
export function keptWorkload(name: string, row: Workload): Workload {
  const { remote } = row;
  const kept: { -readonly [Field in keyof Workload]: Workload[Field] } = {
    uid: name === row.uid ? name : row.uid,
    name: row.name,
    namespace: shared.word(row.namespace),
    cluster: shared.word(row.cluster),
    network: shared.word(row.network),
    node: shared.word(row.node),
    addresses: row.addresses,
    trustDomain: shared.word(row.trustDomain),
    serviceAccount: shared.word(row.serviceAccount),
    tunnel: row.tunnel,
    hostNetwork: row.hostNetwork,
    locality: shared.of(row.locality),
    isHealthy: row.isHealthy,
    capacity: row.capacity,
    services: shared.of(row.services),
    policies: shared.of(row.policies),
    canonicalName: shared.word(row.canonicalName),
    canonicalRevision: shared.word(row.canonicalRevision),
    workloadName: shared.word(row.workloadName),
    workloadType: row.workloadType,
  };
  if (remote === undefined) return kept;
  const { gateways, hostname, identities } = remote;
  kept.remote = { gateways: shared.of(gateways), hostname, identities: shared.of(identities) };
  return kept;
}

export function keptService(row: MeshService): MeshService {
  const { exportedAs } = row;
  const kept: { -readonly [Field in keyof MeshService]: MeshService[Field] } = {
    name: row.name,
    namespace: shared.word(row.namespace),
    hostname: row.hostname,
    aliases: shared.of(row.aliases),
    addresses: row.addresses.map(({ network, address }) => ({ network: shared.word(network), address })),
    ports: shared.of(row.ports),
    subjectAltNames: shared.of(row.subjectAltNames),
    trafficDistribution: row.trafficDistribution,
    publishNotReady: row.publishNotReady,
    isHeadless: row.isHeadless,
  };
  if (exportedAs !== undefined) kept.exportedAs = exportedAs;
  return kept;
}
