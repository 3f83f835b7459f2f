/** The control plane's own certificate, signed by its own authority, renewed by time and when the authority changes. */
import { controlPlaneName } from "../../../core/api/names.ts";
import { spiffeId } from "../../../core/mesh/model.ts";
import type { MeshSettings } from "../../../core/mesh/model.ts";
import type { Host } from "../../../io/host/host.ts";
import { CertificateStore } from "../../../io/identity/certificate-store.ts";
import type { WorkloadCertificate } from "../../../io/identity/certificate.ts";
import { makeKeyAndCsr } from "../../../io/identity/csr.ts";
import type { CertificateSource } from "../../../io/identity/tls-credentials.ts";
import type { CaSource } from "./ca-keeper.ts";

/** Names under which agents and peers know a control plane; the second is what proxies of other makes expect. */
const serviceNames = [controlPlaneName, "istiod"];

const ownDnsNames = (namespace: string, clusterDomain: string): readonly string[] =>
  serviceNames.flatMap((name) => [
    name,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${clusterDomain}`,
  ]);

const ownIdentity = (mesh: MeshSettings, namespace: string): string =>
  spiffeId(mesh.trustDomain, namespace, controlPlaneName);

export interface OwnCertificate extends CertificateSource {
  /** Resolves once there is one. */
  readonly first: Promise<void>;
  close(): void;
}

export function keepOwnCertificate(host: Host, ca: CaSource, mesh: MeshSettings, namespace: string): OwnCertificate {
  const identity = ownIdentity(mesh, namespace);
  const dnsNames = ownDnsNames(namespace, mesh.clusterDomain);
  const issue = async (): Promise<WorkloadCertificate> => {
    const authority = ca.authority();
    if ("problem" in authority) throw new Error(authority.problem);
    const { keyPem, csrPem } = await makeKeyAndCsr(identity);
    const signed = await authority.sign({ csrPem, identity, dnsNames });
    if (!signed.ok) throw new Error(signed.problem);
    const { chainPems, rootPem, notAfterMs } = signed;
    return { identity, keyPem, chainPem: chainPems.join(""), rootPem, notBeforeMs: host.clock.now(), notAfterMs };
  };
  const store = new CertificateStore(host, issue);
  const first = new Promise<void>((resolve) => store.onChange(() => resolve()));
  let isWanted = false;
  ca.onChange(() => {
    if (isWanted) store.renewAll();
    else store.want(identity);
    isWanted = true;
  });
  return {
    first,
    current: () => store.get(identity),
    onChange: (listener) => store.onChange(() => listener()),
    close: () => store.close(),
  };
}
