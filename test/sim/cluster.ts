/** One cluster of a world: its objects, its control planes and its agents, each of which can be killed and started. */
import { startControlPlane } from "../../src/apps/control/control-plane.ts";
import type { ControlPlane } from "../../src/apps/control/control-plane.ts";
import { unpacked } from "../../src/apps/control/peering/remembered-exports.ts";
import { parseSettings } from "../../src/apps/control/settings.ts";
import type { ControlSettings } from "../../src/apps/control/settings.ts";
import type { AnyObject } from "../../src/core/api/kube.ts";
import type { Pod } from "../../src/core/api/pod.ts";
import { builtin } from "../../src/core/api/resources.ts";
import type { ResourceSet } from "../../src/core/envoy/resource-set.ts";
import type { LocalPod } from "../../src/core/envoy/view.ts";
import { spiffeId } from "../../src/core/mesh/model.ts";
import type { Export } from "../../src/core/mesh/model.ts";
import type { KubeClient } from "../../src/io/kube/client.ts";
import { MemoryKubeClient } from "../../src/io/kube/memory-client.ts";
import type { OpenStream } from "../../src/io/xds/transport.ts";
import { SimAgent } from "./agent.ts";
import { healthy, SimKube } from "./kube.ts";
import type { Write } from "./kube.ts";
import type { Network } from "./network.ts";
import { gatewayAddress, nodes } from "./objects.ts";
import { Process } from "./timeline.ts";
import type { Timeline } from "./timeline.ts";
import { clusterNames, trustDomainOf } from "./trust.ts";
import type { Trust } from "./trust.ts";

/** Test-only wrappers around parts of a world: bugs planted from outside, to see that they are found. */
export interface Plant {
  readonly kube?: (client: KubeClient, cluster: string) => KubeClient;
  readonly peerStreams?: (open: OpenStream, cluster: string) => OpenStream;
  readonly resources?: (resources: ResourceSet) => ResourceSet;
}

export interface Replica {
  readonly process: Process;
  /** Undefined while it starts. */
  control: ControlPlane | undefined;
  /** Told to stop, and not gone yet. */
  isStopping: boolean;
}

export interface ClusterOptions {
  readonly name: string;
  readonly network: string;
  readonly replicas: number;
  readonly trust: Trust;
  readonly plant: Plant;
  /** A replica that does not hold the lease, or does, lets a write go. */
  readonly writing: (cluster: Cluster, replica: Process, write: Write) => void;
  readonly agentStarted: (cluster: Cluster, agent: SimAgent) => void;
  /** A replica is about to read what is remembered of peers. */
  readonly replicaStarted: (cluster: Cluster) => void;
}

export class Cluster {
  readonly name: string;
  readonly options: ClusterOptions;
  readonly store = new MemoryKubeClient();
  readonly health = healthy();
  readonly replicas = new Map<number, Replica>();
  /** By node, and `gateway`. */
  readonly agents = new Map<string, SimAgent>();
  readonly settings: ControlSettings;
  /** Error of the wall clocks of this cluster's machines. */
  skewMs = 0;
  private readonly timeline: Timeline;
  private readonly net: Network;
  private lives = 0;

  constructor(timeline: Timeline, net: Network, options: ClusterOptions) {
    this.timeline = timeline;
    this.net = net;
    this.options = options;
    this.name = options.name;
    const { name: cluster, network } = options;
    const file = { cluster, network, trustDomain: trustDomainOf(cluster), skipTrustDomainCheck: true };
    const read = parseSettings(JSON.stringify(file));
    if (!read.ok) throw new Error(read.problems.join(" "));
    this.settings = read.settings;
    this.store.answer = answerTokenReview;
  }

  get number(): number {
    return clusterNames.findIndex((one) => one === this.name) + 1;
  }

  get livingAgents(): readonly SimAgent[] {
    return [...this.agents.values()].filter(({ process }) => process.isAlive);
  }

  startReplica(index: number): void {
    if (this.replicas.has(index)) return;
    this.lives += 1;
    const process = new Process(this.timeline, `${this.name}/cp${index}#${this.lives}`, () => this.skewMs);
    const replica: Replica = { process, control: undefined, isStopping: false };
    this.replicas.set(index, replica);
    this.timeline.trace(() => `start ${process.name}`);
    const { store, health, timeline, options } = this;
    const writing = (write: Write) => options.writing(this, process, write);
    const direct = new SimKube({ timeline, process, store, health, writing });
    const client = options.plant.kube?.(direct, this.name) ?? direct;
    const opened = this.net.opener(process, this.name, clusterAt, options.trust.der);
    const open = options.plant.peerStreams?.(opened, this.name) ?? opened;
    const self = { podName: process.name, podIp: "10.0.0.1", nodeName: "n1", namespace: "istio-system" };
    options.replicaStarted(this);
    const outside = { open, ca: options.trust.ca, certificate: options.trust.certificate, port: this.portOf(process) };
    const started = startControlPlane(process, client, { settings: this.settings, self, outside });
    void started.then((control) => (replica.control = control));
  }

