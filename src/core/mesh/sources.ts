/**
 * What the mesh is made from: Kubernetes objects keyed `<ns>/<name>` (cluster-scoped ones `<name>`), and what peering
 * brings.
 */
import type { Namespace, Node, Service } from "../api/kube.ts";
import type {
  AuthorizationPolicy,
  Gateway,
  GatewayClass,
  PeerAuthentication,
  Segment,
  ServiceEntry,
  WorkloadEntry,
} from "../api/mesh-kinds.ts";
import type { Pod } from "../api/pod.ts";
import type { Source } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import type { Export } from "./model.ts";
import type { PeerState } from "./peer-state.ts";
import type { Problem } from "./problem.ts";

export interface MeshSources {
  readonly namespaces: Source<Namespace>;
  readonly nodes: Source<Node>;
  readonly pods: Source<Pod>;
  readonly services: Source<Service>;
  readonly serviceEntries: Source<ServiceEntry>;
  readonly workloadEntries: Source<WorkloadEntry>;
  readonly gateways: Source<Gateway>;
  readonly gatewayClasses: Source<GatewayClass>;
  readonly segments: Source<Segment>;
  readonly authorizationPolicies: Source<AuthorizationPolicy>;
  readonly peerAuthentications: Source<PeerAuthentication>;
  /** Key `<cluster>/<ns>/<name>`; written by peering, which also withdraws the rows of an unlinked peer. */
  readonly peerExports: Source<Export>;
  /** Key: cluster. */
  readonly peerStates: Source<PeerState>;
  /** What is found wrong outside of the model, such as a Secret or an object in the way. Key: `reported/<problemKey>`. */
  readonly reports: Source<Problem>;
}

export const meshSources = (graph: Graph): MeshSources => ({
  namespaces: graph.source("kube.namespaces"),
  nodes: graph.source("kube.nodes"),
  pods: graph.source("kube.pods"),
  services: graph.source("kube.services"),
  serviceEntries: graph.source("kube.serviceEntries"),
  workloadEntries: graph.source("kube.workloadEntries"),
  gateways: graph.source("kube.gateways"),
  gatewayClasses: graph.source("kube.gatewayClasses"),
  segments: graph.source("kube.segments"),
  authorizationPolicies: graph.source("kube.authorizationPolicies"),
  peerAuthentications: graph.source("kube.peerAuthentications"),
  peerExports: graph.source("peerExports"),
  peerStates: graph.source("peerStates"),
  reports: graph.source("reports"),
});
