/** How a link to one peer is doing, as peering sees it. A stale peer keeps its rows; only unlinking removes them. */
import type { SegmentName } from "./model.ts";

export interface PeerState {
  readonly cluster: string;
  readonly isConnected: boolean;
  /** The peer has stopped renewing its lease: what is known of it may be out of date. */
  readonly isStale: boolean;
  /** RFC 3339. */
  readonly lastSeen?: string;
  /** One sentence: why there is no connection. Absent while there is one, and before the first attempt has ended. */
  readonly cause?: string;
  /** CamelCase, with the cause. */
  readonly reason?: string;
  /** Set while this peer has subscribed to our exports: its network, so that a flat one is told of pod addresses. */
  readonly subscriberNetwork?: string;
  /** The segment that the peer says it is in. */
  readonly segment?: string;
  /** The Segments that the peer says it knows. */
  readonly segments?: readonly SegmentName[];
}
