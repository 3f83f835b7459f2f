/**
 * What a link is probed with: for each peer a row that leads through its gateways to the agents of its nodes, whatever the
 * peer exports. It has no service, so nothing of a user ever goes there.
 */
import { agentName, probeHostname, systemNamespace } from "../api/names.ts";
import type { Collection } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { type Peer, spiffeId, type Workload } from "./model.ts";
import type { Peers } from "./peers.ts";

const kind = "Probe";

export const isProbe = ({ uid }: { readonly uid: string }): boolean => uid.split("/")[1] === kind;

/** Key: uid, `<peer cluster>/Probe/<ns>/<name of the Gateway>`. */
export function wireProbes(graph: Graph, peers: Peers): Collection<Workload> {
  return graph.derive<Peer, Workload>("probes", peers.rows, function* (peer, _read, key) {
    if (peer.dataPlane.length === 0) return;
    const uid = `${peer.cluster}/${kind}/${key}`;
    yield [uid, probeOf(uid, peer)];
  });
}

const probeOf = (uid: string, { cluster, network, trustDomain, region, dataPlane }: Peer): Workload => ({
  uid,
  name: agentName,
  namespace: systemNamespace,
  cluster,
  network,
  node: "",
  addresses: [],
  trustDomain,
  serviceAccount: agentName,
  tunnel: "native",
  hostNetwork: true,
  locality: { region, zone: "", subzone: "" },
  isHealthy: true,
  capacity: 1,
  services: {},
  remote: {
    gateways: dataPlane,
    hostname: probeHostname(cluster),
    identities: [spiffeId(trustDomain, systemNamespace, agentName)],
  },
  policies: [],
  canonicalName: agentName,
  canonicalRevision: "latest",
  workloadName: agentName,
  workloadType: "pod",
});
