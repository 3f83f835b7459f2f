/**
 * Keeps the mesh's root certificates in a ConfigMap of every namespace, where pods mount them from. The one of the mesh's
 * own namespace also says who signs now, so that agents renew when that changes.
 */
import type { ConfigMap, Namespace } from "../../../core/api/kube.ts";
import { issuerFile, label, rootCertConfigMap, rootCertFile } from "../../../core/api/names.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Host } from "../../../io/host/host.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import { Reconciler } from "./reconciler.ts";

export interface RootCertOptions {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** Those named `istio-ca-root-cert`, by object key. */
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  /** PEM; undefined while there is no CA. */
  readonly roots: () => string | undefined;
  /** Fingerprint of the signing certificate. */
  readonly issuer: () => string | undefined;
  /** Of the mesh, where agents run. */
  readonly ownNamespace: string;
  readonly failed?: (writer: string) => void;
}

/** Keys are names of namespaces. */
export function rootCertWriter(host: Host, client: KubeClient, options: RootCertOptions): Reconciler {
  const { namespaces, configMaps, roots, issuer, ownNamespace, failed } = options;
  const reconcile = async (namespace: string, signal: AbortSignal): Promise<void> => {
    const pem = roots();
    const isThere = namespaces.get(namespace)?.metadata.deletionTimestamp === undefined && namespaces.has(namespace);
    if (pem === undefined || !isThere) return;
    const have = configMaps.get(`${namespace}/${rootCertConfigMap}`);
    const signer = namespace === ownNamespace ? issuer() : undefined;
    const isUpToDate = have?.data?.[rootCertFile] === pem && (signer === undefined || have.data[issuerFile] === signer);
    if (isUpToDate) return;
    const metadata = { name: rootCertConfigMap, namespace, labels: { [label.managedBy]: "tombolo" } };
    const data = { [rootCertFile]: pem, ...(signer !== undefined && { [issuerFile]: signer }) };
    if (have === undefined) {
      const made = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
      try {
        await client.create(builtin.configMaps, made, { signal });
        return;
      } catch (error) {
        // The namespace went, or the cache lags behind an object that is there: the latter comes back as a change.
        if (isReason(error, "NotFound")) return;
        if (!isReason(error, "AlreadyExists")) throw error;
      }
    }
    const ref = { name: rootCertConfigMap, namespace };
    await client.patch(builtin.configMaps, ref, { type: "merge", body: { data } }, { signal });
  };
  return new Reconciler(host, {
    name: "root certificates",
    keys: () => namespaces.keys(),
    reconcile,
    ...(failed && { failed }),
  });
}