  /** Without a word. */
  killReplica(index: number): void {
    const replica = this.replicas.get(index);
    if (replica === undefined) return;
    this.timeline.trace(() => `kill ${replica.process.name}`);
    replica.process.kill();
    this.net.forget(replica.process);
    this.replicas.delete(index);
  }

  /** As a rolling update does. A replica that has not started yet is killed. */
  stopReplica(index: number): void {
    const replica = this.replicas.get(index);
    if (replica === undefined || replica.isStopping) return;
    if (replica.control === undefined) return this.killReplica(index);
    replica.isStopping = true;
    this.timeline.trace(() => `stop ${replica.process.name}`);
    void replica.control.stop().then(() => {
      replica.process.kill();
      this.net.forget(replica.process);
      if (this.replicas.get(index) === replica) this.replicas.delete(index);
    });
  }

  startAgent(node: string): void {
    if (this.agents.get(node)?.process.isAlive === true) return;
    this.lives += 1;
    const process = new Process(this.timeline, `${this.name}/${node}#${this.lives}`, () => this.skewMs);
    this.timeline.trace(() => `start ${process.name}`);
    const { name: cluster, network } = this.options;
    const agent = new SimAgent(process, {
      node,
      cluster,
      network,
      trustDomain: trustDomainOf(cluster),
      mode: node === "gateway" ? "gateway" : "node",
      open: this.net.opener(process, this.name, () => this.name),
      pods: this.podsOf(node),
      wrapResources: this.options.plant.resources ?? ((resources) => resources),
    });
    this.agents.set(node, agent);
    this.options.agentStarted(this, agent);
  }

  killAgent(node: string): void {
    const agent = this.agents.get(node);
    if (agent === undefined) return;
    this.timeline.trace(() => `kill ${agent.process.name}`);
    agent.process.kill();
    this.net.forget(agent.process);
  }

  /** The kubelets of the cluster tell their agents. */
  podChanged(before: Pod | undefined, after: Pod | undefined): void {
    const pod = after ?? before;
    const agent = this.agents.get(pod?.spec.nodeName ?? "");
    if (pod === undefined || agent?.process.isAlive !== true) return;
    agent.setPod(uidOf(pod), after && localPod(after));
    agent.askSecrets();
  }

  /** What a replica that starts now would know of this peer. */
  remembered(peer: string): readonly Export[] {
    const kept = this.store.view(builtin.configMaps).find(({ metadata }) => metadata.name === `tombolo-peer-${peer}`);
    return unpacked(kept?.binaryData?.["exports.gz"] ?? "", peer);
  }

  /** Who holds the lease of the leader: the name of a process, or "". */
  get leaseHolder(): string {
    const [lease] = this.store.view(builtin.leases);
    return lease?.spec?.holderIdentity?.split("_")[0] ?? "";
  }

  private podsOf(node: string): readonly LocalPod[] {
    const here = this.store.view(builtin.pods).filter(({ spec }) => spec.nodeName === node);
    return here.map(localPod);
  }

  private portOf(process: Process) {
    const { net, name } = this;
    let listener: { isOpen: boolean } | undefined;
    return {
      listen: (accept: Parameters<Network["listen"]>[2]) => {
        listener = net.listen(name, process, accept);
        return Promise.resolve(15012);
      },
      unbind: () => {
        if (listener !== undefined) listener.isOpen = false;
      },
      close: () => net.forget(process),
    };
  }
}

export const agentPlaces = [...nodes, "gateway"] as const;

const uidOf = (pod: Pod): string => pod.metadata.uid ?? `${pod.metadata.namespace}/${pod.metadata.name}`;

function localPod(pod: Pod): LocalPod {
  const { name, namespace = "" } = pod.metadata;
  const serviceAccount = pod.spec.serviceAccountName ?? "default";
  const cluster = `c${pod.status?.podIP?.split(".")[1] ?? ""}`;
  return {
    uid: uidOf(pod),
    namespace,
    name,
    serviceAccount,
    ip: pod.status?.podIP ?? "",
    identity: spiffeId(trustDomainOf(cluster), namespace, serviceAccount),
    netnsPath: `/run/netns/${uidOf(pod)}`,
    isDraining: pod.metadata.deletionTimestamp !== undefined,
  };
}

/** Every cluster has one gateway, behind which its control planes are. */
function clusterAt(target: string): string {
  const found = clusterNames.find((name) => target === `ipv4:${gatewayAddress(name)}:15012`);
  return found ?? "nowhere";
}

/** A token is `<namespace>/<service account>@<node>`. */
function answerTokenReview({ kind, body }: { readonly kind: string; readonly body?: unknown }): unknown {
  if (kind !== "TokenReview") return undefined;
  // A TokenReview has this shape.
  const { token } = (body as AnyObject)["spec"] as { token: string };
  const [account = "", node = ""] = token.split("@");
  const user = {
    username: `system:serviceaccount:${account.replace("/", ":")}`,
    extra: { "authentication.kubernetes.io/node-name": [node] },
  };
  return { status: { authenticated: true, audiences: ["istio-ca"], user } };
}
