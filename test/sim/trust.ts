/** The certificates of all worlds: made once, with real keys, before virtual time begins. Nothing in a world signs. */
import { X509Certificate } from "node:crypto";
import type { CaSource } from "../../src/apps/control/trust/ca-keeper.ts";
import type { OwnCertificate } from "../../src/apps/control/trust/own-certificate.ts";
import { systemHost } from "../../src/io/host/host.ts";
import { CertificateAuthority } from "../../src/io/identity/ca.ts";
import { checkCaSecret } from "../../src/io/identity/ca-secret.ts";
import { makeKeyAndCsr } from "../../src/io/identity/csr.ts";
import { mintIntermediate, mintRoot, pluggedInSecret } from "../../src/io/identity/mint.ts";
import { controlPlaneIdentity } from "../../src/io/peering/wire-names.ts";

export const clusterNames = ["c1", "c2", "c3", "c4"] as const;
export const trustDomainOf = (cluster: string): string => `${cluster}.local`;

export interface Trust {
  readonly ca: CaSource;
  readonly certificate: OwnCertificate;
  /** Of the control plane, as its peers see it. */
  readonly der: Uint8Array;
}

let made: Promise<ReadonlyMap<string, Trust>> | undefined;

/** By cluster. */
export const trustOfAll = (): Promise<ReadonlyMap<string, Trust>> => (made ??= make());

async function make(): Promise<ReadonlyMap<string, Trust>> {
  const silent = () => undefined;
  const host = { ...systemHost(), log: { debug: silent, info: silent, warn: silent, error: silent } };
  const root = await mintRoot(host, { name: "root of all worlds" });
  const byCluster = new Map<string, Trust>();
  for (const cluster of clusterNames) {
    const secret = pluggedInSecret(root, await mintIntermediate(host, root, { name: cluster }));
    const checked = await checkCaSecret("cacerts", secret, host.clock.now());
    if (!checked.ok) throw new Error(checked.problem);
    const authority = await CertificateAuthority.load(host, checked.material);
    const identity = controlPlaneIdentity(trustDomainOf(cluster));
    const { csrPem, keyPem } = await makeKeyAndCsr(identity);
    const signed = await authority.sign({ csrPem, identity });
    if (!signed.ok) throw new Error(signed.problem);
    const { chainPems, rootPem, notAfterMs } = signed;
    const current = { identity, keyPem, chainPem: chainPems.join(""), rootPem, notBeforeMs: 0, notAfterMs };
    byCluster.set(cluster, {
      ca: {
        authority: () => authority,
        rootPem: checked.material.rootPem,
        onChange: (heard) => heard(authority),
        start: () => Promise.resolve(authority),
        secretName: "cacerts",
        trouble: undefined,
      },
      certificate: {
        first: Promise.resolve(),
        current: () => current,
        onChange: () => silent,
        close: silent,
      },
      der: new X509Certificate(chainPems[0] ?? "").raw,
    });
  }
  return byCluster;
}
