/**
 * The CA's certificate and key as its Secret holds them (spec section 5), checked before use. A problem is a sentence that
 * names the Secret and the key in it and says the way out; nothing here throws on a bad Secret.
 */
import { createPublicKey } from "node:crypto";
import type { X509Certificate } from "node:crypto";
import { loadX509, readCertificate, readPrivateKey, splitPem } from "./x509.ts";

export interface CaMaterial {
  /** The certificate that signs workloads. */
  readonly certPem: string;
  readonly keyPem: string;
  /** What lies between `certPem` (not included) and the root (not included). */
  readonly chainPems: readonly string[];
  /** Every root that the cluster trusts; two while the root is being replaced. */
  readonly rootPem: string;
}

export type CheckedCa =
  | { readonly ok: true; readonly material: CaMaterial }
  | { readonly ok: false; readonly problem: string };

/** A Secret's `data` (base64) as texts. */
export function secretTexts(data: Readonly<Record<string, string>>): Record<string, string> {
  const texts = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]);
  return Object.fromEntries(texts) as Record<string, string>; // both halves of each pair are strings
}

interface Layout {
  readonly cert: string;
  readonly key: string;
  readonly root: string;
  readonly chain?: string;
}
const istioLayout: Layout = { cert: "ca-cert.pem", key: "ca-key.pem", root: "root-cert.pem", chain: "cert-chain.pem" };
const tlsLayout: Layout = { cert: "tls.crt", key: "tls.key", root: "ca.crt" };

/** `secret` is its name, for the sentences; `texts` its decoded values. */
export async function checkCaSecret(
  secret: string,
  texts: Readonly<Record<string, string>>,
  nowMs: number,
): Promise<CheckedCa> {
  const layout = texts[istioLayout.cert] === undefined && texts[tlsLayout.cert] !== undefined ? tlsLayout : istioLayout;
  const problem = (key: string, text: string): CheckedCa => ({
    ok: false,
    problem: `Secret istio-system/${secret}, key ${key}: ${text}`,
  });
  for (const key of [layout.cert, layout.key, layout.root]) {
    if (!texts[key]?.trim()) return problem(key, "it is missing or empty; add it to the Secret.");
  }
  const [certPem, ...following] = splitPem(texts[layout.cert] ?? "");
  const cert = readCertificate(certPem ?? "");
  if (certPem === undefined || !cert) return problem(layout.cert, "it is not a PEM certificate; replace it with one.");
  const key = readPrivateKey(texts[layout.key] ?? "");
  if (!key) return problem(layout.key, "it is not an unencrypted PEM private key; replace it with one.");
  if (!cert.publicKey.equals(createPublicKey(key))) {
    return problem(
      layout.key,
      `it does not belong to the certificate in ${layout.cert}; use the key it was made with.`,
    );
  }
  const roots = splitPem(texts[layout.root] ?? "").flatMap((pem) => readCertificate(pem) ?? []);
  if (roots.length === 0) return problem(layout.root, "it has no PEM certificate; put the root certificate there.");
  const chain = [...following, ...splitPem(texts[layout.chain ?? ""] ?? "")].flatMap(
    (pem) => readCertificate(pem) ?? [],
  );
  const path = pathToRoot(cert, chain, roots);
  if (!path) {
    return problem(
      layout.cert,
      `its issuer "${oneLine(cert.issuer)}" leads to no root in ${layout.root}; put the root that signed it there` +
        (layout.chain === undefined ? "." : `, and certificates between the two in ${layout.chain}.`),
    );
  }
  for (const [at, link] of path.entries()) {
    const text = await caProblem(link, nowMs);
    if (text !== undefined)
      return problem(
        at === 0 ? layout.cert : at === path.length - 1 ? layout.root : (layout.chain ?? layout.cert),
        text,
      );
  }
  const material: CaMaterial = {
    certPem,
    keyPem: texts[layout.key] ?? "",
    chainPems: path.slice(1, -1).map((link) => `${link.toString().trim()}\n`),
    rootPem: roots.map((root) => `${root.toString().trim()}\n`).join(""),
  };
  return { ok: true, material };
}

/** From `cert` to one of the roots, both included; a cert that is itself a root is a path of one. */
function pathToRoot(
  cert: X509Certificate,
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate[] | undefined {
  const path = [cert];
  for (let at = cert; path.length <= chain.length + 2;) {
    if (roots.some((root) => root.raw.equals(at.raw))) return path;
    const issuer = [...roots, ...chain].find((candidate) => isIssuedBy(at, candidate));
    if (!issuer) return undefined;
    path.push(issuer);
    at = issuer;
  }
  return undefined;
}

const isIssuedBy = (cert: X509Certificate, issuer: X509Certificate): boolean =>
  cert.checkIssued(issuer) && cert.verify(issuer.publicKey);

async function caProblem(cert: X509Certificate, nowMs: number): Promise<string | undefined> {
  const subject = `certificate "${oneLine(cert.subject)}"`;
  if (!cert.ca) return `${subject} is not a CA (basicConstraints CA:TRUE); issue it with CA:TRUE and keyCertSign.`;
  const x509 = await loadX509();
  const parsed = new x509.X509Certificate(cert.raw);
  const usages = parsed.getExtension(x509.KeyUsagesExtension)?.usages;
  if (usages !== undefined && (usages & x509.KeyUsageFlags.keyCertSign) === 0) {
    return `${subject} may not sign certificates; issue it with key usage keyCertSign.`;
  }
  if (parsed.notAfter.getTime() <= nowMs) return `${subject} expired on ${cert.validTo}; issue a new one.`;
  if (parsed.notBefore.getTime() > nowMs) {
    return `${subject} is not valid before ${cert.validFrom}; check the clock, or issue a new one.`;
  }
  return undefined;
}

/** A certificate without subject has none, whatever the types say. */
const oneLine = (name: string | undefined): string => name?.split("\n").join(", ") ?? "";
