/** A whole cluster in memory for tests: fake API server, the real controllers, nodes, and a kubelet that a test steps. */
import type { KubeObject, Node, ResourceType } from "../../../../core/api/kube.ts";
import type { Pod, PodTemplate } from "../../../../core/api/pod.ts";
import type { Host } from "../../../../io/host/host.ts";
import { isoSeconds } from "../../../../io/host/iso-time.ts";
import { kinds, type RolledDeployment } from "../kinds.ts";
import { isDeleting, isFinished, isReady } from "../pods.ts";
import { startControllers } from "../start.ts";
import { FakeKube } from "./fake-kube.ts";
import { VirtualClock } from "./virtual-clock.ts";

const startMs = 1_700_000_000_000;
/** Turns of the microtask queue without a call after which nothing more will happen by itself. */
const quietTurns = 150;
const settleRoundsMax = 20_000;

export interface World {
  readonly host: Host;
  readonly kube: FakeKube;
  readonly clock: VirtualClock;
  /** Until the controllers have nothing left to do at this time. */
  settle(): Promise<void>;
  /** Lets time pass, settling at every timer on the way. */
  pass(ms: number): Promise<void>;
  /** Kubelet: runs every bound pod and ends every deleted one, until nothing changes. */
  run(): Promise<void>;
  setReady(pod: Pod, ready: boolean): Promise<void>;
  end(pod: Pod): Promise<void>;
  pods(namespace?: string): readonly Pod[];
  stop(): void;
  /** Ends the controllers and starts new ones over the same store. */
  restart(): Promise<void>;
}

export const worldTypes: readonly ResourceType[] = Object.values(kinds).map(
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

export async function startWorld(nodes: readonly string[] = ["node1", "node2"]): Promise<World> {
  const clock = new VirtualClock(startMs);
  const host = fakeHost(clock);
  const kube = new FakeKube(clock);
  let stop = new AbortController();
  let addresses = 0;
  const options = {
    clusterName: "cluster1",
    podCidr: "10.11.0.0/16",
    loadBalancerPool: { first: "198.18.1.200", last: "198.18.1.202" },
    rootCaPem: "PEM",
    served: { types: () => worldTypes, onChange: () => undefined },
  };
  const settle = async (): Promise<void> => {
    for (let round = 0, seen = -1; round < settleRoundsMax; round += 1) {
      if (seen === kube.calls) return;
      seen = kube.calls;
      for (let turn = 0; turn < quietTurns; turn += 1) await Promise.resolve();
    }
    throw new Error("The controllers never come to rest: they answer their own writes for ever.");
  };
  const pods = (namespace?: string): readonly Pod[] =>
    kube.all(kinds.pods).filter(({ metadata }) => (namespace ?? metadata.namespace) === metadata.namespace);
  const setReady = async (pod: Pod, ready: boolean): Promise<void> => {
    const status = ready ? ("True" as const) : ("False" as const);
    const lastTransitionTime = isoSeconds(clock.now());
    const current = await kube.get(kinds.pods, pod.metadata);
    const podIP = current.status?.podIP ?? `10.11.1.${(addresses += 1)}`;
    const conditions = ["Ready", "ContainersReady"].map((type) => ({ type, status, lastTransitionTime }));
    await kube.update(
      kinds.pods,
      { ...current, status: { phase: "Running", podIP, conditions } },
      { subresource: "status" },
    );
    await settle();
  };
  const end = async (pod: Pod): Promise<void> => {
    await kube.delete(kinds.pods, pod.metadata, { gracePeriodSeconds: 0 });
    await settle();
  };
  const run = async (): Promise<void> => {
    for (let round = 0; round < 200; round += 1) {
      await settle();
      const due = pods().filter(
        (pod) => pod.spec.nodeName !== undefined && (isDeleting(pod) || (!isReady(pod) && !isFinished(pod))),
      );
      if (due.length === 0) return;
      for (const pod of due) await (isDeleting(pod) ? end(pod) : setReady(pod, true));
    }
    throw new Error("The pods never come to rest.");
  };
  const start = async (): Promise<void> => {
    const started = startControllers(host, kube, options, stop.signal);
    await settle();
    await started;
    await settle();
  };
  const pass = async (ms: number): Promise<void> => {
    const endMs = clock.now() + ms;
    for (;;) {
      const next = clock.nextWithin(endMs - clock.now());
      clock.moveTo(next ?? endMs);
      await settle();
      if (next === undefined) return;
    }
  };
  for (const name of ["default", "kube-system"]) await kube.create(kinds.namespaces, namespaceOf(name));
  for (const name of nodes) await kube.create(kinds.nodes, nodeOf(name, clock.now()));
  await start();
  const restart = async (): Promise<void> => {
    stop.abort(new Error("restart"));
    await settle();
    stop = new AbortController();
    await start();
  };
  return {
    host,
    kube,
    clock,
    settle,
    pass,
    run,
    setReady,
    end,
    pods,
    restart,
    stop: () => stop.abort(new Error("end")),
  };
}

export const namespaceOf = (name: string): KubeObject => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

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
