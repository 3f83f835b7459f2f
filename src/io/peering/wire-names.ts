/** What both ends of a link must agree on beside the messages. */
import { controlPlaneName, systemNamespace } from "../../core/api/names.ts";
import { spiffeId } from "../../core/mesh/model.ts";
import { typeUrl } from "../../core/proto/wire.ts";

/** Who the dialling control plane is: gRPC headers of its stream. */
export const peerHeader = {
  cluster: "tombolo-cluster",
  network: "tombolo-network",
  segment: "tombolo-segment",
} as const;

/** Beginning of the node id of a stream that a peer opens. */
export const peerNodePrefix = "peer~";

/** First who is speaking, then that it lives, then what it has. */
export const peeringTypes = [typeUrl.peerInfo, typeUrl.lease, typeUrl.export] as const;

export const controlPlaneIdentity = (trustDomain: string): string =>
  spiffeId(trustDomain, systemNamespace, controlPlaneName);
