/**
 * One cluster of the sandbox, all in this process: API server, controllers, the kubelets of its nodes, service proxy and DNS.
 * Starts on whatever an earlier process of the same cluster left behind: objects are adopted, the rest is removed.
 */
import { setMaxListeners } from "node:events";
import type { EndpointSlice, KubeObject, ResourceType, Service } from "../../core/api/kube.ts";
import { builtin } from "../../core/api/resources.ts";
import { joinPath, makeDirectory, readText, removePath, writeAtomically } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { environment, nodePath, ownPid } from "../../io/host/processes.ts";
import { isReason } from "../../io/kube/client.ts";
import type { KubeClient, Ref } from "../../io/kube/client.ts";
import { startInformer } from "../../io/kube/informer.ts";
import type { KindRegistry } from "../apiserver/kind.ts";
import { startApiServer } from "../apiserver/server.ts";
import type { ApiServer } from "../apiserver/server.ts";
import type { ServedKinds } from "./controllers/object-graph.ts";
import { startControllers } from "./controllers/start.ts";
import { machineResolvers, startDns } from "./dns/server.ts";
import { Images } from "./images/catalogue.ts";
import { FaultFollower } from "./faults/obey.ts";
import type { ClusterInformers } from "./kubelet/kubelet.ts";
import { NodeSwitch } from "./kubelet/node-switch.ts";
import { rootModeOf } from "./kubelet/root-mode.ts";
import type { NodeMeans } from "./kubelet/sandbox-pod.ts";
import { PodStreams } from "./kubelet/streams.ts";
import {
  clusterPodCidr,
  dnsServiceAddress,
  hostAddress,
  loadBalancerPool,
  planCluster,
  serviceCidr,
} from "./network/addresses.ts";
import type { ClusterPlan } from "./network/addresses.ts";
import { removeClusterNetwork, unmountBelow } from "./network/leftovers.ts";
import { makeBridge, makeNode } from "./network/links.ts";
import type { ProxyInformers } from "./proxy/service-proxy.ts";
import { startServiceProxy } from "./proxy/service-proxy.ts";
import { clusterDirectory, readyFile } from "./state.ts";
import type { ClusterState, SandboxState } from "./state.ts";

export interface RunningCluster {
  readonly client: KubeClient;
  readonly url: string;
  /** Reads the list of faults again and carries out what it says. */
  readFaults(): Promise<void>;
  /** Ends every pod and closes the API server; the network is left for `removeClusterNetwork`. */
  stop(): Promise<void>;
}

/** Informers, streams and workers all listen for the end; Node would take so many for a leak. */
const listenersMax = 10_000;

type Informers = ClusterInformers & ProxyInformers;

export async function startCluster(
  host: Host,
  home: string,
  sandbox: SandboxState,
  state: ClusterState,
): Promise<RunningCluster> {
  const directory = clusterDirectory(home, state.name);
  const ending = new AbortController();
  const { signal } = ending;
  setMaxListeners(listenersMax, signal);
  const plan = planCluster({
    sandboxId: sandbox.id,
    cluster: state.name,
    underlay: sandbox.underlay,
    ...countsOf(state),
  });
  await removePath(readyFile(home, state.name));
  await makeDirectory(joinPath(directory, "pods"), 0o711);
  await makeNetwork(host, plan, directory);
  const nodes: NodeSwitch[] = [];
  const streams = new PodStreams(host, (pod) => nodes.find(({ name }) => name === pod.spec.nodeName)?.workerOf(pod));
  const pace = { lateMs: 0 };
  const server = await serve(host, plan, directory, state, streams, () =>
    pace.lateMs === 0 ? Promise.resolve() : host.clock.sleep(pace.lateMs),
  );
  const { client } = server;
  await ensureDnsService(client, plan, state.dnsPort);
  const informers = startInformers(host, client, signal);
  const controlled = startControllers(
    host,
    client,
    {
      clusterName: state.name,
      podCidr: clusterPodCidr(plan.index),
      loadBalancerPool: loadBalancerPool(plan),
      rootCaPem: state.caPem,
      served: servedKinds(server.registry),
    },
    signal,
  );
  const means = await nodeMeans(plan, directory, home, sandbox, client, informers);
  for (const node of plan.nodes) {
    const own = { ...means, node, directory: joinPath(directory, "pods", node.name) };
    nodes.push(await NodeSwitch.on(host, own, informers));
  }
  const resolvers = machineResolvers((await readText("/etc/resolv.conf")) ?? "");
  const dnsAt = { address: hostAddress(plan.underlay), port: state.dnsPort };
  await Promise.all([
    controlled,
    startServiceProxy(host, plan, informers, signal),
    startDns(host, informers, resolvers, dnsAt, signal),
  ]);
  const slowApi = (ms: number) => void (pace.lateMs = ms);
  const follower = new FaultFollower(host, home, { name: state.name, nodes, slowApi });
  await writeAtomically(readyFile(home, state.name), `${ownPid()}\n`);
  host.log.info("cluster.ready", { cluster: state.name, url: server.url });
  const stop = async () => {
    await removePath(readyFile(home, state.name));
    // Before the end is told, so that nothing else reacts to the end of the pods' processes.
    follower.stop();
    await Promise.all(nodes.map((node) => node.stop()));
    ending.abort(new Error(`Cluster ${state.name} is ending.`));
    await server.close();
  };
  return { client, url: server.url, readFaults: () => follower.read(), stop };
}

