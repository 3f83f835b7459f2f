/**
 * Makes roots of trust and intermediates for clusters: what an operator does once with openssl, for the sandbox, for
 * `istio-ca-secret` and for tests. Keys are returned and not kept.
 */
import { webcrypto } from "node:crypto";
import type * as X509 from "@peculiar/x509";
import { dateOf } from "../host/dates.ts";
import type { Host } from "../host/host.ts";
import { loadX509, serialNumber, workloadKeyAlgorithm, workloadSigningAlgorithm } from "./x509.ts";
import type { X509Library } from "./x509.ts";

const dayMs = 86_400_000;
const rootDaysDefault = 3650;
const intermediateDaysDefault = 1825;
/** Clocks of machines differ; a certificate is valid from a little before its making. */
export const backdateMs = 60_000;

/** A CA as PEM texts. */
export interface MintedCa {
  readonly certPem: string;
  /** PKCS#8. */
  readonly keyPem: string;
}

export interface MintOptions {
  /** Common name. */
  readonly name: string;
  readonly days?: number;
  /** The only trust domain that certificates below this one may name; any when absent. */
  readonly trustDomain?: string;
}

export async function mintRoot(host: Host, options: MintOptions): Promise<MintedCa> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(workloadKeyAlgorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(host, options.days ?? rootDaysDefault),
    serialNumber: serialNumber(host.random.bytes(16)),
    name: [{ O: ["Tombolo"] }, { CN: [options.name] }],
    keys,
    signingAlgorithm: workloadSigningAlgorithm,
    extensions: await caExtensions(x509, keys.publicKey),
  });
  return { certPem: pemLine(certificate), keyPem: await keyPem(x509, keys.privateKey) };
}

export async function mintIntermediate(host: Host, root: MintedCa, options: MintOptions): Promise<MintedCa> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(root.certPem);
  const [block = ""] = x509.PemConverter.decode(root.keyPem).map((raw) => Buffer.from(raw));
  const signingKey = await webcrypto.subtle.importKey("pkcs8", Buffer.from(block), workloadKeyAlgorithm, false, [
    "sign",
  ]);
  const keys = await webcrypto.subtle.generateKey(workloadKeyAlgorithm, true, ["sign", "verify"]);
  const dates = validity(host, options.days ?? intermediateDaysDefault);
  const certificate = await x509.X509CertificateGenerator.create({
    ...dates,
    notAfter: dates.notAfter < issuer.notAfter ? dates.notAfter : issuer.notAfter,
    serialNumber: serialNumber(host.random.bytes(16)),
    subject: [{ O: ["Tombolo"] }, { CN: [options.name] }],
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: workloadSigningAlgorithm,
    extensions: [
      ...(await caExtensions(x509, keys.publicKey)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(options.trustDomain === undefined ? [] : [nameConstraints(x509, options.trustDomain)]),
    ],
  });
  return { certPem: pemLine(certificate), keyPem: await keyPem(x509, keys.privateKey) };
}

/** The keys of Secret `cacerts`, as texts. */
export function pluggedInSecret(root: MintedCa, intermediate: MintedCa): Record<string, string> {
  return {
    "ca-cert.pem": intermediate.certPem,
    "ca-key.pem": intermediate.keyPem,
    "root-cert.pem": root.certPem,
    "cert-chain.pem": intermediate.certPem + root.certPem,
  };
}

/** The keys of Secret `istio-ca-secret`, as texts: a root that signs workloads itself. */
export function selfSignedSecret(root: MintedCa): Record<string, string> {
  return {
    "ca-cert.pem": root.certPem,
    "ca-key.pem": root.keyPem,
    "root-cert.pem": root.certPem,
    "cert-chain.pem": "",
  };
}

function validity(host: Host, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = host.clock.now();
  return { notBefore: dateOf(now - backdateMs), notAfter: dateOf(now + days * dayMs) };
}

async function caExtensions(x509: X509Library, publicKey: webcrypto.CryptoKey): Promise<X509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

const nameConstraintsOid = "2.5.29.30";

/**
 * Permits URIs of one host, which a SPIFFE id's trust domain is: whoever verifies a chain through this CA refuses other
 * domains. DER: NameConstraints { permittedSubtrees [0] { GeneralSubtree { uniformResourceIdentifier [6] } } }.
 */
function nameConstraints(x509: X509Library, trustDomain: string): X509.Extension {
  const wrap = (tag: number, content: Buffer) => Buffer.concat([Buffer.from([tag, content.length]), content]);
  const subtree = wrap(0x30, wrap(0x86, Buffer.from(trustDomain, "ascii")));
  // Lengths of one byte: names of domains have at most 253 characters, those of ours far fewer.
  if (subtree.length > 120) throw new Error(`The trust domain ${trustDomain} is too long for a name constraint.`);
  return new x509.Extension(nameConstraintsOid, true, wrap(0x30, wrap(0xa0, subtree)));
}

const pemLine = (certificate: X509.X509Certificate): string => `${certificate.toString("pem").trim()}\n`;

async function keyPem(x509: X509Library, key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY").trim()}\n`;
}
