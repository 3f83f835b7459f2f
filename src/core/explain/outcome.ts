/**
 * What will happen to a call, from its explanation and, for what lies behind gateways, those of the peers. Only endpoints
 * of the first priority count: the others are used when none of these can be reached.
 */
import type { CallExplanation } from "./call.ts";
import type { Candidate } from "./candidate.ts";
import type { ExportExplanation } from "./export.ts";

export interface Destination {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  /** `unknown`: it lies in a peer that was not asked, or the rule needs what only the peer sees. */
  readonly decision: "allowed" | "denied" | "unknown";
  readonly because: string;
  /** Who the destination takes the client for; undefined for nobody. */
  readonly seenAs: string | undefined;
}

export type Outcome =
  /** The name has no address. */
  | { readonly kind: "unresolved" }
  /** No endpoint takes connections; the caller's connection is closed. */
  | { readonly kind: "noEndpoint"; readonly because: string }
  /** On to an address that the mesh knows nothing about. */
  | { readonly kind: "unknown"; readonly because: string }
  /** One of these gets it; each lets it in, or not. */
  | { readonly kind: "destinations"; readonly destinations: readonly Destination[] };

const unasked = (cluster: string): string => `cluster ${cluster} was not asked`;

function destinationsOf(
  candidate: Candidate,
  identity: string | undefined,
  peers: ReadonlyMap<string, ExportExplanation>,
): readonly Destination[] {
  const { cluster, namespace, name, verdict } = candidate;
  const [way] = candidate.ways;
  const seenAs = way?.kind === "plaintext" ? undefined : identity;
  if (way?.kind === "gateway") {
    const peer = peers.get(cluster);
    if (peer === undefined) {
      return [{ cluster, namespace, name, decision: "unknown", because: unasked(cluster), seenAs }];
    }
    return peer.candidates.filter(({ isUsed }) => isUsed).flatMap((pod) => destinationsOf(pod, identity, peers));
  }
  // A pod outside the mesh has no gate. One of another cluster on the same network is judged there.
  if (verdict === undefined && way?.kind === "mtls") {
    const there = peers.get(cluster)?.candidates.find((pod) => pod.name === name && pod.verdict !== undefined);
    if (there !== undefined) return destinationsOf(there, identity, peers);
    return [{ cluster, namespace, name, decision: "unknown", because: unasked(cluster), seenAs }];
  }
  const decision = verdict?.decision === "depends" ? "unknown" : (verdict?.decision ?? "allowed");
  return [
    {
      cluster,
      namespace,
      name,
      decision,
      because: verdict?.because ?? "it is outside the mesh, so no policy applies",
      seenAs,
    },
  ];
}

const whyNone = (candidates: readonly Candidate[]): string =>
  candidates.length === 0
    ? "the service has no endpoint"
    : `no endpoint can be used: ${candidates.map(({ name, exclusion }) => `${name} ${exclusion ?? ""}`).join("; ")}`;

/** `peers`: what gateways of other clusters lead to, by cluster. */
export function outcomeOf(call: CallExplanation, peers: ReadonlyMap<string, ExportExplanation> = new Map()): Outcome {
  if (call.route === "unresolved") return { kind: "unresolved" };
  const isOwnChoice = call.route === "endpoints";
  if (!isOwnChoice && call.service === undefined && call.candidates.length === 0) {
    return { kind: "unknown", because: `${call.address ?? call.host} is no address of the mesh` };
  }
  const first = call.candidates.filter(({ isUsed, priority }) => isUsed && priority === 0);
  const destinations = first.flatMap((one) => destinationsOf(one, call.client.identity, peers));
  if (destinations.length === 0) return { kind: "noEndpoint", because: whyNone(call.candidates) };
  return { kind: "destinations", destinations };
}

export interface PeerQuestion {
  readonly hostname: string;
  readonly port: number;
  /** The client's own address, when pods of the peer see it. */
  readonly ip: string | undefined;
}

/** What peers have to be asked before the outcome is known: by cluster. */
export function questionsForPeers(call: CallExplanation): ReadonlyMap<string, PeerQuestion> {
  const found = new Map<string, PeerQuestion>();
  for (const { cluster, ways } of call.candidates) {
    const [way] = ways;
    const parts = /^outbound_\.(\d+)_\._\.(.+)$/.exec(way?.sni ?? "");
    if (cluster === call.client.cluster || parts?.[1] === undefined || parts[2] === undefined) continue;
    const ip = way?.kind === "gateway" ? undefined : call.client.ip;
    found.set(cluster, { port: Number(parts[1]), hostname: parts[2], ip });
  }
  return found;
}
