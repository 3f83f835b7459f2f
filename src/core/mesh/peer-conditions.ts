/**
 * What a remote Gateway says of its link, as conditions: whether it can be used at all, whether the peer's control plane
 * is heard, whether what the peer exports is up to date, and whether its gateways are in use.
 */
import { condition } from "../api/names.ts";
import type { Peer } from "./model.ts";
import type { PeerState } from "./peer-state.ts";
import { accepted, type Fault, type MeshCondition, refused } from "./problem.ts";

export function remoteConditions(
  peer: Peer,
  fault: Fault | undefined,
  state: PeerState | undefined,
): readonly MeshCondition[] {
  if (fault !== undefined) return [refused(fault), { type: "Programmed", status: "False", ...fault }];
  const programmed = "This Gateway describes a peer; nothing is deployed for it.";
  return [
    accepted("Resource accepted"),
    { type: "Programmed", status: "True", reason: "Programmed", message: programmed },
    ...linkConditions(peer, state),
  ];
}

type Said = Omit<MeshCondition, "type">;

const linkConditions = (peer: Peer, state: PeerState | undefined): readonly MeshCondition[] => [
  { type: condition.peerConnected, ...connected(peer, state) },
  { type: condition.peeringSucceeded, ...succeeded(peer, state) },
  { type: condition.peerDataPlaneProgrammed, ...dataPlane(peer, state) },
];

function connected({ cluster }: Peer, state: PeerState | undefined): Said {
  if (state?.isConnected === true) {
    return { status: "True", reason: "Connected", message: `Cluster ${cluster} is connected.` };
  }
  if (state?.cause === undefined) {
    return { status: "Unknown", reason: "Connecting", message: `Cluster ${cluster} is being connected.` };
  }
  return { status: "False", reason: state.reason ?? "Disconnected", message: state.cause };
}

function succeeded(peer: Peer, state: PeerState | undefined): Said {
  const { cluster } = peer;
  if (state?.isConnected === true) {
    return { status: "True", reason: "Synced", message: `The exports of cluster ${cluster} are current.` };
  }
  if (state?.isStale !== true) return connected(peer, state);
  const message = `The exports of cluster ${cluster} are kept as they were when it was last heard.`;
  return { status: "False", reason: "Stale", message };
}

/** A peer that is silent keeps its gateways: whether they answer is for those who dial them to find out. */
function dataPlane(peer: Peer, state: PeerState | undefined): Said {
  if (state?.isConnected !== true && state?.isStale !== true) return connected(peer, state);
  const gateways = peer.dataPlane.map(({ host, port }) => `${host}:${port}`).join(", ");
  return { status: "True", reason: "Programmed", message: `Traffic to network ${peer.network} goes to ${gateways}.` };
}
