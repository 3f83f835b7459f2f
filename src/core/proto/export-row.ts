/**
 * What peers tell each other, between the model and `tombolo.peering.v1`: exports, the lease, and who the sender is.
 */
import { create } from "@bufbuild/protobuf";
import type { Export, ExportedEndpoint, SegmentName } from "../mesh/model.ts";
import { ExportSchema } from "./gen/peering_pb.js";
import type { Endpoint, Export as WireExport } from "./gen/peering_pb.js";
import { distributionFromText, portFromExtension } from "./service-row.ts";
import { localityFromWire } from "./workload-row.ts";
import { decoded, refused } from "./wire.ts";
import type { Decoded } from "./wire.ts";

/** Renewed every few seconds by a control plane that lives. */
export interface LeaseRow {
  readonly cluster: string;
  readonly sequence: number;
  readonly durationMs: number;
}

/** Who a control plane says it is. */
export interface PeerInfoRow {
  readonly cluster: string;
  readonly network: string;
  readonly segment: string;
  readonly trustDomain: string;
  readonly version: string;
  /** Segments that it knows, apart from the default one; a peer of an older version does not say. */
  readonly segments?: readonly SegmentName[];
}

export function exportToWire(row: Export): WireExport {
  return create(ExportSchema, {
    cluster: row.cluster,
    network: row.network,
    trustDomain: row.trustDomain,
    segment: row.segment,
    segmentDomain: row.segmentDomain,
    namespace: row.namespace,
    name: row.name,
    scope: row.scope,
    takeover: row.takeover,
    ports: row.ports.map((port) => ({ ...port })),
    identities: [...row.identities],
    aliases: [...row.aliases],
    trafficDistribution: row.trafficDistribution ?? "",
    ready: row.ready.map(({ locality, pods }) => ({ locality: { ...locality }, pods })),
    endpoints: row.endpoints.map((endpoint) => ({
      name: endpoint.name,
      address: endpoint.address,
      identity: endpoint.identity,
      locality: { ...endpoint.locality },
      ports: endpoint.ports.map((port) => ({ ...port })),
    })),
    generation: BigInt(row.generation),
  });
}

export function exportFromWire(wire: WireExport): Decoded<Export> {
  const name = `Export ${wire.cluster}/${wire.namespace}/${wire.name}`;
  if (wire.cluster === "" || wire.namespace === "" || wire.name === "") {
    return refused(`${name}: cluster, namespace and name must all be set.`);
  }
  if (wire.scope !== "global" && wire.scope !== "segment") {
    return refused(`${name}: scope "${wire.scope}" is neither global nor segment.`);
  }
  const generation = Number(wire.generation);
  if (!Number.isSafeInteger(generation)) return refused(`${name}: generation ${wire.generation} is out of range.`);
  const trafficDistribution = distributionFromText(wire.trafficDistribution);
  return decoded({
    cluster: wire.cluster,
    network: wire.network,
    trustDomain: wire.trustDomain,
    segment: wire.segment,
    segmentDomain: wire.segmentDomain,
    namespace: wire.namespace,
    name: wire.name,
    scope: wire.scope,
    takeover: wire.takeover,
    ports: wire.ports.map(portFromExtension),
    identities: wire.identities,
    aliases: wire.aliases,
    ...(trafficDistribution && { trafficDistribution }),
    ready: wire.ready.map(({ locality, pods }) => ({ locality: localityFromWire(locality), pods })),
    endpoints: wire.endpoints.map(endpointFromWire),
    generation,
  });
}

const endpointFromWire = (wire: Endpoint): ExportedEndpoint => ({
  name: wire.name,
  address: wire.address,
  identity: wire.identity,
  locality: localityFromWire(wire.locality),
  ports: wire.ports.map(({ servicePort, targetPort }) => ({ servicePort, targetPort })),
});