const countsOf = ({ index, nodes }: ClusterState) => ({ index, nodes });

/** Processes, namespaces and mounts of an earlier process of this cluster go first. */
async function makeNetwork(host: Host, plan: ClusterPlan, directory: string): Promise<void> {
  await makeBridge(plan.sandboxId, plan.underlay);
  await removeClusterNetwork(host, plan.sandboxId, plan.cluster);
  await unmountBelow(directory);
  await Promise.all(plan.nodes.map((node) => makeNode(plan, node)));
}

const serve = (
  host: Host,
  plan: ClusterPlan,
  directory: string,
  state: ClusterState,
  streams: PodStreams,
  pace: () => Promise<void>,
): Promise<ApiServer> => {
  const onUnderlay = { address: hostAddress(plan.underlay), port: state.apiPort };
  return startApiServer(host, {
    name: state.name,
    ...(state.ephemeral ? {} : { dataDir: joinPath(directory, "data") }),
    ephemeral: state.ephemeral,
    listen: [{ address: "127.0.0.1", port: state.apiPort }, onUnderlay],
    tls: { cert: state.certPem, key: state.keyPem, ca: state.caPem },
    adminToken: state.adminToken,
    serviceCidr,
    nodeStreams: streams,
    advertise: onUnderlay,
    pace,
  });
};

const startInformers = (host: Host, client: KubeClient, signal: AbortSignal): Informers => ({
  pods: startInformer(host, client, builtin.pods, { signal }),
  configMaps: startInformer(host, client, builtin.configMaps, { signal }),
  secrets: startInformer(host, client, builtin.secrets, { signal }),
  services: startInformer(host, client, builtin.services, { signal }),
  endpointSlices: startInformer(host, client, builtin.endpointSlices, { signal }),
  nodes: startInformer(host, client, builtin.nodes, { signal }),
});

async function nodeMeans(
  plan: ClusterPlan,
  directory: string,
  home: string,
  sandbox: SandboxState,
  client: KubeClient,
  informers: Informers,
): Promise<Omit<NodeMeans, "node" | "directory">> {
  const { mode, machineMounts } = await rootModeOf(directory);
  return {
    plan,
    images: new Images(home, { node: nodePath(), dist: sandbox.dist, envoy: sandbox.envoy }),
    client,
    rootMode: mode,
    machineMounts,
    path: environment()["PATH"] ?? "",
    lookup: (namespace) => ({
      configMap: (name) => informers.configMaps.objects.get(`${namespace}/${name}`),
      secret: (name) => informers.secrets.objects.get(`${namespace}/${name}`),
    }),
  };
}

/** Every kind that can be listed and watched, in one of its versions. */
export const servedKinds = (registry: KindRegistry): ServedKinds => ({
  types: () => {
    const byPlural = new Map(
      registry
        .all()
        .filter(({ verbs }) => verbs.includes("list") && verbs.includes("watch"))
        .map(({ type }) => [`${type.group}/${type.plural}`, type]),
    );
    return [...byPlural.values()];
  },
  onChange: (heard) => registry.onChange(heard),
});

async function exists<T extends KubeObject>(client: KubeClient, type: ResourceType<T>, ref: Ref): Promise<boolean> {
  try {
    await client.get(type, ref);
    return true;
  } catch (error) {
    if (isReason(error, "NotFound")) return false;
    throw error;
  }
}

async function ensureDnsService(client: KubeClient, plan: ClusterPlan, dnsPort: number): Promise<void> {
  const metadata = { name: "kube-dns", namespace: "kube-system" };
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadata, labels: { "k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS" } },
    spec: {
      clusterIP: dnsServiceAddress,
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: dnsPort },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: dnsPort },
      ],
    },
  };
  const slice: EndpointSlice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": metadata.name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [hostAddress(plan.underlay)], conditions: { ready: true } }],
    ports: [
      { name: "dns", port: dnsPort, protocol: "UDP" },
      { name: "dns-tcp", port: dnsPort, protocol: "TCP" },
    ],
  };
  // Asked first: making a Service whose address is taken, even by itself, is refused as invalid.
  if (!(await exists(client, builtin.services, metadata))) await client.create(builtin.services, service);
  if (await exists(client, builtin.endpointSlices, metadata)) {
    const { endpoints, ports } = slice;
    await client.patch(builtin.endpointSlices, metadata, { type: "merge", body: { endpoints, ports } });
  } else await client.create(builtin.endpointSlices, slice);
}
