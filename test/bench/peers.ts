/**
 * What many linked clusters cost one control plane: builds a mesh with the exports of many peers, changes one, and prints
 * one JSON object. Usage: peers.js PEERS SERVICES
 */
import type { Gateway } from "../../src/core/api/mesh-kinds.ts";
import { gatewayClass, label } from "../../src/core/api/names.ts";
import { wireMesh } from "../../src/core/mesh/mesh.ts";
import { spiffeId, type Export } from "../../src/core/mesh/model.ts";
import { encodeExport } from "../../src/core/proto/codec.ts";
import { exportName, typeUrl } from "../../src/core/proto/wire.ts";
import { Kept } from "../../src/apps/control/kept.ts";
import { encodeResponse } from "../../src/io/xds/discovery.ts";
import { versionOf } from "../../src/io/xds/resource-source.ts";
import { settings } from "./world.ts";

export interface PeersResult {
  readonly peers: number;
  readonly servicesOfEach: number;
  readonly heapBytes: number;
  readonly buildMs: number;
  readonly oneChangeMs: number;
  /** On the link, from a peer's control plane: a changed export, and all of one peer's. */
  readonly changeBytes: number;
  readonly peerBytes: number;
}

const servicesPerNamespace = 50;

function gateway(cluster: string): Gateway {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      name: `istio-remote-peer-${cluster}`,
      namespace: "istio-gateways",
      labels: { [label.network]: `network-${cluster}`, [label.cluster]: cluster },
    },
    spec: {
      gatewayClassName: gatewayClass.remote,
      addresses: [{ type: "IPAddress", value: "198.51.100.1" }],
      listeners: [{ name: "xds-tls", port: 15012, protocol: "TLS", tls: { mode: "Passthrough" } }],
    },
  };
}

/** Every fourth service is in all clusters under one name; the others are each cluster's own. */
function exported(cluster: string, at: number, pods: number): Export {
  const namespace = `team-${Math.floor(at / servicesPerNamespace)}`;
  const name = at % 4 === 0 ? `service-${at}` : `service-${at}-of-${cluster}`;
  return {
    cluster,
    network: `network-${cluster}`,
    trustDomain: settings.trustDomain,
    segment: "default",
    segmentDomain: "mesh.internal",
    namespace,
    name,
    scope: "global",
    takeover: false,
    ports: [{ name: "http", port: 80, protocol: "http" }],
    identities: [spiffeId(settings.trustDomain, namespace, name)],
    aliases: [],
    ready: [{ locality: { region: "", zone: "", subzone: "" }, pods }],
    endpoints: [],
    generation: 1_790_000_000_000 + pods,
  };
}

function bytesOf(rows: readonly Export[]): number {
  const resources = rows.map((row) => {
    const bytes = encodeExport(row);
    return { name: exportName(row), typeUrl: typeUrl.export, version: versionOf(bytes), bytes };
  });
  return encodeResponse({ typeUrl: typeUrl.export, nonce: "1", resources, removed: [] }).length;
}

const [peers = 100, services = 100] = process.argv.slice(2).map(Number);
const timed = (work: () => void): number => {
  const began = performance.now();
  work();
  return performance.now() - began;
};
globalThis.gc?.();
const heapBefore = process.memoryUsage().heapUsed;
const kept = new Kept();
const mesh = wireMesh(settings);
const rowsOf = (cluster: string): Export[] => Array.from({ length: services }, (_none, at) => exported(cluster, at, 2));
for (let at = 0; at < peers; at += 1) {
  const cluster = `cluster-${at}`;
  const object = gateway(cluster);
  mesh.sources.gateways.set(`istio-gateways/${object.metadata.name}`, object);
  mesh.sources.peerStates.set(cluster, { cluster, isConnected: true, isStale: false });
  for (const row of rowsOf(cluster)) mesh.sources.peerExports.set(exportName(row), kept.export(row));
}
const buildMs = timed(() => mesh.graph.commit());
const changed = exported("cluster-0", 1, 3);
mesh.sources.peerExports.set(exportName(changed), kept.export(changed));
const oneChangeMs = timed(() => mesh.graph.commit());
globalThis.gc?.();
const result: PeersResult = {
  peers,
  servicesOfEach: services,
  heapBytes: process.memoryUsage().heapUsed - heapBefore,
  buildMs,
  oneChangeMs,
  changeBytes: bytesOf([changed]),
  peerBytes: bytesOf(rowsOf("cluster-0")),
};
console.log(JSON.stringify(result));
// The mesh must live until its memory was measured.
if (mesh.workloads.rows.size === 0) throw new Error("No workloads were derived.");
