/**
 * The life of namespaces: a default ServiceAccount and the root certificate while active; when terminating, all content
 * is deleted after a short grace and then the finalizer dropped, at the very event that makes it possible.
 */
import type { KubeObject, ResourceType } from "../../../core/api/kube.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import { isReason } from "../../../io/kube/client.ts";
import { kinds, type FinalizedNamespace } from "./kinds.ts";
import type { Cluster } from "./cluster.ts";
import { isDeleting } from "./pods.ts";

const rootCaName = "kube-root-ca.crt";
const rootCaKey = "ca.crt";
const accountName = "default";
const finalizer = "kubernetes";
/**
 * So long after its deletion a namespace keeps its content: `kubectl delete -f` deletes a file's namespace first and then
 * each object in it, which must still be there. The time of deletion has whole seconds.
 */
const graceMs = 2_000;

export function startNamespaces(cluster: Cluster, rootCaPem: string): void {
  const { mirrors, graph } = cluster;
  const queue = cluster.queue({
    name: "namespace",
    keys: () => mirrors.namespaces.keys(),
    reconcile: async (key) => {
      const namespace = mirrors.namespaces.get(key);
      if (namespace === undefined) return;
      if (isDeleting(namespace)) {
        const leftMs = graceLeftMs(cluster, namespace);
        if (leftMs > 0) queue.addAfter(key, leftMs);
        else await drain(cluster, namespace);
      } else await furnish(cluster, namespace, rootCaPem);
    },
  });
  mirrors.namespaces.onChange(({ key }) => queue.add(key));
  graph.onChange(({ after, before }) => {
    const object = before ?? after;
    const namespace = mirrors.namespaces.get(object?.metadata.namespace ?? "");
    if (object === undefined || namespace === undefined) return;
    const isFurniture =
      (object.kind === "ServiceAccount" && object.metadata.name === accountName) ||
      (object.kind === "ConfigMap" && object.metadata.name === rootCaName);
    if (isFurniture || isDeleting(namespace)) queue.add(namespace.metadata.name);
  });
}

function graceLeftMs({ host }: Cluster, { metadata }: FinalizedNamespace): number {
  const deletedAt = msOfIso(metadata.deletionTimestamp ?? "") ?? 0;
  return deletedAt + graceMs - host.clock.now();
}

async function furnish({ mirrors }: Cluster, { metadata }: FinalizedNamespace, rootCaPem: string): Promise<void> {
  const namespace = metadata.name;
  const { configMaps } = mirrors;
  if (mirrors.serviceAccounts.get(`${namespace}/${accountName}`) === undefined) {
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: accountName, namespace } };
    await ignore("AlreadyExists", mirrors.serviceAccounts.create(account));
  }
  const known = configMaps.get(`${namespace}/${rootCaName}`);
  if (known === undefined) {
    const data = { [rootCaKey]: rootCaPem };
    const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: rootCaName, namespace }, data };
    await ignore("AlreadyExists", configMaps.create(map));
  } else if (known.data?.[rootCaKey] !== rootCaPem) {
    await configMaps.merge(known, { data: { [rootCaKey]: rootCaPem } });
  }
}

/** Runs again with every object that goes; the last one lets the finalizer go. */
async function drain(cluster: Cluster, namespace: FinalizedNamespace): Promise<void> {
  if (namespace.spec?.finalizers?.includes(finalizer) !== true) return;
  const { client, graph, signal } = cluster;
  const known = graph
    .mirrors()
    .flatMap((mirror) => mirror.inNamespace(namespace.metadata.name).map((object) => ({ mirror, object })));
  if (known.length > 0) {
    const staying = known.filter(({ object }) => !isDeleting(object));
    await Promise.all(staying.map(({ mirror, object }) => mirror.delete(object, { propagationPolicy: "Background" })));
    return;
  }
  // The mirrors may lag; the store itself must have nothing left.
  const types = graph.types().filter(({ namespaced }) => namespaced);
  let left = 0;
  for (const type of types) left += await drainKind(cluster, type, namespace.metadata.name);
  if (left > 0) return;
  // Events tell of deletions to the very end and nobody waits for them, so they go last.
  await drainKind(cluster, kinds.events, namespace.metadata.name);
  const finalizers = namespace.spec.finalizers.filter((name) => name !== finalizer);
  const open = { ...namespace, spec: { ...namespace.spec, finalizers } };
  try {
    await client.update(kinds.namespaces, open, { subresource: "finalize", signal });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}

/** Deletes what is not on its way out yet, and says how many objects were there. */
async function drainKind<T extends KubeObject>(
  { client, signal }: Cluster,
  type: ResourceType<T>,
  namespace: string,
): Promise<number> {
  try {
    const { items } = await client.list(type, { namespace, signal });
    await Promise.all(
      items
        .filter((object) => !isDeleting(object))
        .map(({ metadata }) =>
          ignore(
            "NotFound",
            client.delete(
              type,
              { name: metadata.name, namespace },
              {
                uid: metadata.uid,
                propagationPolicy: "Background",
                signal,
              },
            ),
          ),
        ),
    );
    if (items.length === 0) return 0;
    return (await client.list(type, { namespace, signal })).items.length;
  } catch (error) {
    // The kind went away with its CRD, and its objects with it.
    if (isReason(error, "NotFound")) return 0;
    throw error;
  }
}

async function ignore(reason: string, write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isReason(error, reason)) throw error;
  }
}
