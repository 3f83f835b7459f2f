/**
 * Roots of trust, one bundle per trust domain, never mixed: a certificate counts only if it leads to a root of the very
 * trust domain that its identity names.
 */
import { readCertificate, splitPem } from "./x509.ts";

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
}
