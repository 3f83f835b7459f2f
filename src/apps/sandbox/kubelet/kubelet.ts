/**
 * The kubelet of one node: a worker per pod that is bound to it, addresses for them, and the streams that the API server
 * asks for. Owns the node's pods and their directory.
 */
import type { ConfigMap, Secret } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import { joinPath, listNow, removePath } from "../../../io/host/files.ts";
import type { Host } from "../../../io/host/host.ts";
import type { Informer } from "../../../io/kube/informer.ts";
import { startEvents } from "../controllers/events.ts";
import type { EventRecorder } from "../controllers/events.ts";
import { freePodAddress } from "../network/addresses.ts";
import { NodeCni } from "./cni.ts";
import { startNode } from "./node-object.ts";
import { PodWorker } from "./pod.ts";
import type { NodeMeans } from "./sandbox-pod.ts";
import { referencesOf } from "./volumes.ts";

export interface ClusterInformers {
  readonly pods: Informer<Pod>;
  readonly configMaps: Informer<ConfigMap>;
  readonly secrets: Informer<Secret>;
}

export class Kubelet {
  private readonly host: Host;
  private readonly means: NodeMeans;
  private readonly events: EventRecorder;
  private readonly workers = new Map<string, PodWorker>();
  private nextAddress = 0;

  private constructor(host: Host, means: NodeMeans, events: EventRecorder) {
    this.host = host;
    this.means = means;
    this.events = events;
  }

  /** The node's namespace must be there already. */
  static async start(
    host: Host,
    means: NodeMeans,
    informers: ClusterInformers,
    signal: AbortSignal,
    /** Every change that is heard is taken in through it; a frozen node holds them back. */
    heard: (act: () => void) => void = (act) => act(),
  ): Promise<Kubelet> {
    const events = startEvents(host, means.client, "kubelet", signal);
    const kubelet = new Kubelet(host, means, events);
    await new NodeCni(means.node.netns).prepare();
    await startNode(host, means.client, means.plan, means.node, signal);
    await Promise.all([informers.pods.synced, informers.configMaps.synced, informers.secrets.synced]);
    await kubelet.removeOldDirectories([...informers.pods.objects.values()]);
    informers.pods.onChange((changes) => {
      heard(() => {
        if (signal.aborted) return;
        for (const { before, after } of changes) kubelet.take(before, after);
      });
    });
    for (const [kind, informer] of [
      ["ConfigMap", informers.configMaps] as const,
      ["Secret", informers.secrets] as const,
    ]) {
      informer.onChange((changes) => {
        heard(() => {
          for (const { before, after } of changes) {
            const changed = after ?? before;
            if (changed !== undefined)
              kubelet.refreshVolumes(kind, changed.metadata.namespace ?? "", changed.metadata.name);
          }
        });
      });
    }
    return kubelet;
  }

  /** The worker of a pod of this node. */
  find(uid: string): PodWorker | undefined {
    return this.workers.get(uid);
  }

  /** Network namespaces of its pods. */
  podNamespaces(): readonly string[] {
    return [...this.workers.values()].map(({ sandbox }) => sandbox.networkName).filter((name) => name !== "");
  }

  /** Ends all processes of the node's pods. */
  async stop(): Promise<void> {
    await Promise.all([...this.workers.values()].map((worker) => worker.abandon()));
    this.workers.clear();
  }

  /** Of pods that went while no kubelet ran, and roots of containers that ended with the last one. Logs and volumes stay. */
  private async removeOldDirectories(pods: readonly Pod[]): Promise<void> {
    const { directory } = this.means;
    const known = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const uid of listNow(directory)) {
      await removePath(known.has(uid) ? joinPath(directory, uid, "containers") : joinPath(directory, uid));
    }
  }

  private take(before: Pod | undefined, after: Pod | undefined): void {
    const isOurs = (pod: Pod | undefined) => pod?.spec.nodeName === this.means.node.name;
    const oldUid = before?.metadata.uid ?? "";
    // An object of the same name with another uid is another pod.
    if (isOurs(before) && after?.metadata.uid !== oldUid) this.workers.get(oldUid)?.update(undefined);
    if (after === undefined || !isOurs(after)) return;
    const known = this.workers.get(after.metadata.uid ?? "");
    if (known === undefined) this.startWorker(after);
    else known.update(after);
  }

  private startWorker(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const address = pod.spec.hostNetwork === true ? this.means.node.address : this.addressFor(pod);
    if (address === undefined) {
      this.events.record(
        pod,
        "Warning",
        "FailedCreatePodSandBox",
        `node ${this.means.node.name} has no free pod address`,
      );
      return;
    }
    const worker = new PodWorker(this.host, this.means, this.events, pod, address, () => this.workers.delete(uid));
    this.workers.set(uid, worker);
    worker.run().catch((error: unknown) => {
      const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.host.log.error("pod.worker_failed", { pod: pod.metadata.name, cause });
    });
    if (pod.metadata.deletionTimestamp !== undefined) worker.update(pod);
  }

  private addressFor(pod: Pod): string | undefined {
    const { node } = this.means;
    const taken = new Set([...this.workers.values()].map(({ podIp }) => podIp));
    const prefix = node.podCidr.slice(0, node.podCidr.lastIndexOf(".") + 1);
    const had = pod.status?.podIP;
    // A pod that outlived its kubelet keeps its address.
    if (had !== undefined && had.startsWith(prefix) && !taken.has(had)) return had;
    const address = freePodAddress(node, taken, this.nextAddress);
    if (address !== undefined) this.nextAddress = Number(address.split(".")[3]) - 1;
    return address;
  }

  private refreshVolumes(kind: string, namespace: string, name: string): void {
    for (const { pod, sandbox } of this.workers.values()) {
      if (pod.metadata.namespace !== namespace || !referencesOf(pod).has(`${kind}/${name}`)) continue;
      void sandbox.volumes.refresh(pod, sandbox.place);
    }
  }
}
