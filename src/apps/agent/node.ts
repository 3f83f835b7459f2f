/**
 * The agent of a node: follows the node's pods and the model, captures, keeps certificates, answers DNS, runs Envoy.
 * Wiring only; each part owns its own state.
 */
import { errorText } from "../../core/api/error-text.ts";
import { agentName, annotation, port, systemNamespace } from "../../core/api/names.ts";
import { builtin } from "../../core/api/resources.ts";
import { podListenerName } from "../../core/envoy/names.ts";
import { nodeResourceSet } from "../../core/envoy/resource-set.ts";
import type { LocalPod, NodeView, ProbeEnds } from "../../core/envoy/view.ts";
import { podWorkloadUid } from "../../core/envoy/endpoints.ts";
import { type Locality, spiffeId, type Workload } from "../../core/mesh/model.ts";
import { MeshReplica, policyKey, type ReplicaChange } from "../../core/mesh/replica.ts";
import { joinPath } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { isReason, type KubeClient } from "../../io/kube/client.ts";
import { httpKubeClient } from "../../io/kube/http-client.ts";
import { inClusterEndpoint } from "../../io/kube/in-cluster.ts";
import { noticeRefusals } from "../../io/kube/refusals.ts";
import { Captor } from "./capture/captor.ts";
import { captureEffects, clearNode } from "./capture/effects.ts";
import { NodePods } from "./capture/node-pods.ts";
import { domainsOf, NodeCertificates } from "./certificates.ts";
import { NodeConfiguration } from "./cni/node-configuration.ts";
import { CniRequests } from "./cni/requests.ts";
import { systemLookup, WatchedNames } from "../../io/dns/watched-names.ts";
import type { DeltaClient } from "../../io/xds/delta-client.ts";
import type { EnvoySource } from "../../io/xds/envoy-source.ts";
import type { AgentConfig } from "./config.ts";
import { serveNodeDebug } from "./debug/node-pages.ts";
import { serveMeshDns } from "./dns.ts";
import type { Surroundings } from "./gateway.ts";
import { GatewayNames } from "./gateway-names.ts";
import { serveHealth } from "./health.ts";
import { modelClient } from "./model.ts";
import { RefusedGates } from "./refused-gates.ts";
import { type Proxy, startProxy } from "./proxy.ts";

/** A rollout waits for the capture of a node's pods, but one pod that cannot be captured does not stop it for ever. */
const settleMsMax = 15_000;

const nowhere: Locality = { region: "", zone: "", subzone: "" };

/** The node's locality is that of any of its workloads; the control plane read it from the node's labels. */
class NodeLocality {
  readonly #node: string;
  readonly #cluster: string;
  current = nowhere;

  constructor({ node, cluster }: Standing, replica: MeshReplica) {
    this.#node = node;
    this.#cluster = cluster;
    replica.onChange(({ workloads }) => {
      for (const uid of workloads) this.#learn(replica.workload(uid));
    });
  }

  #learn(workload: Workload | undefined): void {
    if (workload?.node !== this.#node || workload.cluster !== this.#cluster) return;
    const { region, zone, subzone } = workload.locality;
    const { current } = this;
    if (region === "" || (region === current.region && zone === current.zone && subzone === current.subzone)) return;
    this.current = workload.locality;
  }
}

/** Whether a change brought a trust domain that was not known, or took the last workload of one. */
class TrustDomains {
  readonly #own: string;
  /** Of workloads of other domains than our own, which are few. */
  readonly #domainsByUid = new Map<string, string>();
  #known = "";

  constructor(own: string) {
    this.#own = own;
  }

