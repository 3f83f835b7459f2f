/**
 * The certificates of the node's pods and the roots they are checked against, as Envoy's secrets take them. Keys are made
 * here, kept in memory, and handed to Envoy over its unix socket only.
 */
import { readFileSync } from "node:fs";
import type { KeyPair, SecretSource } from "../../core/envoy/view.ts";
import type { Workload } from "../../core/mesh/model.ts";
import type { MeshReplica } from "../../core/mesh/replica.ts";
import { issuerFile } from "../../core/api/names.ts";
import { joinPath, parentPath } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { CaClient } from "../../io/identity/ca-client.ts";
import { loadX509 } from "../../io/identity/x509.ts";
import { CertificateStore } from "../../io/identity/certificate-store.ts";
import type { AgentConfig } from "./config.ts";
import { channelOptions, controlPlaneCredentials, token } from "./control-plane.ts";

/** The kubelet renews the mounted root within a minute or so; asking more often would not make it faster. */
const rootPollMs = 5_000;
/** The certificates of a node are renewed within this time when the authority changes, not all at once. */
const renewSpreadMs = 10_000;

/** One's own, and all that the model knows of. */
export function trustDomainsOf(replica: MeshReplica, own: string): readonly string[] {
  const domains = new Set([own]);
  for (const workload of replica.workloads()) for (const domain of domainsOf(workload)) domains.add(domain);
  return [...domains].sort();
}

/** Of a workload itself, and of those who may answer in its place. */
export function domainsOf({ trustDomain, remote }: Pick<Workload, "trustDomain" | "remote">): readonly string[] {
  const said = (remote?.identities ?? []).map((identity) => /^spiffe:\/\/([^/]+)\//.exec(identity)?.[1] ?? "");
  return [...new Set([trustDomain, ...said])].filter((domain) => domain !== "");
}

export class NodeCertificates implements SecretSource {
  readonly store: CertificateStore;
  readonly #host: Host;
  readonly #config: AgentConfig;
  readonly #replica: MeshReplica;
  readonly #releases = new Map<string, () => void>();
  #root = "";
  #issuer: string | undefined;

  constructor(host: Host, config: AgentConfig, replica: MeshReplica) {
    this.#host = host;
    this.#config = config;
    this.#replica = replica;
    this.#root = readFileSync(config.rootCertPath, "utf8");
    this.#issuer = readIfThere(issuerPath(config));
    // The certificate library takes half a second to load; the first pods of the node wait for their certificates.
    void loadX509();
    const options = { target: config.controlPlane, channelOptions: {}, token: () => token(config) };
    this.store = new CertificateStore(host, async (identity, signal) => {
      // A client of its own for each request, since the root may have changed; they are rare.
      const client = new CaClient(host, {
        ...options,
        ...channelOptions,
        credentials: controlPlaneCredentials(config),
      });
      try {
        return await client.request(identity, signal);
      } finally {
        client.close();
      }
    });
  }

  /** Exactly these identities are kept supplied. */
  want(identities: ReadonlySet<string>): void {
    for (const [identity, release] of this.#releases) {
      if (identities.has(identity)) continue;
      this.#releases.delete(identity);
      release();
    }
    for (const identity of identities) {
      if (!this.#releases.has(identity)) this.#releases.set(identity, this.store.want(identity));
    }
  }

  certificateOf(identity: string): KeyPair | undefined {
    const found = this.store.get(identity);
    return found && { certificateChain: found.chainPem, privateKey: found.keyPem };
  }

  /** One shared root vouches for every trust domain that the model knows; none other is accepted at all. */
  bundlesByTrustDomain(): ReadonlyMap<string, string> {
    const domains = trustDomainsOf(this.#replica, this.#config.trustDomain);
    return new Map(domains.map((domain) => [domain, this.#root]));
  }

  rootOfAllDomains(): string | undefined {
    return this.#config.skipTrustDomainCheck ? this.#root : undefined;
  }

  /** Follows the mounted root, and who signs, until the signal aborts. */
  async followRoot(changed: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#host.clock.sleep(rootPollMs, signal).catch(() => undefined);
      const now = readIfThere(this.#config.rootCertPath) ?? this.#root;
      if (now !== this.#root) {
        this.#root = now;
        this.#host.log.info("trust.changed", { file: this.#config.rootCertPath });
        changed();
      }
      this.#followIssuer();
    }
  }

  /** Certificates of the old issuer are good until they end, but its root may be taken away before. */
  #followIssuer(): void {
    const issuer = readIfThere(issuerPath(this.#config)) ?? this.#issuer;
    if (issuer === this.#issuer) return;
    const isNews = this.#issuer !== undefined;
    this.#issuer = issuer;
    if (!isNews) return;
    this.#host.log.info("trust.issuer", { issuer });
    this.store.renewAll(renewSpreadMs);
  }
}

const issuerPath = ({ rootCertPath }: AgentConfig): string => joinPath(parentPath(rootCertPath), issuerFile);

/** While the kubelet swaps the file it may be missing for a moment. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
