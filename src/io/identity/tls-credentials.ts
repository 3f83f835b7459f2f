/**
 * gRPC credentials of our programs: servers that follow the rotation of their certificate without a restart and ask for
 * (but do not demand) client certificates, and clients that accept one SPIFFE identity and nothing else.
 */
import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import grpc from "@grpc/grpc-js";
import { controlPlaneName, systemNamespace } from "../../core/api/names.ts";
import type { WorkloadCertificate } from "./certificate.ts";
import type { TrustBundles } from "./trust.ts";
import { spiffeIdsOf } from "./x509.ts";

/** A certificate that is replaced from time to time. */
export interface CertificateSource {
  current(): WorkloadCertificate | undefined;
  onChange(listener: () => void): () => void;
}

type IdentityListener = (update: { certificate: Buffer; privateKey: Buffer } | null) => void;
type CaListener = (update: { caCertificate: Buffer } | null) => void;

/**
 * Client certificates are verified against the bundle of `trustDomain`; a call whose certificate does not verify looks
 * like one without certificate (`StreamPeer.certificate` is undefined).
 */
export function serverCredentials(
  source: CertificateSource,
  bundles: TrustBundles,
  trustDomain: string,
): grpc.ServerCredentials {
  const stops = new Map<unknown, () => void>();
  const follow = (listener: unknown, tell: () => void, onChange: (heard: () => void) => () => void) => {
    stops.set(listener, onChange(tell));
    // The server starts to watch only after it has registered the listener, and would miss an answer given at once.
    queueMicrotask(() => {
      if (stops.has(listener)) tell();
    });
  };
  const unfollow = (listener: unknown) => {
    stops.get(listener)?.();
    stops.delete(listener);
  };
  const provider = {
    addIdentityCertificateListener: (listener: IdentityListener) =>
      follow(
        listener,
        () => listener(identityUpdate(source.current())),
        (heard) => source.onChange(heard),
      ),
    removeIdentityCertificateListener: unfollow,
    addCaCertificateListener: (listener: CaListener) =>
      follow(
        listener,
        () => {
          const pem = bundles.rootPem(trustDomain);
          listener(pem === undefined ? null : { caCertificate: Buffer.from(pem) });
        },
        (heard) => bundles.onChange(heard),
      ),
    removeCaCertificateListener: unfollow,
  };
  return grpc.experimental.createCertificateProviderServerCredentials(provider, provider, false);
}

const identityUpdate = (certificate: WorkloadCertificate | undefined) =>
  certificate ? { certificate: Buffer.from(certificate.chainPem), privateKey: Buffer.from(certificate.keyPem) } : null;

export interface ClientTls {
  /** Roots to verify the server with; those of its trust domain only. */
  readonly rootPem: string;
  /** Identities any of which the server may present. */
  readonly identities: readonly string[];
  /** Presented to the server; none for callers that bring a token. */
  readonly certificate?: WorkloadCertificate;
}

/**
 * The name to ask for in the handshake. What counts is the identity; but a gateway may need a name, and the dialled
 * address is often a bare IP, which TLS does not allow there.
 */
export const clientChannelOptions = {
  "grpc.ssl_target_name_override": `${controlPlaneName}.${systemNamespace}.svc`,
} as const;

/** Names on the certificate other than the SPIFFE identity do not count, and neither does the name that was dialled. */
export function clientCredentials(tls: ClientTls): grpc.ChannelCredentials {
  const { certificate } = tls;
  return grpc.credentials.createSsl(
    Buffer.from(tls.rootPem),
    certificate ? Buffer.from(certificate.keyPem) : null,
    certificate ? Buffer.from(certificate.chainPem) : null,
    { checkServerIdentity: (_host, presented) => identityError(presented, tls.identities) },
  );
}

function identityError(presented: PeerCertificate, identities: readonly string[]): Error | undefined {
  const ids = spiffeIdsOf(new X509Certificate(presented.raw));
  const [id] = ids;
  if (ids.length === 1 && id !== undefined && identities.includes(id)) return undefined;
  return new Error(
    `${wrongIdentity}: it presents ${ids.join(", ") || "no identity"} instead of ${identities.join(" or ")}.`,
  );
}

/** How the sentence of a refused server identity begins. */
export const wrongIdentity = "The server is not who it should be";
