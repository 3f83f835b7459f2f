/** When a node's agent is ready, and its metrics beside those of its Envoy. */
import { podWorkloadUid } from "../../core/envoy/endpoints.ts";
import type { NodeView } from "../../core/envoy/view.ts";
import type { Host } from "../../io/host/host.ts";
import type { DeltaClient } from "../../io/xds/delta-client.ts";
import type { Captor } from "./capture/captor.ts";
import type { NodeConfiguration } from "./cni/node-configuration.ts";
import { serveHealth } from "./health.ts";
import type { Proxy } from "./proxy.ts";

/** A rollout waits for the capture of a node's pods, but one pod that cannot be captured does not stop it for ever. */
const settleMsMax = 15_000;

export interface NodeHealth {
  readonly model: DeltaClient;
  readonly proxy: Proxy;
  readonly captor: Captor;
  readonly cni: NodeConfiguration | undefined;
  readonly view: NodeView;
  readonly signal: AbortSignal;
}

export function serveNodeHealth(host: Host, { model, proxy, captor, cni, view, signal }: NodeHealth) {
  const settleBy = host.clock.elapsed() + settleMsMax;
  const unknown = () =>
    [...view.podsByUid.values()].filter(
      (pod) => view.replica.workload(podWorkloadUid(view.cluster, pod)) === undefined,
    );
  return serveHealth({
    address: "0.0.0.0",
    unready: async () => {
      if (signal.aborted) return "The agent is shutting down.";
      if (!model.isSynced) return "The model has not arrived from the control plane yet.";
      if (!(await proxy.admin.isReady())) return "Envoy is not ready yet.";
      if (cni?.problem !== undefined) return cni.problem;
      const isWaiting = !captor.isSettled && host.clock.elapsed() < settleBy;
      return isWaiting ? "Some pods of the node are not captured yet." : undefined;
    },
    metrics: async () => {
      const numbers = {
        pods: view.podsByUid.size,
        unknown: unknown().length,
        dials: proxy.source.demandedClusters().length,
      };
      return `${await proxy.admin.get("/stats/prometheus")}${ownMetrics(numbers)}`;
    },
  });
}

const gauge = (name: string, help: string, value: number): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;

const ownMetrics = ({ pods, unknown, dials }: { pods: number; unknown: number; dials: number }): string =>
  gauge("tombolo_agent_captured_pods", "Pods of this node that are captured.", pods) +
  gauge("tombolo_agent_unknown_pods", "Captured pods that the model does not have yet.", unknown) +
  gauge("tombolo_agent_destinations", "Destinations for which Envoy holds a cluster.", dials);
