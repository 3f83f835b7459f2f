/** Why a connection to a peer ended, as a reason and a sentence with the way out. Pure. */
import type { Peer } from "../../core/mesh/model.ts";
import { wrongIdentity } from "../identity/tls-credentials.ts";
import type { LinkReason } from "./link-state.ts";

export interface Failure {
  readonly reason: LinkReason;
  readonly message: string;
}

const unreachableHint = "Check that its east-west gateway is up and that port 15012 is open on the way.";

/** Texts of grpc, Node and OpenSSL differ by version; what none of these recognises is "unreachable". */
const kinds: readonly { readonly reason: LinkReason; readonly pattern: RegExp; readonly hint: string }[] = [
  {
    reason: "WrongIdentity",
    pattern: new RegExp(wrongIdentity),
    hint: "Correct the address, or the trust-domain annotation of the remote Gateway.",
  },
  {
    reason: "SameClusterName",
    pattern: /Both control planes say/,
    hint: "Cluster names are set at install.",
  },
  {
    // A gateway that has nobody behind it closes before the handshake, which Node words as a matter of TLS.
    reason: "Unreachable",
    pattern: /ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ETIMEDOUT|socket disconnected|socket hang up/,
    hint: unreachableHint,
  },
  {
    reason: "TlsRefused",
    pattern: /certificate|self.signed|SSL|TLS|EPROTO/,
    hint: "Both clusters need intermediates of the same root in Secret istio-system/cacerts.",
  },
  {
    reason: "RefusedByPeer",
    pattern: /PERMISSION_DENIED|FAILED_PRECONDITION|UNAUTHENTICATED/,
    hint: "See the sentence of the peer.",
  },
  {
    reason: "NameNotResolved",
    pattern: /name resolution|ENOTFOUND|EAI_AGAIN|no such host/i,
    hint: "A new load balancer's name takes up to two minutes to appear in DNS.",
  },
];

export function reasonOf(cause: string, peer: Peer, address: string): Failure {
  const kind = kinds.find(({ pattern }) => pattern.test(cause));
  const hint = kind?.hint ?? unreachableHint;
  const sentence = cause.replace(/\s*Resolution note:\s*$/, "").replace(/\.?$/, ".");
  const message = `Cluster ${peer.cluster} cannot be reached at ${address.replace(/^[a-z0-9]+:(\/\/\/)?/, "")}: ${sentence} ${hint}`;
  return { reason: kind?.reason ?? "Unreachable", message };
}
