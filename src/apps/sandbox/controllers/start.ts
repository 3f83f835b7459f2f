/** Starts the sandbox's controllers over one API server. The signal ends them all; nothing of theirs is kept elsewhere. */
import { setMaxListeners } from "node:events";
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";
import type { AddressRange } from "./address-ranges.ts";
import { watchCluster } from "./cluster.ts";
import { startCronJobs } from "./cron-job.ts";
import { startDaemonSets } from "./daemon-set.ts";
import { startDeployments } from "./deployment.ts";
import { startEndpointSlices } from "./endpoint-slices.ts";
import { startEventExpiry } from "./events.ts";
import { startGarbageCollector } from "./garbage.ts";
import { startJobs } from "./job.ts";
import { startLoadBalancers } from "./load-balancers.ts";
import { startNamespaces } from "./namespaces.ts";
import { startNodeLifecycle } from "./node-lifecycle.ts";
import type { ServedKinds } from "./object-graph.ts";
import { startReplicaSets } from "./replica-set.ts";
import { startScheduler } from "./scheduler.ts";
import { startStatefulSets } from "./stateful-set.ts";

export interface ControllerOptions {
  readonly clusterName: string;
  /** Nodes that come without a pod range get a /24 of this, such as "10.11.0.0/16". */
  readonly podCidr: string;
  /** Addresses for Services of type LoadBalancer; the node proxy programs what the statuses say. */
  readonly loadBalancerPool: AddressRange;
  /** Content of `kube-root-ca.crt` in every namespace. */
  readonly rootCaPem: string;
  /** Kinds with list and watch, each group and plural once. */
  readonly served: ServedKinds;
}

/** Every informer, mirror and queue listens for the end; Node would take so many for a leak. */
const stopListenersMax = 1_000;

/** Resolves when the controllers know the whole cluster and have begun to work. */
export async function startControllers(
  host: Host,
  client: KubeClient,
  options: ControllerOptions,
  outerSignal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  setMaxListeners(stopListenersMax, stop.signal);
  if (outerSignal.aborted) stop.abort(outerSignal.reason);
  outerSignal.addEventListener("abort", () => stop.abort(outerSignal.reason), { once: true });
  const { signal } = stop;
  const cluster = watchCluster(host, client, signal, options.served);
  startNamespaces(cluster, options.rootCaPem);
  startGarbageCollector(cluster);
  startDeployments(cluster);
  startReplicaSets(cluster);
  startDaemonSets(cluster);
  startStatefulSets(cluster);
  startJobs(cluster);
  startCronJobs(cluster);
  startScheduler(cluster);
  startEndpointSlices(cluster);
  startLoadBalancers(cluster, options.loadBalancerPool);
  startNodeLifecycle(cluster, options.podCidr);
  startEventExpiry(host, client, signal);
  await cluster.ready;
  host.log.info("controllers.started", { cluster: options.clusterName });
}
