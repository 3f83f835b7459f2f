/** The agent beside the Envoy of an east-west gateway: model stream in, listeners out. It holds no certificate. */
import { controlPlaneName, port, systemNamespace } from "../../core/api/names.ts";
import { gatewayResourceSet } from "../../core/envoy/resource-set.ts";
import type { GatewayView } from "../../core/envoy/view.ts";
import { MeshReplica } from "../../core/mesh/replica.ts";
import type { Host } from "../../io/host/host.ts";
import { joinPath } from "../../io/host/files.ts";
import { whenAborted } from "../../io/host/when-aborted.ts";
import type { AgentConfig, Surroundings } from "./config.ts";
import type { EnvoyAdmin } from "./envoy/admin.ts";
import { modelPages } from "./debug/model-pages.ts";
import { serveDebug } from "./debug/server.ts";
import { serveHealth } from "./health.ts";
import { modelClient } from "./model.ts";
import { startProxy } from "./proxy.ts";

/** Load balancers and peers hear of the end within this time; until then new connections still come. */
const leaveMs = 2_000;
const drainPollMs = 250;

/** Waits until no connection passes the gateway any more, as long as the pod's grace period allows. */
async function drained(host: Host, admin: EnvoyAdmin, drainMs: number): Promise<void> {
  const end = host.clock.elapsed() + drainMs;
  await host.clock.sleep(Math.min(leaveMs, drainMs));
  while (host.clock.elapsed() < end) {
    const stats = await admin.get("/stats?filter=cross-network.downstream_cx_active").catch(() => ": 0");
    if (/: 0$/m.test(stats) || stats.trim() === "") return;
    await host.clock.sleep(drainPollMs);
  }
}

export async function runGateway(host: Host, config: AgentConfig, around: Surroundings): Promise<void> {
  const replica = new MeshReplica();
  const controlPlane = { host: `${controlPlaneName}.${systemNamespace}.svc.cluster.local`, port: port.controlPlane };
  const view: GatewayView = { cluster: config.cluster, network: config.network, replica, controlPlane };
  const model = modelClient(host, config, replica);
  const folder = joinPath(config.stateDir, config.podName);
  const envoyEnd = new AbortController();
  const proxy = await startProxy(host, {
    ...around,
    config,
    folder,
    resources: gatewayResourceSet(() => view, { accessLogPath: config.accessLogPath }),
    signal: envoyEnd.signal,
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
  const { mode, node, cluster, network } = config;
  const status = async () => ({
    mode,
    node,
    cluster,
    network,
    isSynced: model.isSynced,
    isEnvoyReady: await proxy.admin.isReady(),
    isEnvoyCurrent: proxy.isCurrent(),
  });
  const debug = await serveDebug(modelPages({ ...view, status }));
  whenAborted(around.signal, () => {
    void drained(host, proxy.admin, config.drainMs).finally(() => envoyEnd.abort(around.signal.reason));
  });
  await proxy.running;
  for (const server of [...health, debug]) server.close();
  await following;
}
