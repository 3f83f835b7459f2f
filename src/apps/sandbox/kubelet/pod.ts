/**
 * The life of one pod on its node: network, volumes, mesh, init containers, containers, and the orderly end. Owns the pod's
 * containers and its status; the kubelet owns which pods there are.
 */
import { errorText } from "../../../core/api/error-text.ts";
import type { Container, ContainerStatus, Pod } from "../../../core/api/pod.ts";
import { builtin } from "../../../core/api/resources.ts";
import type { Host } from "../../../io/host/host.ts";
import { isReason } from "../../../io/kube/client.ts";
import type { EventRecorder, EventType } from "../controllers/events.ts";
import { netnsPath } from "../network/addresses.ts";
import { ContainerRunner } from "./container.ts";
import type { ContainerRole, ContainerSurroundings, RestartPolicy } from "./container.ts";
import { type CniPod, NodeCni } from "./cni.ts";
import type { PodFacts } from "./pod-status.ts";
import { SandboxPod } from "./sandbox-pod.ts";
import type { NodeMeans } from "./sandbox-pod.ts";
import { StatusWriter } from "./status-writer.ts";
import { MissingReference } from "./values.ts";

/**
 * Between the moment a pod's deletion is seen and SIGTERM. Real kubelets take at least this long, and endpoint controllers and
 * proxies are told at the same moment as the kubelet: without it the sandbox would lose requests that no real cluster loses.
 */
const deletionDelayMs = 100;
const retryMs = 1_000;
const retryMsMax = 15_000;
const deleteAttempts = 20;

type Ending = "running" | "ending" | "gone";

export class PodWorker {
  pod: Pod;
  readonly sandbox: SandboxPod;
  readonly uid: string;
  readonly podIp: string;
  private readonly host: Host;
  private readonly means: NodeMeans;
  private readonly cni: NodeCni;
  private readonly events: EventRecorder;
  private readonly starting = new AbortController();
  private readonly writer: StatusWriter;
  private readonly runners = new Map<string, ContainerRunner>();
  private readonly waiters = new Set<() => void>();
  private hasNetwork = false;
  private ending: Ending = "running";
  private readonly onGone: () => void;

  constructor(host: Host, means: NodeMeans, events: EventRecorder, pod: Pod, podIp: string, onGone: () => void) {
    this.host = host;
    this.means = means;
    this.cni = new NodeCni(means.node.netns);
    this.events = events;
    this.pod = pod;
    this.uid = pod.metadata.uid ?? "";
    this.podIp = podIp;
    this.onGone = onGone;
    this.sandbox = new SandboxPod(host, means, pod, podIp, (uid, files) => {
      const message = `user ${uid} cannot read ${files.join(" ")} on this machine: the container runs as root`;
      this.record("Warning", "RunsAsRoot", message);
    });
    this.writer = new StatusWriter(host, means.client, () => this.pod);
  }

