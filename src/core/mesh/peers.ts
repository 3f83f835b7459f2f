/**
 * Peers as this cluster's Gateways describe them (spec 1.10, 1.11): one row per remote Gateway that can be used, the
 * oldest when several name one peer. A Gateway that becomes unusable leaves its last good row and is reported; so is
 * one of a class that nobody serves and that was surely meant for this mesh.
 */
import type { Gateway } from "../api/mesh-kinds.ts";
import { meshKinds } from "../api/mesh-kinds.ts";
import { annotation, gatewayClass, label, port } from "../api/names.ts";
import type { Collection, Index, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { isDnsLabel, isDnsName } from "../api/dns-names.ts";
import { isIp } from "../api/ip.ts";
import type { GatewayAddress, MeshSettings, Peer } from "./model.ts";
import { remoteConditions } from "./peer-conditions.ts";
import type { PeerState } from "./peer-state.ts";
import { accepted, compareAge, type Fault, type MeshCondition, type ObjectConditions, refused } from "./problem.ts";
import type { MeshSources } from "./sources.ts";

export interface Peers {
  /** Key: the Gateway's `<ns>/<name>`. */
  readonly rows: Collection<Peer>;
  readonly byCluster: Index<Peer>;
  /** A row per peer on this cluster's own network: pod addresses are exported while there is one. */
  readonly sameNetwork: Collection<true>;
  readonly conditions: Collection<ObjectConditions>;
}

interface Judged {
  readonly key: string;
  readonly created: string;
  readonly generation: number | undefined;
  readonly role: "remote" | "eastWest" | "unknown";
  readonly peer: Peer;
  readonly fault: Fault | undefined;
}

/** Reason of the condition on a Gateway whose class nobody serves. */
export const unknownClass = "UnknownClass";

export function wirePeers(graph: Graph, settings: MeshSettings, sources: MeshSources): Peers {
  const judged = graph.derive<Gateway, Judged>("peers.judged", sources.gateways, function* (gateway, read, key) {
    const { gatewayClassName } = gateway.spec;
    if (gatewayClassName === gatewayClass.remote) yield [key, judgeRemote(gateway, key, settings)];
    else if (gatewayClassName === gatewayClass.eastWest) yield [key, judgeEastWest(gateway, key, settings)];
    // A class that exists is its controller's business, whatever its name.
    else if (isMeantForUs(gateway) && read.get(sources.gatewayClasses, gatewayClassName) === undefined) {
      yield [key, judgeUnknown(gateway, key)];
    }
  });
  const candidates = graph.index(judged, "byCluster", (row) =>
    row.role === "remote" && row.fault === undefined ? [row.peer.cluster] : [],
  );
  const faultOf = (row: Judged, read: Reader): Fault | undefined => {
    if (row.fault !== undefined || row.role !== "remote") return row.fault;
    const oldest = [...read.lookup(candidates, row.peer.cluster)].sort(compareAge)[0];
    if (oldest === undefined || oldest.key === row.key) return undefined;
    const message = `Gateway ${row.key}: Gateway ${oldest.key} already links to peer ${row.peer.cluster} and is used.`;
    return { reason: "DuplicatePeer", message, remedy: "Delete one of the two." };
  };
  const rows = graph.derive<Judged, Peer>("peers", judged, function* (row, read, key) {
    if (row.role !== "remote") return;
    const fault = faultOf(row, read);
    if (fault === undefined) yield [key, row.peer];
    else if (fault.reason !== "DuplicatePeer") read.keep(fault.message);
  });
  const conditions = graph.derive<Judged, ObjectConditions>("peers.conditions", judged, function* (row, read) {
    const { key, generation } = row;
    const fault = faultOf(row, read);
    const said =
      row.role === "remote"
        ? remoteConditions(row.peer, fault, read.get(sources.peerStates, row.peer.cluster))
        : ownConditions(fault);
    yield [`gateways/${key}`, { resource: meshKinds.gateways, key, generation, conditions: said }];
  });
  const linked = graph.derive<Peer, true>("peers.linkedOnNetwork", rows, function* (peer, _read, key) {
    if (peer.network === settings.network) yield [`link/${key}`, true];
  });
  const listening = graph.derive<PeerState, true>(
    "peers.listeningOnNetwork",
    sources.peerStates,
    function* (state, _r, key) {
      if (state.subscriberNetwork === settings.network) yield [`subscriber/${key}`, true];
    },
  );
  const sameNetwork = graph.union("peers.sameNetwork", linked, listening);
  return { rows, byCluster: graph.index(rows, "byCluster", (peer) => [peer.cluster]), sameNetwork, conditions };
}

const namePrefix = "istio-remote-peer-";

function judgeRemote(gateway: Gateway, key: string, settings: MeshSettings): Judged {
  const { name, labels = {}, annotations = {}, creationTimestamp, generation } = gateway.metadata;
  const named = name.startsWith(namePrefix) ? name.slice(namePrefix.length) : "";
  const cluster = labels[label.cluster] ?? named;
  const hosts = (gateway.spec.addresses ?? []).map(({ value = "" }) => value);
  const at = (ports: readonly number[]): readonly GatewayAddress[] =>
    hosts.flatMap((host) => ports.map((number) => ({ host, port: number })));
  const listeners = gateway.spec.listeners ?? [];
  const ports = (isWanted: (protocol: string, name: string) => boolean): readonly number[] =>
    listeners.filter((one) => isWanted(one.protocol, one.name)).map((one) => one.port);
  const dataPorts = ports((protocol) => protocol === "HBONE");
  const controlPorts = ports((protocol) => protocol === "TLS");
  const peer: Peer = {
    cluster,
    network: labels[label.network] ?? "",
    trustDomain: annotations[annotation.gatewayTrustDomain] ?? settings.trustDomain,
    gatewayServiceAccount: annotations[annotation.gatewayServiceAccount] ?? "istio-eastwest",
    region: labels[label.region] ?? "",
    dataPlane: at(dataPorts.length > 0 ? dataPorts : [port.crossNetwork]),
    controlPlane: at(controlPorts),
  };
  const fault = remoteFault(gateway, peer, settings);
  return { key, created: creationTimestamp ?? "", generation, role: "remote", peer, fault: asFault(key, fault) };
}

type FaultParts = readonly [reason: string, what: string, remedy: string] | undefined;

const asFault = (key: string, fault: FaultParts): Fault | undefined =>
  fault === undefined ? undefined : { reason: fault[0], message: `Gateway ${key}: ${fault[1]}.`, remedy: fault[2] };

function remoteFault(gateway: Gateway, peer: Peer, settings: MeshSettings): FaultParts {
  if (peer.cluster === "") return ["MissingLabel", "it does not name its peer", `Add label ${label.cluster}.`];
  if (!isDnsLabel(peer.cluster)) {
    const what = `its peer's name ${peer.cluster} is not a DNS label`;
    return ["BadLabel", what, "Use lower-case letters, digits and hyphens."];
  }
  if (peer.cluster === settings.cluster) {
    return ["OwnCluster", `its peer ${peer.cluster} is this cluster itself`, "Delete it."];
  }
  if (peer.network === "") {
    return ["MissingLabel", "it does not name its peer's network", `Add label ${label.network}.`];
  }
  const addresses = gateway.spec.addresses ?? [];
  if (addresses.length === 0) {
    return ["MissingAddress", "it has no address", "Put the peer's east-west address in spec.addresses."];
  }
  const bad = addresses.find((address) => !isAddress(address.type, address.value ?? ""));
  if (bad !== undefined) {
    const what = `address ${bad.value ?? ""} is not a valid ${bad.type ?? "IPAddress"}`;
    return ["BadAddress", what, "Use type IPAddress or Hostname and its value."];
  }
  if (peer.controlPlane.length > 0) return undefined;
  return ["MissingListener", "it has no TLS listener for discovery", `Add one on port ${port.controlPlane}.`];
}

function isAddress(type: string | undefined, value: string): boolean {
  if (type === undefined || type === "IPAddress") return isIp(value);
  return type === "Hostname" && isDnsName(value) && !isIp(value);
}

function judgeEastWest(gateway: Gateway, key: string, settings: MeshSettings): Judged {
  const { labels = {}, creationTimestamp, generation } = gateway.metadata;
  const network = labels[label.network];
  const fault: FaultParts =
    network === undefined
      ? ["MissingLabel", "it does not name its network", `Add label ${label.network}=${settings.network}.`]
      : network === settings.network
        ? undefined
        : [
            "NetworkMismatch",
            `its label ${label.network}=${network} differs from this cluster's network`,
            `Set it to ${settings.network}.`,
          ];
  const created = creationTimestamp ?? "";
  return { key, created, generation, role: "eastWest", peer: nobody, fault: asFault(key, fault) };
}

/** By its label, or by a class name like those of this mesh. */
const isMeantForUs = ({ metadata, spec }: Gateway): boolean =>
  metadata.labels?.[label.network] !== undefined || spec.gatewayClassName.startsWith("istio");

function judgeUnknown({ metadata, spec }: Gateway, key: string): Judged {
  const fault = asFault(key, [
    unknownClass,
    `class ${spec.gatewayClassName} is unknown in this cluster, so nobody serves it`,
    `Set spec.gatewayClassName to ${gatewayClass.eastWest}, or to ${gatewayClass.remote} for a peer.`,
  ]);
  const { creationTimestamp = "", generation } = metadata;
  return { key, created: creationTimestamp, generation, role: "unknown", peer: nobody, fault };
}

const nobody: Peer = {
  cluster: "",
  network: "",
  trustDomain: "",
  gatewayServiceAccount: "",
  region: "",
  dataPlane: [],
  controlPlane: [],
};

const ownConditions = (fault: Fault | undefined): readonly MeshCondition[] => [
  fault === undefined ? accepted("The Gateway is accepted.") : refused(fault),
];
