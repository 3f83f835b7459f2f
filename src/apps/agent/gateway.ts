/** The agent beside the Envoy of an east-west gateway: model stream in, listeners out. It holds no certificate. */
import { controlPlaneName, port, systemNamespace } from "../../core/api/names.ts";
import { gatewayResourceSet } from "../../core/envoy/resource-set.ts";
import type { GatewayView } from "../../core/envoy/view.ts";
import { MeshReplica } from "../../core/mesh/replica.ts";
import type { Host } from "../../io/host/host.ts";
import { joinPath } from "../../io/host/files.ts";
import type { AgentConfig } from "./config.ts";
import { serveHealth } from "./health.ts";
import { modelClient } from "./model.ts";
import { startProxy } from "./proxy.ts";

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly programPath: string;
  readonly signal: AbortSignal;
  /** Aborted when Envoy must end: after `signal`, and after what drains has had its time. */
  readonly envoySignal: AbortSignal;
}

export async function runGateway(host: Host, config: AgentConfig, around: Surroundings): Promise<void> {
  const replica = new MeshReplica();
  const controlPlane = { host: `${controlPlaneName}.${systemNamespace}.svc.cluster.local`, port: port.controlPlane };
  const view: GatewayView = { cluster: config.cluster, network: config.network, replica, controlPlane };
  const model = modelClient(host, config, replica);
  const folder = joinPath(config.stateDir, config.podName);
  const proxy = await startProxy(host, {
    ...around,
    config,
    folder,
    resources: gatewayResourceSet(() => view),
    signal: around.envoySignal,
  });
  replica.onChange((change) => proxy.source.replicaChanged(change));
  const following = model.run(around.signal);
  const health = await serveHealth({
    address: "0.0.0.0",
    unready: async () => {
      if (around.signal.aborted) return "The gateway is shutting down.";
      if (!model.isSynced) return "The model has not arrived from the control plane yet.";
      return (await proxy.admin.isReady()) ? undefined : "Envoy is not ready yet.";
    },
    metrics: () => proxy.admin.get("/stats/prometheus"),
  });
  await proxy.running;
  for (const server of health) server.close();
  await following;
}
