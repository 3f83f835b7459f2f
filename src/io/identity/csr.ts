/** A new key with its certificate request, and the check of a request that arrived. */
import { createPublicKey, webcrypto } from "node:crypto";
import { errorText } from "../../core/api/error-text.ts";
import { loadX509, workloadKeyAlgorithm, workloadSigningAlgorithm } from "./x509.ts";

/** Longest request that is looked at; a P-256 request has about 500 characters, an RSA-4096 one about 1800. */
const csrLengthMax = 16_384;
const rsaBitsMin = 2048;

export interface KeyAndCsr {
  /** PKCS#8. Stays in the memory of the node that made it. */
  readonly keyPem: string;
  readonly csrPem: string;
}

export async function makeKeyAndCsr(identity: string): Promise<KeyAndCsr> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(workloadKeyAlgorithm, true, ["sign", "verify"]);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: workloadSigningAlgorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: identity }], true)],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const lines = key.match(/.{1,64}/g) ?? [];
  return {
    keyPem: ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n"),
    csrPem: csr.toString("pem"),
  };
}

/** The public key (DER) of a request that is signed by its own key, or a sentence. Names in the request are not read. */
export async function readCsr(
  csrPem: string,
): Promise<{ readonly publicKey: Uint8Array<ArrayBuffer> } | { readonly problem: string }> {
  if (csrPem.length > csrLengthMax)
    return { problem: `The certificate request has more than ${csrLengthMax} characters.` };
  const x509 = await loadX509();
  try {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    const publicKey = new Uint8Array(request.publicKey.rawData);
    const problem = keyProblem(publicKey);
    if (problem !== undefined) return { problem };
    if (!(await request.verify())) return { problem: "The certificate request is not signed by its own key." };
    return { publicKey };
  } catch (error) {
    return {
      problem: `The certificate request cannot be read (${errorText(error)}).`,
    };
  }
}

function keyProblem(publicKey: Uint8Array<ArrayBuffer>): string | undefined {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "ec") {
    return curve === "prime256v1" || curve === "secp384r1"
      ? undefined
      : `The certificate request has a key on the curve ${curve ?? "unknown"}; use P-256 or P-384.`;
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType === "rsa" && bits >= rsaBitsMin) return undefined;
  return `The certificate request has a weak or unknown key; use ECDSA P-256, or RSA with at least ${rsaBitsMin} bits.`;
}
