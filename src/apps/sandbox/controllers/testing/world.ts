/** A whole cluster in memory for tests: fake API server, the real controllers, nodes, and a kubelet that a test steps. */
import type { KubeObject, Node, ResourceType } from "../../../../core/api/kube.ts";
import type { Pod, PodTemplate } from "../../../../core/api/pod.ts";
import type { Host } from "../../../../io/host/host.ts";
import { isoSeconds } from "../../../../io/host/iso-time.ts";
import { kinds, type BalancedService, type RolledDeployment } from "../kinds.ts";
import { isDeleting, isFinished, isReady } from "../pods.ts";
import { startControllers, type ControllerOptions } from "../start.ts";
import { FakeKube } from "./fake-kube.ts";
import { VirtualClock } from "../../../../io/host/virtual-clock.ts";

const startMs = 1_700_000_000_000;
/** Turns of the microtask queue without a call after which nothing more will happen by itself. */
const quietTurns = 150;
const settleRoundsMax = 20_000;
const runRoundsMax = 200;

const worldTypes: readonly ResourceType[] = Object.values(kinds).map(
  ({ group, version, kind, plural, namespaced }) => ({
    group,
    version,
    kind,
    plural,
    namespaced,
  }),
);

export function fakeHost(clock: VirtualClock, seed = 1): Host {
  let state = seed;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const silent = (): void => undefined;
  return {
    clock,
    random: {
      below,
      bytes: (count) => Uint8Array.from({ length: count }, () => below(256)),
      uuid: () => `${below(2 ** 31)}`,
    },
    log: { debug: silent, info: silent, warn: silent, error: silent },
  };
}

const options: ControllerOptions = {
  clusterName: "cluster1",
  podCidr: "10.11.0.0/16",
  loadBalancerPool: { first: "198.18.1.200", last: "198.18.1.202" },
  rootCaPem: "PEM",
  served: { types: () => worldTypes, onChange: () => undefined },
};

export async function startWorld(nodes: readonly string[] = ["node1", "node2"]): Promise<World> {
  const world = new World();
  for (const name of ["default", "kube-system"]) await world.kube.create(kinds.namespaces, namespaceOf(name));
  for (const name of nodes) await world.kube.create(kinds.nodes, nodeOf(name, world.clock.now()));
  await world.restart();
  return world;
}

export class World {
  readonly clock = new VirtualClock(startMs);
  readonly host: Host = fakeHost(this.clock);
  readonly kube = new FakeKube(this.clock);
  #stop = new AbortController();
  #addresses = 0;

  /** Until the controllers have nothing left to do at this time. */
  async settle(): Promise<void> {
    for (let round = 0, seen = -1; round < settleRoundsMax; round += 1) {
      if (seen === this.kube.calls) return;
      seen = this.kube.calls;
      for (let turn = 0; turn < quietTurns; turn += 1) await Promise.resolve();
    }
    throw new Error("The controllers never come to rest: they answer their own writes for ever.");
  }

  /** Lets time pass, settling at every timer on the way. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms;
    for (;;) {
      const next = this.clock.nextWithin(endMs - this.clock.now());
      this.clock.moveTo(next ?? endMs);
      await this.settle();
      if (next === undefined) return;
    }
  }

  /** Kubelet: runs every bound pod and ends every deleted one, until nothing changes. */
  async run(): Promise<void> {
    for (let round = 0; round < runRoundsMax; round += 1) {
      await this.settle();
      const due = this.pods().filter(
        (pod) => pod.spec.nodeName !== undefined && (isDeleting(pod) || (!isReady(pod) && !isFinished(pod))),
      );
      if (due.length === 0) return;
      for (const pod of due) await (isDeleting(pod) ? this.end(pod) : this.setReady(pod, true));
    }
    throw new Error("The pods never come to rest.");
  }

  async setReady(pod: Pod, ready: boolean): Promise<void> {
    const status = ready ? ("True" as const) : ("False" as const);
    const lastTransitionTime = isoSeconds(this.clock.now());
    const current = await this.kube.get(kinds.pods, pod.metadata);
    const podIP = current.status?.podIP ?? `10.11.1.${(this.#addresses += 1)}`;
    const conditions = ["Ready", "ContainersReady"].map((type) => ({ type, status, lastTransitionTime }));
    const running = { ...current, status: { phase: "Running" as const, podIP, conditions } };
    await this.kube.update(kinds.pods, running, { subresource: "status" });
    await this.settle();
  }

  /** The pod's containers have ended by themselves. */
  async finish(pod: Pod, phase: "Succeeded" | "Failed"): Promise<void> {
    const current = await this.kube.get(kinds.pods, pod.metadata);
    await this.kube.update(kinds.pods, { ...current, status: { phase } }, { subresource: "status" });
    await this.settle();
  }

  async end(pod: Pod): Promise<void> {
    await this.kube.delete(kinds.pods, pod.metadata, { gracePeriodSeconds: 0 });
    await this.settle();
  }

  pods(namespace?: string): readonly Pod[] {
    return this.kube.all(kinds.pods).filter(({ metadata }) => (namespace ?? metadata.namespace) === metadata.namespace);
  }

  stop(): void {
    this.#stop.abort(new Error("The test has ended."));
  }

  /** Ends the controllers and starts new ones over the same store. */
  async restart(): Promise<void> {
    this.stop();
    await this.settle();
    this.#stop = new AbortController();
    const started = startControllers(this.host, this.kube, options, this.#stop.signal);
    await this.settle();
    await started;
    await this.settle();
  }
}

export const sorted = (texts: readonly (string | undefined)[]): readonly string[] =>
  texts.map((text) => text ?? "").sort((one, other) => (one < other ? -1 : Number(one > other)));

export const namespaceOf = (name: string): KubeObject => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

export const serviceOf = (name: string, spec: BalancedService["spec"] = {}): BalancedService => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default" },
  spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: "http" }], ...spec },
});

export const nodeOf = (name: string, nowMs: number, labels: Record<string, string> = {}): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels },
  spec: {},
  status: { conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: isoSeconds(nowMs) }] },
});

export const templateOf = (app: string, image = "app:1"): PodTemplate => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: "app", image, ports: [{ name: "http", containerPort: 8080 }] }] },
});

export const deploymentOf = (name: string, spec: Partial<RolledDeployment["spec"]> = {}): RolledDeployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace: "default" },
  spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: templateOf(name), ...spec },
});
