/**
 * What a human or `tombolo multicluster check` wants to know of the cluster's trust: which certificates it rests on,
 * until when, and what is wrong. Certificates only; no key comes near it.
 */
import type { X509Certificate } from "node:crypto";
import { isoSeconds, msOfIso } from "../../../io/host/iso-time.ts";
import type { CaMaterial } from "../../../io/identity/ca-secret.ts";
import type { WorkloadCertificate } from "../../../io/identity/certificate.ts";
import type { TrustBundles } from "../../../io/identity/trust.ts";
import { readCertificate, splitPem } from "../../../io/identity/x509.ts";

const dayMs = 86_400_000;
/** An operator needs days to have a certificate signed, and every cluster must have a new root before it is used. */
const warnMs = { signing: 14 * dayMs, chain: 30 * dayMs, root: 90 * dayMs } as const;

export interface CertificateFact {
  /** `signing` signs workloads; `chain` lies between it and a `root`. A root that signs workloads itself is `root`. */
  readonly role: "signing" | "chain" | "root";
  readonly subject: string;
  readonly issuer: string;
  /** SHA-256, as openssl writes it. */
  readonly fingerprint: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly daysLeft: number;
}

export interface TrustFacts {
  readonly trustDomain: string;
  /** Secret in the mesh's namespace that the authority was read from. */
  readonly secret: string;
  readonly certificates: readonly CertificateFact[];
  /** The control plane's own certificate. */
  readonly serving?: { readonly identity: string; readonly notAfter: string };
  /** Trust domain → fingerprints of the roots that may vouch for it. */
  readonly bundles: Readonly<Record<string, readonly string[]>>;
  /** Full sentences; none when all is well. */
  readonly problems: readonly string[];
}

export interface TrustInputs {
  readonly trustDomain: string;
  readonly secret: string;
  readonly material: CaMaterial | undefined;
  /** Why the newest Secret is not in use, if it is not. */
  readonly problem: string | undefined;
  readonly serving: WorkloadCertificate | undefined;
  readonly bundles: TrustBundles;
  readonly nowMs: number;
}

export function trustFacts(inputs: TrustInputs): TrustFacts {
  const { trustDomain, secret, material, problem, serving, bundles, nowMs } = inputs;
  const certificates = material === undefined ? [] : certificateFacts(material, nowMs);
  const expiring = certificates.flatMap((fact) => expiryProblem(fact, secret) ?? []);
  return {
    trustDomain,
    secret,
    certificates,
    ...(serving && { serving: { identity: serving.identity, notAfter: isoSeconds(serving.notAfterMs) } }),
    bundles: Object.fromEntries(
      bundles
        .trustDomains()
        .map((domain) => [domain, certificatesOf(bundles.rootPem(domain) ?? "").map((one) => one.fingerprint256)]),
    ),
    problems: [...(problem === undefined ? [] : [problem]), ...expiring],
  };
}

function certificateFacts({ certPem, chainPems, rootPem }: CaMaterial, nowMs: number): CertificateFact[] {
  const roots = certificatesOf(rootPem);
  const [signing] = certificatesOf(certPem);
  const isOwnRoot = signing !== undefined && roots.some(({ raw }) => raw.equals(signing.raw));
  return [
    ...(signing === undefined || isOwnRoot ? [] : [factOf("signing", signing, nowMs)]),
    ...certificatesOf(chainPems.join("")).map((one) => factOf("chain", one, nowMs)),
    ...roots.map((one) => factOf("root", one, nowMs)),
  ];
}

const certificatesOf = (pem: string): X509Certificate[] => splitPem(pem).flatMap((one) => readCertificate(one) ?? []);

function factOf(role: CertificateFact["role"], certificate: X509Certificate, nowMs: number): CertificateFact {
  const notAfterMs = msOfIso(certificate.validTo) ?? 0;
  return {
    role,
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    fingerprint: certificate.fingerprint256,
    notBefore: isoSeconds(msOfIso(certificate.validFrom) ?? 0),
    notAfter: isoSeconds(notAfterMs),
    daysLeft: Math.floor((notAfterMs - nowMs) / dayMs),
  };
}

/** A certificate without subject has none, whatever the types say. */
const oneLine = (name: string | undefined): string => name?.split("\n").join(", ") ?? "";

const wayOut = {
  signing: "issue a new intermediate for this cluster from the same root and put it into the Secret",
  chain: "issue it anew and put it into the Secret's cert-chain.pem",
  root: "add a new root to root-cert.pem of every cluster first, then issue new intermediates from it",
} as const;

function expiryProblem({ role, subject, notAfter, daysLeft }: CertificateFact, secret: string): string | undefined {
  if (daysLeft * dayMs >= warnMs[role]) return undefined;
  const when = daysLeft < 0 ? `expired at ${notAfter}` : `expires at ${notAfter}, in ${daysLeft} days`;
  return `The ${role} certificate "${subject}" of Secret istio-system/${secret} ${when}; ${wayOut[role]}.`;
}
