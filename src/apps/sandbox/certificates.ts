/** The certificates of one cluster's API server: an own CA, and a serving certificate for every name it is reached by. */
import { webcrypto } from "node:crypto";
import type { Host } from "../../io/host/host.ts";
import { dateOf } from "../../io/host/dates.ts";
import { backdateMs, mintRoot } from "../../io/identity/mint.ts";
import { loadX509, serialNumber, workloadKeyAlgorithm, workloadSigningAlgorithm } from "../../io/identity/x509.ts";
import { apiServiceAddress } from "./network/addresses.ts";

export interface ServingCertificates {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const yearsMs = 10 * 365 * 86_400_000;

const names = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/** The CA's key is not kept: the sandbox never signs another. */
export async function makeCertificates(host: Host, cluster: string, hostAddress: string): Promise<ServingCertificates> {
  const x509 = await loadX509();
  const ca = await mintRoot(host, { name: `Tombolo sandbox ${cluster}` });
  const [raw] = x509.PemConverter.decode(ca.keyPem);
  if (raw === undefined) throw new Error(`The CA of cluster ${cluster} could not be made: it has no key.`);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", raw, workloadKeyAlgorithm, false, ["sign"]);
  const keys = await webcrypto.subtle.generateKey(workloadKeyAlgorithm, true, ["sign", "verify"]);
  const issuer = new x509.X509Certificate(ca.certPem);
  const nowMs = host.clock.now();
  const addresses = ["127.0.0.1", hostAddress, apiServiceAddress];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(host.random.bytes(16)),
    subject: [{ CN: ["kube-apiserver"] }],
    issuer: issuer.subjectName,
    notBefore: dateOf(nowMs - backdateMs),
    notAfter: dateOf(Math.min(nowMs + yearsMs, issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: workloadSigningAlgorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: "dns" as const, value })),
        ...addresses.map((value) => ({ type: "ip" as const, value })),
      ]),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    caPem: ca.certPem,
    certPem: `${certificate.toString("pem").trim()}\n`,
    keyPem: `${x509.PemConverter.encode(key, "PRIVATE KEY").trim()}\n`,
  };
}
