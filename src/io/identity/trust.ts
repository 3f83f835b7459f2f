/**
 * Roots of trust, one bundle per trust domain, never mixed: a certificate counts only if it leads to a root of the very
 * trust domain that its identity names.
 */
import type { X509Certificate } from "node:crypto";
import { parseIdentity, readCertificate, spiffeIdsOf, splitPem } from "./x509.ts";

/** Links that are followed from a leaf to its root. */
const chainLengthMax = 8;

export class TrustBundles {
  readonly #pems = new Map<string, readonly string[]>();
  readonly #listeners = new Set<(trustDomain: string) => void>();

  /** Returns a sentence when the text holds no root; the old bundle then stays. */
  set(trustDomain: string, rootPem: string): string | undefined {
    const pems = splitPem(rootPem).filter((pem) => readCertificate(pem)?.ca === true);
    if (pems.length === 0) return `The bundle of trust domain ${trustDomain} has no CA certificate; the old one stays.`;
    const sorted = [...new Set(pems)].toSorted();
    if (sorted.join("") === this.#pems.get(trustDomain)?.join("")) return undefined;
    this.#pems.set(trustDomain, sorted);
    for (const listener of this.#listeners) listener(trustDomain);
    return undefined;
  }

  remove(trustDomain: string): void {
    if (this.#pems.delete(trustDomain)) for (const listener of this.#listeners) listener(trustDomain);
  }

  /** The roots of one trust domain as one PEM text; undefined when it has none. */
  rootPem(trustDomain: string): string | undefined {
    return this.#pems.get(trustDomain)?.join("");
  }

  trustDomains(): string[] {
    return [...this.#pems.keys()].toSorted();
  }

  onChange(listener: (trustDomain: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Whether a certificate that was verified against the roots of `verifiedBy` may name `trustDomain`: every root that may
   * have vouched for it must also be one of `trustDomain`'s own.
   */
  isVouchedFor(trustDomain: string, verifiedBy: string): boolean {
    if (trustDomain === verifiedBy) return true;
    const own = this.#pems.get(trustDomain);
    return own !== undefined && (this.#pems.get(verifiedBy) ?? []).every((pem) => own.includes(pem));
  }

  /** A sentence when the chain (leaf first) is not a valid proof of its single identity at this time. */
  problemOf(
    chain: readonly X509Certificate[],
    isValidAt: (certificate: X509Certificate) => boolean,
  ): string | undefined {
    const [leaf] = chain;
    const [identity, ...more] = leaf ? spiffeIdsOf(leaf) : [];
    const parts = identity === undefined || more.length > 0 ? undefined : parseIdentity(identity);
    if (!leaf || !parts) return "The certificate does not name exactly one SPIFFE identity.";
    const roots = (this.#pems.get(parts.trustDomain) ?? []).flatMap((pem) => readCertificate(pem) ?? []);
    if (roots.length === 0) return `No bundle is known for trust domain ${parts.trustDomain}.`;
    let at = leaf;
    for (let hop = 0; hop < chainLengthMax; hop += 1) {
      if (!isValidAt(at)) return `A certificate in the chain of ${identity} is expired or not valid yet.`;
      const isBy = (issuer: X509Certificate) => issuer.ca && at.checkIssued(issuer) && at.verify(issuer.publicKey);
      const root = roots.find((candidate) => candidate.raw.equals(at.raw) || isBy(candidate));
      if (root) return isValidAt(root) ? undefined : `The root of trust domain ${parts.trustDomain} has expired.`;
      const issuer = chain.find(isBy);
      if (!issuer) break;
      at = issuer;
    }
    return `The certificate of ${identity} leads to no root of trust domain ${parts.trustDomain}.`;
  }
}