  changed(replica: MeshReplica, change: ReplicaChange): boolean {
    for (const uid of change.workloads) {
      const workload = replica.workload(uid);
      const domains = workload === undefined ? [] : domainsOf(workload).filter((domain) => domain !== this.#own);
      if (domains.length === 0) this.#domainsByUid.delete(uid);
      else this.#domainsByUid.set(uid, domains.join(" "));
    }
    const known = [...new Set(this.#domainsByUid.values())].sort().join(" ");
    if (known === this.#known) return false;
    this.#known = known;
    return true;
  }
}

/** Every change of the model, and what Envoy must hear of it. */
export function followReplica(
  replica: MeshReplica,
  trustDomain: string,
  source: Pick<EnvoySource, "replicaChanged" | "refresh">,
): void {
  const domains = new TrustDomains(trustDomain);
  replica.onChange((change) => {
    source.replicaChanged(change);
    if (domains.changed(replica, change)) source.refresh();
  });
}

/** What is near is ranked by where the node is. */
function followLocality({ replica, view }: Model, source: Pick<EnvoySource, "refresh">): void {
  let before = view.locality;
  replica.onChange(() => {
    if (view.locality === before) return;
    before = view.locality;
    source.refresh();
  });
}

/** Names of peers' gateways are looked up as long as a row of the model holds them. */
function followGatewayNames(replica: MeshReplica, names: WatchedNames): void {
  const wanted = new GatewayNames();
  replica.onChange((change) => {
    const all = wanted.after(replica, change);
    if (all !== undefined) names.want(all);
  });
}

type Standing = Pick<AgentConfig, "node" | "cluster" | "network" | "trustDomain">;

interface Model {
  readonly replica: MeshReplica;
  readonly view: NodeView;
  readonly podsByUid: Map<string, LocalPod>;
}

interface Extras {
  readonly probe?: ProbeEnds;
  readonly names?: WatchedNames;
}

const nodeFolder = ({ stateDir }: AgentConfig): string => joinPath(stateDir, "node");

const probeEnds = (config: AgentConfig): ProbeEnds => ({
  nodeIp: config.nodeIp,
  doorPath: joinPath(nodeFolder(config), "probe.sock"),
  identity: spiffeId(config.trustDomain, systemNamespace, agentName),
});

export function emptyModel({ node, cluster, network, trustDomain }: Standing, { probe, names }: Extras = {}): Model {
  const replica = new MeshReplica();
  const podsByUid = new Map<string, LocalPod>();
  const locality = new NodeLocality({ node, cluster, network, trustDomain }, replica);
  const view: NodeView = {
    node,
    cluster,
    network,
    trustDomain,
    podsByUid,
    replica,
    ...(probe && { probe }),
    ...(names && { addressesByName: names.addressesByName }),
    get locality() {
      return locality.current;
    },
  };
  return { replica, view, podsByUid };
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

const askMsMax = 3_000;

/**
 * An agent that is replaced leaves its pods captured: nothing of theirs may go out in the clear meanwhile. Only when the
 * DaemonSet itself is gone, the mesh leaves the node, and pods get their plain network back.
 */
async function leave(
  host: Host,
  client: KubeClient,
  captor: Captor,
  cni: NodeConfiguration | undefined,
): Promise<void> {
  const ref = { name: agentName, namespace: systemNamespace };
  const isGone = await client.get(builtin.daemonSets, ref, { signal: AbortSignal.timeout(askMsMax) }).then(
    () => false,
    (error: unknown) => isReason(error, "NotFound"),
  );
  if (!isGone) return;
  host.log.info("agent.leaving", { pods: captor.podsByUid.size });
  await cni?.remove().catch((error: unknown) => host.log.warn("cni.problem", { problem: errorText(error) }));
  await captor.releaseAll();
  await clearNode().catch(() => undefined);
}

interface CaptorOptions {
  readonly proxy: Proxy;
  readonly podsByUid: Map<string, LocalPod>;
  readonly signal: AbortSignal;
  readonly changed: () => void;
}

const modelPollMs = 20;

async function modelSynced(host: Host, model: DeltaClient, signal: AbortSignal): Promise<void> {
  while (!model.isSynced && !signal.aborted) await host.clock.sleep(modelPollMs, signal).catch(() => undefined);
}

export async function runNode(host: Host, config: AgentConfig, around: Surroundings): Promise<void> {
  const { signal } = around;
  const envoyEnd = new AbortController();
  const client = noticeRefusals(host, httpKubeClient(host, await inClusterEndpoint(host, around.env)), {
    role: agentName,
  });
  const names = new WatchedNames(host, systemLookup, () => proxy.source.refresh());
  const { replica, view, podsByUid } = emptyModel(config, { probe: probeEnds(config), names });
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
  followLocality({ replica, view, podsByUid }, proxy.source);

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
  void pods.run(captor, modelSynced(host, model, signal));
  signal.addEventListener("abort", () => {
    void leave(host, client, captor, cni).finally(() => envoyEnd.abort(signal.reason));
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

function policiesOf(replica: MeshReplica, uid: string): readonly string[] {
  const workload = replica.workload(uid);
  return workload === undefined ? [] : replica.policiesFor(workload).map(policyKey);
}

interface NodeHealth {
  readonly model: DeltaClient;
  readonly proxy: Proxy;
  readonly captor: Captor;
  readonly cni: NodeConfiguration | undefined;
  readonly view: NodeView;
  readonly signal: AbortSignal;
}

function serveNodeHealth(host: Host, { model, proxy, captor, cni, view, signal }: NodeHealth) {
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
