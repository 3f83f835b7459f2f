/**
 * The EndpointSlice controller's loop: writes what `slices.ts` derives for every Service with a selector, the moment a
 * pod changes. It touches only slices that carry its own managed-by label, never hand-made ones.
 */
import { objectKey, type EndpointSlice } from "../../../core/api/kube.ts";
import { label } from "../../../core/api/names.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { isReason } from "../../../io/kube/client.ts";
import { isNamespaceOpen, type Cluster } from "./cluster.ts";
import { hasLabels } from "./labels.ts";
import { isDeleting } from "./pods.ts";
import { isOwnSlice, planSlices } from "./slices.ts";
import { isEqual } from "./template.ts";

export function startEndpointSlices(cluster: Cluster): void {
  const { mirrors } = cluster;
  const queue = cluster.queue({
    name: "endpointslice",
    keys: () => mirrors.services.keys(),
    reconcile: (key) => reconcile(cluster, key),
  });
  mirrors.services.onChange(({ key }) => queue.add(key));
  mirrors.endpointSlices.onChange(({ before, after }) => {
    for (const slice of [before, after]) {
      const service = slice?.metadata.labels?.[label.serviceName];
      if (slice !== undefined && service !== undefined) queue.add(`${slice.metadata.namespace}/${service}`);
    }
  });
  mirrors.pods.onChange(({ before, after }) => {
    const namespace = (after ?? before)?.metadata.namespace;
    if (namespace === undefined || isEqual(factsOf(before), factsOf(after))) return;
    for (const service of mirrors.services.inNamespace(namespace)) {
      const selector = service.spec.selector ?? {};
      const isHit = [before, after].some((pod) => pod !== undefined && hasLabels(pod.metadata.labels, selector));
      if (isHit && Object.keys(selector).length > 0) queue.add(objectKey(service));
    }
  });
  mirrors.nodes.onChange(({ before, after }) => {
    if (before?.metadata.labels?.[label.zone] === after?.metadata.labels?.[label.zone]) return;
    const name = (after ?? before)?.metadata.name;
    for (const pod of mirrors.pods.all()) {
      if (pod.spec.nodeName !== name) continue;
      for (const service of mirrors.services.inNamespace(pod.metadata.namespace ?? "default")) {
        if (hasLabels(pod.metadata.labels, service.spec.selector ?? {})) queue.add(objectKey(service));
      }
    }
  });
}

/** What of a pod an endpoint is made of; most changes of a pod's status touch none of it. */
const factsOf = (pod: Pod | undefined): unknown =>
  pod === undefined
    ? undefined
    : [
        pod.metadata.uid,
        pod.metadata.labels,
        isDeleting(pod),
        pod.spec.nodeName,
        pod.status?.phase,
        pod.status?.podIPs ?? pod.status?.podIP,
        pod.status?.conditions?.find(({ type }) => type === "Ready")?.status,
      ];

async function reconcile(cluster: Cluster, key: string): Promise<void> {
  const { mirrors, host } = cluster;
  const service = mirrors.services.get(key);
  // A deleted Service's slices go with it, by their owner reference.
  if (service === undefined || isDeleting(service)) return;
  const namespace = service.metadata.namespace ?? "default";
  const existing = mirrors.endpointSlices
    .inNamespace(namespace)
    .filter((slice) => isOwnSlice(slice, service.metadata.name) && !isDeleting(slice));
  const plan = planSlices({
    service,
    pods: mirrors.pods.inNamespace(namespace),
    existing,
    zoneOf: (node) => mirrors.nodes.get(node)?.metadata.labels?.[label.zone],
    random: host.random,
  });
  // Endpoints appear before others go: a moved endpoint is listed twice for a moment rather than not at all.
  if (isNamespaceOpen(cluster, namespace)) for (const slice of plan.create) await mirrors.endpointSlices.create(slice);
  for (const slice of plan.update) await ignoreGone(mirrors.endpointSlices.update(slice));
  for (const slice of plan.remove) await mirrors.endpointSlices.delete(slice);
}

async function ignoreGone(write: Promise<EndpointSlice>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
  }
}
