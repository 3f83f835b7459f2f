/**
 * Which trust domains are believed. One's own by the cluster's own roots; those of peers by the same roots when the mesh
 * is set not to check trust domains (clusters that share a root but not a domain), else not at all.
 */
import { X509Certificate } from "node:crypto";
import type { MeshSettings } from "../../../core/mesh/model.ts";
import type { Host } from "../../../io/host/host.ts";
import { TrustBundles } from "../../../io/identity/trust.ts";
import { parseIdentity, spiffeIdsOf } from "../../../io/identity/x509.ts";

/** Domains of peers; as many as there may be links, in both directions. */
const domainsMax = 512;

export class PeerTrust {
  readonly bundles = new TrustBundles();
  private readonly host: Host;
  private readonly settings: MeshSettings;
  private readonly domains = new Set<string>();
  private rootPem: string | undefined;

  constructor(host: Host, settings: MeshSettings) {
    this.host = host;
    this.settings = settings;
  }

  /** The cluster's own roots are these from now on. */
  setRoots(rootPem: string): void {
    this.rootPem = rootPem;
    for (const domain of [this.settings.trustDomain, ...this.domains]) this.set(domain, rootPem);
  }

  /** A peer of this domain is known. */
  meet(domain: string): void {
    const isKnown = domain === this.settings.trustDomain || this.domains.has(domain);
    if (!this.settings.skipTrustDomainCheck || isKnown || this.domains.size >= domainsMax) return;
    this.domains.add(domain);
    if (this.rootPem !== undefined) this.set(domain, this.rootPem);
  }

  /** The same for whoever presents this certificate, which was verified against our own roots. */
  meetCertificate(der: Uint8Array): void {
    const [identity = ""] = spiffeIdsOf(new X509Certificate(der));
    const domain = parseIdentity(identity)?.trustDomain;
    if (domain !== undefined) this.meet(domain);
  }

  private set(domain: string, rootPem: string): void {
    const problem = this.bundles.set(domain, rootPem);
    if (problem !== undefined) this.host.log.error("trust.bundle", { domain, problem });
  }
}
