/** How a link is doing, as the link itself says it; the mesh makes the conditions of the remote Gateway of it. */
import type { PeerInfoRow } from "../../core/proto/export-row.ts";

export type LinkPhase =
  /** Not yet heard. */
  | "connecting"
  /** Rows are current and the lease is renewed. */
  | "live"
  /** Was live; its rows are kept. */
  | "stale"
  /** Cannot become live before something is put right; rows that it had are kept. */
  | "refused";

export type LinkReason =
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
  | "TooManyPeers"
  | "RefusedByPeer";

export interface LinkState {
  readonly cluster: string;
  readonly phase: LinkPhase;
  readonly reason: LinkReason;
  /** A full sentence for people. */
  readonly message: string;
  readonly sinceMs: number;
  /** What the peer said of itself, once it did. */
  readonly info?: PeerInfoRow;
  /** The control-plane address in use or last tried. */
  readonly address?: string;
}
