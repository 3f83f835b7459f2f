/** Everything the control plane watches on its cluster, and how it reaches the mesh's sources. */
import type { ConfigMap, KubeObject } from "../../core/api/kube.ts";
import type { Gateway } from "../../core/api/mesh-kinds.ts";
import { meshKinds } from "../../core/api/mesh-kinds.ts";
import { gatewayClass, rootCertConfigMap } from "../../core/api/names.ts";
import { builtin } from "../../core/api/resources.ts";
import type { Source } from "../../core/graph/collection.ts";
import { type Problem, problemKey } from "../../core/mesh/problem.ts";
import type { MeshSources } from "../../core/mesh/sources.ts";
import type { Host } from "../../io/host/host.ts";
import type { KubeClient } from "../../io/kube/client.ts";
import { startInformer } from "../../io/kube/informer.ts";
import type { Informer } from "../../io/kube/informer.ts";
import { problemsOfGateway } from "./gateways/check.ts";
import { managedSelector } from "./gateways/controller.ts";
import { Kept } from "./kept.ts";

export type Inputs = ReturnType<typeof startInputs>;

export function startInputs(host: Host, client: KubeClient, signal: AbortSignal) {
  const kept = new Kept();
  const whole = <T extends KubeObject>() => ({ signal, keep: (one: T) => kept.whole(one) });
  return {
    namespaces: startInformer(host, client, builtin.namespaces, { signal, keep: (one) => kept.namespace(one) }),
    nodes: startInformer(host, client, builtin.nodes, { signal, keep: (one) => kept.node(one) }),
    pods: startInformer(host, client, builtin.pods, { signal, keep: (one) => kept.pod(one) }),
    services: startInformer(host, client, builtin.services, { signal, keep: (one) => kept.service(one) }),
    serviceEntries: startInformer(host, client, meshKinds.serviceEntries, {
      signal,
      keep: (one) => kept.serviceEntry(one),
    }),
    workloadEntries: startInformer(host, client, meshKinds.workloadEntries, {
      signal,
      keep: (one) => kept.workloadEntry(one),
    }),
    gateways: startInformer(host, client, meshKinds.gateways, whole()),
    gatewayClasses: startInformer(host, client, meshKinds.gatewayClasses, whole()),
    segments: startInformer(host, client, meshKinds.segments, whole()),
    authorizationPolicies: startInformer(host, client, meshKinds.authorizationPolicies, whole()),
    peerAuthentications: startInformer(host, client, meshKinds.peerAuthentications, whole()),
    deployments: startInformer(host, client, builtin.deployments, { ...whole(), labelSelector: managedSelector }),
    serviceAccounts: startInformer(host, client, builtin.serviceAccounts, {
      ...whole(),
      labelSelector: managedSelector,
    }),
    rootCerts: startInformer<ConfigMap>(host, client, builtin.configMaps, {
      ...whole(),
      fieldSelector: `metadata.name=${rootCertConfigMap}`,
    }),
  } as const;
}

/** What the model does not know of east-west Gateways: listeners and addresses that cannot be had. */
function reportGateway(
  reports: Source<Problem>,
  key: string,
  { before, after }: { readonly before: Gateway | undefined; readonly after: Gateway | undefined },
): void {
  const problemsOf = (gateway: Gateway | undefined) =>
    gateway?.spec.gatewayClassName === gatewayClass.eastWest ? problemsOfGateway(gateway, key) : [];
  for (const problem of problemsOf(before)) reports.delete(`reported/${problemKey(problem)}`);
  for (const problem of problemsOf(after)) reports.set(`reported/${problemKey(problem)}`, problem);
}

/** Resolves when every kind was listed once. */
export async function allSynced(inputs: Inputs): Promise<void> {
  await Promise.all(Object.values(inputs).map(({ synced }) => synced));
}

/** From now on every change is staged in the mesh's sources, and `schedule` is called. */
export function feedMesh(inputs: Inputs, sources: MeshSources, schedule: () => void): void {
  const feed = <T extends KubeObject>(informer: Informer<T>, source: Source<T>): void =>
    informer.onChange((changes) => {
      for (const { key, after } of changes) {
        if (after === undefined) source.delete(key);
        else source.set(key, after);
      }
      schedule();
    });
  feed(inputs.namespaces, sources.namespaces);
  feed(inputs.nodes, sources.nodes);
  feed(inputs.pods, sources.pods);
  feed(inputs.services, sources.services);
  feed(inputs.serviceEntries, sources.serviceEntries);
  feed(inputs.workloadEntries, sources.workloadEntries);
  feed(inputs.gateways, sources.gateways);
  feed(inputs.gatewayClasses, sources.gatewayClasses);
  feed(inputs.segments, sources.segments);
  inputs.gateways.onChange((changes) => {
    for (const { key, before, after } of changes) reportGateway(sources.reports, key, { before, after });
  });
  feed(inputs.authorizationPolicies, sources.authorizationPolicies);
  feed(inputs.peerAuthentications, sources.peerAuthentications);
}
