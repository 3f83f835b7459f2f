/**
 * Kubelets and network of one cluster with two nodes, over an API server in memory: pods for tests of the kubelet alone. Each
 * lab has names, addresses and a directory of its own, and leaves nothing behind. Needs root.
 */
import { setMaxListeners } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { expect } from "vitest";
import type { Container, Pod, PodSpec } from "../../../src/core/api/pod.ts";
import { builtin } from "../../../src/core/api/resources.ts";
import { systemHost } from "../../../src/io/host/host.ts";
import { startInformer } from "../../../src/io/kube/informer.ts";
import { MemoryKubeClient } from "../../../src/io/kube/memory-client.ts";
import { Images } from "../../../src/apps/sandbox/images/catalogue.ts";
import { Kubelet } from "../../../src/apps/sandbox/kubelet/kubelet.ts";
import { rootModeOf } from "../../../src/apps/sandbox/kubelet/root-mode.ts";
import { PodStreams } from "../../../src/apps/sandbox/kubelet/streams.ts";
import { planCluster } from "../../../src/apps/sandbox/network/addresses.ts";
import { namespacesOf, removeSandboxNetwork } from "../../../src/apps/sandbox/network/leftovers.ts";
import { makeBridge, makeNode } from "../../../src/apps/sandbox/network/links.ts";
import { startServiceProxy } from "../../../src/apps/sandbox/proxy/service-proxy.ts";

const host = systemHost("warn");
const waitMsMax = 30_000;

export class KubeletLab {
  readonly sandboxId = `f${host.random.below(0xfff).toString(16).padStart(3, "0")}`;
  readonly plan;
  readonly ending = new AbortController();
  readonly client = new MemoryKubeClient();
  readonly directory = mkdtempSync(join(tmpdir(), "tombolo-kubelet-"));
  readonly kubelets: Kubelet[] = [];
  readonly streams = new PodStreams(host, ({ metadata: { uid = "" } }) =>
    this.kubelets.map((kubelet) => kubelet.find(uid)).find(Boolean),
  );
  private serial = 0;

  constructor(cluster: string, underlay: string) {
    this.plan = planCluster({ sandboxId: this.sandboxId, cluster, index: 7, underlay, nodes: 2 });
  }

  async start(): Promise<void> {
    const { client, plan, directory } = this;
    const { signal } = this.ending;
    setMaxListeners(1_000, signal);
    client.answer = ({ verb }) =>
      verb === "post" ? { status: { token: "a.b.c", expirationTimestamp: "2099-01-01T00:00:00Z" } } : undefined;
    await client.create(builtin.configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "kube-root-ca.crt", namespace: "default" },
      data: { "ca.crt": "CA" },
    });
    await makeBridge(this.sandboxId, plan.underlay);
    const informers = {
      pods: startInformer(host, client, builtin.pods, { signal }),
      configMaps: startInformer(host, client, builtin.configMaps, { signal }),
      secrets: startInformer(host, client, builtin.secrets, { signal }),
    };
    const programs = { node: process.execPath, dist: "/nonexistent", envoy: "envoy" };
    const { mode: rootMode, machineMounts } = await rootModeOf(directory);
    for (const node of plan.nodes) {
      await makeNode(plan, node);
      const means = {
        plan,
        node,
        images: new Images(directory, programs),
        client,
        directory: join(directory, node.name),
        rootMode,
        machineMounts,
        path: process.env["PATH"] ?? "",
        lookup: (namespace: string) => ({
          configMap: (name: string) => informers.configMaps.objects.get(`${namespace}/${name}`),
          secret: (name: string) => informers.secrets.objects.get(`${namespace}/${name}`),
        }),
      };
      this.kubelets.push(await Kubelet.start(host, means, informers, signal));
    }
    const proxied = {
      services: startInformer(host, client, builtin.services, { signal }),
      endpointSlices: startInformer(host, client, builtin.endpointSlices, { signal }),
      nodes: startInformer(host, client, builtin.nodes, { signal }),
    };
    await startServiceProxy(host, plan, proxied, signal);
  }

  async end(): Promise<void> {
    await Promise.all(this.kubelets.map((kubelet) => kubelet.stop()));
    this.ending.abort(new Error("over"));
    await removeSandboxNetwork(host, this.sandboxId);
    rmSync(this.directory, { recursive: true, force: true });
    expect(namespacesOf(this.sandboxId)).toEqual([]);
  }

  readonly makePod = async (spec: Partial<PodSpec> & { containers: Container[] }, node = 0): Promise<Pod> => {
    this.serial += 1;
    const uid = host.random.uuid();
    const nodeName = this.plan.nodes[node]?.name ?? "";
    return this.client.create(builtin.pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `pod-${this.serial}`, namespace: "default", uid, labels: { app: "x" } },
      spec: { nodeName, ...spec },
    });
  };

  readonly until = async (pod: Pod, holds: (pod: Pod) => boolean): Promise<Pod> => {
    const untilMs = host.clock.now() + waitMsMax;
    for (;;) {
      const now = await this.client.get(builtin.pods, { name: pod.metadata.name, namespace: "default" });
      if (holds(now)) return now;
      if (host.clock.now() > untilMs) throw new Error(`still ${JSON.stringify(now.status, null, 1)}`);
      await host.clock.sleep(20);
    }
  };

  readonly exec = async (pod: Pod, command: string[], input?: string, tty = false) => {
    const request = { command, stdin: input !== undefined, stdout: true, stderr: !tty, tty };
    const session = await this.streams.exec(pod, "main", request);
    session.stdin?.end(input);
    const [stdout, stderr, exit] = await Promise.all([textOf(session.stdout), textOf(session.stderr), session.exit]);
    return { stdout, stderr, code: exit.code };
  };

  readonly logs = async (pod: Pod, container = "main"): Promise<string> => {
    const options = { follow: false, previous: false, timestamps: false, signal: this.ending.signal };
    return textOf(await this.streams.logs(pod, container, options));
  };

  readonly remove = (pod: Pod, seconds: number) =>
    this.client.patch(
      builtin.pods,
      { name: pod.metadata.name, namespace: "default" },
      {
        type: "merge",
        body: { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: seconds } },
      },
    );

  readonly gone = async (pod: Pod): Promise<void> => {
    const untilMs = host.clock.now() + waitMsMax;
    while (this.client.all(builtin.pods).some(({ metadata }) => metadata.name === pod.metadata.name)) {
      if (host.clock.now() > untilMs) throw new Error(`${pod.metadata.name} is still there`);
      await host.clock.sleep(20);
    }
  };
}

export const shell = (script: string, more: Partial<Container> = {}): Container => ({
  name: "main",
  image: "alpine",
  command: ["sh", "-c", script],
  ...more,
});

export const isReady = ({ status }: Pod) =>
  status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;

export async function textOf(stream: Readable | undefined): Promise<string> {
  let text = "";
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}
