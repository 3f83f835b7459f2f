/**
 * The agent of a node: follows the node's pods and the model, captures, keeps certificates, answers DNS, runs Envoy.
 * Wiring only; each part owns its own state.
 */
import { errorText } from "../../core/api/error-text.ts";
import { agentName, annotation, port, systemNamespace } from "../../core/api/names.ts";
import { podWorkloadUid } from "../../core/envoy/endpoints.ts";
import { podListenerName } from "../../core/envoy/names.ts";
import { nodeResourceSet } from "../../core/envoy/resource-set.ts";
import type { LocalPod, ProbeEnds } from "../../core/envoy/view.ts";
import { spiffeId } from "../../core/mesh/model.ts";
import { type MeshReplica, policyKey } from "../../core/mesh/replica.ts";
import { systemLookup, WatchedNames } from "../../io/dns/watched-names.ts";
import { joinPath } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { whenAborted } from "../../io/host/when-aborted.ts";
import type { KubeClient } from "../../io/kube/client.ts";
import { httpKubeClient } from "../../io/kube/http-client.ts";
import { inClusterEndpoint } from "../../io/kube/in-cluster.ts";
import { noticeRefusals } from "../../io/kube/refusals.ts";
import type { DeltaClient } from "../../io/xds/delta-client.ts";
import { Captor } from "./capture/captor.ts";
import { captureEffects } from "./capture/effects.ts";
import { NodePods } from "./capture/node-pods.ts";
import { NodeCertificates } from "./certificates.ts";
import { NodeConfiguration } from "./cni/node-configuration.ts";
import { CniRequests } from "./cni/requests.ts";
import type { AgentConfig, Surroundings } from "./config.ts";
import { serveNodeDebug } from "./debug/node-pages.ts";
import { serveMeshDns } from "./dns.ts";
import { followGatewayNames, followLocality, followReplica } from "./follow-model.ts";
import { leave } from "./leave.ts";
import { modelClient } from "./model.ts";
import { serveNodeHealth } from "./node-health.ts";
import { emptyModel } from "./node-view.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { RefusedGates } from "./refused-gates.ts";

export async function runNode(host: Host, config: AgentConfig, around: Surroundings): Promise<void> {
  const { signal } = around;
  const envoyEnd = new AbortController();
  const client = noticeRefusals(host, httpKubeClient(host, await inClusterEndpoint(host, around.env)), {
    role: agentName,
  });
  const names = new WatchedNames(host, systemLookup, () => proxy.source.refresh());
  const nodeModel = emptyModel(config, { probe: probeEnds(config), names });
  const { replica, view, podsByUid } = nodeModel;
  const certificates = new NodeCertificates(host, config, replica);
  const proxy = await startProxy(host, {
    env: around.env,
    programPath: around.programPath,
    signal: envoyEnd.signal,
    config,
    resources: nodeResourceSet(() => view, certificates, { accessLogPath: config.accessLogPath }),
    folder: nodeFolder(config),
  });
  followReplica(replica, config.trustDomain, proxy.source);
  certificates.store.onChange(() => proxy.source.refresh());
  followGatewayNames(replica, names);
  followLocality(nodeModel, proxy.source);

  const pods = new NodePods(host, client, { node: config.node, signal });
  const changed = () => {
    const own = view.probe === undefined ? [] : [view.probe.identity];
    certificates.want(new Set([...own, ...[...podsByUid.values()].map((pod) => pod.identity)]));
    proxy.source.refresh();
  };
  changed();
  proxy.source.closedListener = new RefusedGates(host, client, {
    podsByUid,
    signal,
    saidOn: (pod) => pods.annotationOf(pod, annotation.refusedPolicies),
    policiesOf: (pod) => policiesOf(replica, podWorkloadUid(config.cluster, pod)),
  });
  const captor = captorOf(host, config, pods, client, { proxy, podsByUid, signal, changed });
  const model = modelClient(host, config, replica, { connected: () => certificates.store.retryFailed() });
  const following = [model.run(signal), certificates.followRoot(() => proxy.source.refresh(), signal)];
  await new CniRequests(host, joinPath(config.stateDir, "cni"), pods).serve(signal);
  const cni = config.cni && new NodeConfiguration(host, config.cni);
  await cni?.keep(signal);
  const dnsOptions = { ...config, port: port.dns, replica, podsByUid };
  const dns = config.captureDns ? await serveMeshDns(host, dnsOptions) : undefined;
  void pods.run(captor, modelSynced(host, model, signal), signal);
  whenAborted(signal, () => {
    void leave(host, client, captor, cni)
      .catch((error: unknown) => host.log.warn("agent.leave", { cause: errorText(error) }))
      .finally(() => envoyEnd.abort(signal.reason));
  });
  const health = await serveNodeHealth(host, { model, proxy, captor, cni, view, signal });
  const debug = await serveNodeDebug(host, { config, view, certificates, proxy, isSynced: () => model.isSynced });
  await proxy.running;
  for (const server of [...health, debug]) server.close();
  dns?.close();
  names.close();
  certificates.store.close();
  await Promise.all(following);
}

const nodeFolder = ({ stateDir }: AgentConfig): string => joinPath(stateDir, "node");

const probeEnds = (config: AgentConfig): ProbeEnds => ({
  nodeIp: config.nodeIp,
  doorPath: joinPath(nodeFolder(config), "probe.sock"),
  identity: spiffeId(config.trustDomain, systemNamespace, agentName),
});

interface CaptorOptions {
  readonly proxy: Proxy;
  readonly podsByUid: Map<string, LocalPod>;
  readonly signal: AbortSignal;
  readonly changed: () => void;
}

function captorOf(host: Host, config: AgentConfig, pods: NodePods, client: KubeClient, options: CaptorOptions): Captor {
  const { proxy, podsByUid, signal, changed } = options;
  const effects = captureEffects({
    host,
    client,
    dnsAddress: config.captureDns ? config.nodeIp : undefined,
    netnsOf: (uid) => pods.netnsOf(uid),
    activeListeners: (wait) => proxy.admin.activeListeners(wait),
    listenersOf: (pod) => [podListenerName.outbound(pod.uid), podListenerName.inbound(pod.uid)],
  });
  return new Captor(host, effects, { trustDomain: config.trustDomain, signal, podsByUid, changed });
}

const modelPollMs = 20;

async function modelSynced(host: Host, model: DeltaClient, signal: AbortSignal): Promise<void> {
  while (!model.isSynced && !signal.aborted) await host.clock.sleep(modelPollMs, signal).catch(() => undefined);
}

function policiesOf(replica: MeshReplica, uid: string): readonly string[] {
  const workload = replica.workload(uid);
  return workload === undefined ? [] : replica.policiesFor(workload).map(policyKey);
}
