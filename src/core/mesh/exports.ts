/** What this cluster tells its peers: one row per published service. Generations are given outside. */
import { label } from "../api/names.ts";
import type { Collection, Reader } from "../graph/collection.ts";
import type { Graph } from "../graph/graph.ts";
import { compareKeys } from "../graph/order.ts";
import type { LocalService, LocalServices } from "./local-services.ts";
import type { LocalWorkloads } from "./local-workloads.ts";
import { type Export, identityOf, type MeshSettings, type ReadyCount, serviceKey, type Workload } from "./model.ts";
import type { Peers } from "./peers.ts";
import { withoutTarget } from "./ports.ts";
import { type Problem, problemKey } from "./problem.ts";
import { shared, trimmed } from "./shared.ts";

export interface Exports {
  /** Key `<cluster>/<ns>/<name>`. */
  readonly rows: Collection<Export>;
  readonly problems: Collection<Problem>;
}

export function wireExports(
  graph: Graph,
  settings: MeshSettings,
  from: { readonly localServices: LocalServices; readonly localWorkloads: LocalWorkloads; readonly peers: Peers },
): Exports {
  const { localServices, localWorkloads, peers } = from;
  const podsOf = (service: LocalService, read: Reader): readonly Workload[] =>
    read.lookup(localWorkloads.byService, serviceKey(service));
  const rows = graph.derive<LocalService, Export>("exports", localServices.rows, function* (service, read, key) {
    const { published } = service;
    if (published === undefined) return;
    const pods = podsOf(service, read);
    // Peers reach a pod through its proxy only, so pods outside the mesh do not count.
    const ready = pods.filter((pod) => pod.tunnel !== "none" && (pod.isHealthy || service.publishNotReady));
    const isFlat = read.all(peers.sameNetwork).length > 0;
    yield [
      `${settings.cluster}/${key}`,
      {
        cluster: settings.cluster,
        network: settings.network,
        trustDomain: settings.trustDomain,
        segment: published.segment,
        segmentDomain: published.domain,
        namespace: service.namespace,
        name: service.name,
        scope: published.scope,
        takeover: published.takeover,
        ports: shared.of(service.ports.map(withoutTarget)),
        identities: trimmed([...new Set(pods.map(identityOf))].sort(compareKeys)),
        aliases: published.aliases,
        ...(service.trafficDistribution === undefined ? {} : { trafficDistribution: service.trafficDistribution }),
        ready: shared.of(readyCounts(ready)),
        endpoints: trimmed(isFlat ? ready.flatMap((pod) => exportedEndpoint(pod, service)) : []),
        generation: 0,
      },
    ];
  });
  const problems = graph.derive<LocalService, Problem>(
    "exports.problems",
    localServices.rows,
    function* (service, read) {
      if (service.published === undefined) return;
      const ready = podsOf(service, read).filter((pod) => pod.isHealthy);
      if (ready.length === 0 || ready.some((pod) => pod.tunnel !== "none")) return;
      const { namespace, name } = service;
      const problem: Problem = {
        kind: "Service",
        namespace,
        name,
        reason: "PodsNotInMesh",
        message:
          `Service ${namespace}/${name}: it is published but none of its pods is in ` +
          "the mesh, so peers cannot reach it.",
        remedy: `Label Namespace ${namespace} ${label.dataplaneMode}=ambient.`,
        shownAs: "event",
      };
      yield [problemKey(problem), problem];
    },
  );
  return { rows, problems };
}

function readyCounts(ready: readonly Workload[]): readonly ReadyCount[] {
  const counts = new Map<string, { locality: Workload["locality"]; pods: number }>();
  for (const { locality } of ready) {
    const key = `${locality.region}/${locality.zone}/${locality.subzone}`;
    const count = counts.get(key) ?? { locality, pods: 0 };
    count.pods += 1;
    counts.set(key, count);
  }
  return [...counts].sort(([a], [b]) => compareKeys(a, b)).map(([, count]) => count);
}

function exportedEndpoint(pod: Workload, service: LocalService): Export["endpoints"] {
  const address = pod.addresses[0];
  if (address === undefined) return [];
  const ports = pod.services[serviceKey(service)] ?? [];
  return [{ name: pod.name, address, identity: identityOf(pod), locality: pod.locality, ports }];
}
