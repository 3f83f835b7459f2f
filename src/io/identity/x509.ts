/**
 * The certificate library, loaded when first needed (it costs a short program a fifth of a second), and small readers of
 * PEM that need only Node. Nothing here keeps state.
 */
import { X509Certificate, createPrivateKey, webcrypto } from "node:crypto";
import type { KeyObject } from "node:crypto";

export async function loadX509() {
  await import("reflect-metadata");
  const library = await import("@peculiar/x509");
  // The library is typed against the browser's `Crypto`, which Node's `webcrypto` implements.
  library.cryptoProvider.set(webcrypto as unknown as Parameters<typeof library.cryptoProvider.set>[0]);
  return library;
}

/** The library itself, for functions that take it. */
export type X509Library = Awaited<ReturnType<typeof loadX509>>;

/** What the CA signs with by default, and the kind of every workload key. */
export const workloadKeyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
export const workloadSigningAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** The certificates of a PEM text, one text each; what is no certificate is passed over. */
export function splitPem(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block.trim()}\n`);
}

/** Undefined when the text is no certificate. */
export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** Undefined when the text is no private key. */
export function readPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** The SPIFFE ids among the names of a certificate; a valid workload certificate has exactly one. */
export function spiffeIdsOf(certificate: X509Certificate): string[] {
  const names = certificate.subjectAltName?.split(", ") ?? [];
  return names.flatMap((name) => (name.startsWith("URI:spiffe://") ? [name.slice("URI:".length)] : []));
}

const identityPattern = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([a-z0-9.-]{1,253})\/sa\/([a-z0-9.-]{1,253})$/;

export interface IdentityParts {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Undefined unless it is `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export function parseIdentity(identity: string): IdentityParts | undefined {
  const [, trustDomain, namespace, serviceAccount] = identityPattern.exec(identity) ?? [];
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

/** 16 bytes as hex, positive as DER integers count. */
export function serialNumber(bytes: Uint8Array): string {
  const positive = Uint8Array.from(bytes);
  positive[0] = ((positive[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(positive).toString("hex");
}
