/** One endpoint that a connection could go to: whether it would, why not, over which way, and what its policies say. */
import type { Exclusion, JudgedEndpoint, Way } from "../envoy/endpoints.ts";
import { socketText } from "../envoy/names.ts";
import type { Workload } from "../mesh/model.ts";
import type { MeshReplica } from "../mesh/replica.ts";
import { type Facts, type Verdict, verdictOf } from "./verdict.ts";

export interface Candidate {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly cluster: string;
  readonly network: string;
  readonly node: string;
  /** Pods that it stands for: 1, or all ready pods behind a peer's gateway. */
  readonly pods: number;
  readonly isUsed: boolean;
  /** Why not, as words that follow the endpoint's name. */
  readonly exclusion?: string;
  /** 0 is used first. */
  readonly priority?: number;
  readonly ways: readonly CandidateWay[];
  /** Absent where it is not decided here: in a peer, or by nobody, as the endpoint is outside the mesh. */
  readonly verdict?: Verdict;
}

export interface CandidateWay {
  readonly kind: "local" | "mtls" | "plaintext" | "gateway";
  readonly address: string;
  readonly weight: number;
  readonly sni?: string;
  /** Who may answer. */
  readonly peers?: readonly string[];
}

export interface Client {
  readonly identity: string | undefined;
  readonly ip: string | undefined;
}

const exclusions: Readonly<Record<Exclusion, string>> = {
  notReady: "is not Ready",
  noReadyPods: "has no Ready pod",
  draining: "is being deleted",
  portNotServed: "does not serve this port",
  noIdentity: "has no identity that could be verified",
  noGatewayAddress: "has no gateway with a known IP address",
  otherNetwork: "is on another network and has no gateway",
  otherNode: "is on another node, and the service keeps connections on their node",
  noAddress: "has no address",
  hboneOnly: "speaks HBONE only",
};

function wayOf(way: Way, workload: Workload, weight: number): CandidateWay {
  const address = socketText(way.socket);
  if (way.kind !== "mtls") return { kind: way.kind, address, weight };
  const kind = workload.remote === undefined ? "mtls" : "gateway";
  return { kind, address, weight, sni: way.sni, peers: way.peers };
}

export interface Judge {
  readonly replica: MeshReplica;
  /** Whose policies are known here. */
  readonly cluster: string;
  readonly client: Client;
}

/** A client in the clear proves no identity, whatever it has. */
function verdictAt({ replica, cluster, client }: Judge, workload: Workload, way: Way): Verdict | undefined {
  if (workload.cluster !== cluster || workload.remote !== undefined || workload.tunnel === "none") return undefined;
  const facts: Facts = {
    identity: way.kind === "plaintext" ? undefined : client.identity,
    sourceIp: client.ip,
    destinationIp: way.socket.host,
    destinationPort: way.socket.port,
  };
  return verdictOf(replica.policiesFor(workload), facts);
}

export function candidateOf(judged: JudgedEndpoint, judge: Judge): Candidate {
  const { workload } = judged;
  const { uid, namespace, name, cluster, network, node, capacity } = workload;
  const pods = workload.remote === undefined ? 1 : capacity;
  const base = { uid, namespace, name, cluster, network, node, pods };
  if (!judged.isUsed) return { ...base, isUsed: false, exclusion: exclusions[judged.exclusion], ways: [] };
  const [first] = judged.ways;
  const verdict = first === undefined ? undefined : verdictAt(judge, workload, first);
  return {
    ...base,
    isUsed: true,
    priority: judged.priority,
    ways: judged.ways.map((way) => wayOf(way, workload, judged.weight)),
    ...(verdict === undefined ? {} : { verdict }),
  };
}
