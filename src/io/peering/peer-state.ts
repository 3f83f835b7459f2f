/**
 * How a link is doing, and how its remote Gateway says so: the three peering conditions with a sentence each. Pure.
 */
import { condition } from "../../core/api/names.ts";
import type { Peer } from "../../core/mesh/model.ts";
import type { PeerInfoRow } from "../../core/proto/export-row.ts";

export type PeerPhase =
  /** Not yet heard. */
  | "connecting"
  /** Rows are current and the lease is renewed. */
  | "live"
  /** Was live; its rows are kept. */
  | "stale"
  /** Cannot become live before something is put right; rows that it had are kept. */
  | "refused";

export type PeerReason =
  | "Connecting"
  | "Connected"
  | "LeaseLost"
  | "NoAddress"
  | "Unreachable"
  | "NameNotResolved"
  | "TlsRefused"
  | "WrongIdentity"
  | "NoBundle"
  | "NoCertificate"
  | "WrongCluster"
  | "WrongNetwork"
  | "SameClusterName"
  | "DuplicatePeer"
  | "RefusedByPeer";

export interface PeerState {
  readonly cluster: string;
  readonly phase: PeerPhase;
  readonly reason: PeerReason;
  /** A full sentence for people. */
  readonly message: string;
  readonly sinceMs: number;
  /** What the peer said of itself, once it did. */
  readonly info?: PeerInfoRow;
  /** The control-plane address in use or last tried. */
  readonly address?: string;
}

export interface PeerCondition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
}

export function peerConditions(state: PeerState, peer: Peer): PeerCondition[] {
  return [connected(state), succeeded(state), dataPlane(state, peer)];
}

function connected({ phase, reason, message }: PeerState): PeerCondition {
  const status = phase === "live" ? "True" : phase === "connecting" ? "Unknown" : "False";
  return { type: condition.peerConnected, status, reason, message };
}

function succeeded({ phase, reason, message, cluster }: PeerState): PeerCondition {
  const type = condition.peeringSucceeded;
  switch (phase) {
    case "live":
      return { type, status: "True", reason: "Synced", message: `The exports of cluster ${cluster} are current.` };
    case "stale":
      return {
        type,
        status: "True",
        reason: "Stale",
        message: `The exports of cluster ${cluster} are kept as they were when it was last heard.`,
      };
    case "refused":
      return { type, status: "False", reason, message };
    case "connecting":
      return { type, status: "Unknown", reason, message };
  }
}

function dataPlane({ phase, reason, message, cluster, info }: PeerState, peer: Peer): PeerCondition {
  const type = condition.peerDataPlaneProgrammed;
  if (phase !== "live" && phase !== "stale") {
    return { type, status: phase === "refused" ? "False" : "Unknown", reason, message };
  }
  if (peer.dataPlane.length === 0) {
    return {
      type,
      status: "False",
      reason: "NoAddress",
      message: `No data-plane address of cluster ${cluster} is known; add spec.addresses to the remote Gateway.`,
    };
  }
  const network = info?.network ?? peer.network;
  return {
    type,
    status: "True",
    reason: "Programmed",
    message: `Traffic to network ${network} has a gateway to go to.`,
  };
}
