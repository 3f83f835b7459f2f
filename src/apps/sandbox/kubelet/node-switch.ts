/**
 * One node of a cluster and its switch: on, off (as after a power cut: its network falls silent first, then every process
 * is gone, and nobody is told), or frozen (everything stands still and goes on later). Owns the node's kubelet.
 */
import { setMaxListeners } from "node:events";
import type { Pod } from "../../../core/api/pod.ts";
import { joinPath, listNow, removePath } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import { runOrThrow, sendSignal } from "../../../io/host/processes.ts";
import { KubeError } from "../../../io/kube/client.ts";
import { nodeDisk, nodeRunDirectory } from "../network/addresses.ts";
import { processesIn } from "../network/leftovers.ts";
import { Gate, gatedClient, gatedHost } from "./gate.ts";
import { Kubelet } from "./kubelet.ts";
import type { ClusterInformers } from "./kubelet.ts";
import type { PodWorker } from "./pod.ts";
import type { NodeMeans } from "./sandbox-pod.ts";

/** Workers, timers and requests of every pod listen for the node's end; Node would take so many for a leak. */
const listenersMax = 10_000;

export type NodeState = "on" | "off" | "frozen";

export class NodeSwitch {
  readonly name: string;
  private readonly host: Host;
  private readonly means: NodeMeans;
  private readonly informers: ClusterInformers;
  private readonly gate = new Gate();
  private state: NodeState = "off";
  private kubelet: Kubelet | undefined;
  private ending = new AbortController();

  private constructor(host: Host, means: NodeMeans, informers: ClusterInformers) {
    this.host = gatedHost(host, this.gate);
    this.means = { ...means, client: gatedClient(means.client, this.gate) };
    this.informers = informers;
    this.name = means.node.name;
  }

  /** The node's namespace must be there already. */
  static async on(host: Host, means: NodeMeans, informers: ClusterInformers): Promise<NodeSwitch> {
    const node = new NodeSwitch(host, means, informers);
    await node.startKubelet();
    return node;
  }

  /** Not to be called again before it has resolved. */
  async set(state: NodeState): Promise<void> {
    if (state === this.state) return;
    const before = this.state;
    this.state = state;
    if (before === "frozen") await this.thaw();
    if (state === "off") await this.cutPower();
    else if (before === "off") await this.startAgain();
    if (state === "frozen") await this.freeze();
  }

  /** Throws when the node does not answer. */
  workerOf(pod: Pod): PodWorker | undefined {
    if (this.state === "on") return this.kubelet?.find(pod.metadata.uid ?? "");
    const what = this.state === "off" ? "off" : "frozen";
    throw new KubeError(
      500,
      "InternalError",
      `error dialing backend: node ${this.name} is ${what} and gives no answer`,
    );
  }

  /** Ends every pod, in whatever state the node is. */
  async stop(): Promise<void> {
    await this.set("on");
    await this.kubelet?.stop();
    this.ending.abort(new Error(`Node ${this.name} is ending.`));
  }

  private async startKubelet(): Promise<void> {
    this.ending = new AbortController();
    const { signal } = this.ending;
    setMaxListeners(listenersMax, signal);
    this.kubelet = await Kubelet.start(this.host, this.means, this.informers, signal, (act) => this.gate.whenOpen(act));
    this.state = "on";
  }

  private async cutPower(): Promise<void> {
    await this.setUplink("down");
    // Before the end of the processes, so that no status tells of it.
    this.ending.abort(new Error(`Node ${this.name} is off.`));
    await this.kubelet?.stop();
    this.kubelet = undefined;
    for (const pid of processesIn([this.means.node.netns])) sendSignal(pid, "SIGKILL");
  }

  private async startAgain(): Promise<void> {
    // What /run of a machine holds does not outlive it; what lies on its disk does.
    const directory = nodeRunDirectory(this.means.node.netns);
    for (const name of listNow(directory)) if (name !== nodeDisk) await removePath(joinPath(directory, name));
    await this.setUplink("up");
    await this.startKubelet();
  }

  private async freeze(): Promise<void> {
    this.gate.close();
    await this.setUplink("down");
    this.signalAll("SIGSTOP");
  }

  private async thaw(): Promise<void> {
    this.signalAll("SIGCONT");
    await this.setUplink("up");
    this.gate.open();
  }

  private signalAll(signal: NodeJS.Signals): void {
    const netns = [this.means.node.netns, ...(this.kubelet?.podNamespaces() ?? [])];
    for (const pid of processesIn(netns)) sendSignal(pid, signal);
  }

  private async setUplink(state: "up" | "down"): Promise<void> {
    await runOrThrow("ip", ["link", "set", this.means.node.uplink, state]);
  }
}
