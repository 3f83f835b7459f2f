/** The model as a node's Envoy is configured from it. Owns the replica, and the table of the node's captured pods. */
import type { LocalPod, NodeView, ProbeEnds } from "../../core/envoy/view.ts";
import type { Locality, Workload } from "../../core/mesh/model.ts";
import { MeshReplica } from "../../core/mesh/replica.ts";
import type { WatchedNames } from "../../io/dns/watched-names.ts";
import type { AgentConfig } from "./config.ts";

type Standing = Pick<AgentConfig, "node" | "cluster" | "network" | "trustDomain">;

export interface NodeModel {
  readonly replica: MeshReplica;
  readonly view: NodeView;
  readonly podsByUid: Map<string, LocalPod>;
}

interface Extras {
  readonly probe?: ProbeEnds;
  readonly names?: WatchedNames;
}

const nowhere: Locality = { region: "", zone: "", subzone: "" };

/** The node's locality is that of any of its workloads; the control plane read it from the node's labels. */
class NodeLocality {
  readonly #node: string;
  readonly #cluster: string;
  current = nowhere;

  constructor({ node, cluster }: Standing, replica: MeshReplica) {
    this.#node = node;
    this.#cluster = cluster;
    replica.onChange(({ workloads }) => {
      for (const uid of workloads) this.#learn(replica.workload(uid));
    });
  }

  #learn(workload: Workload | undefined): void {
    if (workload?.node !== this.#node || workload.cluster !== this.#cluster) return;
    const { region, zone, subzone } = workload.locality;
    const { current } = this;
    if (region === "" || (region === current.region && zone === current.zone && subzone === current.subzone)) return;
    this.current = workload.locality;
  }
}

export function emptyModel(
  { node, cluster, network, trustDomain }: Standing,
  { probe, names }: Extras = {},
): NodeModel {
  const replica = new MeshReplica();
  const podsByUid = new Map<string, LocalPod>();
  const locality = new NodeLocality({ node, cluster, network, trustDomain }, replica);
  const view: NodeView = {
    node,
    cluster,
    network,
    trustDomain,
    podsByUid,
    replica,
    ...(probe && { probe }),
    ...(names && { addressesByName: names.addressesByName }),
    get locality() {
      return locality.current;
    },
  };
  return { replica, view, podsByUid };
}
