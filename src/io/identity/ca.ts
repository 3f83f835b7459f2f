/**
 * The certificate authority of one cluster: signs workload certificates with the material of `ca-secret.ts`. The identity
 * in a certificate is the one the caller was found to have, never one that the request names.
 */
import { webcrypto } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey } from "node:crypto";
import type * as X509 from "@peculiar/x509";
import { dateOf } from "../host/dates.ts";
import type { Host } from "../host/host.ts";
import type { CaMaterial } from "./ca-secret.ts";
import { readCsr } from "./csr.ts";
import { backdateMs } from "./mint.ts";
import { loadX509, parseIdentity, serialNumber } from "./x509.ts";
import type { X509Library } from "./x509.ts";

const hourMs = 3_600_000;
export const lifetimeMsDefault = 24 * hourMs;
const lifetimeMsMax = 90 * 24 * hourMs;
/** Shorter ones would be renewed without end. */
const lifetimeMsMin = 60_000;

export interface SignRequest {
  readonly csrPem: string;
  /** The authenticated identity; the only URI in the certificate. */
  readonly identity: string;
  readonly lifetimeMs?: number;
  /** For the control plane's own serving certificate only. */
  readonly dnsNames?: readonly string[];
}

export type Signed =
  | { readonly ok: true; readonly chainPems: readonly string[]; readonly rootPem: string; readonly notAfterMs: number }
  | { readonly ok: false; readonly problem: string };

export class CertificateAuthority {
  readonly material: CaMaterial;
  readonly #host: Host;
  readonly #issuer: X509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #signing: webcrypto.EcdsaParams | webcrypto.Algorithm;

  private constructor(host: Host, material: CaMaterial, issuer: X509.X509Certificate, key: SigningKey) {
    this.#host = host;
    this.material = material;
    this.#issuer = issuer;
    this.#key = key.key;
    this.#signing = key.algorithm;
  }

  /** The material must have passed `checkCaSecret`. */
  static async load(host: Host, material: CaMaterial): Promise<CertificateAuthority> {
    const x509 = await loadX509();
    const key = await signingKey(createPrivateKey(material.keyPem));
    return new CertificateAuthority(host, material, new x509.X509Certificate(material.certPem), key);
  }

  /** SHA-256 of the certificate that signs, in hexadecimal. */
  get fingerprint(): string {
    return createHash("sha256").update(Buffer.from(this.#issuer.rawData)).digest("hex");
  }

  get notAfterMs(): number {
    return this.#issuer.notAfter.getTime();
  }

  async sign(request: SignRequest): Promise<Signed> {
    if (!parseIdentity(request.identity)) return { ok: false, problem: `"${request.identity}" is not an identity.` };
    const csr = await readCsr(request.csrPem);
    if ("problem" in csr) return { ok: false, problem: csr.problem };
    const now = this.#host.clock.now();
    const notAfterMs = Math.min(now + boundedLifetime(request.lifetimeMs), this.notAfterMs);
    if (notAfterMs <= now) {
      return {
        ok: false,
        problem: "The certificate of the CA has expired; replace it in Secret istio-system/cacerts.",
      };
    }
    const x509 = await loadX509();
    const publicKey = await x509.PublicKey.create(csr.publicKey);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(this.#host.random.bytes(16)),
      subject: "",
      issuer: this.#issuer.subjectName,
      notBefore: dateOf(now - backdateMs),
      notAfter: dateOf(notAfterMs),
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: this.#signing,
      extensions: await leafExtensions(x509, request, publicKey, this.#issuer),
    });
    const { certPem, chainPems, rootPem } = this.material;
    // A root that signs by itself is not repeated in the chain.
    const between = rootPem.includes(certPem.trim()) ? [] : [certPem, ...chainPems];
    return { ok: true, chainPems: [`${certificate.toString("pem").trim()}\n`, ...between], rootPem, notAfterMs };
  }
}

function boundedLifetime(wantedMs: number | undefined): number {
  if (wantedMs === undefined || !(wantedMs > 0)) return lifetimeMsDefault;
  return Math.min(Math.max(wantedMs, lifetimeMsMin), lifetimeMsMax);
}

async function leafExtensions(
  x509: X509Library,
  request: SignRequest,
  publicKey: X509.PublicKey,
  issuer: X509.X509Certificate,
): Promise<X509.Extension[]> {
  const usages = x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment;
  const dnsNames = (request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value }));
  return [
    new x509.KeyUsagesExtension(usages, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.BasicConstraintsExtension(false, undefined, true),
    await authorityKeyId(x509, issuer),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    // Critical, because the subject is empty.
    new x509.SubjectAlternativeNameExtension([{ type: "url", value: request.identity }, ...dnsNames], true),
  ];
}

/** As the issuer states its own; verifiers compare the two, and not all CAs derive it from the key in the same way. */
async function authorityKeyId(x509: X509Library, issuer: X509.X509Certificate): Promise<X509.Extension> {
  const keyId = issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  if (keyId !== undefined) return new x509.AuthorityKeyIdentifierExtension(keyId);
  return x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey);
}

interface SigningKey {
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: webcrypto.EcdsaParams | webcrypto.Algorithm;
}

/** Operators bring RSA as often as ECDSA. */
async function signingKey(key: KeyObject): Promise<SigningKey> {
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  if (key.asymmetricKeyType === "rsa") {
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return { key: await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]), algorithm };
  }
  const curves: Readonly<Record<string, { namedCurve: string; hash: string }>> = {
    prime256v1: { namedCurve: "P-256", hash: "SHA-256" },
    secp384r1: { namedCurve: "P-384", hash: "SHA-384" },
    secp521r1: { namedCurve: "P-521", hash: "SHA-512" },
  };
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? ""];
  if (!curve) throw new Error("The key of the CA is neither RSA nor ECDSA on P-256, P-384 or P-521; use one of these.");
  const imported = await webcrypto.subtle.importKey(
    "pkcs8",
    pkcs8,
    { name: "ECDSA", namedCurve: curve.namedCurve },
    false,
    ["sign"],
  );
  return { key: imported, algorithm: { name: "ECDSA", hash: curve.hash } };
}