  /** `undefined` when the object is gone. */
  update(pod: Pod | undefined): void {
    if (pod === undefined) {
      if (this.ending === "ending") this.killAll();
      void this.end(0, false);
      return;
    }
    this.pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) {
      const seconds = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
      void this.end(seconds * 1000, true);
      return;
    }
    if (this.hasNetwork) this.startEphemeral();
  }

  runner(container: string): ContainerRunner | undefined {
    return this.runners.get(container);
  }

  /** Ends the pod's processes with the program; the object is left as it is. */
  async abandon(): Promise<void> {
    this.ending = "gone";
    this.starting.abort(new Error("The kubelet is ending."));
    this.writer.stop();
    await Promise.all([...this.runners.values()].map((runner) => runner.stop(0)));
    await this.sandbox.release();
  }

  async run(): Promise<void> {
    const { phase } = this.pod.status ?? {};
    if (phase === "Succeeded" || phase === "Failed" || this.pod.metadata.deletionTimestamp !== undefined) return;
    try {
      await this.setUp();
      if (await this.runInitContainers()) await this.runContainers();
      await this.settle();
    } catch (error) {
      if (!this.starting.signal.aborted) throw error;
    }
  }

  private record(type: EventType, reason: string, message: string): void {
    this.events.record(this.pod, type, reason, message);
  }

  private async setUp(): Promise<void> {
    const { signal } = this.starting;
    this.makeRunners();
    this.changed();
    await this.untilDone("FailedMount", () => this.sandbox.volumes.make(this.pod, this.sandbox.place));
    await this.untilDone("FailedCreatePodSandBox", () => this.sandbox.makeNetwork(this.pod));
    this.hasNetwork = true;
    this.changed();
    void this.sandbox.volumes.keep(() => this.pod, this.sandbox.place, signal);
    if (this.pod.spec.hostNetwork === true) return;
    await this.untilDone("FailedCreatePodSandBox", () => this.cni.add(this.cniPod(), signal));
  }

  private cniPod(): CniPod {
    return { pod: this.pod, netns: netnsPath(this.sandbox.networkName), ip: this.podIp };
  }

  private async leaveNetwork(): Promise<void> {
    if (this.hasNetwork && this.pod.spec.hostNetwork !== true) await this.cni.delete(this.cniPod());
  }

  /** Tries until it works or the pod ends; the pod's events tell what is in the way. */
  private async untilDone(reason: string, act: () => Promise<void>): Promise<void> {
    for (let pauseMs = retryMs; ; pauseMs = Math.min(pauseMs * 2, retryMsMax)) {
      this.starting.signal.throwIfAborted();
      try {
        await act();
        this.starting.signal.throwIfAborted();
        return;
      } catch (error) {
        if (this.starting.signal.aborted) throw error;
        const message = errorText(error);
        this.record("Warning", reason, message);
        if (!(error instanceof MissingReference)) {
          this.host.log.warn("pod.retry", { pod: this.pod.metadata.name, reason, message });
        }
      }
      await this.host.clock.sleep(pauseMs, this.starting.signal);
    }
  }

  private surroundings(): ContainerSurroundings {
    return {
      namespaces: () => this.sandbox.paths,
      nodeNetns: netnsPath(this.means.node.netns),
      podIp: this.podIp,
      logDirectory: this.sandbox.logDirectory,
      prepare: async (container, attempt) => {
        if (await this.sandbox.renewNamespaces(this.pod))
          this.record("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
        const prepared = await this.sandbox.prepare(this.pod, container, attempt);
        this.record("Normal", "Pulled", `Container image "${container.image}" already present on machine`);
        return prepared;
      },
      record: (type, reason, message) => this.record(type, reason, message),
      changed: () => this.changed(),
    };
  }

  private makeRunner(spec: Container, role: ContainerRole, before: ContainerStatus | undefined): ContainerRunner {
    const policy: RestartPolicy = this.pod.spec.restartPolicy ?? "Always";
    const runner = new ContainerRunner(this.host, this.surroundings(), { spec, role, policy, before });
    this.runners.set(spec.name, runner);
    return runner;
  }

  private makeRunners(): void {
    const { status } = this.pod;
    const byName = (list: readonly ContainerStatus[] = [], name: string) => list.find((one) => one.name === name);
    for (const spec of this.pod.spec.initContainers ?? []) {
      const role = spec.restartPolicy === "Always" ? "sidecar" : "init";
      this.makeRunner(spec, role, byName(status?.initContainerStatuses, spec.name));
    }
    for (const spec of this.pod.spec.containers) {
      this.makeRunner(spec, "main", byName(status?.containerStatuses, spec.name));
    }
  }

  private withRole(...roles: readonly ContainerRole[]): ContainerRunner[] {
    return [...this.runners.values()].filter(({ role }) => roles.includes(role));
  }

  private startEphemeral(): void {
    for (const spec of this.pod.spec.ephemeralContainers ?? []) {
      if (this.runners.has(spec.name)) continue;
      void this.makeRunner(spec, "ephemeral", undefined).run();
    }
  }

  private async runInitContainers(): Promise<boolean> {
    for (const runner of this.withRole("init", "sidecar")) {
      if (runner.role === "sidecar") {
        void runner.run();
        await this.until(() => runner.isStarted);
        continue;
      }
      await runner.run();
      this.starting.signal.throwIfAborted();
      if (runner.lastExit?.code !== 0) return false;
    }
    return true;
  }

  private async runContainers(): Promise<void> {
    this.startEphemeral();
    await Promise.all(this.withRole("main").map((runner) => runner.run()));
    this.starting.signal.throwIfAborted();
  }

  /** Every container has ended for good. */
  private async settle(): Promise<void> {
    await this.stopSidecars(30_000);
    await Promise.all(this.withRole("ephemeral").map((runner) => runner.stop(0)));
    this.changed();
    await this.leaveNetwork();
    if (this.ending === "running") await this.sandbox.release();
  }

  private async stopSidecars(graceMs: number): Promise<void> {
    for (const runner of this.withRole("sidecar").toReversed()) await runner.stop(graceMs);
  }

  private async until(holds: () => boolean): Promise<void> {
    const { signal } = this.starting;
    while (!holds()) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.waiters.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  private changed(): void {
    for (const wake of this.waiters) wake();
    this.waiters.clear();
    if (this.ending !== "gone") this.writer.write(() => this.facts());
  }

  private facts(): Omit<PodFacts, "nowText" | "startTime"> {
    const statuses = (...roles: ContainerRole[]) => this.withRole(...roles).map((runner) => runner.status());
    return {
      hostIp: this.means.node.address,
      podIp: this.hasNetwork ? this.podIp : undefined,
      hasNetwork: this.hasNetwork,
      initContainers: statuses("init", "sidecar"),
      containers: statuses("main"),
      ephemeralContainers: statuses("ephemeral"),
    };
  }

  private killAll(): void {
    for (const { running } of this.runners.values()) running?.signal("SIGKILL");
  }

  private async end(graceMs: number, deleteObject: boolean): Promise<void> {
    if (this.ending !== "running") return;
    this.ending = "ending";
    this.starting.abort(new Error("The pod is being deleted."));
    if (deleteObject) await this.host.clock.sleep(deletionDelayMs);
    const untilMs = this.host.clock.now() + graceMs;
    await Promise.all(this.withRole("init", "main", "ephemeral").map((runner) => runner.stop(graceMs)));
    await this.stopSidecars(Math.max(0, untilMs - this.host.clock.now()));
    await this.leaveNetwork();
    this.ending = "gone";
    await this.writer.flush();
    this.writer.stop();
    try {
      await this.sandbox.remove();
    } catch (error) {
      const cause = errorText(error);
      this.host.log.error("pod.remove_failed", { pod: this.pod.metadata.name, cause });
    }
    if (deleteObject) await this.deleteObject();
    this.onGone();
  }

  private async deleteObject(): Promise<void> {
    const { name, namespace } = this.pod.metadata;
    for (let tries = 0; tries < deleteAttempts; tries += 1) {
      try {
        await this.means.client.delete(builtin.pods, { name, namespace }, { uid: this.uid, gracePeriodSeconds: 0 });
        return;
      } catch (error) {
        if (isReason(error, "NotFound") || isReason(error, "Conflict")) return;
        const cause = errorText(error);
        this.host.log.warn("pod.delete_failed", { pod: name, cause });
        await this.host.clock.sleep(retryMs);
      }
    }
  }
}
